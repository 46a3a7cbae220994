"""The checkpoints that a training run has saved, and their steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtd.utils.errors import BadInput

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
"""Endings of checkpoints."""

EXPECTED = "expected a folder of checkpoints such as snapshot-002500.pth"


def checkpoint_files(folder: Path, given: str = "--checkpoints") -> list[Path]:
    """The checkpoints in a folder, without those that are there for resuming.

    Args:
        folder: of a training run.
        given: the option that names it, for messages.

    Raises:
        BadInput: no such folder, or none in it.
    """
    if not folder.is_dir():
        raise BadInput(f"{given} {folder}: no such folder; {EXPECTED}")
    files = [
        file
        for file in folder.iterdir()
        if file.suffix in SUFFIXES and not re.match(r"\.|state|.*optimizer", file.name)
    ]
    if not files:
        raise BadInput(f"{given} {folder}: no checkpoints in it; {EXPECTED}")
    return sorted(files, key=lambda file: (file.stem.endswith("_E"), file.name))


def step_of(path: Path, training: Mapping[str, Any]) -> int | None:
    """The step of a checkpoint: of its metadata, else after `step` or `iter`, else the last number.

    >>> step_of(Path("5000_G.pth"), {}), step_of(Path("x2_iter_300_v1.pth"), {})
    (5000, 300)
    """
    if isinstance(training.get("steps"), int):
        return int(training["steps"])
    after_word = re.findall(r"(?:step|iter)s?[-_=]?(\d+)", path.stem, re.I)
    numbers = after_word or re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else None
