"""Which pairs of models a comparison has sentences on: not all of many, and none that are equal."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import combinations
from typing import Any

import pandas as pd

from analysis.cka.figures import measure
from analysis.text.equal_weights import weights_of

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


ALL_MODELS = 3
"""Up to this many models, every pair of them has a sentence."""


Equal = Set[frozenset[str]]
"""Pairs of models that are the same network, so that nothing is to be said of their difference."""


HOW = ("usage", "policy", "architecture", "factory", "arguments", "module_sha256")
"""The entries of a manifest that tell models of the same weights apart."""


def equal_networks(manifest: Manifest) -> Equal:
    """Pairs of models with the same weights that are also called in the same way."""
    models = manifest.get("models", {})
    how = {
        name: (weights_of(about), *(about.get(key) for key in HOW))
        for name, about in models.items()
    }
    return {frozenset(pair) for pair in combinations(models, 2) if how[pair[0]] == how[pair[1]]}


def different(frame: pd.DataFrame, equal: Equal) -> pd.Series:
    """Which rows are of two models that are not the same network."""
    pairs = zip(frame.model_a, frame.model_b, strict=True)
    return pd.Series([frozenset(pair) not in equal for pair in pairs], frame.index, dtype=bool)


def compared_models(frames: Frames, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The pairs of models that are compared: all, or of many the lowest and the highest mean."""
    models = list(dict.fromkeys([*rows.model_a, *rows.model_b]))
    if len(models) <= ALL_MODELS:
        return list(combinations(models, 2))
    means = frames["last_quarter"]
    own = means[(means.model_a == means.model_b) & (means.noise_a != means.noise_b)]
    each = own.groupby("model_a", sort=False)[measure(means)].mean().dropna()
    return [(str(each.idxmin()), str(each.idxmax()))] if len(each) > 1 else []
