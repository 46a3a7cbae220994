"""Runs of analyses do not render their figures, but for tests that are marked `drawn`.

Fixtures of the tests of reading checkpoints.
"""

from __future__ import annotations

import argparse
import copyreg
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mtd.loading import checkpoint_file
from tests.helpers.figures import unrendered  # noqa: F401
from tests.helpers.pickles import beside


@pytest.fixture
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a module on the path that would leave a mark when it is imported or used."""
    folder = tmp_path_factory.mktemp("trap")
    (folder / "a_trap.py").write_text(
        f"import os\nos.mkdir({str(folder / 'mark')!r})\nclass Trap:\n    pass\n"
    )
    sys.path.insert(0, str(folder))
    path = folder / "warm.pth"
    torch.save({"w": torch.ones(2, 2), "n": argparse.Namespace()}, path)
    checkpoint_file.read(path)  # so that what reading itself imports is there
    checkpoint_file.read(beside(b"Vx\n", path))
    yield folder
    sys.path.remove(str(folder))
    assert not (folder / "mark").exists() and "a_trap" not in sys.modules


@pytest.fixture
def extension() -> Iterator[None]:
    """A function that is registered, and looked up once, under an extension code."""
    copyreg.add_extension("os", "mkdir", 0xF0)
    copyreg._extension_cache[0xF0] = os.mkdir  # type: ignore[attr-defined]
    yield
    copyreg.remove_extension("os", "mkdir", 0xF0)
