"""Where the checkout, the golden files and the development data are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
VARIABLE = "MTD_DATA"
DATA = Path(os.environ.get(VARIABLE, ROOT.parent / "shared" / "data"))


def data_folder(name: str) -> Path:
    """A folder of the development data; the test is skipped where it is missing."""
    if not (DATA / name).is_dir():
        pytest.skip(f"development data {name!r} is not at {DATA} (set MTD_DATA)")
    return DATA / name
