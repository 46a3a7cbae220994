"""What is said of SRGA scores: who is lower, what is undecided, and warnings."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from analysis.srga import reading

NAN = math.nan
MANIFEST = {"crop": 64, "intervals": True}


def frames(
    psnr: tuple[float, float] = (30.0, 33.0),
    patches: int = 400,
    half: float = 0.5,
    note: str = "",
    photographs: int = 24,
) -> dict[str, pd.DataFrame]:
    """Two models with equal scores under two noises."""
    rows: list[dict[str, Any]] = [
        {"model": model, "noise": noise, "reference": "g", "layer": "input:conv_last"}
        | {"srga": value, "low": value - half, "high": value + half, "kl": 1.23456e-5, "sigma": 2.0}
        | {"shape": 0.5, "psnr": quality, "patches": patches, "components": 9, "note": note}
        | {"photographs": photographs}
        for model, quality in zip("ab", psnr, strict=True)
        for noise, value in (("g", 0.0), ("x", 0.3), ("y", 3.0))
    ]
    return {"srga": pd.DataFrame(rows)}


def said(held: dict[str, pd.DataFrame], **manifest: Any) -> str:
    return " ".join(reading.sentences(held, MANIFEST | manifest))


def test_models_of_different_quality_are_hardly_comparable():
    text = said(frames())
    assert "differs by 3.0 dB between models (30.0 dB in `a` and 33.0 dB in `b`)" in text
    assert "hardly comparable" in text
    assert "dB" not in said(frames((30.0, 30.9))) and "dB" not in said(frames((NAN, NAN)))


def test_scores_whose_interval_includes_no_distance_are_named():
    assert "The 95% interval includes 0, no distance, for `a` under `x` and `b` under `x`." in said(
        frames()
    )
    assert "no distance" not in said(frames(half=0.1))


@pytest.mark.parametrize(
    "photographs, half, text",
    [
        (2, NAN, "2 photographs are too few for intervals: at least 3 are needed"),
        (24, NAN, "This run has no intervals: no difference can be shown"),
        (4, 0.5, "leave out one photograph at a time"),
        (24, 0.5, "leave out one photograph at a time"),
    ],
)
def test_what_intervals_are_about_or_why_there_are_none(photographs, half, text):
    held = frames(photographs=photographs, half=half)
    assert text in said(held) and ("With 4 photographs they are rough" in said(held)) == (
        photographs == 4
    )
    assert ("intervals" in reading.terminal_table(held, MANIFEST)) == (half == 0.5)
    assert "illustration, not inference" in said(held, images="bundled")


def test_few_patches_and_presets_are_said_once():
    text = said(frames(patches=97, note="mixture is a_b"))
    assert text.count("97 patches are few: the published code uses at least 300.") == 1
    assert text.count(r"Mixture is a\_b.") == 1 and "are few" not in said(frames(patches=300))


def test_the_table_has_a_row_for_each_model_and_noise():
    *heading, columns = reading.terminal_table(frames(), MANIFEST).splitlines()[:-6]
    rows = reading.terminal_table(frames(), MANIFEST).splitlines()[-6:]
    words = " ".join(" ".join(heading).split())
    assert "400 patches of 64 x 64, 9 components, with 95% intervals" in words
    assert columns.split() == ["model", "noise", "SRGA", "KL", "sigma", "shape", "PSNR", "(dB)"]
    assert " ".join(rows[1].split()) == "a x 0.300 [-0.200, 0.800] 1.23e-05 2 0.500 30.00"


def test_the_figure_is_described():
    text = reading.alt(frames())
    assert text.startswith("SRGA under the other noises: a from 0.30 under x to 3.00")
