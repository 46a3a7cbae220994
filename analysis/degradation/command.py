"""Do a network's features sort images by their noise or by their content, and from which layer on?

`python -m analysis.degradation a.pth b.pth` is the command; the numbers are those of
`analysis.degradation.separability`.

Reference: Liu et al., *Discovering Distinctive "Semantics" in Super-Resolution Networks*, 2021,
arXiv 2108.00406 (deep degradation representations).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch

EXAMPLES = """\
  python -m analysis.degradation baseline.pth masked.pth
  python -m analysis.degradation mine.pth theirs.pth --images photos --limit 200 \\
      --noise gaussian:15 --noise poisson:3.5 --noise mixture:4
  python -m analysis.degradation mine.pth --layers "**.blocks.5" --layers "input:conv_last"
"""

NOISES = ("gaussian:15", "poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02")

COMPONENTS = 50
POOL = 8

PHOTOGRAPHS = 5
"""From so many photographs on, the probe is tested on photographs that it has not seen."""


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.degradation",
        "Measure, layer by layer, whether features group crops by their noise or by their content: "
        "Calinski-Harabasz index and silhouette on principal components, and a linear probe that "
        "tells the noise; for the deepest layer also t-SNE. Features that tell noises apart are "
        "read as a sign of poor generalization to unseen noise.",
        EXAMPLES,
        crop=64,
        limit=48,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--layers",
        action="append",
        metavar="GLOB",
        help="layers, input:GLOB for what goes into them (repeatable; default: blocks or "
        "convolutions, and what goes into the last convolution)",
    )
    p.add_argument(
        "--pool",
        type=cli.whole_number(0),
        default=POOL,
        help="average maps to at most POOL x POOL places; 0 keeps every position (default 8)",
    )
    p.add_argument(
        "--components",
        type=cli.whole_number(2),
        default=COMPONENTS,
        help="principal components, at most samples - 1 (default 50)",
    )
    p.add_argument("--no-intervals", action="store_true", help="do not leave crops out")
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
    run(parser().parse_args(), cli.command("analysis.degradation"))


def chosen_layers(asked: RunInputs, patterns: list[str] | None) -> dict[str, list[str]]:
    """Layers by model: those of the patterns, or the default ones and the deepest features.

    Raises:
        BadInput: a pattern that matches nothing.
    """
    from analysis.engine.layers import INPUT, default_layers, last_convolution

    if patterns:
        return commands_inputs.choose_layers(asked.models, patterns)
    return {
        name: commands_inputs.choose_layers(
            {name: model}, [*default_layers(model), INPUT + last_convolution(model)]
        )[name]
        for name, model in asked.models.items()
    }


def describe(
    args: argparse.Namespace, asked: RunInputs, layers: dict[str, list[str]]
) -> dict[str, Any]:
    """The manifest: everything that decides the results."""
    from analysis.degradation import separability

    samples = len(asked.crops) * len(asked.noises)
    by_photograph = len({crop.image for crop in asked.crops}) >= PHOTOGRAPHS
    return commands_inputs.describe("degradation", args, asked) | {
        "layers": layers,
        "pool": args.pool,
        "components": min(args.components, samples - 1),
        "intervals": not args.no_intervals,
        "folds_by": "photograph" if by_photograph else "crop",
        "perplexity": separability.perplexity(samples),
    }


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises."""
    args.noise = list(args.noise or NOISES)


def plan(args: argparse.Namespace, asked: RunInputs) -> tuple[list[Batch], AnalysisJob]:
    """Batches, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands.job import AnalysisJob
    from analysis.degradation import tables
    from analysis.degradation.observer import PooledFeatures
    from analysis.engine.run import batches

    if len(asked.noises) < 2:
        raise BadInput("1 noise: nothing to tell apart; give --noise twice or more")
    if len(asked.crops) < 3:
        raise BadInput(f"{len(asked.crops)} crops: expected 3 or more; raise --limit")
    layers = chosen_layers(asked, args.layers)
    groups = batches(asked.crops, args.batch_size or max(1, 2**16 // args.crop**2))
    manifest = describe(args, asked, layers)
    work = AnalysisJob(
        asked,
        PooledFeatures(layers, args.pool, int(args.memory * 2**30), asked.setting.device),
        manifest,
        lambda found: tables.tables(found, asked, manifest),
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
