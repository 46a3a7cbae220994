"""Atomic writes: a file is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mtd.utils.errors import BadInput

TEMPORARY = ".part-"
"""Prefix of the names of files that are still being written."""


def write(path: str | Path, content: bytes | str) -> None:
    """Write a temporary file in the same folder, then rename it; missing folders are created.

    Args:
        path: of the file.
        content: bytes, or text that is encoded as UTF-8.

    Raises:
        BadInput: the path cannot be written, or the disk is full; an older file stays as it was.

    >>> folder = tempfile.TemporaryDirectory()
    >>> write(f"{folder.name}/runs/log.csv", "step,loss\\n")
    >>> Path(folder.name, "runs", "log.csv").read_text()
    'step,loss\\n'
    """
    with opened(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write bytes into, which has its name once the context ends without an error.

    Args:
        path: of the file.

    Raises:
        BadInput: see `write`.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
