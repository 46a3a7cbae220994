"""What the log of a resumed run means: what was logged later replaces what was logged before.

A run that is resumed from an earlier step logs some steps again. From the step at which it goes on,
all that was logged before is replaced, tests included. A run was resumed where the program says
that it starts, where steps go back, and where one step is logged again with other values.

Lines of two processes of one run count once if they say the same; else the log is refused.
`Progress` distinguishes them from a resumed run, `unnamed_tests` a second test set from a repeated
test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count, islice, pairwise

from analysis.curves.logged import LOSS, Line, Point
from analysis.curves.progress import Progress, two_processes
from analysis.text.terminal import plural
from mtd.utils.errors import BadInput

UNNAMED = "test"
"""What a test set without a name is called; further ones are `test 2` and so on."""


@dataclass(frozen=True)
class Final:
    """The points of a run as they count.

    Attributes:
        points: each curve has one value at a step.
        restarts: steps from which something was replaced.
        copies: how many lines say what another one says.
        repeated: steps with more tests without names than others, of which the last count.
        turns: steps that may be of another process; see `Progress`.
    """

    points: list[Point]
    restarts: list[int]
    copies: int
    repeated: list[int]
    turns: list[int]


@dataclass
class Step:
    """The line of training at one step, how often it was logged, and the tests.

    Attributes:
        training: the line of training.
        count: how often it was logged.
        tests: lines of tests.
        contents: of the tests.
        names: of the tests' noises and test sets.
    """

    training: Line | None = None
    count: int = 0
    tests: list[Line] = field(default_factory=list)
    contents: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def add_test(self, line: Line) -> None:
        """Take a line of tests."""
        self.tests.append(line)
        self.contents.add(line.content)
        self.names |= line.names

    def clear_tests(self) -> None:
        """Drop all tests."""
        self.tests, self.contents, self.names = [], set(), set()


class Attempts:
    """One sequence of lines, without those that were replaced."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self.last = self.farthest = -1
        self.copies = 0
        self.restarts: list[int] = []
        self.begun_after: set[int] = set()
        self.progress = {True: Progress(), False: Progress()}

    def add(self, line: Line) -> None:
        """Take a line, which may replace earlier ones.

        Raises:
            BadInput: it is of another process; see `Progress`.
        """
        if self._is_copy(line):
            self.copies += 1
            return
        progress = self.progress[line.training]
        at = self.steps.get(line.step, Step())
        if line.step < self.last or (line.training and at.training):
            progress.go_back(line.step)
            self.restart(line.step)
        elif line.names & at.names:
            progress.go_back(line.step)
            at.clear_tests()
            self.restarts.append(line.step)
        at = self.steps.setdefault(line.step, Step())
        if line.training:
            at.training, at.count = line, 1
        else:
            at.add_test(line)
        progress.add(line.step)
        self.last = line.step
        self.farthest = max(self.farthest, line.step)

    def _is_copy(self, line: Line) -> bool:
        """Whether a line only repeats another one; copies are counted at their step."""
        at = self.steps.get(line.step, Step())
        if line.training:
            same = at.training is not None and line.content == at.training.content
            at.count += same
            return same
        known = line.content in at.contents
        if known and not line.names and line.step < self.last:
            at.add_test(line)
        return known and bool(line.names or line.step < self.last)

    def restart(self, step: int) -> None:
        """Drop what was logged from a step on.

        Raises:
            BadInput: see `Progress.restart`.
        """
        dropped = None
        while self.last >= step and self.steps:
            dropped, _ = self.steps.popitem()
            self.last = next(reversed(self.steps), -1)
        if dropped is not None:
            self.restarts.append(dropped)
        for progress in self.progress.values():
            progress.restart(step)
        if dropped is None:
            self.begun_after.add(self.last)

    @property
    def interval(self) -> int:
        """The most steps from one line to the next."""
        steps = sorted(self.steps)
        gaps = [later - earlier for earlier, later in pairwise(steps)]
        return max(gaps, default=self.last)

    def check(self) -> None:
        """See that not two processes wrote it.

        Raises:
            BadInput: they did.
        """
        for progress in self.progress.values():
            progress.check()

    def points(self) -> tuple[list[Point], list[int]]:
        """All points that are left, and the steps at which tests without names were repeated.

        Raises:
            BadInput: two processes logged different tests, or tests are ambiguous.
        """
        training: list[Point] = []
        named: list[Point] = []
        unnamed: dict[int, list[Point]] = {}
        for step in sorted(self.steps):
            at = self.steps[step]
            training += at.training.points if at.training else ()
            named += (point for test in at.tests if test.names for point in test.points)
            tests = [test for test in at.tests if not test.names]
            if tests:
                unnamed[step] = once(tests, at.count or 1, step == self.last)
        ended = self.begun_after | {self.last}
        numbered, repeated = unnamed_tests(unnamed, ended, {point.name for point in named})
        return [*training, *numbered, *named], repeated


