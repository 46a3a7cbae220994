"""Do the indices predict anything? Indices of models beside what they lose on unseen noise.

`python -m analysis.compare a.pth b.pth c.pth d.pth` takes them all in one pass; given run folders
instead, it reads what is there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch

EXAMPLES = """\
  python -m analysis.compare a.pth b.pth c.pth d.pth e.pth
  python -m analysis.compare snapshots/*.pth --images photos --limit 200 --noise gaussian:50 \\
      --noise poisson:3.5 --noise spatial:60 --skip sensitivity
  python -m analysis.compare runs/generalization-… runs/srga-… runs/cka-…
"""

REFERENCE = "gaussian:15"
NOISES = ("poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02", "mixture:4")
TOGETHER = 2**16
"""Pixels that go through a network together."""

ANALYSES = ("srga", "distributions", "degradation", "sensitivity", "cka")


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.compare",
        "Put SRGA, CKA between noises, separability, distances of distributions and sensitivity of "
        "four or more models beside what they lose on unseen noise, with rank correlations: does "
        "any index predict it? All are taken in one pass; of run folders, the tables are read.",
        EXAMPLES,
        crop=64,
        limit=64,
        noises=", ".join(NOISES),
        models="checkpoint files or bundled names; or run folders of these analyses",
    )
    p.add_argument(
        "--reference",
        metavar="SPEC",
        default=REFERENCE,
        help=f"noise that the models were trained on (default {REFERENCE})",
    )
    p.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=ANALYSES,
        metavar="NAME",
        help=f"leave an index out (repeatable): {', '.join(ANALYSES)}",
    )
    p.add_argument("--no-intervals", action="store_true", help="of the indices")
    p.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="for each analysis (default 2); features are spilled to the run folder",
    )
    return p


def main() -> None:
    """Compute or read, correlate, write, print."""
    run(parser().parse_args(), cli.command("analysis.compare"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    folders = options.run_folders(args)
    return read(args, folders, command) if folders else compute(args, command)


def read(args: argparse.Namespace, folders: Sequence[Path], command: str) -> Path:
    """Compare what run folders hold."""
    from analysis.commands.job import report
    from analysis.commands.run_folder import RunFolder, read_manifest, versions
    from analysis.compare import tables as compare_tables

    tables = compare_tables.tables(folders)
    manifest = {
        "analysis": "compare",
        "versions": versions(),
        "runs": {str(path): read_manifest(path) for path in folders},
    }
    folder = RunFolder(args.output_dir, "compare", manifest, command=command)
    for name, frame in tables.items():
        folder.table(name, frame)
    report(folder, lambda found: compare_tables.report(found, folders))
    return folder.path


def compute(args: argparse.Namespace, command: str) -> Path:
    """Take everything in one pass, and compare it."""
    from analysis.commands.job import AnalysisJob, carry_out_together
    from analysis.compare import tables as compare_tables_
    from analysis.stats.rank_correlation import LEAST
    from analysis.text.terminal import plural

    count = len(args.models) + len(args.custom_models)
    if count < LEAST:
        raise BadInput(f"{plural(count, 'model')}: ranks are compared from {LEAST} on")
    settle(args)
    asked = commands_inputs.check(args)
    with asked.ranks.raise_on_all_ranks():
        groups, whole, works = plan(args, asked)
    manifest = commands_inputs.describe("compare", args, asked) | {
        "reference": args.reference,
        "skip": sorted(args.skip),
    }

    def report(folder: Any) -> str:
        return compare_tables_.report(folder, [folder.path / work.name for work in works])

    together = AnalysisJob(whole, works[0].observer, manifest, compare_tables_.tables, report)
    return carry_out_together(args, groups, works, together, command)


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises: the reference, unseen ones, and none, for sensitivity."""
    from analysis.text.noise_labels import CLEAN
    from mtd.data.recorded_noise import PREFIX
    from mtd.noise import specs as noise_specs

    given = [args.reference, *(args.noise or NOISES)]
    specs = [text if text.startswith(PREFIX) else noise_specs.parse(text).spec for text in given]
    if CLEAN in specs:
        raise BadInput(f"{given[specs.index(CLEAN)]}: it changes nothing; leave it out")
    asked = [text for text, spec in zip(given, specs, strict=True) if spec != specs[0]]
    if not asked:
        raise BadInput("no noise beside the reference: give --noise")
    clean = [] if "sensitivity" in args.skip else [CLEAN]
    args.noise = [*clean, args.reference, *asked]
    args.batch_size = args.batch_size or max(1, TOGETHER // args.crop**2)


def plan(
    args: argparse.Namespace, asked: RunInputs
) -> tuple[list[Batch], RunInputs, list[AnalysisJob]]:
    """Batches, all that is looked at, and every analysis of it.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands import subset
    from analysis.commands.subset import Subset
    from analysis.engine.run import batches
    from analysis.generalization import command as generalization_command
    from analysis.generalization import inputs as generalization_inputs
    from analysis.text.noise_labels import CLEAN

    groups = batches(asked.crops, args.batch_size)
    seen = replace(asked, noises=[noise for noise in asked.noises if noise.spec != CLEAN])
    given = options.like(args, generalization_command.parser(), no_lpips=True)
    whole = generalization_inputs.with_tiles(given, asked)
    works = [
        generalization_command.plan(given, generalization_inputs.on_crops(given, seen, groups))
    ]
    for name in (name for name in ANALYSES if name not in args.skip):
        looked = asked if name == "sensitivity" else seen
        if name != "cka":
            works.append(subset.work(name, args, Subset(looked, groups)))
            continue
        for model, network in asked.models.items():  # between models there are too many pairs
            one = replace(seen, models={model: network})
            held = subset.work(name, args, Subset(one, groups))
            works.append(replace(held, name=f"cka-{model}"))
    return groups, whole, works
