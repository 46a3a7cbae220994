"""What the table of causal effect maps says, as sentences for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.attribution import reading as attribution
from analysis.attribution.effects.tables import AVERAGED, EFFECTS
from analysis.attribution.tables import means as table_of_means
from analysis.text.intervals import about_intervals
from analysis.text.marginals import FEW, by_model
from analysis.text.markdown import bounded, code, listed, remarks
from analysis.text.noise_names import noise_label, noise_phrase, noise_words
from analysis.text.rows import records
from analysis.text.terminal import grid
from mtd.utils.messages import plural, verb

LEGEND = """\
PSNR: of the window, in dB, with nothing replaced. outside: share of the absolute effects that is
due to blocks outside the window. Of these alone, negative: the share due to blocks whose
replacement raised the PSNR; 90% in px: pixels by which the window must be widened on every side to
hold 90% of them. sum inside, outside: sums of the effects of the blocks inside and outside the
window, in dB."""

BORDER = 0.1
"""Share of the effects outside the window, of blocks at the border, from which on maps are cut."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the table, the most important first."""
    frame = frames[EFFECTS]
    maps = attribution.maps_of(frames, EFFECTS)[0]
    return [
        *main(frames),
        *by_noise(frame),
        *missing(maps),
        *cut(maps),
        *scope(frame, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """The share of the effects outside the window, and of these the negative ones."""
    frame = frames[EFFECTS]
    if frame.outside.isna().all():
        return []
    noises = listed(noise_phrase(noise) for noise in dict.fromkeys(frame.noise))
    over = f"mean over {plural(frame.crop.nunique(), 'crop')}, {noises}"
    text = []
    for column, what in (
        ("outside", f"Share of the absolute causal effects outside the window (%), {over}"),
        ("negative", "Share of these that is due to blocks whose replacement raised the PSNR (%)"),
    ):
        text += by_model(attribution.means(frames, column, 100, EFFECTS), what, 1)
        text += attribution.compared(frames, column, 100, 1, EFFECTS)
    return text


def by_noise(frame: pd.DataFrame) -> list[str]:
    """The sums of the effects outside the window by noise, in dB."""
    if frame.model.nunique() > FEW:
        return []
    each = []
    for model, rows in frame.groupby("model", sort=False):
        sums = rows.groupby("noise", sort=False).effect_outside.mean().dropna()
        known = [f"{value:+.2f} dB under {noise_phrase(noise)}" for noise, value in sums.items()]
        each += [f"{listed(known)} in {code(model)}"] if known else []
    if not each:
        return []
    return [
        "Sum of the effects of all blocks outside the window, mean over crops (without an "
        f"interval): {'; '.join(each)}. Blocks are replaced one at a time: this is not the effect "
        "of replacing all of them."
    ]


def missing(frame: pd.DataFrame) -> list[str]:
    """Maps without numbers, and why."""
    text = []
    reasons = frame.reason.fillna("")
    for (model, reason), rows in frame[reasons != ""].groupby(["model", "reason"], sort=False):
        of = plural(int((frame.model == model).sum()), "map")
        are = verb(len(rows), "has", "have")
        text.append(f"{len(rows)} of {of} of {code(model)} {are} no numbers: {reason}.")
    return text


def cut(frame: pd.DataFrame) -> list[str]:
    """How many maps may go on beyond the border of their crop."""
    if not (count := int((frame.border > BORDER).sum())):
        return []
    return [
        f"{count} of {plural(len(frame), 'map')} {verb(count, 'has', 'have')} more than "
        f"{BORDER:.0%} of the absolute effects outside the window in blocks at the border of the "
        "crop: raise --crop to see what is beyond."
    ]


def replaced(frame: pd.DataFrame, manifest: Manifest) -> str:
    """By how many patches blocks were replaced."""
    few = plural(manifest["coarse"], "patch", "es")
    if manifest["patches"] == manifest["coarse"]:
        return f"Every block was replaced by {few}, one after another."
    share = frame.refined.sum() / frame.blocks.sum()
    return (
        f"Every block was replaced by {few}, one after another, and by {manifest['patches']} in "
        f"all where the first mean effect was at least {manifest['least']:g} dB in size "
        f"({share:.0%} of the blocks)."
    )


def scope(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """What the numbers are about."""
    text = [
        "The causal effect of a block of the input is the PSNR of the window of the output minus "
        "the mean PSNR where the block is replaced by noisy patches of other photographs: above 0 "
        "where replacing the block lowers the PSNR.",
        replaced(frame, manifest),
        *remarks(frame.note),
    ]
    if manifest.get("mask_draws") == "independent":
        text.append(
            "Attention masks were drawn independently under each noise: maps also differ because "
            "of their masks."
        )
    crops = frame.crop.nunique()
    if crops > 1:
        text.append(f"The figure shows one of {crops} crops, as an example.")
    if "trainings" in frame:
        text.append("For a model with several trainings it shows the map of the first one.")
    photographs = frame.scene.nunique()
    what = f"one window of each of {plural(crops, 'crop')} of {plural(photographs, 'photograph')}"
    return [*text, f"These numbers are means over {what}.", *about_intervals(photographs, manifest)]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over crops for each model and noise, for the terminal."""
    frame = frames[EFFECTS]
    crops, side, size = frame.crop.nunique(), int(frame.side.iloc[0]), manifest["crop"]
    block = int(frame.block.iloc[0])
    heading = (
        f"Causal effects of blocks of {block} x {block} on windows of {side} x {side}: "
        f"{plural(crops, 'crop')} of {size} x {size}; means over crops"
    )
    rows = [
        [
            *("model", "noise", "PSNR", "outside (%)", "negative (%)", "90% in px"),
            *("sum inside", "outside (dB)"),
        ]
    ]
    parts = frame.groupby(["model", "noise"], sort=False)
    single = frames.get(f"{EFFECTS}_by_training")
    for row, (_, part) in zip(records(table_of_means(frame, single, AVERAGED)), parts, strict=True):
        shares = []
        for name in ("outside", "negative"):
            value, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
            shares.append(bounded(value, low, high, 1))
        line = [f"{part.psnr.mean():.2f}", *shares, f"{row['reach90']:.1f}"]
        line += [f"{part.effect_inside.mean():.2f}", f"{part.effect_outside.mean():+.2f}"]
        rows.append([str(row["model"]), noise_label(row["noise"]), *line])
    return f"{heading}\n{grid(rows)}\n{LEGEND}"


def alt(frames: Frames) -> str:
    """Of the maps: the share of the effects outside the window, of each model; plain text."""
    frame = frames[EFFECTS]
    shown = frame[(frame.crop == frame.crop.iloc[0]) & frame.outside.notna()]
    each = [
        f"{row['model']} under {noise_words(row['noise'])}: {row['psnr']:.1f} dB, "
        f"{row['outside']:.1%} of the absolute effects outside the window"
        for row in records(shown)
    ]
    side = int(frame.side.iloc[0])
    return f"Causal effects on a window of {side} x {side}. {'; '.join(each[:4])}."
