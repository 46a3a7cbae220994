"""What a report consists of: its manifest, those of its sections, and its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_manifest import read_manifest
from analysis.report import sections as report_sections
from mtd.utils.errors import BadInput

NOTHING = pd.DataFrame({"section": []})
"""A table of sections without any."""


def sections(path: Path) -> dict[str, Mapping[str, Any]]:
    """The manifests of the sections that a report has, by name, in order."""
    manifests: dict[str, Mapping[str, Any]] = {}
    for name in report_sections.headings():
        with suppress(BadInput):
            manifests[name] = read_manifest(path / name)
    return manifests


def manifest(path: Path) -> Mapping[str, Any]:
    """The report's own manifest; empty if it has none."""
    with suppress(BadInput):
        return read_manifest(path)
    return {}


def models(path: Path) -> dict[str, Mapping[str, Any]]:
    """What is known of each model, by name, from the report or else its sections."""
    for own in (manifest(path), *sections(path).values()):
        about = own.get("models")
        if isinstance(about, dict) and about:
            return about
    return {}


def files(path: Path) -> Iterator[tuple[dict[str, str], Mapping[str, Any]]]:
    """Each file of the models, named, and what is known of it; of a model with several trainings
    each of them, which then have a column of their own."""
    known = models(path)
    several = any("trainings" in about for about in known.values())
    for model, about in known.items():
        for name, own in (about.get("trainings") or {"–": about}).items():
            yield {"model": model} | ({"training": name} if several else {}), own
