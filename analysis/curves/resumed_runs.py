"""What the log of a resumed run means: what was logged later replaces what was logged before.

A run that is resumed from an earlier step logs some steps again. From the step at which it goes on,
all that was logged before is replaced, tests included. A run was resumed where the program says
that it starts, where steps go back, and where one step is logged again with other values.

Lines of two processes of one run count once if they say the same; otherwise the log is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from analysis.curves.logged import LOSS, Line, Point
from mtd.utils.errors import BadInput

OFTEN = 0.4
"""Share of lines that go back in steps from which they are of two processes, not resumed."""


@dataclass(frozen=True)
class Final:
    """The points of a run as they count.

    Attributes:
        points: each curve has one value at a step.
        restarts: steps from which something was replaced.
        copies: how many lines say what another one says.
    """

    points: list[Point]
    restarts: list[int]
    copies: int


@dataclass
class Step:
    """The line of training at one step, how often it was logged, and the tests."""

    training: Line | None = None
    count: int = 0
    tests: list[Line] = field(default_factory=list)


class Attempts:
    """One sequence of lines, without those that were replaced.

    Args:
        nameless: test sets may have no names of their own, so that a further value at one step is
            of another test set.
    """

    def __init__(self, nameless: bool) -> None:
        self.nameless = nameless
        self.steps: dict[int, Step] = {}
        self.last = self.farthest = -1
        self.copies = 0
        self.lines: Counter[bool] = Counter()
        self.restarts: list[int] = []
        self.unannounced: dict[bool, list[int]] = {True: [], False: []}

    def add(self, line: Line) -> None:
        """Take a line, which may replace earlier ones."""
        at = self.steps.get(line.step, Step())
        self.lines[line.training] += 1
        if line.training and at.training and line.content == at.training.content:
            at.count += 1
            self.copies += 1
            return
        known = any(line.content == test.content for test in at.tests)
        if known and (not self.nameless or line.step < self.last):
            at.tests += [line] * self.nameless
            self.copies += 1
            return
        if self._goes_back(line, at):
            again = at.training if at.count > 1 and not line.training else None
            self.unannounced[line.training].append(line.step)
            self.restart(line.step)
            if again:
                self.steps[line.step] = Step(again, 1)
        at = self.steps.setdefault(line.step, Step())
        if line.training:
            at.training, at.count = line, 1
        else:
            at.tests.append(line)
        self.last = line.step
        self.farthest = max(self.farthest, line.step)

    def _goes_back(self, line: Line, at: Step) -> bool:
        """Whether a line is of a step that was passed, or gives a curve another value there."""
        if line.step < self.last or line.training:
            return line.step < self.last or at.training is not None
        names = {point.name for test in at.tests for point in test.points}
        return not self.nameless and any(point.name in names for point in line.points)

    def restart(self, step: int) -> None:
        """Drop what was logged from a step on."""
        dropped = [at for at in self.steps if at >= step]
        for at in dropped:
            del self.steps[at]
        if dropped:
            self.restarts.append(step)
        self.last = max(self.steps, default=-1)

    @property
    def interval(self) -> int:
        """The most steps from one line to the next."""
        steps = sorted(self.steps)
        gaps = [later - earlier for earlier, later in pairwise(steps)]
        return max(gaps, default=self.last)

    def check(self) -> None:
        """See that not two processes wrote it.

        Raises:
            BadInput: its steps go back at every second line or so.
        """
        for training, steps in self.unannounced.items():
            if len(steps) > 1 and len(steps) >= OFTEN * self.lines[training]:
                raise two_processes(steps)

    def points(self) -> list[Point]:
        """All points that are left; further tests of one name at one step are numbered.

        Raises:
            BadInput: two processes logged different tests.
        """
        points: list[Point] = []
        processes = 1
        for step in sorted(self.steps):
            at = self.steps[step]
            if at.training:
                points += at.training.points
                processes = at.count if self.nameless else 1
            points += numbered(at.tests, processes, step == self.last)
        return points


def numbered(tests: list[Line], processes: int, unfinished: bool) -> list[Point]:
    """The tests at one step; those after the first of one name are called `NAME 2` and so on.

    Args:
        tests: lines in the order in which they were logged.
        processes: how many processes logged, so that each line is there as often.
        unfinished: some processes may not have logged a last line yet.

    Raises:
        BadInput: lines of several processes that differ.
    """
    lines = {test.content: test for test in tests}
    counts = Counter(test.content for test in tests)
    odd = [content for content, count in counts.items() if count % processes]
    if len(odd) > unfinished:
        raise two_processes([tests[0].step])
    names: Counter[str] = Counter()
    points = []
    for content, count in counts.items():
        for _ in range(-(-count // processes)):
            for point in lines[content].points:
                names[point.name] += 1
                of_set = f" {names[point.name]}" if names[point.name] > 1 else ""
                points.append(point._replace(name=point.name + of_set))
    return points


def two_processes(steps: list[int]) -> BadInput:
    """What is said of a log in which two processes disagree."""
    shown = ", ".join(f"{step:,}" for step in list(dict.fromkeys(steps))[:3])
    return BadInput(
        f"two processes wrote it at once, and their values differ (step {shown}); give the log of "
        "one process"
    )


def final(lines: Iterable[Line], nameless: bool = False) -> Final:
    """The points of a run, without those that were replaced after it was resumed.

    Where sequences are separate, as tags of events or two tables are, a test beyond the end of a
    resumed training is of the time before.

    Args:
        lines: in each sequence, in the order in which they were logged.
        nameless: see `Attempts`.

    Raises:
        BadInput: lines of two processes that differ.
    """
    sequences: dict[str, Attempts] = {}
    trainings: list[str] = []
    starts = False
    for line in lines:
        if not line.points:
            for attempts in sequences.values() if line.first_step is not None else ():
                attempts.restart(line.first_step or 0)
            starts = line.first_step is None
            continue
        own = sequences.setdefault(line.sequence, Attempts(nameless))
        if starts:
            own.restart(line.step)
            starts = False
        own.add(line)
        if line.points[0].quantity == LOSS and line.sequence not in trainings:
            trainings.append(line.sequence)
    for attempts in sequences.values():
        attempts.check()
    if trainings:
        drop_beyond_end(sequences[trainings[0]], sequences.values())
    return Final(
        [point for attempts in sequences.values() for point in attempts.points()],
        [step for attempts in sequences.values() for step in attempts.restarts],
        sum(attempts.copies for attempts in sequences.values()),
    )


def drop_beyond_end(training: Attempts, others: Iterable[Attempts]) -> None:
    """Drop what other sequences hold from beyond the end of a training that was resumed.

    Sequences that were never near the training's steps, such as those by epoch, are left alone.
    """
    if not training.restarts:
        return
    for other in others:
        if other is not training and other.farthest <= training.farthest + training.interval:
            other.restart(training.last + training.interval + 1)
