"""What the tables of local linear maps say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.stats.jackknife import ENOUGH
from analysis.text import model_differences, verdicts
from analysis.text.intervals import about_intervals
from analysis.text.marginals import FEW, by_noise, tidy
from analysis.text.markdown import bounded, code, listed, number, remarks
from analysis.text.model_differences import ModelDifferences
from analysis.text.noise_names import noise_label, noise_phrase, noise_phrases, noise_words
from analysis.text.rows import ends, records
from analysis.text.terminal import grid, plural

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]
Row = Mapping[str, Any]

LEGEND = """\
dimension: effective dimension, the sum of the squared singular values of the Jacobian J, roughly
the number of input directions that are kept. trace: tr J / n, n the number of values. largest s:
largest singular value. asymmetry: ||J - J'|| / ||J||. affine rest: ||f(y) - J y|| / ||f(y)||. 95%
in px: radius around a pixel that holds 95% of its filter's energy. SURE and MSE in squared 8-bit
levels of outputs that are neither clipped nor rounded."""


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    frame = frames["linear"]
    return [
        *main(frames),
        *kept(frame),
        *constant(frame),
        *reach(frames),
        *follows(frames["equivariance"]),
        *levels(frames["levels"]),
        *accuracy(frame),
        *missing(frame),
        *scope(frames, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """Effective dimension of each model and how models differ; SURE against the error."""
    frame = frames["linear"]
    known = frame[frame.effective_dimension.notna()]
    if known.empty:
        return []
    what = f"Effective dimension (of {int(known.dimensions.iloc[0])})"
    of = ModelDifferences.read(frames, "linear_difference", "effective_dimension")
    each = []
    for model in few(known):
        values = [
            f"{found(row, 'effective_dimension', 1)} under {noise_phrase(row['noise'])}"
            for row in records(known[known.model == model])
        ]
        each.append(f"{listed(values)} in {code(model)}")
    if each:
        named = [f"{what}: {'; '.join(each)}."]
        return [*named, *model_differences.sentences(of, 1), *risk(frame)]
    names = ("effective_dimension", "effective_dimension_low", "effective_dimension_high")
    return [*by_noise(tidy(known, *names), what, 1, differences=of), *risk(frame)]


def found(row: Row, name: str, digits: int = 2, unit: str = "") -> str:
    """A value of a row with its interval."""
    return bounded(row[name], row[f"{name}_low"], row[f"{name}_high"], digits, unit)


def few(frame: pd.DataFrame) -> list[str]:
    """The models that sentences name one by one; of many, none."""
    models = [str(model) for model in dict.fromkeys(frame.model)]
    return models if len(models) <= FEW else []


def risk(frame: pd.DataFrame) -> list[str]:
    """By how much Stein's estimate differs from the true error, noise by noise."""
    text = []
    for model in few(frame):
        rows = frame[(frame.model == model) & frame.sure.notna()]
        each = [
            (
                f"{found(row, 'sure_error', 1)} (MSE {number(row['mse'], 1)}) under "
                f"{noise_phrase(row['noise'])}",
                verdicts.verdict(
                    row["sure_error_low"], row["sure_error_high"], int(row["photographs"])
                ),
            )
            for row in records(rows)
        ]
        if each:
            text.append(
                f"SURE minus the true MSE in {code(model)}, in squared 8-bit levels: "
                f"{verdicts.joined(each)}."
            )
    if text:
        text.append(
            "SURE is an unbiased estimate of the MSE for white Gaussian noise that is neither "
            "clipped nor rounded; under other noise, the difference shows how misleading it is."
        )
    return text


def kept(frame: pd.DataFrame) -> list[str]:
    """How much of the image and of the noise lies in the leading directions of the input."""
    rows = frame[frame.image_share.notna() & (frame.chance_share < 1)]  # all hold everything
    each = []
    for model in few(rows):
        for row in records(rows[rows.model == model]):
            image, noise, chance = (
                f"{number(100 * row[name], 1)}%"
                for name in ("image_share", "noise_share", "chance_share")
            )
            each.append(
                f"{image} of the image's energy and {noise} of the noise's in {code(model)} under "
                f"{noise_phrase(row['noise'])} (as many random directions: {chance})"
            )
    if not each:
        return []
    count = "k"
    if estimated(frame):
        count = number(float(rows.directions.max()), 0)
    about = "" if estimated(frame) else ", k being the effective dimension,"
    return [
        f"The first {count} right singular vectors{about} contain (after the channel means of the "
        f"image are removed) {'; '.join(each)}."
    ]


def estimated(frame: pd.DataFrame) -> bool:
    """Whether values are estimates, as of crops whose whole Jacobian is not computed."""
    return bool(frame.trace_error.notna().any())


