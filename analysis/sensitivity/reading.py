"""What the table of sensitivity says: where noise is amplified, and how much is left of it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.plotting.model_styles import short
from analysis.sensitivity.observer import DENOISED, IMAGE
from analysis.text import markdown
from analysis.text.marginals import FEW, by_noise, tidy
from analysis.text.markdown import bounded, code, codes, listed, number
from analysis.text.rows import ends

TABLES = ("sensitivity",)

Frames = Mapping[str, pd.DataFrame]


def outputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the denoised image."""
    return frame[frame.layer == DENOISED]


def inside(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of layers, without the image that goes in and the one that comes out."""
    return frame[~frame.layer.isin([IMAGE, DENOISED]) & frame.gain.notna()]


def sentences(frames: Frames) -> list[str]:
    """All that follows from the table."""
    frame = frames["sensitivity"]
    return [*main(frames), *strongest(frame), *amplified(frame), *scope(frame)]


def main(frames: Frames) -> list[str]:
    """How much of the noise each model leaves in its output."""
    rows = tidy(outputs(frames["sensitivity"]), "gain", "gain_low", "gain_high")
    return by_noise(rows, "Gain of the denoised image", 3)


def strongest(frame: pd.DataFrame) -> list[str]:
    """The layer of each model that noise moves most."""
    part = inside(frame)
    if part.empty:
        return []
    tops = part.loc[part.groupby("model", sort=False).gain.idxmax()]
    if len(tops) > FEW:
        tops = tops.sort_values("gain", kind="stable").iloc[[0, -1]]
    each = [
        f"{bounded(r['gain'], r['gain_low'], r['gain_high'])} in {code(r['model'])} "
        f"({short(r['layer'])}, under {code(r['noise'])})"
        for r in tops.to_dict("records")
    ]
    some = ", least and most of all models" if len(tops) < part.model.nunique() else ""
    end = "They are the largest of many layers and noises: chosen by these same crops."
    return [f"Largest gain of any layer under any noise{some}: {listed(each)}. {end}"]


def amplified(frame: pd.DataFrame) -> list[str]:
    """Whether any output moves more than its input."""
    out = outputs(frame)
    above = out[out.gain_low > 1]
    each = [f"{code(name)} under {codes(of.noise, 3)}" for name, of in above.groupby("model")]
    return [f"More than the noisy image itself, gain above 1: {listed(each)}."] if each else []


def scope(frame: pd.DataFrame) -> list[str]:
    """What the numbers are not about."""
    found = [
        "A small gain says that the output hardly depends on the noise, not that it is right: an "
        "output that never changes has gain 0."
    ]
    if frame.gain_low.isna().all():
        return [*found, "This run has no intervals: nothing is told apart."]
    return [*found, markdown.scope(str(frame.unit.iloc[0]))]


def alt(frames: Frames) -> str:
    """Of the curves: the largest gain of each model, and that of its output."""
    frame, each = frames["sensitivity"], []
    for model, rows in inside(frame).groupby("model", sort=False):
        top, out = ends(rows, "gain")[1], outputs(frame[frame.model == model]).gain
        where = f"{short(top['layer'])} under {top['noise']}"
        each.append(
            f"{model}: up to {number(top['gain'])} at {where}, output "
            f"{number(out.min())} to {number(out.max())}"
        )
    return f"Gain over depth, a panel for each of {frame.noise.nunique()} noises. " + (
        f"{'; '.join(each[:FEW])}." if each else "No layer varies."
    )
