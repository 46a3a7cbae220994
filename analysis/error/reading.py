"""What the tables of the error decomposition say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.error import causes
from analysis.stats.model_differences import MEAN, averaged
from analysis.text import verdicts
from analysis.text.intervals import about_intervals
from analysis.text.marginals import FEW
from analysis.text.markdown import bounded, code, interval, listed, number, remarks
from analysis.text.model_differences import MOST
from analysis.text.noise_names import noise_label, noise_phrase, noise_phrases, noise_words
from analysis.text.rows import ends, records
from analysis.text.terminal import grid, plural

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]
Row = Mapping[str, Any]

FIXED = 0.1
"""A model whose content gain is shown to change by less than this filters all noises alike."""

LEGEND = """\
MSE, in squared 8-bit levels of outputs that are neither clipped nor rounded, is the sum of damage
(bias², the part of the error that is the same under every draw of the noise), leak (variance over
draws of the noise) and masks (variance over random masks). PSNR in dB is that of the mean MSE, not
the mean of the images' PSNRs; "no leak" is the PSNR with damage alone, "no damage" the PSNR with
leak and masks alone. In differences of PSNR, leaked noise includes the variance over masks. noise
left: leak divided by the variance of the noise in the input. cutoff: the -3 dB cutoff frequency of
image content in cycles per pixel, above which its gain stays below 1/√2 (half the power)."""


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    return [
        *main(frames),
        *cutoffs(frames["error"]),
        *averaging(frames),
        *residuals(frames["residual"]),
        *notes(frames, manifest),
        *scope(frames, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """What the error consists of, what makes models differ, and whether the filter is fixed."""
    return [
        *shares(frames["error"]),
        *overall(frames),
        *why(frames),
        *filters(frames),
    ]


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    frame = frames["error"]
    text = [*missing(frame), *remarks(frame.note)]
    if manifest.get("quantize", True):
        text.append(
            "Noisy images are clipped to [0, 255] and rounded, so that noise in dark and bright "
            "areas no longer has zero mean: what a model leaves of this offset counts as damage."
        )
    return text


def percent(row: Row, name: str) -> str:
    """A share with its interval, in percent."""
    value, low, high = (100 * row[key] for key in (name, f"{name}_low", f"{name}_high"))
    return " ".join(filter(None, (f"{number(value, 1)}%", interval(low, high, 1))))


def some(models: Sequence[str]) -> list[str]:
    """The models that sentences name one by one; of many, none."""
    return list(models) if len(models) <= FEW else []


def shares(frame: pd.DataFrame) -> list[str]:
    """Which share of each model's MSE is noise that leaks."""
    what = "Share of the MSE that is noise left in the output (variance over draws of the noise)"
    known = frame[frame.leak_share.notna()]
    if known.empty:
        return []
    models = list(dict.fromkeys(known.model))
    if not some(models):
        mean = known.groupby("model", sort=False).leak_share.mean().mul(100)
        return [
            f"{what}, mean over noises (without an interval): {number(mean.min(), 1)}% in "
            f"{code(mean.idxmin())} to {number(mean.max(), 1)}% in {code(mean.idxmax())}, of "
            f"{len(models)} models."
        ]
    each = []
    for model in models:
        low, high = ends(known[known.model == model], "leak_share")
        at = [
            f"{percent(row, 'leak_share')} under {noise_phrase(row['noise'])}"
            for row in (low, high)
        ]
        span = at[0] if at[0] == at[1] else f"from {at[0]} to {at[1]}"
        each.append(f"in {code(model)} {span}")
    return [f"{what}: {'; '.join(each)}."]


def overall(frames: Frames) -> list[str]:
    """How PSNR differs between models in the mean over noises, and its two parts."""
    frame = frames["error_difference"]
    models = {*frame.model_a, *frame.model_b}
    if frame.empty:
        return []
    if len(models) > MOST:
        return [
            "The differences of PSNR between every two models, and their parts, are in "
            "`error_difference.csv`."
        ]
    joint, text = frame[frame.noise == MEAN], []
    where = f"Averaged over {plural(averaged(frame[frame.measure == 'psnr']), 'noise')}"
    if joint.empty and frame.noise.nunique() == 1:
        joint, where = frame, f"Under {noise_phrase(frame.noise.iloc[0])}"
    for (a, b), rows in joint.groupby(["model_a", "model_b"], sort=False):
        effect = difference(rows, str(a), str(b))
        text += [f"{where}, {effect}."] if effect else []
    return text


