"""Temporary folders that last as long as this process."""

from __future__ import annotations

import tempfile
from pathlib import Path

_folders: list[tempfile.TemporaryDirectory[str]] = []


def folder(prefix: str) -> Path:
    """A new empty folder, which is removed when the process ends.

    Args:
        prefix: of its name.

    Raises:
        OSError: it cannot be created.
    """
    _folders.append(tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True))
    return Path(_folders[-1].name)


def remove_all() -> None:
    """Remove them now, before an exit that skips Python's finalization."""
    while _folders:
        _folders.pop().cleanup()
