"""Locks of open files and folders, which the system releases when a process ends, however it does.

Windows and some file systems have none; there, one process at a time may write into a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtd.utils.errors import BadInput


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Be the only process that does something in a folder, which is created.

    Args:
        folder: that is locked as long as the context lasts.
        doing: what the other process does, for the message.

    Raises:
        BadInput: another process does it.
    """
    handle = None
    with suppress(OSError):  # a folder that cannot be used, as whoever writes into it says
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    if handle is None:
        yield
        return
    try:
        if not take(handle):
            raise BadInput(
                f"{folder}: another process {doing} it; wait for its end, or choose another folder"
            )
        try:
            yield
        finally:
            release(handle)
    finally:
        os.close(handle)


def take(handle: int) -> bool:
    """Take the lock of an open file or folder; False if somebody else holds it.

    It is held until `release`, or until all copies of the handle are closed.
    """
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # no locks here
            return True
    return True


def release(handle: int) -> None:
    """Release a lock, also where a forked process still has a copy of the handle."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_UN)
