"""A sentence about models that predict different things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.text.markdown import codes


def kinds(manifest: Mapping[str, Any]) -> list[str]:
    """That some models predict the noise and others the image, if both are in a run.

    Args:
        manifest: of the run, whose `models` say what each `predicts`; see
            `mtd.networks.layer_roles.LayerRoles`.
    """
    sides: dict[str, list[str]] = {"noise": [], "image": []}
    for name, about in manifest.get("models", {}).items():
        if about.get("predicts") in sides:
            sides[about["predicts"]].append(name)
    if not all(sides.values()):
        return []
    subjects = {side: codes(names) for side, names in sides.items()}
    verbs = {side: "predicts" if len(names) == 1 else "predict" for side, names in sides.items()}
    return [
        f"{subjects['noise']} {verbs['noise']} the noise, {subjects['image']} {verbs['image']} the "
        "image: towards the output, features of the first kind follow the noise and those of the "
        "second the image, whatever the training, so the kinds are not comparable there."
    ]
