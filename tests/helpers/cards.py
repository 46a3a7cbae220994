"""Cards of a small run, and copies of them that differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis.commands.command import run_arguments
from analysis.generalization.command import ANALYSIS
from mtd.data import image_io
from mtd.data.image_io import ImageFile

PHOTOGRAPHS = 10


def small_run(pair: Path, *models: str, photographs: int = PHOTOGRAPHS) -> Path:
    """A benchmark of tiny models on smooth images, one crop of each."""
    draw, folder = np.random.default_rng(0), pair / f"photos{photographs}"
    for i in range(photographs):
        rows, columns = np.mgrid[:24, :24] / 24
        plane = 40 + 150 * np.sin(rows * draw.uniform(1, 4) + draw.uniform(0, 6)) ** 2 * columns
        pixels = np.stack([plane, plane.T, 255 - plane], -1) * draw.uniform(0.7, 1)
        image_io.write(folder / f"{i:02}.png", ImageFile(pixels.clip(0, 255).astype(np.uint8)))
    out = pair / f"run{photographs}-{len(models)}"
    noises = ("gaussian:15", "gaussian:40", "poisson:3")
    given = [x for noise in noises for x in ("--noise", noise)]
    files = [str(pair / model) if "=" not in model else model for model in models]
    given += [
        "--images",
        str(folder),
        "--no-lpips",
        "--no-references",
        "--quiet",
        "--output-dir",
        str(out),
    ]
    return run_arguments(ANALYSIS, [*files, *given], "python -m analysis.generalization …")


def changed(card: Path, place: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a card's record with a change, as another tool might have written it."""
    record = json.loads((card / "result.json").read_text())
    change(record)
    place.mkdir()
    (place / "result.json").write_text(json.dumps(record))
    return place


def details(**values: str) -> Callable[[dict[str, Any]], None]:
    """Sets entries of a record's `additional_details`, a double underscore for a dot."""

    def change(record: dict[str, Any]) -> None:
        own: Mapping[str, str] = {k.replace("__", "."): v for k, v in values.items()}
        record["source_metadata"]["additional_details"] |= own

    return change
