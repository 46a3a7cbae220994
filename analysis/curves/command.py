"""Training and test curves of runs: does a network go on learning, or overfit to its noise?

`python -m analysis.curves RUN …` reads logs; with `--checkpoints FOLDER …` it evaluates what a run
has saved on the way.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.curves.run_curves import apart, from_logs, named, root, written
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    pass

EXAMPLES = """\
  python -m analysis.curves runs/baseline runs/masked
  python -m analysis.curves runs/masked denoising/swinir/train.log tb/events.out.tfevents.1700.host
  python -m analysis.curves runs/baseline runs/masked --checkpoints runs/baseline runs/masked
  python -m analysis.curves --checkpoints denoising/swinir/models --images photos \\
      --noise gaussian:15 --noise gaussian:50 --noise poisson:3.5
"""

NOISES = ("gaussian:15", "gaussian:50", "poisson:3.5", "salt_pepper:0.02", "speckle:0.04")


def decay(text: str) -> float:
    """An argparse type: weight of the past, from 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to below 1")
    return value


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "analysis.curves",
        "Draw training loss, and PSNR under each noise, over the steps of one or many runs (the "
        "paper's Figure 13), and say which step is best in and out of distribution.",
        EXAMPLES,
    )
    count = cli.whole_number
    p.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="folder of mtd.train, TensorBoard events, log of KAIR or BasicSR, or a folder of one",
    )
    p.add_argument(
        "--smooth",
        type=decay,
        default=0.9,
        metavar="DECAY",
        help="of the loss's exponential moving average, beside which the loss as logged is shown "
        "(default 0.9; 0 for none); test curves are never smoothed",
    )
    p.add_argument(
        "--in-distribution",
        metavar="SPEC",
        help="test curve that counts as trained on (default: a run's own noise, else its first)",
    )
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/curves-RUNS-DIGEST")
    p.add_argument("--quiet", action="store_true", help="no bar, no messages; the table only")
    e = p.add_argument_group("evaluation of checkpoints")
    e.add_argument(
        "--checkpoints",
        action="extend",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folder of a run's checkpoints, of which each is evaluated; if it is a RUN too, they "
        "are its test curves (repeatable)",
    )
    e.add_argument(
        "--images",
        action="append",
        metavar="DIR",
        help="folder of clean photographs (repeatable; default: bundled)",
    )
    e.add_argument("--crop", type=count(8), default=64, help="side of a crop (default 64)")
    e.add_argument("--limit", type=count(1), default=64, help="number of crops (default 64)")
    e.add_argument(
        "--noise",
        action="append",
        metavar="SPEC",
        help=f"the first counts as trained on (repeatable; default: {', '.join(NOISES)})",
    )
    e.add_argument("--no-quantize", action="store_true", help="noise without clipping and rounding")
    e.add_argument(
        "--attention-mask",
        choices=("auto", "on", "off"),
        default="auto",
        help="follow the checkpoint's policy (default), or override it",
    )
    e.add_argument("--seed", type=count(0), default=0, help="of everything random (default 0)")
    e.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    e.add_argument("--batch-size", type=count(1), help="crops that go through a network together")
    e.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    return p


def main() -> None:
    """Read or evaluate, write the run folder, print the summary."""
    run(parser().parse_args(), cli.command("analysis.curves"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.curves import evaluate_checkpoints, log_readers

    if not args.runs and not args.checkpoints:
        raise BadInput("nothing to draw: give RUN, or --checkpoints FOLDER")
    for option in ("images", "noise") if not args.checkpoints else ():
        if vars(args)[option]:
            raise BadInput(f"--{option}: it is for evaluation, give --checkpoints FOLDER")
    logs = {place: log_readers.read(place) for place in args.runs}
    folders = {place: evaluate_checkpoints.saved(place) for place in args.checkpoints}
    names = named([root(Path(place)) for place in (*logs, *folders)])
    read, evaluated = apart(args.runs, names), apart(args.checkpoints, names)
    found = from_logs({run: logs[place] for run, place in read.items()}, args.in_distribution)
    files = {file: run for run, place in evaluated.items() for file in folders[place]}
    name = f"curves-{'-'.join(names.values())}"
    if files:
        args.noise = args.noise or list(NOISES)
        return evaluate_checkpoints.evaluate(args, files, found, name, command)
    return written(args, found, name, command)
