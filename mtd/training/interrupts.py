"""Ctrl-C and SIGTERM during training: the current step is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):
    """The run was interrupted, and the current step is finished."""


@contextmanager
def finishing_steps(*signals: signal.Signals) -> Iterator[Callable[[], bool]]:
    """Delay signals to the end of a step: yields a function that says whether one has come.

    A step is never interrupted, so that the saved state is one of the run. A second signal
    interrupts at once. Signals reach the main thread only; other threads are not affected.

    Args:
        signals: which are delayed; SIGINT is what Ctrl-C sends, SIGTERM what a cluster sends to a
            job whose time is up.
    """
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            signal.default_int_handler(number, frame)
        interrupted = True

    def has_come() -> bool:
        return interrupted

    if threading.current_thread() is not threading.main_thread():
        yield has_come
        return
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield has_come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
