"""Temporary folders that last as long as this process.

A process that is killed leaves its folders; the next one that makes a folder removes them. A folder
is in use as long as a process holds the lock of a file in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "mtd-"
"""Of the names of all folders."""

LOCK = ".in-use"

_folders: list[tempfile.TemporaryDirectory[str]] = []
_locks: list[int] = []
_names: dict[str, str] = {}


def folder(prefix: str) -> Path:
    """A new empty folder, which is removed when the process ends.

    Args:
        prefix: of its name, after `PREFIX`.

    Raises:
        OSError: it cannot be created.
    """
    _remove_left_ones()
    made = tempfile.TemporaryDirectory(prefix=PREFIX + prefix, ignore_cleanup_errors=True)
    _folders.append(made)
    _lock(Path(made.name))
    return Path(made.name)


def free() -> int:
    """Bytes that are free where temporary folders are made."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def _lock(folder: Path) -> None:
    """Hold the lock of a folder, which the system releases when the process ends, however it does.

    The file gets its name once it is locked, so that no other process finds it unlocked.
    """
    with suppress(ImportError, OSError):  # without locks, folders that are left stay
        import fcntl

        handle = os.open(folder / f"{LOCK}-", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        _locks.append(handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / f"{LOCK}-").rename(folder / LOCK)


def _remove_left_ones() -> None:
    """Remove the folders of processes of this user that were killed."""
    with suppress(ImportError, OSError):
        import fcntl

        for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
            with suppress(OSError):
                if lock.is_symlink() or lock.parent.is_symlink():
                    continue
                if lock.stat().st_uid != os.getuid():
                    continue
                handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.parent, ignore_errors=True)
                finally:
                    os.close(handle)


def call(folder: Path, name: str) -> None:
    """Call a folder in messages by the name of what was extracted into it."""
    _names[str(folder)] = name


def named(message: str) -> str:
    """A message with the names that `call` has given to folders, in place of their paths.

    >>> call(Path("/tmp/a.zip-k2x9"), "photos/a.zip")
    >>> named("/tmp/a.zip-k2x9/train/1.jpg: damaged image")
    'photos/a.zip/train/1.jpg: damaged image'
    """
    for path, name in _names.items():
        message = message.replace(path, name)
    return message


def remove_all() -> None:
    """Remove them now, before an exit that skips Python's finalization."""
    while _folders:
        _folders.pop().cleanup()
    while _locks:
        with suppress(OSError):
            os.close(_locks.pop())
