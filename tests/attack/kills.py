"""Long commands, killed and resumed: what they are, what they write, and what must be the same."""

from __future__ import annotations

import csv
import io
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tests.helpers.processes import Forked, environment
from tests.helpers.training import SMALL

SCRIPT = str(Path(__file__).with_name("end_at.py"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
PARTS = (".part", ".tmp", ".lock", "tmp")
"""What names of unfinished files begin or end with."""

VARYING = ("run.json", "slices.csv", "recipe.json")
"""Files that hold times or paths."""

WARNINGS = ("<frozen runpy>", "/", "  ")
"""How the lines of Python's warnings begin: what is forked has imported more than a command."""

FEW = ("--crop", "16", "--limit", "4", "--quiet", "--noise", "gaussian:15", "--noise", "poisson:3")
PAIR = ("plain.pth", "hidden.pth")
BATCHES = ("--batch-size", "2")
DEEP = (*FEW[:5], *FEW[7:])
UNTRIED = ("cka", "degradation", "distributions", "error", "srga")
"""Parts of a comparison that are killed as commands of their own."""


@dataclass(frozen=True)
class Job:
    """A long command.

    Attributes:
        name: in counts.
        arguments: of Python, with `OUT` for what it writes.
        resume: what is added to continue; `always` if it is given from the start.
        out: the file or folder that it writes.
        variables: of its environment.
    """

    name: str
    arguments: tuple[str, ...]
    resume: tuple[str, ...] = ("--resume",)
    always: bool = False
    out: str = "out"
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(self, resume: bool) -> tuple[str, ...]:
        return (*self.arguments, *(self.resume if resume or self.always else ()))


def analysis(name: str, *arguments: str) -> Job:
    return Job(name, ("-m", f"analysis.{name}", *arguments, "--output-dir", "out"))


TRAINING = (*SMALL, "run.steps=12", "run.save_every=2", "validation.every=6", "validation.crops=1")
TRAINING = (*TRAINING, "validation.crop=16", "validation.noises=['gaussian:15']")
SETTINGS = tuple(part for change in TRAINING for part in ("--set", change))

TO_OUT = ("--data", "photos", *SETTINGS, "--quiet", "--output-dir", "out")

JOBS = (
    analysis("cka", *PAIR, *FEW, *BATCHES, "--untrained", "1"),
    analysis("generalization", *PAIR, *FEW, *BATCHES, "--no-lpips", "--tile", "off"),
    analysis("srga", *PAIR, *DEEP, *BATCHES),
    analysis("distributions", *PAIR, *DEEP, *BATCHES),
    analysis("degradation", *PAIR, *FEW, *BATCHES),
    analysis("sensitivity", *PAIR, *FEW, *BATCHES),
    analysis("attribution", *PAIR, *("--limit", "2", "--steps", "3", "--side", "4"), *DEEP[4:]),
    analysis("brightness", *PAIR, *FEW, *BATCHES),
    analysis("error", *PAIR, *FEW, *BATCHES),
    analysis("linear", *PAIR, "--crop", "8", "--limit", "1", "--levels", "15", *FEW[4:]),
    analysis("causal", *PAIR, *DEEP, "--branches", "mlp"),
    analysis("stitch", *PAIR, *FEW),
    analysis(
        "compare",
        *(*PAIR, "third.pth", "fourth.pth", *DEEP, *BATCHES, "--in-distribution", "gaussian:15"),
        *("--limit", "2", "--untrained", "0", "--no-references"),
        *(part for name in UNTRIED for part in ("--skip", name)),
    ),
    analysis("curves", "log", "--checkpoints", "saved", *FEW, *BATCHES),
    analysis(
        "report",
        *(*PAIR, "--limit", "2", "--crop", "16", "--benchmark-crop", "16", "--noise", "poisson:3"),
        *("--no-lpips", "--quiet", "--sections", "sensitivity"),
    ),
    Job(
        "train",
        ("-m", "mtd.train", "small.toml", *TO_OUT),
        always=True,
    ),
    Job(
        "sweep",
        ("-m", "mtd.train", "sweep.toml", *TO_OUT),
        always=True,
    ),
    Job("denoise", ("-m", "mtd.denoise", "plain.pth", "photos", "out", "--quiet"), always=True),
    Job("pack", ("-m", "mtd.pack", "photos", "out/photos.zip", "--quiet"), resume=()),
    Job("download", ("-m", "mtd.testsets", "--download", "kodak24", "--quiet"), resume=()),
)


def begun(folder: Path) -> bool:
    """Whether an analysis has a run to resume."""
    return (folder / "manifest.json").is_file()


class Attack:
    """One job in a folder of its own, and what it writes when nothing happens.

    Args:
        job: the command.
        place: its working folder, with its inputs.
        variables: of its environment, beside the job's.
    """

    def __init__(self, job: Job, place: Path, variables: Mapping[str, str] | None = None) -> None:
        self.job, self.place = job, place
        self.variables = environment() | dict(variables or {})
        self.out = place / job.out
        start = time.monotonic()
        done = self.run("count")
        self.seconds = time.monotonic() - start
        assert done.returncode == 0, f"{job.name}: {done.stderr}"
        self.renames = int((place / "renames").read_text())
        self.whole = comparable(self.out)
        self.clear()

    def start(self, plan: str) -> Forked:
        resume = begun(self.out)
        given = (SCRIPT, str(self.place / "renames"), plan, *self.job.command(resume))
        return Forked(*given, cwd=self.place, variables=self.variables)

    def run(self, plan: str) -> subprocess.CompletedProcess[str]:
        return self.start(plan).done()

    def at_rename(self, number: int, side: str, sent: signal.Signals) -> bool:
        """Let the command end itself at a rename; whether it came that far."""
        done = self.run(f"{int(sent)}:{side}:{number}")
        return self.ended(done, sent)

    def at_moment(self, share: float, sent: signal.Signals) -> bool:
        """Send a signal after a share of the time that the command takes; whether it still ran."""
        process = self.start("0:never:0")
        time.sleep(share * self.seconds)
        os.kill(process.pid, sent) if process.running() else None
        return self.ended(process.done(), sent)

    def ended(self, done: subprocess.CompletedProcess[str], sent: signal.Signals) -> bool:
        """Whether a signal ended the command, as it has to: with its status, and one line.

        SIGKILL leaves no time for a line.
        """
        if done.returncode == 0 or self.there_already(done):
            return False
        said = [line for line in done.stderr.splitlines() if not line.startswith(WARNINGS)]
        killed = sent == signal.SIGKILL
        assert done.returncode == (-sent if killed else 128 + sent), self.about(sent, done)
        assert len(said) == (0 if killed else 1), self.about(sent, done)
        return True

    def there_already(self, done: subprocess.CompletedProcess[str]) -> bool:
        """Whether an archive was refused because it is there, whole, since an earlier kill."""
        there = self.job.name == "pack" and "exists already" in done.stderr
        return there and done.returncode == 2

    def about(self, sent: signal.Signals, done: subprocess.CompletedProcess[str]) -> str:
        return f"{self.job.name}, {sent.name}: exit status {done.returncode}, {done.stderr}"

    def finish(self) -> None:
        """Resume to the end, and check that everything is as if nothing had happened."""
        done = self.run("0:never:0")
        assert done.returncode == 0 or self.there_already(done), f"{self.job.name}: {done.stderr}"
        found = comparable(self.out)
        assert found.keys() == self.whole.keys(), found.keys() ^ self.whole.keys()
        different = [name for name in found if found[name] != self.whole[name]]
        assert not different, f"{self.job.name}: {different}"
        left = leftovers(self.out)
        assert not left, f"{self.job.name}: {left}"
        self.clear()

    def clear(self) -> None:
        subprocess.run(["rm", "-rf", str(self.out)], check=True)


def leftovers(folder: Path) -> list[str]:
    """Files of a folder that were never finished, and could be taken for results.

    Beside images, archives and test sets there may be hidden ones: other processes may be writing
    into that folder, so that no command removes them.
    """
    paths = [*folder.parent.glob(f".{folder.name}*"), *folder.rglob("*")]
    hidden = (".png", ".zip", ".sha256")
    paths = [p for p in paths if not (p.name.startswith(".part-") and p.suffix in hidden)]
    return [str(p) for p in paths if p.name.startswith(PARTS) or p.name.endswith(PARTS[:3])]


def comparable(out: Path) -> dict[str, object]:
    """Files by name, as far as they are the same in every run."""
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if not path.is_file() or path.name in VARYING or "tfevents" in name:
            continue
        if path.name.startswith(PARTS):
            continue
        if path.name.startswith("state"):
            found[name] = "a state"
        elif path.suffix == ".pth":
            held = torch.load(path, weights_only=True)
            found[name] = {key: value.tolist() for key, value in held["params"].items()}
        elif path.name == "log.csv":
            rows = csv.DictReader(io.StringIO(path.read_text()))
            found[name] = [row["step"] for row in rows]
        else:
            found[name] = path.read_bytes()
    return found


def plans(
    attack: Attack, count: int, dice: random.Random, signals: Sequence[signal.Signals]
) -> list[tuple[str, int, float, signal.Signals]]:
    """Kills of a job: two thirds at renames all over the run, on both sides, others anywhere."""
    chosen = []
    for index in range(count):
        sent = signals[index % len(signals)]
        if index % 3 == 2:
            chosen.append(("moment", 0, dice.uniform(0.2, 0.95), sent))
        else:
            number = 1 + int(attack.renames * (index + dice.random()) / count)
            chosen.append((dice.choice(("before", "after")), number, 0.0, sent))
    return chosen
