"""Ctrl-C, SIGTERM and SIGHUP during training: the current step is finished first."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mtd.utils import interruptions


@contextmanager
def finishing_steps() -> Iterator[Callable[[], int]]:
    """Delay signals to the end of a step: yields a function that gives the last one; 0 for none.

    A step is never interrupted, so that the saved state is one of the run, nor is saving it. A
    second Ctrl-C interrupts at once; other signals do not, since launchers repeat them. Signals
    reach the main thread only; other threads are not affected.
    """
    last = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        interruptions.note(number)
        if last and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        last = number

    with interruptions.handled(interrupt, signal.SIGINT, *interruptions.ENDING):
        yield lambda: last