def constant(frame: pd.DataFrame) -> list[str]:
    """How much of the output is not J y, and how far the map is from a symmetric one."""
    text = []
    for name, what in (
        ("affine_rest", "Affine rest ||f(y) - J y|| / ||f(y)|| (0 if the output is exactly J y)"),
        ("asymmetry", "Asymmetry ||J - J'|| / ||J|| (0 for a symmetric map)"),
    ):
        each = []
        for model in few(frame):
            rows = frame[(frame.model == model) & frame[name].notna()]
            if len(rows):
                low, high = ends(rows, name)
                spans = [
                    f"{found(r, name, 3)} under {noise_phrase(r['noise'])}" for r in (low, high)
                ]
                span = f"from {spans[0]} to {spans[1]}"
                if found(low, name, 3) == found(high, name, 3):
                    span = spans[0] if len(rows) == 1 else f"{found(low, name, 3)} under all noises"
                each.append(f"{span} in {code(model)}")
        text += [f"{what}: {'; '.join(each)}."] if each else []
    return text


def reach(frames: Frames) -> list[str]:
    """How far filters reach, and whether they differ between flat parts, edges and texture."""
    frame = frames["filters"]
    each = []
    for model in few(frame):
        rows = frame[(frame.model == model) & frame.reach95.notna()]
        if len(rows):
            means = rows.groupby("pixel", sort=False).reach95.mean()
            kinds = listed(f"{number(value, 1)} ({kind})" for kind, value in means.items())
            each.append(f"{kinds} in {code(model)}")
    if not each:
        return []
    return [
        "Radius in pixels that holds 95% of a filter's energy, mean over crops and noises (without "
        f"an interval): {'; '.join(each)}. Filters are cut off at the border of the crop."
    ]


def follows(frame: pd.DataFrame) -> list[str]:
    """Which changes of the input a model follows most and least closely."""
    each = []
    for model in few(frame):
        rows = frame[(frame.model == model) & frame.error.notna()]
        if rows.empty:
            continue
        low, high = ends(rows, "error")
        least, most = (
            f"{bounded(row['error'], row['error_low'], row['error_high'], 4)} "
            f"({row['change']}, {noise_phrase(row['noise'])})"
            for row in (low, high)
        )
        each.append(f"from {least} to {most} in {code(model)}")
    if not each:
        return []
    return [
        "Relative error when the input is changed in contrast, brightness or orientation (0 if "
        "the output changes in the same way), smallest and largest over all changes and noises: "
        f"{'; '.join(each)}. As the extremes of many values on the same crops, both are probably "
        "exaggerated."
    ]


def levels(frame: pd.DataFrame) -> list[str]:
    """PSNR at the ends of the levels, and where a model is worse than the noisy input."""
    each, worse = [], []
    for model in few(frame):
        rows = frame[(frame.model == model) & frame.psnr.notna()].sort_values("sigma")
        if rows.empty:
            continue
        first, *_, last = [*records(rows), records(rows)[-1]]
        each.append(
            f"from {found(first, 'psnr', 2, 'dB')} at σ = {first['sigma']:g} to "
            f"{found(last, 'psnr', 2, 'dB')} at σ = {last['sigma']:g} in {code(model)}"
        )
        enough = int(first["photographs"]) >= ENOUGH
        below = [
            f"{loss(row)} at σ = {row['sigma']:g}"
            for row in records(rows)
            if enough and row["gain_high"] < 0
        ]
        if below:
            worse.append(f"{listed(below)} in {code(model)}")
    text = [f"PSNR under Gaussian noise of rising level: {'; '.join(each)}."]
    if worse:
        text.append(
            "Denoising is shown to lower the PSNR of the noisy crops (not corrected for the number "
            f"of levels), by {'; '.join(worse)}."
        )
    return text if each else []


def loss(row: Row) -> str:
    """By how much PSNR falls, where the gain is below 0."""
    return bounded(-row["gain"], -row["gain_high"], -row["gain_low"], 2, "dB")


def accuracy(frame: pd.DataFrame) -> list[str]:
    """How values of larger crops are estimated, and how accurate they are."""
    if not estimated(frame):
        return []
    of = [
        f"{number(float(frame[name].max()), digits)} for the {what}"
        for name, what, digits in (
            ("trace_error", "trace tr J / n", 4),
            ("dimension_error", "effective dimension", 1),
            ("asymmetry_error", "asymmetry", 4),
        )
        if frame[name].notna().any()
    ]
    text = [
        "The Jacobian is not computed as a whole: values are estimated from random vectors "
        "(Hutchinson). The standard error of one crop's estimate, mean over crops, is at most "
        f"{listed(of)}."
    ]
    if frame.singular_error.notna().any():
        text.append(
            "Only the leading singular values are computed, by a randomized SVD. The Jacobian has "
            f"a singular value within {number(float(frame.singular_error.max()), 3)} of each of "
            "them (mean over crops of the largest bound, `singular_error`)."
        )
    return text


