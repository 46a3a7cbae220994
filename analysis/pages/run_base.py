"""The folder below which the notebooks of a page find their runs."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

VARIABLE = "MTD_RUN_BASE"
"""Environment variable that holds the folder's path while a page is made; see `located`."""


def located(run_dir: str | PathLike[str]) -> Path:
    """The path of a run: relative to the page's folder while one is made, else to the current one.

    Kernels that make pages work in an empty folder, so that no code of a run's folder is imported.
    """
    return Path(os.environ.get(VARIABLE, ""), str(run_dir))  # papermill makes a number of 2024
