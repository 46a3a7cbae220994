"""Long tables of the benchmark with values drawn at random."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd


def rows(
    values: dict[str, np.ndarray], noise: str, images: list[str], metric: str = "psnr"
) -> pd.DataFrame:
    """The long table of one noise: values by model, one for each image."""
    kind, _, level = noise.partition(":")
    found = [
        {
            "model": model,
            "noise": noise,
            "kind": kind,
            "level": float(level) if level else math.nan,
            "image": image,
            "scene": image,
            "top": 8 * i,
            "left": 0,
            "height": 8,
            "width": 8,
            "sha256": f"{image}/{i}",
            "metric": metric,
            "value": value,
        }
        for model, column in values.items()
        for i, (image, value) in enumerate(zip(images, column, strict=True))
    ]
    return pd.DataFrame(found)


def drawn(seed: int, count: int, **means: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    easy = rng.normal(size=count)  # some images are easy for every model
    return {m.replace("_", " "): v + easy + 0.3 * rng.normal(size=count) for m, v in means.items()}


NAMES = [f"{i}.png" for i in range(12)]

GAUSSIAN = drawn(0, 12, a=33, b=30, noisy_input=25)

STRONG = drawn(1, 12, a=20, b=24, noisy_input=15)

POISSON = drawn(2, 12, a=23, b=25, noisy_input=18)

ISP = drawn(3, 12, a=28, b=27, noisy_input=29)

RESULTS = pd.concat(
    [
        rows(GAUSSIAN, "gaussian:15", NAMES),
        rows(STRONG, "gaussian:50", NAMES),
        rows(POISSON, "poisson:3", NAMES),
        rows(ISP, "isp", NAMES),
    ]
)