def once(tests: list[Line], processes: int, unfinished: bool) -> list[Point]:
    """Tests at one step, each as often as one of the processes logged it.

    Args:
        tests: lines in the order in which they were logged.
        processes: how many processes logged, so that each line is there as often.
        unfinished: some processes may not have logged a last line yet.

    Raises:
        BadInput: lines of several processes that differ.
    """
    counts = Counter(test.content for test in tests)
    odd = [content for content, count in counts.items() if count % processes]
    if len(odd) > unfinished:
        raise two_processes([tests[0].step])
    points: list[Point] = []
    seen: Counter[str] = Counter()
    for test in tests:
        if seen[test.content] % processes == 0:
            points += test.points
        seen[test.content] += 1
    return points


def unnamed_tests(
    tests: Mapping[int, list[Point]], unfinished: Iterable[int], taken: Container[str] = ()
) -> tuple[list[Point], list[int]]:
    """Tests without names, numbered by their order at each step, and the steps of repeated ones.

    There are as many test sets as the fewest tests at a step. Where at most half of the steps have
    more, those were tested again, and the last tests count.

    Args:
        tests: by step.
        unfinished: steps after which the run ended, which may have fewer.
        taken: names of other tests.

    Raises:
        BadInput: most steps have more tests than some other.
    """
    counts = {step: len(points) for step, points in tests.items()}
    finished = [count for step, count in counts.items() if step not in unfinished]
    sets = min(finished or counts.values(), default=0)
    repeated = [step for step, count in counts.items() if count > sets]
    if 2 * len(repeated) > len(counts):
        fewest = min(step for step, count in counts.items() if count == sets)
        raise BadInput(
            f"{plural(sets, 'test')} without a name at step {fewest:,}, {counts[repeated[0]]} at "
            f"step {repeated[0]:,}: a second test set and a repeated test look alike; write "
            "the test set's name before <epoch: …, Average PSNR: …>"
        )
    every = (UNNAMED if number == 1 else f"{UNNAMED} {number}" for number in count(1))
    free = (name for name in every if name not in taken)
    names = list(islice(free, max(counts.values(), default=0)))
    points = [
        point._replace(name=name)
        for of_step in tests.values()
        for name, point in zip(names, of_step[-sets:], strict=False)
    ]
    return points, repeated


def final(lines: Iterable[Line]) -> Final:
    """The points of a run, without those that were replaced after it was resumed.

    Where sequences are separate, as tags of events or two tables are, a test beyond the end of a
    resumed training is of the time before.

    Args:
        lines: in each sequence, in the order in which they were logged.

    Raises:
        BadInput: lines of two processes that differ, or ambiguous tests.
    """
    sequences: dict[str, Attempts] = {}
    trainings: list[str] = []
    started: set[str] = set()
    for line in lines:
        if not line.points:
            for attempts in sequences.values() if line.first_step is not None else ():
                attempts.restart(line.first_step or 0)
            started = set(sequences) if line.first_step is None else set()
            continue
        own = sequences.setdefault(line.sequence, Attempts())
        if line.sequence in started:
            own.restart(line.step)
            started.discard(line.sequence)
        own.add(line)
        if line.points[0].quantity == LOSS and line.sequence not in trainings:
            trainings.append(line.sequence)
    for attempts in sequences.values():
        attempts.check()
    if trainings:
        drop_beyond_end(sequences[trainings[0]], sequences.values())
    left = [attempts.points() for attempts in sequences.values()]
    return Final(
        [point for points, _ in left for point in points],
        [step for attempts in sequences.values() for step in attempts.restarts],
        sum(attempts.copies for attempts in sequences.values()),
        [step for _, repeated in left for step in repeated],
        [step for each in sequences.values() for of in each.progress.values() for step in of.turns],
    )


def drop_beyond_end(training: Attempts, others: Iterable[Attempts]) -> None:
    """Drop what other sequences hold from beyond the end of a training that was resumed.

    A step is logged before it is tested, so the next step after the last is beyond, and the last
    one too if the training was at it before and there is one test of it.

    Sequences that were never near the training's steps, such as those by epoch, are left alone.
    """
    if not training.restarts:
        return
    passed_before = min(training.restarts) <= training.last < training.farthest
    for other in others:
        if other is training or other.farthest > training.farthest + training.interval:
            continue
        again = other.copies or min(other.restarts, default=training.farthest) <= training.last
        other.restart(training.last + (0 if passed_before and not again else training.interval))
