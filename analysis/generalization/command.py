"""The benchmark: how denoisers do on noise they were trained on, and on noise they were not.

`python -m analysis.generalization a.pth b.pth` is the command.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import options
from analysis.generalization.tables import tables
from mtd.utils import cli

if TYPE_CHECKING:
    from analysis.commands.job import AnalysisJob
    from analysis.generalization.inputs import Benchmark

EXAMPLES = """\
  python -m analysis.generalization baseline.pth masked.pth
  python -m analysis.generalization mine.pth theirs.pth --suite paper --testset kodak24=Kodak24
  python -m analysis.generalization mine.pth theirs.pth --images photos --noise gaussian:15 \\
      --noise poisson:2 --noise poisson:3.5 --protocol paper
  python -m analysis.generalization mine.pth --pairs 'cc/*_real.png' 'cc/*_mean.png'
  python -m analysis.generalization mine.pth --pairs monte_carlo:64=render/64spp render/clean
  torchrun --nproc-per-node 4 -m analysis.generalization mine.pth theirs.pth --device cuda
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.generalization",
        "Benchmark denoisers on noises they were and were not trained on: PSNR, SSIM and LPIPS of "
        "every image, scores with 95% intervals, paired tests, level curves, comparison strips.",
        EXAMPLES,
        crop=None,
        limit=None,
        noises="the suite's",
    )
    p.add_argument(
        "--suite",
        metavar="NAME",
        help="noises, levels and crops under one name: quick (default, 64 crops of 128), paper, or "
        "a .toml file; --noise adds to a suite that is given, and stands alone otherwise",
    )
    p.add_argument(
        "--in-distribution",
        action="append",
        metavar="SPEC",
        help="noise that counts as trained on (repeatable; default: the suite's, else the first)",
    )
    p.add_argument(
        "--testset",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a published test set, checked: python -m mtd.testsets lists them (repeatable)",
    )
    p.add_argument(
        "--pairs",
        action="append",
        nargs=2,
        default=[],
        metavar=("[NAME=]NOISY", "CLEAN"),
        help="noisy images and their clean ones: two folders, two patterns with one *, or SIDD's "
        "two .mat files (repeatable); NAME such as monte_carlo:64 names the noise and its level",
    )
    p.add_argument(
        "--tone-map",
        metavar="NAME",
        help="for linear EXR pairs: srgb (default), gamma2.2, reinhard",
    )
    p.add_argument(
        "--protocol",
        choices=("default", "paper"),
        default="default",
        help="default: whole images, RGB; paper: 1 pixel left out at every side, RGB",
    )
    p.add_argument("--channel", choices=("rgb", "y"), default="rgb", help="of PSNR and SSIM")
    p.add_argument("--lpips-weights", metavar="FILE", help="AlexNet backbone of LPIPS")
    p.add_argument("--no-lpips", action="store_true", help="leave LPIPS out")
    p.add_argument(
        "--tile",
        type=cli.tile,
        default="auto",
        help="large images: auto (default), off, or the tile's side",
    )
    p.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="that --tile auto keeps to (default 2)",
    )
    return p


def main() -> None:
    """Check everything, denoise, score, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.generalization"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands.job import carry_out
    from analysis.generalization import inputs

    found = inputs.check(args)
    if found.missing and found.asked.ranks.first:
        print(found.missing, file=sys.stderr)
    names = [name for name, model in found.asked.models.items() if model.source]
    work = plan(args, found)
    return carry_out(args, found.groups, work, f"generalization-{'-'.join(names)}", command)


def plan(args: argparse.Namespace, found: Benchmark) -> AnalysisJob:
    """The analysis of what is asked."""
    from analysis.commands.job import AnalysisJob
    from analysis.generalization import inputs as generalization_inputs
    from analysis.generalization import observer as generalization_observer
    from analysis.generalization import summary

    protocol = replace(generalization_observer.PROTOCOLS[args.protocol], channel=args.channel)
    observer = generalization_observer.Scores(list(found.asked.models), protocol, found.perceptual)
    return AnalysisJob(
        found.asked,
        observer,
        generalization_inputs.manifest(args, found),
        lambda results: tables(results, observer, found),
        summary.report,
    )
