"""Whether steps that go back are those of a resumed run, or of two processes."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise

from analysis.curves.logged import Line
from mtd.utils import limits
from mtd.utils.errors import BadInput

OFTEN = 0.4
"""Share of lines that are logged again from which they are of two processes, not resumed."""


class Progress:
    """The steps of one kind of line, training or tests, in the order in which they were logged.

    A resumed run logs each step again until it is beyond the farthest step that was logged. Two
    processes wrote a log if, after steps went back,

    - they jump over steps that were logged before, farther than at any other line, or go back to
      one of those that they jumped over; or
    - they go back three times or more, each time to the step after the end of the lines before the
      last ones, as two processes do that write by turns; or
    - they go back to three steps or more (to two, if there are no more), and `OFTEN` of all lines
      are logged again.
    """

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.begin = 0
        self.before: list[int] = []
        self.widest = 0
        self.lines = self.again = self.starts = 0
        self.backs: list[int] = []
        self.end_before: int | None = None
        self.turns: list[int] = []

    def add(self, step: int) -> None:
        """Log a step."""
        if not self.kept or step > self.kept[-1]:
            self.kept.append(step)
            self.lines += 1

    def go_back(self, step: int) -> None:
        """Go back to a step, where the program does not say that it starts.

        Raises:
            BadInput: another process wrote it.
        """
        at = bisect_left(self.kept, step)
        jumped = self.begin < at < len(self.kept) and self.kept[at] > step
        if jumped and self._logged_between(self.kept[at - 1], self.kept[at]):
            raise two_processes([step])
        self.again += len(self.kept) - at
        self.backs.append(step)
        end = self.kept[-1:]
        self.restart(step)
        end_before = step if self.end_before is None else self.end_before
        if end_before < step and not self._logged_between(end_before, step):
            self.turns.append(step)
        self.end_before = end[0] if end else None

    def restart(self, step: int) -> None:
        """Start again at a step.

        Raises:
            BadInput: two processes wrote the steps since the last start, or there are too many.
        """
        self.starts += 1
        limits.RESTARTS.check(self.starts, "a log of a training that started again and again")
        self._check_jump()
        gaps = [later - earlier for earlier, later in pairwise(self.kept[max(0, self.begin - 1) :])]
        self.widest = max(self.widest, *gaps, 0)
        self.before = sorted(self.before + self.kept[self.begin :])
        del self.kept[bisect_left(self.kept, step) :]
        self.begin = len(self.kept)

    def check(self) -> None:
        """See that not two processes wrote it.

        Raises:
            BadInput: they did.
        """
        self._check_jump()
        steps, back = {*self.before, *self.kept}, sorted(set(self.backs))
        by_turns = len(self.backs) > 2 and len(self.turns) == len(self.backs) - 1
        many = len(back) >= min(3, max(2, len(steps)))
        if by_turns or (many and self.again >= OFTEN * self.lines):
            raise two_processes(back)

    def _logged_between(self, earlier: int, later: int) -> bool:
        after = bisect_right(self.before, earlier)
        return after < len(self.before) and self.before[after] < later

    def _check_jump(self) -> None:
        pairs = sorted(pairwise(self.kept[self.begin :]), key=lambda pair: pair[0] - pair[1])
        if len(pairs) < 2 or not self.before:
            return
        (earlier, later), (below, above) = pairs[:2]
        farther = later - earlier > max(above - below, self.widest)
        if farther and later > self.before[-1] and self._logged_between(earlier, later):
            raise two_processes([earlier, later])


Values = dict[tuple[str, str, int], set[float]]
"""Finite values of each curve at each step."""


def differing(one: Values, other: Values) -> list[int]:
    """Steps at which two files have other values of one curve."""
    return sorted({key[-1] for key in one.keys() & other.keys() if one[key] != other[key]})


def values(lines: Iterable[Line]) -> Values:
    """All finite values of each curve at each step."""
    found: Values = {}
    for point in (point for line in lines for point in line.points):
        if math.isfinite(point.value):
            found.setdefault((point.quantity, point.name, point.step), set()).add(point.value)
    return found


def two_processes(steps: list[int]) -> BadInput:
    """What is said of a log in which two processes disagree."""
    shown = ", ".join(f"{step:,}" for step in list(dict.fromkeys(steps))[:3])
    return BadInput(
        f"two processes wrote it at once, and their values differ (step {shown}); give the log of "
        "one process, or that of a resumed run without the lines that were replaced"
    )
