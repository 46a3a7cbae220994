"""Training and test curves of runs: does a network go on learning, or overfit to its noise?

`python -m analysis.curves RUN …` reads logs; with `--checkpoints FOLDER …` it evaluates what a run
has saved on the way.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.text.names import shortest
from mtd.utils import cli
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from analysis.curve_logs import Log

EXAMPLES = """\
  python -m analysis.curves runs/baseline runs/masked
  python -m analysis.curves runs/masked denoising/swinir/train.log tb/events.out.tfevents.1700.host
  python -m analysis.curves runs/baseline runs/masked --checkpoints runs/baseline runs/masked
  python -m analysis.curves --checkpoints denoising/swinir/models --images photos \\
      --noise gaussian:15 --noise gaussian:50 --noise poisson:3.5
"""

NOISES = ("gaussian:15", "gaussian:50", "poisson:3.5", "salt_pepper:0.02", "speckle:0.04")
GENERIC_FILES, GENERIC_FOLDERS = ("train", "log"), ("events", "models")
"""Names that say nothing of a run; that of the folder around does."""


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
    from analysis import curve_checkpoints, curve_logs

    if not args.runs and not args.checkpoints:
        raise BadInput("nothing to draw: give RUN, or --checkpoints FOLDER")
    for option in ("images", "noise") if not args.checkpoints else ():
        if vars(args)[option]:
            raise BadInput(f"--{option}: it is for evaluation, give --checkpoints FOLDER")
    logs = {place: curve_logs.read(place) for place in args.runs}
    folders = {place: curve_checkpoints.saved(place) for place in args.checkpoints}
    names = named([root(Path(place)) for place in (*logs, *folders)])
    read, evaluated = apart(args.runs, names), apart(args.checkpoints, names)
    found = from_logs({run: logs[place] for run, place in read.items()}, args.in_distribution)
    files = {file: run for run, place in evaluated.items() for file in folders[place]}
    name = f"curves-{'-'.join(names.values())}"
    if files:
        args.noise = args.noise or list(NOISES)
        return curve_checkpoints.evaluate(args, files, found, name, command)
    return written(args, found, name, command)


@dataclass
class Found:
    """What is drawn: curves, the noise each run was trained on, what was read, and notes."""

    frames: list[pd.DataFrame]
    trained: dict[str, str]
    files: dict[str, dict[str, str]]
    notes: list[str]

    def tables(self) -> dict[str, pd.DataFrame]:
        """What is written."""
        import pandas as pd

        from analysis.curves_table import summary

        frame = pd.concat(self.frames, ignore_index=True)
        return {"curves.csv": frame, "summary.csv": summary(frame, self.trained)}

    def manifest(self, args: argparse.Namespace) -> dict[str, Any]:
        """What decides the results, but for evaluations."""
        return {
            "logs": self.files,
            "trained": self.trained,
            "smooth": args.smooth,
            "notes": self.notes,
        }


def root(path: Path) -> Path:
    """The folder or file that has a run's name: the file, unless its name says nothing."""
    from analysis.curve_logs import EVENTS, LOG, VALIDATION

    path = path.resolve()
    if path.is_dir():
        return path.parent if path.name in GENERIC_FOLDERS else path
    nameless = path.stem in GENERIC_FILES or path.name in (LOG, VALIDATION)
    return root(path.parent) if nameless or path.name.startswith(EVENTS) else path


def named(roots: Iterable[Path]) -> dict[Path, str]:
    """Names of runs: the last part, with as many folders before it as tell them apart."""
    return shortest(
        {path: (*path.parts[1:-1], path.name if path.is_dir() else path.stem) for path in roots}
    )


def apart(places: Sequence[str], names: Mapping[Path, str]) -> dict[str, str]:
    """Places by the name of their run.

    Raises:
        BadInput: two of one run.
    """
    found: dict[str, str] = {}
    for place in places:
        name = names[root(Path(place))]
        if name in found:
            raise BadInput(f"{found[name]} and {place} are of one run; give one of them")
        found[name] = place
    return found


def from_logs(logs: Mapping[str, Log], trained: str | None) -> Found:
    """Curves of logs, and the noise of each that counts as trained on, if it is not given.

    Raises:
        BadInput: a run has test curves, but not that one.
    """
    from analysis.curve_logs import PSNR
    from analysis.curves_table import settle

    found = Found([], {}, {}, [])
    for run, log in logs.items():
        known = dict.fromkeys(point.name for point in log.points if point.quantity == PSNR)
        if trained and known and trained not in known:
            raise BadInput(
                f"--in-distribution {trained}: not tested by {run}; {nearest(trained, known)}"
            )
        frame, notes = settle(run, log.points, log.together)
        if log.guessed and not trained:
            notes.append(f"the log does not say what was trained on; {log.trained} is taken for it")
        found.frames.append(frame)
        found.trained[run] = trained or log.trained if known else ""
        found.files[run] = log.files
        found.notes += [f"{run}: {note}" for note in notes]
    return found


def written(args: argparse.Namespace, found: Found, name: str, command: str) -> Path:
    """Write and report what logs hold."""
    from analysis.commands.job import report as reported
    from analysis.commands.run_folder import RunFolder, versions
    from analysis.curves_table import report

    manifest = {"analysis": "curves", "versions": versions(), **found.manifest(args)}
    folder = RunFolder(args.output_dir, name, manifest, resume=args.resume, command=command)
    for file, frame in found.tables().items():
        folder.table(file, frame)
    reported(folder, report)
    return folder.path


if __name__ == "__main__":
    cli.run(main)
