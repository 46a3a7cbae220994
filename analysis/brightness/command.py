"""Brightness of what networks put out: whether it is that of the clean images, and what it costs.

`python -m analysis.brightness a.pth b.pth` is the command. A network that is trained with an input
mask and without attention masks puts out images of the wrong brightness once it is shown all
pixels (the paper's Figures 5 and 6); this measures by how much, of any networks.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
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
  python -m analysis.brightness baseline.pth masked.pth
  python -m analysis.brightness mine.pth theirs.pth --images photos --limit 200 \\
      --noise gaussian:15 --noise gaussian:50 --noise gaussian:0
  python -m analysis.brightness mine.pth --input-mask 0.8
"""


def parser() -> cli.Parser:
    """The command's options."""
    return options.parser(
        "analysis.brightness",
        "Measure how far the brightness of what each model puts out is from that of the clean "
        "images: shift and distance of histograms with 95% intervals, and what PSNR would be with "
        "brightness and contrast set right.",
        EXAMPLES,
    )


def main() -> None:
    """Check everything, count, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.brightness"))


def with_noisy(asked: RunInputs) -> RunInputs:
    """What is asked, with the noisy input as the last of the models.

    Raises:
        BadInput: a model has the name of the noisy input or of the clean images.
    """
    from analysis.brightness.tables import CLEAN
    from analysis.text.noise_labels import NOISY
    from mtd.networks.base import Unchanged

    for name in (NOISY, CLEAN):
        if name in asked.models:
            raise BadInput(f"a model is named {name!r}; rename the file")
    models = asked.models | {NOISY: Unchanged()}
    identity = {name: commands_inputs.identity(model) for name, model in models.items()}
    return replace(asked, models=models, setting=replace(asked.setting, identity=identity))


def plan(args: argparse.Namespace, asked: RunInputs) -> tuple[list[Batch], AnalysisJob]:
    """Batches, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.brightness import tables
    from analysis.brightness.observer import BrightnessHistograms
    from analysis.commands.job import PIXELS, AnalysisJob
    from analysis.engine.run import batches

    asked = with_noisy(asked)
    groups = batches(asked.crops, args.batch_size or max(1, PIXELS // args.crop**2))
    work = AnalysisJob(
        asked,
        BrightnessHistograms(list(asked.models)),
        commands_inputs.describe("brightness", args, asked),
        lambda found: tables.tables(found, asked),
        tables.report,
    )
    return groups, work


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands.job import carry_out

    asked = commands_inputs.check(args)
    with asked.ranks.raise_on_all_ranks():
        groups, work = plan(args, asked)
    return carry_out(args, groups, work, f"brightness-{'-'.join(asked.models)}", command)
