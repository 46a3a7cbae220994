"""What the tables of feature distributions say: how far they move under each noise."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.plotting.model_styles import short
from analysis.text import markdown
from analysis.text.marginals import by_noise, tidy
from analysis.text.markdown import code, listed, number
from analysis.text.rows import ends, reaches

TABLES = ("distributions", "histograms")

Frames = Mapping[str, pd.DataFrame]


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of other noises than the reference, of what goes into the last convolution if known.

    Of a model without that layer, those of its last one.
    """
    part = frame[frame.noise != frame.reference]
    deep = part.deepest.astype(bool)
    known = part.model.isin(part[deep].model)
    last = part.layer == part.groupby("model").layer.transform("last")
    return part[deep | (~known & last)]


def sentences(frames: Frames) -> list[str]:
    """All that follows from the tables."""
    return [*main(frames), *divergence(frames), *tails(frames), *scope(frames)]


def main(frames: Frames) -> list[str]:
    """The distance of each model's deepest features from those under the reference."""
    part = shown(frames["distributions"])
    layers = listed(f"`{name}`" for name in dict.fromkeys(short(str(n)) for n in part.layer))
    what = f"W1 of {layers} from {code(part.reference.iloc[0])}"
    rows = tidy(part, "w1_relative", "w1_relative_low", "w1_relative_high")
    return by_noise(rows, what, 3, "σ")


def divergence(frames: Frames) -> list[str]:
    """The same by Jensen-Shannon divergence, means only."""
    part = shown(frames["distributions"])
    means = part.groupby("model", sort=False).js.mean().dropna().sort_values(kind="stable")
    if means.empty:
        return []
    ends = means if len(means) <= 2 else means.iloc[[0, -1]]
    which = "" if len(means) <= 2 else f", lowest and highest of {len(means)} models"
    each = [f"{number(value, 3)} bit in {code(name)}" for name, value in ends.items()]
    return [f"Mean Jensen–Shannon divergence over these noises{which}: {listed(each)}."]


def tails(frames: Frames) -> list[str]:
    """Which way the shape changes: Gaussians have shape 2, heavier tails less."""
    frame = frames["distributions"]
    part, found = shown(frame), []
    for model, rows in part.groupby("model", sort=False):
        own = frame[(frame.model == model) & (frame.noise == frame.reference)]
        first = own[own.layer == rows.layer.iloc[0]]
        known = rows[rows["shape"].notna()]
        if first.empty or known.empty:
            continue
        value = float(first["shape"].iloc[0])
        far = ends(known.assign(change=(known["shape"] - value).abs()), "change")[1]
        found.append(
            f"{number(value)} to {number(far['shape'])} under {code(far['noise'])} in {code(model)}"
        )
    return [f"Largest change of the fitted shape: {listed(found, 4)}."] if found else []


def scope(frames: Frames) -> list[str]:
    """What intervals are about."""
    if frames["distributions"].w1_relative_low.isna().all():
        return ["This run has no intervals: nothing is told apart."]
    return [markdown.scope(str(frames["distributions"].unit.iloc[0]))]


def alt(frames: Frames) -> str:
    """Of the figure: the range of each model's distances."""
    part = shown(frames["distributions"])
    return (
        "Histograms of features under each noise over those under the reference. Wasserstein-1 "
        f"distances of the deepest layer: {reaches(part, 'w1_relative', 3, 4, ' σ')}."
    )
