"""What the tables of feature distributions say: how far they move under each noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.plotting.model_styles import features
from analysis.text import controls, reasons
from analysis.text.intervals import about_intervals
from analysis.text.marginals import by_noise, tidy
from analysis.text.markdown import bounded, code, escaped, listed, number, remarks
from analysis.text.model_differences import ModelDifferences
from analysis.text.model_kinds import kinds
from analysis.text.noise_names import noise_label, noise_phrase, noise_words
from analysis.text.rows import ends, reaches, records
from analysis.text.terminal import grid
from mtd.utils.messages import plural, verb

COARSE = 0.02
"""Width of a bin at the mean, in standard deviations, from which distances are coarse."""

COLUMNS = {"mean": 3, "sigma": 3, "kurtosis": 3, "shape": 3}
"""Other columns of the printed table, with their significant digits."""

LEGEND = """\
W1: Wasserstein-1 distance in standard deviations under the reference. JS: Jensen-Shannon divergence
in bits, 0 to 1."""

MOMENTS = """\
kurtosis is 0 for a Gaussian. shape is that of a generalized Gaussian fitted to values minus their
own mean, 2 for a Gaussian, 1 for a Laplacian; nothing else is centered.
distributions.csv also has the skewness, and the intervals of all numbers; those of kurtosis and
shape are too narrow, and cover the true value in 84% of cases or more."""

ELSEWHERE = """\
distributions.csv also has moments, the fitted shape, and the controls of JS; the intervals of
kurtosis and shape are too narrow, and cover the true value in 84% of cases or more."""

NARROW = (
    "Nominal 95% intervals of the shape are too narrow: some contain the true value in only "
    "84% of cases."
)

NEAR_0 = (
    "W1 and JS are never below 0 and biased upward near it, so that an interval without 0 shows no "
    "difference from the reference; bounds are not clamped to 0."
)

BESIDE_CONTROLS = (
    "W1 and JS are never below 0 and biased upward near it: compare them with the noise "
    "redrawn, not with 0; bounds are not clamped to 0."
)

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def main_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of other noises than the reference, of the features before the last convolution.

    Of a model without those, of its last layer.
    """
    part = frame[frame.noise != frame.reference]
    last = part.last_features.astype(bool)
    known = part.model.isin(part[last].model)
    other = part.layer == part.groupby("model").layer.transform("last")
    return part[last | (~known & other)]


