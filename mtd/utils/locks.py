"""Locks of open files and folders, which the system releases when a process ends, however it does.

Windows and some file systems have none; there, one process at a time may write into a folder.
"""

from __future__ import annotations

from contextlib import suppress


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