def missing(frame: pd.DataFrame) -> list[str]:
    """Which values are missing, and why."""
    without = frame[frame.reason.fillna("") != ""]
    return [
        f"Some values are missing for {code(model)} under {noise_phrases(rows.noise)}: {why}."
        for (model, why), rows in list(without.groupby(["model", "reason"], sort=False))[:FEW]
    ]


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """The scope of the numbers."""
    frame = frames["linear"]
    text = remarks(frame.note)
    if manifest.get("quantize", True):
        text.append(
            "Noisy images are clipped and rounded to 8 bits, though SURE assumes that they are "
            "not; --no-quantize leaves this out."
        )
    text.append(
        "A Jacobian describes a network near one noisy image: how the output changes with small "
        "changes of this input, not with larger ones."
    )
    present = bool(frame.mse_low.notna().any())
    return [*text, *about_intervals(int(frame.photographs.iloc[0]), manifest, present)]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over crops of each model under each noise, for the terminal."""
    frame, side = frames["linear"], manifest["crop"]
    count = plural(int(frame.crops.iloc[0]), "crop")
    heading = f"Local linear map: {count} of {side} x {side}; means over crops"
    names = (
        *("dimension", "trace", "largest s", "asymmetry"),
        *("affine rest", "95% in px", "SURE", "MSE"),
    )
    rows = [["model", "noise", *names]]
    for row in records(frame):
        line = [found(row, "effective_dimension", 1), number(row["trace"], 3)]
        line += [number(row["largest"]), number(row["asymmetry"], 3)]
        line += [number(row["affine_rest"], 3), number(row["reach95"], 1)]
        line += [found(row, "sure", 1), number(row["mse"], 1)]
        rows.append([str(row["model"]), noise_label(row["noise"]), *line])
    return f"{heading}\n{grid(rows)}\n{LEGEND}"


def alt(frames: Frames) -> str:
    """Of SURE beside the error: both of each model, noise by noise; plain text."""
    frame = frames["linear"]
    each = [
        f"{row['model']} under {noise_words(row['noise'])}: MSE {number(row['mse'], 1)}, SURE "
        f"{number(row['sure'], 1)}"
        for row in records(frame)
        if math.isfinite(row["mse"])
    ]
    return f"True mean squared error and Stein's estimate of it. {'; '.join(each[:8])}."


def filters_alt(frame: pd.DataFrame) -> str:
    """Of the filters of an example: how far they reach in each model; plain text.

    Args:
        frame: the rows of filters.csv that are drawn.
    """
    each = [
        f"{row['model']} under {noise_words(row['noise'])}, {row['pixel']}: 95% within "
        f"{row['reach95']:.1f} px"
        for row in records(frame[frame.reach95.notna()])
    ]
    return f"Filters of 3 pixels of an example. {'; '.join(each[:6])}."


def levels_alt(frames: Frames) -> str:
    """Of PSNR over noise levels: both ends of each model; plain text."""
    frame = frames["levels"]
    known = frame[frame.psnr.notna()].sort_values("sigma")
    each = [
        f"{model} from {rows.psnr.iloc[0]:.1f} dB at {rows.sigma.iloc[0]:g} to "
        f"{rows.psnr.iloc[-1]:.1f} dB at {rows.sigma.iloc[-1]:g}"
        for model, rows in known.groupby("model", sort=False)
    ]
    count = plural(frame.sigma.nunique(), "level")
    return f"PSNR over {count} of Gaussian noise. {'; '.join(each[:6])}."


def equivariance_alt(frames: Frames) -> str:
    """Of the errors under changes of the input: the largest of each model; plain text."""
    frame = frames["equivariance"]
    each = []
    for model, rows in frame[frame.error.notna()].groupby("model", sort=False):
        top = ends(rows, "error")[1]
        each.append(
            f"{model} up to {top['error']:.3f} ({top['change']}, {noise_words(top['noise'])})"
        )
    return (
        f"Relative error under {plural(frame.change.nunique(), 'change')} of the input. "
        f"{'; '.join(each[:6])}."
    )


def singular_alt(frames: Frames) -> str:
    """Of the singular values: the largest of each model and noise; plain text."""
    frame = frames["singular_values"]
    each = [
        f"{model} under {noise_words(noise)}: {rows.value.max():.2f}"
        for (model, noise), rows in frame.groupby(["model", "noise"], sort=False)
    ]
    return f"Singular values in order; the largest: {'; '.join(each[:6])}."
