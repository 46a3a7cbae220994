"""How deep features are distributed under noises: histograms, fitted densities, distances.

`python -m analysis.distributions a.pth b.pth` is the command; it draws the paper's Figure 15 and
gives the numbers behind it.
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
  python -m analysis.distributions baseline.pth masked.pth
  python -m analysis.distributions mine.pth theirs.pth --images photos --limit 200 \\
      --reference gaussian:15 --noise poisson:3.5 --noise speckle:0.04 --noise mixture:4
  python -m analysis.distributions mine.pth --layers 'layers.*.residual_group.blocks.*'
"""

REFERENCE = "gaussian:15"
NOISES = ("poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02", "mixture:4")


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.distributions",
        "Show how each model's deepest features are distributed under unseen noise and under the "
        "noise it was trained on: histograms, fitted densities, distances with 95% intervals.",
        EXAMPLES,
        crop=128,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--reference",
        metavar="SPEC",
        default=REFERENCE,
        help=f"noise that the models were trained on (default {REFERENCE})",
    )
    p.add_argument(
        "--layers",
        action="append",
        metavar="GLOB",
        help="layers beside what goes into the last convolution, input:GLOB for what goes into "
        "them (repeatable)",
    )
    return p


def main() -> None:
    """Check everything, count, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.distributions"))


def chosen(args: argparse.Namespace, asked: RunInputs) -> dict[str, list[str]]:
    """The layers of each model: what goes into its last convolution, and those of --layers.

    Raises:
        BadInput: a pattern that matches no layer, or no noise beside the reference.
    """
    from analysis.engine.layers import INPUT, choose, last_convolution

    if len(asked.noises) < 2:
        raise BadInput("no noise beside the reference: give --noise")
    found = {}
    for name, model in asked.models.items():
        try:
            found[name] = choose(model, [INPUT + last_convolution(model), *(args.layers or ())])
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
    return found


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises, the reference first."""
    args.noise = [args.reference, *(n for n in args.noise or NOISES if n != args.reference)]


def plan(args: argparse.Namespace, asked: RunInputs) -> tuple[list[Batch], AnalysisJob]:
    """Batches, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands.job import AnalysisJob
    from analysis.distributions import tables
    from analysis.distributions.observer import FeatureHistograms
    from analysis.engine.run import batches
    from analysis.stats import histograms

    layers = chosen(args, asked)
    groups = batches(asked.crops, args.batch_size or max(1, 2**16 // args.crop**2))
    manifest = commands_inputs.describe("distributions", args, asked) | {
        "layers": layers,
        "grid": {
            "linear": histograms.LINEAR,
            "limit": histograms.LIMIT,
            "bins": histograms.BINS,
            "divergence": tables.SHARES,
            "shown": tables.SHOWN,
        },
    }
    work = AnalysisJob(
        asked,
        FeatureHistograms(layers),
        manifest,
        lambda found: tables.tables(found, asked),
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
