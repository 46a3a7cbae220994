"""Local attribution: which pixels of a noisy input a network uses to restore one window.

`python -m analysis.attribution a.pth b.pth` is the command;
`analysis.attribution.integrated_gradients` has the formulas.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.attribution.maps import collect, place
from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs

EXAMPLES = """\
  python -m analysis.attribution baseline.pth masked.pth
  python -m analysis.attribution mine.pth theirs.pth --images photos --crop 128 --limit 8 \\
      --noise gaussian:50 --noise spatial:60
  python -m analysis.attribution mine.pth --window 24,24 --side 8 --steps 200 --attention-mask off
"""

CROPS = 4
NOISES = ("gaussian:15", "gaussian:50")
SIDE = 16
SIGMA = 3.0
"""Of the baseline's blur, in pixels: what a denoiser is to restore is gone, and of white noise a
tenth of the standard deviation is left. Published for super-resolution: 1.2, for inputs that have
lost their detail already."""


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.attribution",
        "Map which pixels of its input each model uses to restore one window of its output, for "
        "clean images and under each noise (local attribution maps), and how far they lie from it.",
        EXAMPLES,
        limit=CROPS,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--side",
        type=cli.whole_number(2),
        default=SIDE,
        help=f"side of the window, in pixels (default {SIDE})",
    )
    p.add_argument(
        "--window",
        type=_corner,
        metavar="Y,X",
        help="upper left pixel of the window in every crop (default: the busiest place in the "
        "middle half of each)",
    )
    p.add_argument("--steps", type=cli.whole_number(1), default=50, help="of the path (default 50)")
    p.add_argument(
        "--blur",
        type=_sigma,
        default=SIGMA,
        help=f"of the blur at the start of the path, in pixels (default {SIGMA:g})",
    )
    return p


def _sigma(text: str) -> float:
    return cli.between(text, 1e3, "pixels above 0, such as 3")


def _corner(text: str) -> tuple[int, int]:
    top, _, left = text.partition(",")
    try:
        return cli.whole_number(0)(top), cli.whole_number(0)(left)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected Y,X such as 24,24") from None


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.attribution"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    settle(args)
    asked = commands_inputs.check(args)
    path = carry_out(args, asked, command)
    asked.ranks.leave()
    return path


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises, none of them first.

    Raises:
        BadInput: options that do not go together.
    """
    from analysis.text.noise_labels import CLEAN

    if args.autocast != "off":
        raise BadInput(f"--autocast {args.autocast}: gradients need float32; leave it out")
    args.noise = [CLEAN, *(n for n in args.noise or NOISES if n != CLEAN)]


def carry_out(
    args: argparse.Namespace, asked: RunInputs, command: str = "", quiet: bool = False
) -> Path:
    """The analysis of what is asked, noises settled; returns the run folder.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    from analysis.attribution import integrated_gradients, tables
    from analysis.commands.job import report
    from analysis.commands.run_folder import RunFolder

    with asked.ranks.raise_on_all_ranks():
        windows = [place(crop.pixels, args.side, args.window) for crop in asked.crops]
        integrated_gradients.check(args.crop, args.blur)
    manifest = commands_inputs.describe("attribution", args, asked) | {
        "windows": [list(window) for window in windows],
        "steps": args.steps,
        "sigma": args.blur,
        "together": args.batch_size or max(1, 2**13 // args.crop**2),
    }
    folder = RunFolder(
        args.output_dir,
        f"attribution-{'-'.join(asked.models)}",
        manifest,
        resume=args.resume,
        command=command,
        ranks=asked.ranks,
    )
    with folder.resumable():
        done = args.resume and folder.complete()
        if not asked.ranks.gather(done)[0]:
            found = collect(args, asked, windows, manifest["together"], folder)
            if asked.ranks.first:
                tables.save(folder, found, asked, windows)
        report(folder, tables.report, quiet)
    return folder.path