def described(rows: pd.DataFrame) -> str:
    """Which features rows are of, in words."""
    if rows.last_features.astype(bool).all():
        return "features before the last convolution"
    return features(map(str, rows.layer))


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    return [
        *main(frames),
        *divergence(frames),
        *tails(frames),
        *missing(frames),
        *coarse(frames),
        *comparable(frames),
        *presets(frames),
        *kinds(manifest),
        *scope(frames, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """The distance of each model's features from those under the reference."""
    part = main_rows(frames["distributions"])
    what = f"W1 of {escaped(described(part))} from {noise_phrase(part.reference.iloc[0])}"
    rows = tidy(part, "w1_relative", "w1_relative_low", "w1_relative_high")
    within = controls.within(part, "w1_relative_")
    differences = ModelDifferences.read(frames, "distributions_difference", "w1_relative")
    return [
        *by_noise(rows, what, 3, "σ", within, differences),
        *controls.sentences(part, "W1", "w1_relative_"),
    ]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Distances with intervals, moments and fitted shape, layer by layer, for the terminal."""
    frame = frames["distributions"]
    first, side = frame.iloc[0], manifest["crop"]
    line = (
        f"Features under each noise against {noise_words(first.reference)}: "
        f"{plural(int(first.crops), 'crop')} of {side} x {side} from "
        f"{plural(int(first.photographs), 'photograph')}"
    )
    line += ", with 95% intervals" if frame.js_low.notna().any() else ""
    parts = [line]
    for layer, part in frame.groupby("layer", sort=False):
        name = features([str(layer)])
        parts.append(f"{name[0].upper()}{name[1:]}\n{grid(layer_rows(part))}")
    beside = controls.has_controls(frame, "js_")
    legend = [LEGEND, *([controls.LEGEND, ELSEWHERE] if beside else [MOMENTS])]
    return "\n\n".join([*parts, "\n".join(legend)])


def layer_rows(frame: pd.DataFrame) -> list[list[str]]:
    """One layer's rows of the table for the terminal, the heading first.

    Moments stand beside the distances, or W1's controls where there are some.
    """
    beside = controls.has_controls(frame, "w1_relative_")
    rest = list(controls.HEADS.values()) if beside else []
    rows = [["model", "noise", "W1 (sigma)", *rest, "JS (bits)", *([] if beside else COLUMNS)]]
    for row in records(frame):
        w1, js = (
            bounded(row[name], row[f"{name}_low"], row[f"{name}_high"], 3)
            for name in ("w1_relative", "js")
        )
        own = controls.cells(row, 4, "w1_relative_") if beside else []
        moments = [f"{row[name]:.{digits}g}" for name, digits in COLUMNS.items()]
        rows.append(
            [row["model"], noise_label(row["noise"]), w1, *own, js, *([] if beside else moments)]
        )
    return rows


def divergence(frames: Frames) -> list[str]:
    """The same by Jensen-Shannon divergence."""
    rows = main_rows(frames["distributions"])
    part = tidy(rows, "js", "js_low", "js_high")
    return [
        *by_noise(
            part[part.value.notna()],
            "Jensen-Shannon divergence",
            *(3, "bit"),
            within=controls.within(rows, "js_"),
            differences=ModelDifferences.read(frames, "distributions_difference", "js"),
        ),
        *controls.sentences(rows, "this divergence", "js_"),
    ]


def tails(frames: Frames) -> list[str]:
    """Which way the shape changes: Gaussians have shape 2, heavier tails less."""
    frame = frames["distributions"]
    part, changes = main_rows(frame), []
    for model, rows in part.groupby("model", sort=False):
        own = frame[(frame.model == model) & (frame.noise == frame.reference)]
        first = own[own.layer == rows.layer.iloc[0]]
        known = rows[rows["shape"].notna()]
        if first.empty or known.empty:
            continue
        value = float(first["shape"].iloc[0])
        far = ends(known.assign(change=(known["shape"] - value).abs()), "change")[1]
        changes.append(
            f"{number(value)} to {bounded(far['shape'], far['shape_low'], far['shape_high'])} "
            f"under {noise_phrase(far['noise'])} in {code(model)}"
        )
    if not changes:
        return []
    several = part.noise.nunique() > 1
    narrow = f" {NARROW}" if part.shape_low.notna().any() else ""
    selected = " As the largest of several it was selected on these same crops." if several else ""
    return [
        f"Largest change of the fitted shape, which is 2 for a Gaussian and less for heavier "
        f"tails: {listed(changes, 4)}.{selected}{narrow}"
    ]


def missing(frames: Frames) -> list[str]:
    """Which layers have no numbers, and why."""
    return reasons.missing(frames["distributions"], "distributions.csv")


def coarse(frames: Frames) -> list[str]:
    """A warning of features whose histograms have wide bins where the values are."""
    frame = frames["distributions"]
    wide = frame[frame.resolution > COARSE]
    if wide.empty:
        return []
    return [
        f"{len(wide)} of {plural(len(frame), 'row')} {verb(len(wide), 'is', 'are')} of features "
        "whose mean is far from 0 (a bin of "
        f"their histograms is up to {wide.resolution.max():.2g} standard deviations wide): W1, JS "
        "and shape are coarse there."
    ]


def comparable(frames: Frames) -> list[str]:
    """Which distances compare between layers and models, where there are several."""
    frame = frames["distributions"]
    if frame.layer.nunique() == 1 and frame.model.nunique() == 1:
        return []
    return [
        "The scale of features is arbitrary: compare networks and layers by W1 in σ (standard "
        "deviations under the reference) and JS, not by W1 in units of the features."
    ]


def presets(frames: Frames) -> list[str]:
    """Notes on noises that are not the paper's."""
    return remarks(frames["distributions"].note)


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """What intervals are about, or why there are none."""
    frame = frames["distributions"]
    present = bool(frame.w1_relative_low.notna().any())
    about = about_intervals(int(frame.photographs.iloc[0]), manifest, present)
    beside = controls.has_controls(main_rows(frame), "js_")
    return [*about, *([BESIDE_CONTROLS if beside else NEAR_0] if present else [])]


def alt(frames: Frames) -> str:
    """Of the figure: the range of each model's distances."""
    part = main_rows(frames["distributions"])
    return (
        "Histograms of features under each noise over those under the reference. Wasserstein-1 "
        f"distances of {described(part)}: "
        f"{reaches(part, 'w1_relative', 3, 4, ' σ')}.{controls.alt(part, 3, 'w1_relative_')}"
    )
