"""A report of run folders, which may come from anybody: checked, and copied into its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.commands.parser import OutputOptions
from analysis.commands.run_folder import TEXT_FILE, RunFolder, versions
from analysis.commands.run_manifest import (
    LOG,
    MANIFEST,
    intact,
    read_digests,
    read_manifest,
    unfinished,
)
from analysis.commands.run_tables import reading, table_names
from analysis.report import sections as report_sections
from analysis.report.folders import Report, place_of, present
from analysis.report.settings import ReportOptions
from analysis.text.terminal import plural
from mtd.utils import atomic_write, digests, folder_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.replaced import replaced, restore_all


def collect(folders: Sequence[Path], options: ReportOptions, output: OutputOptions) -> Report:
    """A report from run folders, which are copied into its folder.

    Raises:
        BadInput: no run folder, an analysis that is not a section, two runs of one section, or
            output inside a run folder.
    """
    chosen = report_sections.choose(options.sections or ",".join(report_sections.headings()))
    again = len(folders) == 1 and not output.output_dir and is_report(folders[0])
    if again:
        restore_all(folders[0])  # sections whose replacement was killed
    runs = runs_of(folders, chosen)
    names = [name for name in chosen if name in runs]
    if not names:
        raise BadInput(f"no section among {plural(len(folders), 'run folder')}")
    own = read_manifest(folders[0])
    if again:
        check_manifest(folders[0])
        check_unchanged([runs[name] for name in names])
        folder = RunFolder(folders[0], "report", own, command=output.command, reopened=True)
        return Report(folder, names)
    check_outside(Path(output.output_dir or "runs"), [runs[name] for name in names])
    manifests = {name: read_manifest(runs[name]) for name in names}
    models: dict[str, Any] = {}
    for name, manifest in manifests.items():
        with reading(runs[name]):
            for model, about in manifest.get("models", {}).items():
                if models.setdefault(model, about)["sha256"] != about["sha256"]:
                    raise BadInput(
                        f"{runs[name]}: {model} is not the same file as in the other runs"
                    )
    check_unchanged([runs[name] for name in names])
    folder = RunFolder(
        output.output_dir,
        f"report-{'-'.join(models)}",
        {"analysis": "report", "versions": versions(), "models": models, "runs": manifests},
        resume=output.resume,
        command=output.command,
    )
    for name in names:
        target = place_of(folder.path, name)
        if runs[name].resolve() != target.resolve():
            copy(runs[name], name, target)
    return Report(folder, names)


def is_report(folder: Path) -> bool:
    """Whether a folder holds a report that is not being made."""
    return read_manifest(folder).get("analysis") == "report" and not unfinished(folder)


def copy(run: Path, section: str, target: Path) -> None:
    """Copy what an analysis writes from a run folder, in place of what is there.

    Raises:
        BadInput: a file is a link or no file, or cannot be written.
    """
    with replaced(target) as new:
        for name in [*own_files(run, section), *figures(run)]:
            content = folder_files.content(run, name, limits.ATTACHMENT)
            atomic_write.write(new / name, content)


def own_files(run: Path, section: str) -> list[str]:
    """The names of those files in a section's folder that its analysis writes, but for figures.

    Raises:
        BadInput: one is a link, or no file.
    """
    record = report_sections.records()[section]
    tables = record.all_table_names or table_names(run)
    known = [MANIFEST, LOG, TEXT_FILE, *record.attachments]
    known += [f"{name}.csv" for name in tables]
    return [name for name in known if folder_files.holds(run, name)]


def figures(run: Path) -> list[str]:
    """The names of the figures that a run recorded and that are in its folder.

    Raises:
        BadInput: one is a link, or no file.
    """
    names = sorted(name for name in read_digests(run) if name.endswith(".png"))
    return [name for name in names if folder_files.holds(run, name)]


def check_manifest(report: Path) -> None:
    """Check that the manifest of a report is as it was written, if that was recorded.

    Raises:
        BadInput: it is not.
    """
    known = read_digests(report).get(MANIFEST)
    if known and digests.sha256(folder_files.path_of(report, MANIFEST)) != known:
        raise BadInput(f"{report / MANIFEST}: changed after the report was made; make it again")


def check_unchanged(runs: Sequence[Path]) -> None:
    """Check that the files of runs are those that they wrote, as far as that was recorded.

    Raises:
        BadInput: they are not.
    """
    for run in runs:
        known = read_digests(run)
        for name in known:
            folder_files.holds(run, name)  # which says what is no file
        if known and not intact(run, drawn=False):
            raise BadInput(f"{run}: a file was changed after the run; run it again with --resume")


def check_outside(output: Path, sources: Sequence[Path]) -> None:
    """Check that the output is not inside a run folder that is copied into it.

    Raises:
        BadInput: it is.
    """
    place = output.resolve()
    for source in sources:
        if place.is_relative_to(source.resolve()):
            raise BadInput(
                f"{output}: inside {source}, which is copied into it; choose another --output-dir"
            )


def runs_of(folders: Sequence[Path], chosen: Sequence[str]) -> dict[str, Path]:
    """The run folder of each section, from run folders, reports and comparisons.

    Raises:
        BadInput: no run folder, an unfinished one, an analysis that is not a section, or two runs
            of one section.
    """
    runs: dict[str, Path] = {}
    known = list(report_sections.headings())
    for path in folders:
        manifest = read_manifest(path)
        if unfinished(path):
            raise BadInput(f"{path}: a run that is not finished; continue it with --resume")
        kind = str(manifest.get("analysis"))
        inner = present(path, chosen) if kind in ("report", "compare") else []
        for name, place in [(kind, path), *((name, path / name) for name in inner)]:
            if name == "report":
                continue
            if name not in known:
                raise BadInput(f"{place}: a run of {name}; expected one of {', '.join(known)}")
            if name in runs:
                raise BadInput(f"{place}: a second run of {name}, after {runs[name]}; give one")
            runs[name] = place
    return runs
