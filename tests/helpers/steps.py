"""The steps that a function takes, counted instead of timed: lines of Python that are run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from types import FrameType
from typing import Any


def lines(function: Callable[..., object], *arguments: Any) -> int:
    """How many lines of Python run in a call, which may raise."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    except Exception:  # what is refused takes steps as well
        pass
    finally:
        sys.settrace(before)
    return count


def grow_linearly(counts: Iterable[int], times: float = 2, tolerance: float = 1.25) -> bool:
    """Whether counts for sizes that each are some times the one before grow as these do at most."""
    held = list(counts)
    return all(b <= tolerance * times * a for a, b in pairwise(held))
