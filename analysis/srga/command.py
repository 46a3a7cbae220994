"""SRGA: how far a network's deep features under a noise are from those under the one it knows.

`srga` is for arrays; `python -m analysis.srga a.pth b.pth` is the command.

Reference: Liu et al., *Evaluating the Generalization Ability of Super-Resolution Networks*, IEEE
TPAMI 2023.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from analysis.srga.score import COMPONENTS, PATCHES
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch

EXAMPLES = """\
  python -m analysis.srga baseline.pth masked.pth
  python -m analysis.srga mine.pth theirs.pth --images photos --limit 800 \\
      --reference gaussian:15 --noise poisson:3.5 --noise speckle:0.04 --noise mixture:4
  python -m analysis.srga mine.pth --images clean --noise folder:noisy
"""


REFERENCE = "gaussian:15"
NOISES = ("poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02", "mixture:4")


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.srga",
        "Score how far each model's deepest features under unseen noise are from those under the "
        "noise it was trained on (SRGA): 0 is no distance, more is worse. Scores compare noises "
        "within a model, and models of similar PSNR.",
        EXAMPLES,
        crop=128,
        limit=PATCHES,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--reference",
        metavar="SPEC",
        default=REFERENCE,
        help=f"noise that the models were trained on (default {REFERENCE})",
    )
    p.add_argument(
        "--layer",
        metavar="GLOB",
        help="layer to take, input:GLOB for what goes into it (default: what goes into the last "
        "convolution)",
    )
    p.add_argument(
        "--components",
        type=cli.whole_number(1),
        default=COMPONENTS,
        help="principal components, at most patches - 1 (default 300)",
    )
    p.add_argument(
        "--fit",
        choices=("grid", "root"),
        default="grid",
        help="shape of the density: nearest of the published grid (default), or exact",
    )
    p.add_argument("--no-intervals", action="store_true", help="do not leave patches out")
    p.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="for reading features back (default 2); they are spilled to the run folder",
    )
    return p


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.srga"))


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises, the reference first."""
    args.noise = [args.reference, *(n for n in args.noise or NOISES if n != args.reference)]


def plan(args: argparse.Namespace, asked: RunInputs) -> tuple[list[Batch], AnalysisJob]:
    """Batches, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands.job import AnalysisJob
    from analysis.engine.layers import INPUT, choose, last_convolution
    from analysis.engine.run import batches
    from analysis.srga import tables
    from analysis.srga.observer import DeepFeatures

    tables.check(asked)
    layers = {
        name: choose(model, args.layer or INPUT + last_convolution(model))
        for name, model in asked.models.items()
    }
    for name, chosen in layers.items():
        if len(chosen) != 1:
            raise BadInput(f"--layer {args.layer}: {len(chosen)} layers of {name}; name one")
    single = {name: chosen[0] for name, chosen in layers.items()}
    groups = batches(asked.crops, args.batch_size or max(1, 2**16 // args.crop**2))
    manifest = commands_inputs.describe("srga", args, asked) | {
        "layers": single,
        "components": min(args.components, len(asked.crops) - 1),
        "fit": args.fit,
        "intervals": not args.no_intervals,
    }
    work = AnalysisJob(
        asked,
        DeepFeatures(single, int(args.memory * 2**30), asked.setting.device),
        manifest,
        lambda found: {"srga.csv": tables.table(found, asked, single, args)},
        tables.report,
    )
    return groups, work


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands import job as commands_job

    settle(args)
    return commands_job.run(args, plan, command)