def difference(rows: pd.DataFrame, a: str, b: str) -> str:
    """The difference of two models' PSNR with its parts and verdicts; empty where unknown."""
    of = {row["measure"]: row for row in records(rows)}
    if not all(name in of and math.isfinite(of[name]["value"]) for name in ("psnr", "damage")):
        return ""

    def effect(name: str) -> str:
        row = of[name]
        return bounded(row["value"], row["low"], row["high"], 2, "dB", signed=True)

    def found(name: str) -> verdicts.Verdict:
        row = of[name]
        return verdicts.verdict(row["low"], row["high"], int(row["photographs"]))

    parts = [(f"{effect('damage')} due to lost detail", found("damage"))]
    parts.append((f"{effect('leak')} due to leaked noise", found("leak")))
    judged = verdicts.joined([(f"PSNR {effect('psnr')}", found("psnr")), *parts])
    return f"{code(b)} - {code(a)}: {judged}"


def why(frames: Frames) -> list[str]:
    """What makes models differ, a sentence for each two of a few models."""
    frame = frames["error_difference"]
    if len({*frame.model_a, *frame.model_b}) > MOST:
        return []
    each = (causes.sentence(frames, a, b) for a, b in causes.pairs(frame))
    return [text for text in each if text]


def frequency(row: Row) -> str:
    """A row's cutoff with its interval."""
    return bounded(row["cutoff"], row["cutoff_low"], row["cutoff_high"], 3)


def filters(frames: Frames) -> list[str]:
    """Whether a model filters image content alike under every noise."""
    rows = [row for row in records(frames["filter"]) if math.isfinite(row["content_change"])]
    if not rows:
        return []
    if not some([row["model"] for row in rows]):
        return ["How much each model's gains change between noises is in `filter.csv`."]
    each = []
    for row in rows:
        names = ("content_change", "content_change_low", "content_change_high")
        value = bounded(*(row[name] for name in names))
        fixed = row["content_change_high"] < FIXED
        enough = verdicts.verdict(1, 1, int(row["photographs"])) == "shown"
        alike = (
            f", shown to be below {FIXED} and thus nearly one fixed filter for image content"
            if fixed and enough
            else ""
        )
        names = ("noise_change", "noise_change_low", "noise_change_high")
        beside = bounded(*(row[name] for name in names))
        each.append(f"{value} in {code(row['model'])} (gain of noise {beside}){alike}")
    count = int(rows[0]["noises"])
    return [
        f"Largest change of the gain of image content between any two of {plural(count, 'noise')}, "
        f"over all spatial frequencies: {listed(each)}. 0 would mean the same filter under every "
        "noise; as a maximum over frequencies, the value is biased upwards."
    ]


def cutoffs(frame: pd.DataFrame) -> list[str]:
    """The -3 dB cutoff frequency of image content."""
    models = list(dict.fromkeys(frame.model))
    each = []
    for model in some(models):
        rows = frame[(frame.model == model) & frame.mse.notna()]
        known = rows[rows.cutoff.notna()]
        if known.empty:
            each += [f"none in {code(model)} under any noise"] if len(rows) else []
            continue
        spans = [
            f"{frequency(row)} under {noise_phrase(row['noise'])}" for row in ends(known, "cutoff")
        ]
        span = spans[0] if spans[0] == spans[1] else f"from {spans[0]} to {spans[1]}"
        never = rows[rows.cutoff.isna()].noise
        rest = f" (none under {noise_phrases(never)})" if len(never) else ""
        each.append(f"{span} in {code(model)}{rest}")
    if not each:
        return []
    return [
        "-3 dB cutoff frequency of image content, above which its gain stays below 1/√2 (half the "
        f"power), in cycles per pixel (at most 0.5): {'; '.join(each)}."
    ]


def averaging(frames: Frames) -> list[str]:
    """What averaging over draws of random masks is expected to gain, and gains."""
    frame = frames.get("mask_averaging")
    if frame is None or frame.empty:
        return []
    text = []
    for model, rows in list(frame.groupby("model", sort=False))[:FEW]:
        first = records(rows)[0]
        value, low, high = (first[f"difference{end}"] for end in ("", "_low", "_high"))
        apart = bounded(value, low, high, signed=True)
        off = rows[(rows.difference_low > 0) | (rows.difference_high < 0)].noise
        agree = f"; the two are shown to differ under {noise_phrases(off)}" if len(off) else ""
        if verdicts.verdict(1, 1, int(first["photographs"])) != "shown":
            agree = f"; {verdicts.in_words('too few images')} whether the two differ"
        elif not len(off):
            agree = "; under no noise are the two shown to differ"
        text.append(
            f"Averaging the outputs with {first['mask_draws']} draws of the attention masks in "
            f"{code(model)}, under {noise_phrase(first['noise'])}: the mask variance predicts that "
            f"the MSE falls from {number(first['mse'])} to {number(first['predicted_mse'])}; the "
            f"measured MSE is {number(first['measured_mse'])} (measured - predicted: "
            f"{apart}){agree}."
        )
    return text


