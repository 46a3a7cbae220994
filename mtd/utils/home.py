"""The folder of downloaded models and test sets: `MTD_HOME`, by default `~/.cache/mtd`."""

from __future__ import annotations

import os
from pathlib import Path

from mtd.utils import user_folders
from mtd.utils.errors import BadInput

VARIABLE = "MTD_HOME"


class Unusable(BadInput):
    """The folder, or what is in it, cannot be written."""


def home() -> Path:
    """The folder that `MTD_HOME` names, else `mtd` in the user's cache folder; it need not exist.

    >>> home().is_absolute()
    True
    """
    if given := os.environ.get(VARIABLE):
        return Path(user_folders.home(given)).absolute()
    return Path(user_folders.home(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "mtd"


def unusable(path: Path, reason: str) -> Unusable:
    """What to say of a path that cannot be written, which is mostly the fault of the whole folder.

    Args:
        path: in the folder of downloads, or elsewhere.
        reason: of the operating system.
    """
    folder = home()
    if not path.is_relative_to(folder):
        return Unusable(f"{path}: cannot be written ({reason})")
    named = f"{VARIABLE}={folder}" if os.environ.get(VARIABLE) else f"{folder}"
    remedy = f"set {VARIABLE} to a folder that can be written"
    ancestors = [folder, *folder.parents]
    existing = next(one for one in ancestors if os.path.lexists(one))
    if existing.is_dir():
        return Unusable(f"{named}: {path} cannot be written ({reason}); {remedy}")
    inside = "" if existing == folder else f" in one ({existing} is a file)"
    return Unusable(f"{named} is not a folder{inside}; {remedy}")
