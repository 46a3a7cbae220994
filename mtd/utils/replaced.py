"""A folder that is replaced as a whole, once the new one is complete.

While a folder NAME is replaced, `.part-NAME` lies beside it, with `new` in it. Linux exchanges
`new` and NAME in one step, so that one of them is there at any time. Other systems, and file
systems that cannot, move NAME to `.part-NAME/old` first. Whatever is about to use the folder calls
`restore`, which moves `old` back if NAME is gone, and removes what a killed process has left. One
process at a time replaces a folder.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtd.utils.atomic_write import TEMPORARY
from mtd.utils.errors import BadInput

NEW, OLD = "new", "old"


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A path beside a folder for its new content, a folder that takes its place at the end.

    Args:
        folder: that is there or not; it stays as it is if the context ends with an error.

    Raises:
        BadInput: it cannot be written, or there is no new content.
    """
    made = beside(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        restore(folder)
        made.mkdir()
        yield made / NEW
        exchange(folder, made / NEW, made / OLD)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            restore(folder)


def beside(folder: Path) -> Path:
    """The folder in which the new content of a folder is made.

    Raises:
        BadInput: the folder has no name, as `.`.
    """
    if folder.name in ("", ".."):
        raise BadInput(f"{folder}: a folder that is replaced as a whole; name the folder itself")
    return folder.with_name(TEMPORARY + folder.name)


def restore(folder: Path) -> None:
    """Give a folder back what it held before a process was killed, and remove what is left of that.

    Raises:
        OSError: it cannot be moved.
    """
    left = beside(folder)
    if left.is_symlink():
        left.unlink()
    old = left / OLD
    if old.is_dir() and not old.is_symlink() and not os.path.lexists(folder):
        old.rename(folder)
    shutil.rmtree(left, ignore_errors=True)


def restore_all(place: Path) -> None:
    """Do so for all folders in a place, and remove files that were never finished."""
    for left in list(place.glob(f"{TEMPORARY}*")):
        if left.is_dir() and not left.is_symlink():
            with suppress(OSError, ValueError, BadInput):  # or it is of no folder's name
                restore(left.with_name(left.name.removeprefix(TEMPORARY)))
        else:
            with suppress(OSError):
                left.unlink(missing_ok=True)


def exchange(folder: Path, new: Path, old: Path) -> None:
    """Put a new folder in the place of another one, which stays if that fails.

    Args:
        folder: that is there or not.
        new: the new one.
        old: where the other one is moved if both cannot be exchanged in one step.

    Raises:
        OSError: it is not possible.
    """
    there = folder.exists()
    if there and exchanged(new, folder):
        return
    if there:
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if there:
            with suppress(OSError):
                old.rename(folder)
        raise


AT_FDCWD, RENAME_EXCHANGE = -100, 2
CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""Errors of a system or file system that has no exchange."""


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; whether the system can.

    Raises:
        OSError: the paths cannot be exchanged.
    """
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:  # an older C library
        return False
    paths = os.fsencode(one), os.fsencode(other)
    if rename(AT_FDCWD, paths[0], AT_FDCWD, paths[1], ctypes.c_uint(RENAME_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
