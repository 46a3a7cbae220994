"""A folder that is replaced as a whole, once the new one is complete.

While a folder NAME is replaced, `.part-NAME` lies beside it, with `new` in it. Linux exchanges
`new` and NAME in one step, so that one of them is there at any time. Other systems, and file
systems that cannot, move NAME to `.part-NAME/old` first. Whatever is about to use the folder calls
`restore`, which moves `old` back if NAME is gone, and removes what a killed process has left.

Who replaces a folder holds the lock of `.part-NAME`: another process that would do so meanwhile is
refused, and nothing is restored or removed while it is held.
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

from mtd.utils import atomic_write, locks
from mtd.utils.atomic_write import TEMPORARY
from mtd.utils.errors import BadInput

NEW, OLD = "new", "old"

NO_HANDLE = -1
"""Where folders have no locks."""


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A path beside a folder for its new content, a folder that takes its place at the end.

    Args:
        folder: that is there or not; it stays as it is if the context ends with an error.

    Raises:
        BadInput: it cannot be written, there is no new content, or another process replaces it.
    """
    made = beside(folder)
    handle = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = _made(folder)
        _restore(folder)
        yield made / NEW
        exchange(folder, made / NEW, made / OLD)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        if handle is not None:
            _end(folder, handle)


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

    Nothing is done while another process replaces it.

    Raises:
        OSError: it cannot be moved.
    """
    left = beside(folder)
    if left.is_symlink():
        left.unlink()
    if not left.is_dir():
        return
    try:
        handle = _locked(left)
    except FileNotFoundError:
        return
    if handle is not None:
        try:
            _restore(folder)
            left.rmdir()
        finally:
            _unlock(handle)


def _made(folder: Path) -> int:
    """A handle of the folder in which the new content is made, whose lock it holds.

    Raises:
        BadInput: another process holds it.
        OSError: it cannot be made.
    """
    made = beside(folder)
    if made.is_symlink():
        made.unlink()
    while True:
        made.mkdir(exist_ok=True)
        try:
            handle = _locked(made)
        except FileNotFoundError:  # another process has just removed it
            continue
        if handle is None:
            raise BadInput(
                f"{folder}: another process is writing it; wait until that has ended, or choose "
                "another folder"
            )
        return handle


def _locked(left: Path) -> int | None:
    """A handle of a folder, whose lock it holds; None if another process holds it.

    Raises:
        FileNotFoundError: another process has just removed the folder.
        OSError: it cannot be opened.
    """
    if not hasattr(os, "O_DIRECTORY"):  # on Windows
        return NO_HANDLE
    handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not locks.take(handle):
        os.close(handle)
        return None
    try:
        if os.path.samestat(os.fstat(handle), left.lstat()):
            return handle
    except FileNotFoundError:
        pass
    _unlock(handle)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(left))


def _restore(folder: Path) -> None:
    """Do as `restore`, where the lock is held; the folder beside it stays, without content."""
    left = beside(folder)
    old = left / OLD
    if old.is_dir() and not old.is_symlink() and not os.path.lexists(folder):
        old.rename(folder)
    for path in left.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _end(folder: Path, handle: int) -> None:
    """Remove the folder beside, unless something could not be moved back, and release its lock."""
    with suppress(OSError):
        _restore(folder)
        beside(folder).rmdir()
    _unlock(handle)


def _unlock(handle: int) -> None:
    if handle != NO_HANDLE:
        locks.release(handle)
        os.close(handle)


def restore_all(place: Path) -> None:
    """Do so for all folders in a place, and remove files that killed processes did not finish."""
    for left in list(place.glob(f"{TEMPORARY}*")):
        if left.is_dir() and not left.is_symlink():
            with suppress(OSError, ValueError, BadInput):  # or it is of no folder's name
                restore(left.with_name(left.name.removeprefix(TEMPORARY)))
        else:
            with suppress(OSError):
                atomic_write.remove_left(left)


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
