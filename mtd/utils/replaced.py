"""A folder that is replaced as a whole, once the new one is complete."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtd.utils.atomic_write import TEMPORARY
from mtd.utils.errors import BadInput


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A path beside a folder for its new content, which takes its place without an error.

    Args:
        folder: that is there or not; it stays as it is if the context ends with an error.

    Raises:
        BadInput: it cannot be written.
    """
    made: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=TEMPORARY))
        yield made / "new"
        if (made / "new").exists():
            exchange(folder, made / "new", made / "old")
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def exchange(folder: Path, new: Path, old: Path) -> None:
    """Put a new folder in the place of another one, which stays if that fails."""
    there = folder.exists()
    if there:
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if there:
            with suppress(OSError):
                old.rename(folder)
        raise
