"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from mtd.utils.errors import BadInput

TEMPORARY = ".part-"
"""How the names of files begin that are not there in whole yet."""


def write(path: str | Path, content: bytes | str) -> None:
    """Write a file by way of a temporary one beside it, which is then renamed over it.

    Folders on the way are made. Text is written in UTF-8.

    Raises:
        BadInput: the place cannot be written, or the disk is full; what was there before stays.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
