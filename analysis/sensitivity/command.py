"""Sensitivity to noise over depth: how far each layer moves from a clean image to a noisy one.

`change` and `gain` are for sums of arrays; `python -m analysis.sensitivity a.pth b.pth` is the
command.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch


EXAMPLES = """\
  python -m analysis.sensitivity baseline.pth masked.pth
  python -m analysis.sensitivity mine.pth theirs.pth --images photos --limit 64 \\
      --noise gaussian:15 --noise gaussian:50 --noise spatial:60
  python -m analysis.sensitivity mine.pth --layers 'layers.*.residual_group.blocks.*'
"""

CROPS = 32
NOISES = ("gaussian:15", "gaussian:50", "poisson:3.5", "salt_pepper:0.02")


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.sensitivity",
        "Measure how far each layer moves from a clean image to its noisy version, relative to how "
        "much the layer varies over clean images, and to how far the image itself moves: whether "
        "a network dampens a noise on the way through, or amplifies it.",
        EXAMPLES,
        limit=CROPS,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--layers",
        action="append",
        metavar="GLOB",
        help="layers (repeatable; default: blocks and convolutions around them, else convolutions)",
    )
    p.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="that a batch's clean layers may take (default 2)",
    )
    return p


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.sensitivity"))


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises, none of them first.

    Raises:
        BadInput: no noise is asked for.
    """
    from analysis.text.noise_labels import CLEAN

    args.noise = [CLEAN, *(args.noise or NOISES)]
    if CLEAN in args.noise[1:]:
        raise BadInput(f"--noise {CLEAN}: it is what the others are compared with; leave it out")


def plan(args: argparse.Namespace, asked: RunInputs) -> tuple[list[Batch], AnalysisJob]:
    """Batches, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands.job import AnalysisJob
    from analysis.engine.run import batches
    from analysis.sensitivity import tables
    from analysis.sensitivity.observer import LayerChanges

    layers = commands_inputs.choose_layers(asked.models, args.layers)
    groups = batches(asked.crops, args.batch_size or max(1, 2**15 // args.crop**2))
    work = AnalysisJob(
        asked,
        LayerChanges(layers, int(args.memory * 2**30)),
        commands_inputs.describe("sensitivity", args, asked) | {"layers": layers},
        lambda found: {"sensitivity.csv": tables.table(found, asked)},
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
