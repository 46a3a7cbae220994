"""The folder of downloaded models and test sets: `MTD_HOME`, by default `~/.cache/mtd`."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "MTD_HOME"


def home() -> Path:
    """The folder that `MTD_HOME` names, else `mtd` in the user's cache folder; it need not exist.

    >>> home().is_absolute()
    True
    """
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mtd"
