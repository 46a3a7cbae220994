"""Signals that end a command: SIGTERM and SIGHUP interrupt it as Ctrl-C does.

A cluster sends SIGTERM to a job whose time is up or whose machine is needed, a terminal SIGHUP when
it is closed. Whatever was ignored when the command was started, as by `nohup`, stays ignored.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mtd.utils.errors import BadInput, Failed, Partial

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a command beside SIGINT, which Ctrl-C sends."""

AGAIN = 2.0
"""Seconds in which another of these signals is the same request: a launcher and a cluster often
send it twice."""

INTERRUPTED = 128 + signal.SIGINT
"""The exit status after Ctrl-C."""

PARENT_DEATH = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""

_last: tuple[int, float] | None = None


def end_with_parent() -> None:
    """Let SIGTERM come when the process ends that started this one, however it does; on Linux."""
    if sys.platform == "linux":
        import ctypes

        prctl = getattr(ctypes.CDLL(None), "prctl", None)
        if prctl is not None:
            prctl(PARENT_DEATH, ctypes.c_ulong(signal.SIGTERM), *[ctypes.c_ulong(0)] * 3)


def note(number: int) -> bool:
    """Remember that a signal has come; returns whether it repeats the last one."""
    global _last
    before, _last = _last, (number, time.monotonic())
    repeats = before is not None and number in ENDING and before[0] in ENDING
    return repeats and before is not None and _last[1] - before[1] < AGAIN


def have_come() -> bool:
    """Whether any such signal has come since the command began."""
    return _last is not None


def status() -> int:
    """The exit status of an interrupted command: 128 and the number of the signal.

    >>> status()
    130
    """
    return INTERRUPTED if _last is None else 128 + _last[0]


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Those signals that may be handled: none outside the main thread, and no ignored one."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [n for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)]


@contextmanager
def handled(
    handler: Callable[[int, FrameType | None], Any], *numbers: signal.Signals
) -> Iterator[None]:
    """Context in which a function handles signals, but for ignored ones; see `heeded`."""
    before = {number: signal.signal(number, handler) for number in heeded(*numbers)}
    try:
        yield
    finally:
        for number, own in before.items():
            signal.signal(number, own)


@contextmanager
def raised() -> Iterator[None]:
    """Context of a command: the signals raise KeyboardInterrupt in the main thread."""
    global _last
    _last = None

    def interrupt(number: int, _: FrameType | None) -> None:
        if not note(number):
            raise KeyboardInterrupt

    try:
        with handled(interrupt, signal.SIGINT, *ENDING):
            yield
    finally:
        _last = None


@contextmanager
def recognized() -> Iterator[None]:
    """Context in which an interruption stays one, whatever libraries make of it.

    Python code that native code calls, such as `len` of a storage of PyTorch, may be where
    KeyboardInterrupt is raised; the native code then raises an error of its own instead.

    Raises:
        KeyboardInterrupt: an unexpected error, after a signal has come.
    """
    try:
        yield
    except (BadInput, Failed, Partial, OSError):
        raise
    except Exception:
        if have_come():
            raise KeyboardInterrupt from None
        raise


@contextmanager
def too_late() -> Iterator[None]:
    """Context at the end of a command, whose work is done: signals change nothing."""

    def ignore(_: int, __: FrameType | None) -> None:
        """Let the command end by itself."""

    with handled(ignore, signal.SIGINT, *ENDING):
        yield
