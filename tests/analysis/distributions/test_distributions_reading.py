"""What is said of distributions of features: distances, shapes, scales and intervals."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.distributions import reading

NAN = math.nan
MANIFEST = {"crop": 64, "crops": [{"image": f"{i}.png"} for i in range(4)]}


def frames(
    models: str = "a",
    layers: dict[str, bool] | None = None,
    half: float = NAN,
    photographs: int = 4,
    resolution: float = 0.001,
) -> dict[str, pd.DataFrame]:
    """Distances that are larger for later models; by default of the last features alone."""
    rows: list[dict[str, Any]] = []
    for place, model in enumerate(models, 1):
        for noise, distance in (("g", 0.0), ("p", 0.5 * place)):
            for layer, last in (layers or {"input:conv_last": True}).items():
                row = {"model": model, "noise": noise, "reference": "g", "layer": layer}
                row |= {"last_features": last, "shape": 2.0 - distance, "note": ""}
                row |= {"crops": 6, "photographs": photographs}
                row |= {"resolution": resolution, "mean": 0.0, "sigma": 1.0}
                row |= {"kurtosis": 0.25}
                row |= {"shape_low": 2.0 - distance - half, "shape_high": 2.0 - distance + half}
                for name in ("w1_relative", "js"):
                    row[name] = distance
                    row |= {f"{name}_low": distance - half, f"{name}_high": distance + half}
                rows.append(row)
    return {"distributions": pd.DataFrame(rows)}


def said(held: dict[str, pd.DataFrame]) -> str:
    return " ".join(reading.sentences(held, MANIFEST))


def test_distances_are_of_the_features_before_the_last_convolution():
    held = frames("ab", {"conv_first": False, "input:conv_last": True}, half=0.1)
    assert set(reading.main_rows(held["distributions"]).layer) == {"input:conv_last"}
    text = said(held)
    assert "W1 of features before the last convolution from `g` under `p`: 0.500 σ" in text
    assert "Jensen-Shannon divergence under `p`: 0.500 bit [0.400, 0.600] in `a` and" in text
    assert "2.00 to 1.50 [1.40, 1.60] under `p` in `a` and 2.00 to 1.00 [0.90, 1.10] under" in text


def test_models_without_a_last_convolution_have_their_last_layer_instead():
    held = frames("a", {"one": False, "input:two_b": False})
    assert list(reading.main_rows(held["distributions"]).layer) == ["input:two_b"]
    text = said(held)
    assert r"W1 of features before two\_b from `g`" in text and "0.500 σ in `a`" in text
    assert "features before two_b: a 0.500 σ under p" in reading.alt(held)


def test_what_intervals_are_about_or_why_there_are_none():
    text = said(frames(half=0.1))
    assert "leave out one photograph at a time: they are about other photographs" in text
    assert text.count("about other photographs") == 1 and "With 4 photographs they are" in text
    assert "an interval without 0 shows no difference from the reference" in text
    assert "no intervals: no difference can be shown" in said(frames())
    assert "2 photographs are too few for intervals" in said(frames(photographs=2))


def test_scales_are_arbitrary_where_there_are_several():
    assert "scale of features is arbitrary" in said(frames("ab"))
    assert "scale of features" not in said(frames("a"))


def test_coarse_bins_are_named():
    text = said(frames(resolution=0.05))
    assert "2 of 2 rows are of features whose mean is far from 0" in text and "0.05" in text
    assert "coarse" not in said(frames())


def test_the_table_is_laid_out_by_layer():
    held = frames("ab", {"conv_first": False, "input:conv_last": True}, half=0.1)
    heading, *parts, legend = reading.terminal_table(held, MANIFEST).split("\n\n")
    assert heading.endswith("6 crops of 64 x 64 from 4 photographs, with 95% intervals")
    assert [part.splitlines()[0] for part in parts] == [
        "Features of conv_first",
        "Features before the last convolution",
    ]
    assert "0.500 [0.400, 0.600]" in parts[1] and "W1: Wasserstein-1" in legend
