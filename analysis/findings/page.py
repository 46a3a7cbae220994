"""The folder of a study's page: claims, tables, figures, manifest, and the page itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from analysis.commands import csv_tables, printed
from analysis.commands.drawing import Drawing
from analysis.commands.parser import OutputOptions
from analysis.commands.run_manifest import MANIFEST, read_manifest
from analysis.commands.run_tables import read_tables, reading
from analysis.findings import contrasts, figures, kept, published
from analysis.findings.claims import by_training, judge
from analysis.findings.study import (
    BY_TRAINING,
    CELLS,
    CLAIMS,
    DERIVED,
    NAME,
    PICTURES,
    SCORES,
    SNAPSHOTS,
    TABLES,
    Study,
)
from analysis.pages import fingerprint, notebooks
from analysis.pages import html as pages_html
from analysis.pages.attachments import Attachment
from analysis.plotting import captions, figure_style
from analysis.plotting.files import rendered
from analysis.plotting.page_figure import compressed, reduced
from mtd.utils import atomic_write, folder_files, limits, output, progress
from mtd.utils.errors import BadInput
from mtd.utils.json_text import json_text

JUDGES = (
    "claims",
    "comparable",
    "contrasts",
    "measurements",
    "study",
    "trainings",
    "verdicts",
)
"""Modules that verdicts depend on."""


def run(study: str | Path, options: OutputOptions | None = None) -> Path:
    """Judge the claims by a study and make the page; returns the page's folder.

    Everything is computed from the tables that the page keeps of the study's runs, in its folder
    `scores`.

    Args:
        study: folder of run folders; or a folder that this function wrote, which is made again from
            its own scores.
        options: where the page is written, by default into `page` in the study.

    Raises:
        BadInput: no such study, nothing in it, or a folder that cannot be written.
        Failed: a cell of the notebook failed.
    """
    options, runs = options or OutputOptions(), Study(Path(study))
    if not runs.path.is_dir():
        raise BadInput(f"{runs.path}: no such folder; expected one of run folders")
    notebooks.check_kernel()
    if (runs.path / f"{CLAIMS}.csv").is_file():
        if options.output_dir:
            raise BadInput(f"{runs.path}: was made from a study, and is made again where it is")
        folder = runs.path
    else:
        folder = Path(options.output_dir or runs.path / "page")
        check_folder(folder, runs.path)
        check_claims(runs)
        kept.keep(runs, folder / SCORES)
        write_pictures(folder, runs)
    scores = Study(folder_files.path_of(folder, SCORES))
    with progress.running(("tables", notebooks.NOTEBOOK, "page"), quiet=options.quiet):
        progress.step("tables")
        with reading(scores.path):
            tables, claims = collect_tables(scores), judge(scores)
            about = json_text(manifest(scores))
        write_tables(folder, tables, claims)
        if options.drawing != Drawing():
            write_figures(folder, tables, options.drawing, options.command)
        atomic_write.write(folder / MANIFEST, about)
        publish(folder)
    return folder


def check_claims(study: Study) -> None:
    """Check that a study decides a claim.

    Raises:
        BadInput: it decides none.
    """
    with reading(study.path):
        undecided = judge(study).value.isna().all()
    if undecided:
        known = ", ".join(dict.fromkeys(run for run, _ in TABLES.values()))
        raise BadInput(
            f"{study.path}: decides no claim; expected runs such as {known}, of networks with the "
            "names of reports/findings/remake.sh"
        )


def write_tables(folder: Path, frames: Mapping[str, pd.DataFrame], claims: pd.DataFrame) -> None:
    """Write the tables of the page; those of runs that were removed since go."""
    for name, frame in {**frames, CLAIMS: claims}.items():
        text = csv_tables.text(frame)
        atomic_write.write(folder / f"{name}.csv", text)
    for name in (*TABLES, *DERIVED):
        if name not in frames:
            (folder / f"{name}.csv").unlink(missing_ok=True)


def write_pictures(folder: Path, study: Study) -> None:
    """Write the figures of the page; those of runs that were removed since go.

    A run of which only the tables were kept leaves the figure as it is.
    """
    for name, content in collect_pictures(study).items():
        atomic_write.write(folder / f"{name}.png", content)
    for name, (run, _) in PICTURES.items():
        if run not in study.runs():
            (folder / f"{name}.png").unlink(missing_ok=True)


def write_figures(
    folder: Path, frames: Mapping[str, pd.DataFrame], drawing: Drawing, command: str
) -> None:
    """Write the figures that the page draws itself as files, with captions; Figures 7 and 11.

    Args:
        folder: of the page.
        frames: its tables.
        drawing: formats and style.
        command: that makes them, for the captions.
    """
    with figure_style.using(figure_style.named_style(drawing.style)):
        drawn = {}
        if CELLS in frames:
            rows = frames[CELLS]
            drawn["figure7"] = figures.tradeoff(rows), figures.about_tradeoff(rows)
        if "levels" in frames:
            rows = frames["levels"]
            drawn["figure11"] = (
                figures.levels(rows, published.table("figure11")),
                figures.about_levels(rows),
            )
        for name, (figure, shown) in drawn.items():
            if figure is None:
                continue
            for kind in drawing.formats:
                atomic_write.write(folder / f"{name}.{kind}", rendered(figure, kind))
            about = captions.caption(figure, {}, command, shown)
            atomic_write.write(folder / f"{name}.txt", f"{about}\n")


def check_folder(folder: Path, study: Path) -> None:
    """Check that the page can be written into a folder.

    Raises:
        BadInput: it is the study, or another run.
    """
    if study.resolve() in (folder.resolve(), (folder / SCORES).resolve()):
        raise BadInput(f"--output-dir {folder}: is the study; give another folder")
    if (folder / MANIFEST).is_file() and read_manifest(folder).get("analysis") != NAME:
        raise BadInput(f"--output-dir {folder}: holds another run; give another folder")


def collect_tables(study: Study) -> dict[str, pd.DataFrame]:
    """The tables of the page, without those whose runs are missing."""
    frames = {name: study.table(*place) for name, place in TABLES.items()}
    frames |= {CELLS: contrasts.cells(study), SNAPSHOTS: contrasts.snapshots(study)}
    frames |= {BY_TRAINING: by_training(study)}
    return {name: frame for name, frame in frames.items() if frame is not None}


def collect_pictures(study: Study) -> dict[str, bytes]:
    """The figures that the page copies, in 256 colors, without those whose runs are missing."""
    paths = {name: f"{run}/{stem}.png" for name, (run, stem) in PICTURES.items()}
    return {
        name: picture(study.path, path)
        for name, path in paths.items()
        if folder_files.holds(study.path, path)
    }


def picture(folder: Path, name: str) -> bytes:
    """A figure of a run, in 256 colors.

    Raises:
        BadInput: it is no picture, or a link.
    """
    content = folder_files.content(folder, name, limits.ATTACHMENT)
    try:
        return compressed(reduced(content), "png")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"{folder / name}: not a picture that can be read ({error})") from None


def manifest(scores: Study) -> dict[str, Any]:
    """What the numbers depend on: code, and the models by digest, noises and images of each run."""
    runs = {name: scores.manifest(name) for name in scores.runs()}
    return {"analysis": NAME, "judged_by": code_digests(), "runs": runs}


def code_digests() -> dict[str, str]:
    """Digests of the code and published numbers that verdicts depend on."""
    package = Path(__file__).parent
    paths = [package / f"{name}.py" for name in JUDGES]
    paths += sorted((package / "published").glob("*.csv"))
    return {path.relative_to(package).as_posix(): fingerprint.digest(path) for path in paths}


def page_inputs() -> dict[str, Any]:
    """What the page depends on beside its tables; see `analysis.pages.fingerprint.inputs`."""
    return fingerprint.inputs([NAME], [f"analysis.{NAME}"], {})


def publish(folder: Path) -> None:
    """Execute the notebook on a folder's tables, and write the page beside them.

    Raises:
        BadInput: no kernel, or a file that cannot be written.
        Failed: a cell failed.
    """
    notebook = notebooks.with_parameters(notebooks.stored(NAME), {"run_dir": "."}, NAME)
    executed = notebooks.execute(notebook, folder, NAME)
    progress.step("page")
    tables = sorted(f"{name}.csv" for name in (*TABLES, *DERIVED, CLAIMS))
    names = [name for name in (*tables, MANIFEST) if folder_files.holds(folder, name)]
    attachments = [
        Attachment(name, folder_files.content(folder, name, limits.ATTACHMENT)) for name in names
    ]
    html = pages_html.html(executed, attachments, fingerprint.heading(executed))
    atomic_write.write(folder / f"{NAME}.html", html)
    atomic_write.write(folder / fingerprint.INPUTS, json.dumps(page_inputs(), indent=2) + "\n")
    parts: dict[str, Any] = {}
    if output.collecting():
        results = printed.tables(folder, read_tables(folder, ()))
        parts = {"run": folder, "results": results, "files": printed.files(folder)}
    output.show(f"written to {folder / NAME}.html", **parts)