def residuals(frame: pd.DataFrame) -> list[str]:
    """Whether detail of the image is in what a model removes."""
    models = list(dict.fromkeys(frame.model))
    each = []
    for model in some(models):
        known = frame[(frame.model == model) & frame.detail.notna()]
        if known.empty:
            continue
        spans = [
            f"{bounded(row['detail'], row['detail_low'], row['detail_high'])} under "
            f"{noise_phrase(row['noise'])}"
            for row in ends(known, "detail")
        ]
        span = spans[0] if spans[0] == spans[1] else f"from {spans[0]} to {spans[1]}"
        each.append(f"{span} in {code(model)}")
    if not each:
        return []
    return [
        "Correlation of what is removed, y - f(y), with the detail of the clean image (the image "
        f"minus its 3 × 3 mean; 0 if no detail is removed): {'; '.join(each)}."
    ]


def missing(frame: pd.DataFrame) -> list[str]:
    """Which models have no parts of the error under which noises, and why."""
    without = frame[frame.reason.fillna("") != ""]
    text = []
    for (model, why), rows in list(without.groupby(["model", "reason"], sort=False))[:FEW]:
        text.append(
            f"Some values are missing for {code(model)} under {noise_phrases(rows.noise)}: {why}."
        )
    return text


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """The scope of the numbers."""
    frame = frames["error"]
    text = [
        "Damage is the squared mean of the error over draws of one noise; it may still depend on "
        "the kind and strength of the noise."
    ]
    present = bool(frame.mse_low.notna().any())
    return [*text, *about_intervals(int(frame.photographs.iloc[0]), manifest, present)]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The parts of each model's error under each noise, for the terminal."""
    frame, side = frames["error"], manifest["crop"]
    heading = (
        f"Error decomposition: {plural(int(frame.crops.iloc[0]), 'crop')} of {side} x {side}, "
        f"{plural(int(frame.noise_draws.max()), 'draw')} of each noise"
    )
    columns = ("MSE", "damage", "leak", "masks", "PSNR", "no leak", "no damage", "noise left")
    lines = [["model", "noise", *columns, "cutoff"]]
    for row in records(frame):
        squares = [number(row[n], 1) for n in ("mse", "bias2", "variance", "mask_variance")]
        decibels = [
            bounded(row["psnr"], row["psnr_low"], row["psnr_high"]),
            number(row["psnr_without_leak"]),
            number(row["psnr_without_damage"]),
        ]
        rest = [number(100 * row["noise_left"], 1) + "%", number(row["cutoff"], 3)]
        lines.append([str(row["model"]), noise_label(row["noise"]), *squares, *decibels, *rest])
    compared = frames["error_difference"]
    few = len({*compared.model_a, *compared.model_b}) <= MOST
    pairs = causes.pairs(compared) if few else []
    grids = [f"{heading}\n{grid(lines)}", *(causes.printed(compared, a, b) for a, b in pairs)]
    return "\n\n".join([*grids, LEGEND])


def alt(frames: Frames) -> str:
    """Of the bars: each model's PSNR and share of leak, noise by noise; plain text."""
    frame = frames["error"]
    each = []
    for model, rows in list(frame.groupby("model", sort=False))[:FEW]:
        values = [
            f"{number(row['psnr'], 1)} dB and {number(100 * row['leak_share'], 0)}% leak under "
            f"{noise_words(row['noise'])}"
            for row in records(rows)
        ]
        each.append(f"{model}: {listed(values, 8)}")
    return (
        f"Parts of the MSE, a stacked bar for each model, a panel for each of "
        f"{frame.noise.nunique()} noises. {'; '.join(each)}."
    )


def transfer_alt(frames: Frames) -> str:
    """Of the gains by frequency: those of content and noise at the two ends; plain text."""
    frame = frames["transfer"]
    each = []
    for model, rows in list(frame.groupby("model", sort=False))[:FEW]:
        edges = []
        for frequency in (rows.frequency.min(), rows.frequency.max()):
            at = rows[rows.frequency == frequency]
            content = f"{number(at.content_gain.min())} to {number(at.content_gain.max())}"
            noise = f"{number(at.noise_gain.min())} to {number(at.noise_gain.max())}"
            edges.append(f"content {content}, noise {noise} at {frequency:g} cycles per pixel")
        each.append(f"{model}: {'; '.join(edges)}")
    return (
        "Gain of image content and of noise by spatial frequency, a panel for each of "
        f"{frame.noise.nunique()} noises. {'. '.join(each)}."
    )
