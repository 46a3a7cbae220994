"""A sentence about models that hold the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.text.markdown import codes


def same_weights(manifest: Mapping[str, Any]) -> list[str]:
    """Which models hold the same weights.

    Args:
        manifest: of the run.
    """
    groups: dict[str, list[str]] = {}
    for name, about in manifest.get("models", {}).items():
        if about.get("parameters") != 0:
            groups.setdefault(weights_of(about), []).append(name)
    return [f"{codes(names)} hold the same weights." for names in groups.values() if len(names) > 1]


def weights_of(about: Mapping[str, Any]) -> str:
    """The digest of a model's weights, from its part of the manifest."""
    return str(about.get("weights_sha256") or about.get("sha256"))
