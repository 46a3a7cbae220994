"""Temporary folders that last as long as this process."""

from __future__ import annotations

import tempfile
from pathlib import Path

_folders: list[tempfile.TemporaryDirectory[str]] = []
_names: dict[str, str] = {}


def folder(prefix: str) -> Path:
    """A new empty folder, which is removed when the process ends.

    Args:
        prefix: of its name.

    Raises:
        OSError: it cannot be created.
    """
    _folders.append(tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True))
    return Path(_folders[-1].name)


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
