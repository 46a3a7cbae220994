"""Folders that a command is to write."""

from __future__ import annotations

import os
from pathlib import Path

from mtd.utils.errors import BadInput


def check(path: str | Path | None) -> None:
    """Check that a folder can be written, or be made.

    Raises:
        BadInput: it is a file, or in a file, or nobody may write there.
    """
    if path is None:
        return
    folder = Path(path)
    existing = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not existing.is_dir():
        if existing == folder:
            raise BadInput(f"{folder} is a file: --output-dir is a folder")
        raise BadInput(f"--output-dir {folder}: cannot be written ({existing} is a file)")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise BadInput(f"--output-dir {folder}: cannot be written (no permission in {existing})")
