"""Atomic writes: a file is there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mtd.utils import locks
from mtd.utils.errors import BadInput, Unwritable

TEMPORARY = ".part-"
"""Prefix of the names of files that are still being written."""


def write(path: str | Path, content: bytes | str) -> None:
    """Write a temporary file in the same folder, then rename it; missing folders are created.

    Args:
        path: of the file.
        content: bytes, or text that is encoded as UTF-8.

    Raises:
        Unwritable: the path cannot be written, or the disk is full; an older file stays as it was.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> write(f"{folder.name}/runs/log.csv", "step,loss\\n")
    >>> Path(folder.name, "runs", "log.csv").read_text()
    'step,loss\\n'
    """
    try:
        encoded = content.encode() if isinstance(content, str) else content
    except UnicodeEncodeError:
        raise BadInput(f"{path}: cannot be written (a name in it is not UTF-8)") from None
    with opened(path) as file:
        file.write(encoded)


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write bytes into, which has its name once the context ends without an error.

    Args:
        path: of the file.

    Raises:
        Unwritable: see `write`.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = unused(path.parent, path.suffix)
        with temporary.open("xb") as file:
            locks.take(file.fileno())  # until it is closed
            yield file
        temporary.replace(path)
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def remove_left(temporary: Path) -> None:
    """Remove a temporary file, unless a process is still writing it.

    Raises:
        OSError: it cannot be removed.
    """
    if temporary.is_file() and not temporary.is_symlink():
        handle = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not locks.take(handle):
                return
        finally:
            os.close(handle)
    temporary.unlink(missing_ok=True)


def unused(folder: Path, suffix: str = "") -> Path:
    """A name for a temporary file, to be opened with mode `xb`.

    Unlike a file of `tempfile`, which its owner alone can read, it gets the permissions that the
    user's umask leaves.
    """
    return folder / f"{TEMPORARY}{secrets.token_hex(8)}{suffix}"
