"""Labels of noises: their kind, level and unit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mtd.data.recorded_noise import Recorded
from mtd.noise.base import Noise
from mtd.noise.mixture import OURS


def describe(noises: Sequence[Noise | Recorded]) -> pd.DataFrame:
    """Kind, level and note of each noise, by its text; the level of one without is NaN."""
    rows = [
        {
            "noise": noise.spec,
            "kind": noise.name,
            "level": float("nan") if noise.level is None else noise.level,
            "note": OURS if noise.name == "mixture" else "",
        }
        for noise in noises
    ]
    return pd.DataFrame(rows, columns=["noise", "kind", "level", "note"]).drop_duplicates("noise")


LEVELS = {
    "gaussian": "σ (8-bit levels)",
    "spatial": "σ before the 3 × 3 mean (8-bit levels)",
    "speckle": "variance",
    "poisson": "α",
    "mixture": "level",
    "salt_pepper": "density",
    "monte_carlo": "samples per pixel",
}
"""What the level of each kind of noise is."""


KINDS = {
    "gaussian": "Gaussian",
    "spatial": "spatially correlated Gaussian",
    "speckle": "speckle",
    "poisson": "Poisson",
    "mixture": "mixture",
    "salt_pepper": "salt and pepper",
    "isp": "camera pipeline (isp)",
    "monte_carlo": "Monte Carlo rendering",
}
"""What kinds of noise are called in figures."""


FALLING = ("monte_carlo",)
"""Kinds whose level falls as the noise grows."""


def preset(part: pd.DataFrame) -> str:
    """What must be said of the mixture wherever it is shown."""
    return OURS if "mixture" in set(part.kind) else ""


NOISY = "noisy input"
"""The name under which the noisy images' own values stand beside the models'."""


CLEAN = "gaussian:0"
"""The noise that changes nothing."""
