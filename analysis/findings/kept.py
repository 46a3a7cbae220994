"""The tables that a page keeps of its runs, so that all its numbers can be computed again."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands import csv_tables
from analysis.commands.run_manifest import MANIFEST
from analysis.commands.run_tables import reading
from analysis.findings.study import COLUMNS, KEPT, SNAPSHOTS, STORED, Study
from mtd.utils import atomic_write
from mtd.utils.json_text import json_text
from mtd.utils.replaced import replaced

LONG = ("results", "cka", "images", "curves")
"""Tables that are compressed; of results only the columns that are read."""

LPIPS = ("lpips", "lpips_channels")
"""Entries of a manifest that say which backbone LPIPS had, and its order of colors."""


def keep(study: Study, folder: Path) -> None:
    """Copy the tables of a study's runs into a folder, instead of what it holds.

    Each run has its tables and, as `manifest.json`, a summary of its manifest (`summary`). Tables
    of measurements without scores, `stored.csv` and `snapshots.csv`, are taken over.
    """
    with replaced(folder) as new:
        new.mkdir()
        for run in study.runs():
            with reading(study.path / run):
                about = summary(study.manifest(run))
                kept = KEPT.get(about["analysis"], ())
            atomic_write.write(new / run / MANIFEST, json_text(about))
            for name in kept:
                if (frame := study.table(run, name)) is not None:
                    write(new / run, name, frame)
        for name in (STORED, SNAPSHOTS):
            if (frame := study.table("", name)) is not None:
                write(new, name, frame)


def write(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a table, a long one compressed; the same table makes the same file."""
    if name == "results":
        frame = frame[[*COLUMNS[name], *(c for c in ("is_reference",) if c in frame)]]
    text = csv_tables.text(frame)
    if name in LONG:
        atomic_write.write(folder / f"{name}.csv.gz", gzip.compress(text.encode(), mtime=0))
    else:
        atomic_write.write(folder / f"{name}.csv", text)


def summary(run: Mapping[str, Any]) -> dict[str, Any]:
    """Analysis, models by digest, noises, images and LPIPS of a run, from its manifest.

    What was kept already is left as it is.
    """
    if isinstance(run.get("crops"), int):
        return dict(run)
    crops = crops_of(run)
    text = json.dumps(crops, sort_keys=True).encode()
    known = ("noises", "seed", "input_mask", "logs", "in_distribution", "trained")
    return {
        "analysis": run["analysis"],
        "models": {name: about.get("sha256") for name, about in run.get("models", {}).items()},
        **{key: run[key] for key in known if key in run},
        **({key: run[key] for key in LPIPS if key in run} if run.get("lpips") else {}),
        "images": len({crop["image"] for crop in crops}),
        "crops": len(crops),
        "crop": run.get("crop"),
        "crops_sha256": hashlib.sha256(text).hexdigest(),
    }


def crops_of(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The crops in a run's manifest, those of recorded noise included."""
    crops = list(run.get("crops", []))
    for recorded in run.get("recorded", {}).values():
        crops += recorded["crops"] if isinstance(recorded, dict) else []
    return crops
