"""How much one training may have logged, so that a log cannot use up the machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from analysis.curves.logged import PSNR, Line
from mtd.utils import limits


class LogBudget:
    """Counts what is read of one training's logs.

    Args:
        what: the logs' name, for messages.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.values = 0
        self.curves: set[tuple[str, str]] = set()
        self.tested: tuple[set[int], set[str]] = (set(), set())
        self.most = limits.LOGGED.value, limits.CURVES.value, limits.TESTS.value

    def counted(self, lines: Iterable[Line]) -> Iterator[Line]:
        """The lines, as far as there are not too many.

        Raises:
            BadInput: there are.
        """
        for line in lines:
            self.values += len(line.points) or 1
            for point in line.points:
                self.curves.add((point.quantity, point.name))
                if point.quantity == PSNR:
                    self.tested[0].add(point.step)
                    self.tested[1].add(point.name)
            tests = len(self.tested[0]) * len(self.tested[1])
            values, curves, cells = self.most
            if self.values > values or len(self.curves) > curves or tests > cells:
                limits.LOGGED.check(self.values, self.what)
                limits.CURVES.check(len(self.curves), self.what)
                limits.TESTS.check(tests, self.what)
            yield line
