"""What decides the numbers of a report: command, settings, files, layers and versions."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.plotting.model_styles import short
from analysis.report import sections as report_sections
from analysis.report.contents import NOTHING, files, manifest, sections
from analysis.text.markdown import code, escaped

LAYERS = 40
"""Number of layer names that are printed; a longer list is abridged."""

LISTED = (
    *("analysis", "versions", "models", "crops", "sections", "runs", "noises", "arguments"),
    *(
        "max_crops",
        "settings",
        "requests",
        "attention_mask",
        "mask_samples",
        "mask_draws",
        "quantize",
        "seed",
        "device",
    ),
    *("input_mask", "autocast", "images", "crop", "limit", "benchmark_crop"),
)
"""Entries of a report's manifest that have a table of their own, or that no table repeats."""


def entries(path: Path) -> list[str]:
    """The entries of the report's manifest that no table has."""
    return [
        f"{name.replace('_', ' ')}: {escaped(plain(value))}"
        for name, value in manifest(path).items()
        if name not in LISTED and value not in (None, "", [], {})
    ]


def plain(value: Any) -> str:
    """An entry of a manifest, in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return str(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def command(path: Path) -> list[str]:
    """The command that computes these numbers; none for a report made from run folders."""
    arguments = manifest(path).get("arguments")
    return [code(shlex.join(["python", "-m", "analysis.report", *arguments]))] if arguments else []


def settings(path: Path) -> pd.DataFrame:
    """A row for each section: its settings other than models, crops and noises."""
    rows = []
    for name, about in sections(path).items():
        crops = [[c.get("image"), c.get("top"), c.get("left"), c.get("sha256")] for c in
                 about.get("crops") or []]  # fmt: skip
        digest = hashlib.sha256(json.dumps(crops).encode()).hexdigest()[:12]
        rows.append(
            {
                "section": report_sections.headings()[name],
                "seed": about.get("seed", "–"),
                "device": about.get("device", "–"),
                "autocast": about.get("autocast", "–"),
                "attention mask": plain(about.get("attention_mask", "–")),
                "mask samples": plain(about.get("mask_samples", "–")),
                "mask draws": about.get("mask_draws", "–"),
                "hidden pixels": f"{about.get('input_mask', 0):.0%}",
                "noise in 8 bits": str(about.get("quantize", "–")),
                "SHA-256 of crops": digest if crops else "–",
            }
        )
    return pd.DataFrame(rows) if rows else NOTHING


def layers(path: Path) -> pd.DataFrame:
    """A row for each section and list of layers: its models and the names of the layers."""
    rows = []
    for name, about in sections(path).items():
        layers_of = about.get("layers") or {}
        for models_, names in alike(layers_of):
            labels = [short(layer) for layer in names]
            if len(labels) > LAYERS:
                labels = [*labels[: LAYERS - 1], "…", labels[-1]]
            rows.append(
                {
                    "section": report_sections.headings()[name],
                    "models": "all" if len(models_) == len(layers_of) else ", ".join(models_),
                    "layers": len(names),
                    "names": ", ".join(labels),
                }
            )
    return pd.DataFrame(rows) if rows else NOTHING


def alike(lists: Mapping[str, Any]) -> Iterator[tuple[list[str], list[str]]]:
    """Models grouped by their list of layers."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for model, names in lists.items():
        groups.setdefault((names,) if isinstance(names, str) else tuple(names), []).append(model)
    for names, models_ in groups.items():
        yield models_, list(names)


def versions(path: Path) -> pd.DataFrame:
    """Packages and their versions; several if sections were computed with different ones."""
    by_package: dict[str, dict[str, None]] = {}
    for about in (manifest(path), *sections(path).values()):
        for name, version in (about.get("versions") or {}).items():
            by_package.setdefault(name, {})[str(version)] = None
    rows = [{"package": name, "version": ", ".join(all_)} for name, all_ in by_package.items()]
    return pd.DataFrame(rows, columns=["package", "version"])


def checkpoints(path: Path) -> pd.DataFrame:
    """A row for each file: its SHA-256, and the source of its mask policy; see `files`."""
    rows = [
        {
            **names,
            "SHA-256": about.get("sha256", "–"),
            "masks": about.get("policy", "–"),
            "mask policy from": about.get("policy_source", "–"),
        }
        for names, about in files(path)
    ]
    return pd.DataFrame(rows)
