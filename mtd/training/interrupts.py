"""Ctrl-C during training: the current step is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):
    """The run was interrupted, and the current step is finished."""


@contextmanager
def finishing_steps() -> Iterator[Callable[[], bool]]:
    """Delay Ctrl-C to the end of a step: yields a function that says whether it was pressed.

    A step is never interrupted, so that the saved state is one of the run. A second Ctrl-C
    interrupts at once. Signals reach the main thread only; other threads are not affected.
    """
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            signal.default_int_handler(number, frame)
        interrupted = True

    def pressed() -> bool:
        return interrupted

    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
