"""The run folders of a report: computed in one pass, or taken from runs that are there."""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.commands.inputs import RunInputs
from analysis.commands.job import one_pass
from analysis.commands.job import report as reported
from analysis.commands.run_folder import RunFolder, done, finished, read_manifest, versions
from analysis.compare import tables as compare_tables
from analysis.compare.predictors import INDICES
from analysis.curves import command as curves_command
from analysis.curves import log_readers
from analysis.engine.cache import FOLDER
from analysis.report import sections as report_sections
from analysis.report.plan import Plan
from analysis.report.sections import BENCHMARK, ONE_PASS
from analysis.stats.rank_correlation import LEAST
from analysis.text.terminal import plural
from mtd.loading import checkpoint_file
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput

NAMED = {"curves": "training"}
"""Sections that are not called what their analysis is."""

LOG, RECIPE = "log.csv", "recipe.json"


@dataclass(frozen=True)
class Report:
    """A folder with a run folder for each section.

    Attributes:
        folder: of the report.
        sections: those that it holds and that are asked for, in the order of the page.
        ranks: the processes that made it.
    """

    folder: RunFolder
    sections: list[str]
    ranks: Ranks = SINGLE_PROCESS


def present(folder: Path, chosen: Sequence[str]) -> list[str]:
    """Those of the sections that a report's folder holds, done."""
    return [name for name in chosen if done(folder / name)]


def compute(args: argparse.Namespace, chosen: Sequence[str], command: str = "") -> Report:
    """Do what is lacking of the sections that are asked for.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    plan = Plan(args)
    shared = plan.asked.ranks
    with shared.raise_on_all_ranks():
        strict = args.sections is not None
        logs = training(args, plan.asked) if "training" in chosen else []
        for log in logs:
            log_readers.read(log)  # what cannot be read is told before anything is computed
        if strict:
            possible(chosen, plan.asked, logs)
        works = plan.works([name for name in chosen if name in ONE_PASS], strict)
        if "attribution" in chosen:
            plan.maps()
    folder = RunFolder(
        args.output_dir,
        f"report-{'-'.join(plan.asked.models)}",
        plan.manifest(),
        resume=args.resume,
        command=command,
        ranks=shared,
    )
    with folder.resumable():
        if works:
            one_pass(args, plan.whole, plan.groups, works, folder, command)
            if shared.first:
                folder.cache.clear()  # everything computed from it is written
        if "attribution" in chosen:
            plan.attribution(folder.path, command)
        if shared.first:
            if "compare" in chosen:
                compare(folder.path, plan.asked, command)
            if logs:
                curve(logs, folder.path, command)
    shared.gather(None)
    return Report(folder, present(folder.path, chosen), shared)


def compare(folder: Path, asked: RunInputs, command: str) -> None:
    """Indices against what models lose, where there are models and indices enough."""
    parts = compared(folder)
    if len(asked.models) < LEAST or len(parts) < 2 or parts[0].name != BENCHMARK:
        return
    manifest = {
        "analysis": "compare",
        "versions": versions(),
        "runs": {path.name: read_manifest(path) for path in parts},
    }
    anew(folder / "compare", manifest)
    held = RunFolder(folder / "compare", "compare", manifest, command=command)
    for name, frame in compare_tables.tables(parts).items():
        held.table(name, frame)
    reported(held, lambda found: compare_tables.report(found, parts), quiet=True)


def possible(chosen: Sequence[str], asked: RunInputs, logs: Sequence[str]) -> None:
    """See that sections that were asked for by name can be had.

    Raises:
        BadInput: too few models to compare, or no log of their training.
    """
    if "compare" in chosen and len(asked.models) < LEAST:
        raise BadInput(
            f"--sections compare: {plural(len(asked.models), 'model')}; ranks need {LEAST} or more"
        )
    if "training" in chosen and not logs:
        raise BadInput("--sections training: no log beside the checkpoints; give --training RUN")


def anew(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Remove a folder that holds another run, of what takes no time to make again."""
    try:
        finished(folder, manifest)
    except BadInput:
        shutil.rmtree(folder)


def compared(folder: Path) -> list[Path]:
    """The run folders in a report that indices are read from."""
    named = [BENCHMARK, *(index.analysis for index in INDICES)]
    return [folder / name for name in dict.fromkeys(present(folder, named))]


def training(args: argparse.Namespace, asked: RunInputs) -> list[str]:
    """Where the training of the models is logged: what is given, else what lies beside them."""
    if args.training:
        return list(args.training)
    found: dict[Path, None] = {}
    for model in asked.models.values():
        path = checkpoint_file.locate(model.source["path"])
        for folder in (path.parent, path.with_suffix("")):
            if (folder / LOG).is_file() and (folder / RECIPE).is_file():
                found[folder] = None
                break
    return [str(path) for path in found]


def curve(logs: Sequence[str], folder: Path, command: str) -> None:
    """Training curves."""
    shutil.rmtree(folder / "training", ignore_errors=True)  # logs grow; reading them is nothing
    given = curves_command.parser().parse_args(
        [*logs, "--output-dir", str(folder / "training"), "--quiet"]
    )
    with contextlib.redirect_stdout(io.StringIO()):
        curves_command.run(given, command)


def gather(
    args: argparse.Namespace, folders: Sequence[Path], chosen: Sequence[str], command: str = ""
) -> Report:
    """A report of run folders, which are copied into one.

    Raises:
        BadInput: no run folder, an analysis that is no section, or two runs of one.
    """
    found: dict[str, Path] = {}
    for path in folders:
        manifest = read_manifest(path)
        if not done(path):
            raise BadInput(f"{path}: a run that is not finished; go on with it by --resume")
        kind = str(manifest.get("analysis"))
        kind = NAMED.get(kind, kind)
        inner = present(path, chosen) if kind in ("report", "compare") else []
        for name, place in [(kind, path), *((name, path / name) for name in inner)]:
            if name == "report":
                continue
            if name not in report_sections.NAMES:
                known = ", ".join(report_sections.NAMES)
                raise BadInput(f"{place}: a run of {name}; expected one of {known}")
            if name in found:
                raise BadInput(f"{place}: a second run of {name}, after {found[name]}; give one")
            found[name] = place
    names = [name for name in chosen if name in found]
    if not names:
        raise BadInput(f"no section among {plural(len(folders), 'run folder')}")
    own = read_manifest(folders[0])
    if len(folders) == 1 and own.get("analysis") == "report" and not args.output_dir:
        return Report(RunFolder(folders[0], "report", own, command=command), names)
    manifests = {name: read_manifest(found[name]) for name in names}
    models: dict[str, Any] = {}
    for name, held in manifests.items():
        for model, about in held.get("models", {}).items():
            if models.setdefault(model, about)["sha256"] != about["sha256"]:
                raise BadInput(f"{found[name]}: {model} is another file than in another run")
    manifest = {"analysis": "report", "versions": versions(), "models": models, "runs": manifests}
    name = f"report-{'-'.join(models)}"
    folder = RunFolder(args.output_dir, name, manifest, resume=args.resume, command=command)
    for name in names:
        target = folder.path / name
        if found[name].resolve() != target.resolve():
            shutil.copytree(
                found[name],
                target,
                ignore=shutil.ignore_patterns(FOLDER, "cka-*", "report*"),
                dirs_exist_ok=True,
            )
    return Report(folder, names)
