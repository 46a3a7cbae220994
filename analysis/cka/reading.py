"""What the tables of a CKA comparison say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.cka.figures import MEASURES, cells, measure, removed
from analysis.cka.measures import MEASURES as DECLARED
from analysis.cka.measures import described
from analysis.cka.reading_depth import best_matches, differences
from analysis.cka.reading_pairs import equal_networks
from analysis.cka.reading_quarter import between_models, main, where
from analysis.cka.settings import STEADY
from analysis.engine.layers import blocks
from analysis.plotting.model_styles import short
from analysis.stats.jackknife import ENOUGH
from analysis.stats.paired_tests import LEVEL
from analysis.text import reasons
from analysis.text.intervals import about_intervals, illustration, photographs_of
from analysis.text.markdown import bounded, code, codes, escaped, listed, number
from analysis.text.model_kinds import kinds
from analysis.text.noise_names import noise_label, noise_phrase, noise_words
from analysis.text.terminal import grid, plural
from mtd.utils.messages import verb

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


FEW_LAYERS = 3
"""Fewer layers than this are listed one by one."""


OUTLIER = 10.0
"""A photograph stands out if its share of a pair's variance is this many times the mean one."""


ALONE = (
    "Each view is compared with itself alone, so there is no mean over the last quarter to have an "
    "interval; those of single cells are in `cka.csv`."
)
"""What is said of intervals with `--compare self`."""


VIEWS = ["model_a", "noise_a", "model_b", "noise_b"]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    equal = equal_networks(manifest)
    return [
        *main(frames, manifest),
        *quarters(frames),
        *about_measure(frames),
        *kinds(manifest),
        *differences(frames, manifest, equal),
        *between_models(frames, manifest, equal),
        *best_matches(frames, equal),
        *biased(frames),
        *influence(frames),
        *missing(frames),
        *cells_missing(frames),
        *without_interval(frames),
        *few_permutations(manifest),
        *scope(frames, manifest),
    ]


def quarters(frames: Frames) -> list[str]:
    """Which layers the last quarter of each model is."""
    frame = frames.get("layers")
    if frame is None or "last_quarter" not in frame or frames["last_quarter"].empty:
        return []
    models: dict[str, list[str]] = {}
    deeper: list[str] = []
    for model, rows in frame.groupby("model", sort=False):
        rows = rows[rows.noise == rows.noise.iloc[0]]
        names = list(map(short, rows.layer[rows.last_quarter]))
        text = listed(names) if len(names) < FEW_LAYERS else f"{names[0]} to {names[-1]}"
        outputs = list(map(short, rows.layer[rows.role == "output"]))
        if (rows.role == "output").all():
            text += " (all its recorded layers hold the output)"
        elif outputs and not blocks(list(rows.layer)):
            verb = "holds" if len(outputs) == 1 else "hold"
            text += f" ({listed(outputs)}, left out, {verb} the output)"
        models.setdefault(text, []).append(str(model))
        deeper += encoder(str(model), rows)
    each = [f"{text} of {codes(names)}" for text, names in models.items()]
    if len(models) == 1:
        each = list(models)
    return [f"The last quarter is {'; '.join(each)}.", *deeper]


def encoder(model: str, rows: pd.DataFrame) -> list[str]:
    """That the last quarter of an encoder and decoder is not its deepest part."""
    smallest = rows.stride.max()
    if not smallest > rows.stride[rows.last_quarter].max():
        return []
    names = [short(str(name)) for name in rows.layer[rows.stride == smallest]]
    inner = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return [
        f"{code(model)} is an encoder with a decoder: its deepest features are in the middle "
        f"({inner}, at 1/{smallest:g} of the image's size), its last quarter is next to the output."
    ]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The means over the last quarter of the blocks, as a table for the terminal."""
    frame, means = cells(frames), frames["last_quarter"]
    column, first = measure(frame), frame.iloc[0]
    how = f", {first.estimator}" if column == "cka" else ""
    how += ", RBF kernel" if first.kernel == "rbf" else ""
    how += removed(first.centering)
    line = f"{MEASURES[column]}{how}, {first.samples:,} {first.unit}s of {first.crops} crops"
    if means.empty:
        return line
    line += f"; mean over the last quarter of the {where(frames)}, each layer with itself"
    if "pairs" in means and (means.pairs == "all").any():
        line += " (models with other layers: all pairs)"
    line += ", with 95% intervals" if means.low.notna().any() else ""
    shown = [name for name in BESIDE if name in means and means[name].notna().any()]
    rows = [["model", "noise", MEASURES[column], *(BESIDE[name] for name in shown)]]
    for row in means.to_dict("records"):
        models = dict.fromkeys((row["model_a"], row["model_b"]))
        noises = dict.fromkeys((row["noise_a"], row["noise_b"]))
        value = bounded(row[column], row["low"], row["high"], 3)
        beside = [number(row[name], 3) for name in shown]
        if "untrained" in shown and not math.isnan(row["untrained_sd"]):
            beside[shown.index("untrained")] += f" ± {number(row['untrained_sd'], 3)}"
        under = noise_label(row["noise_a"])
        if len(noises) > 1:
            under = " against ".join(map(noise_words, noises))
        rows.append([" and ".join(models), under, value, *beside])
    return f"{line}\n{grid(rows)}"


BESIDE = {
    "ceiling": "ceiling",
    "floor": "floor",
    "untrained": "untrained",
    "normalised": "normalized",
}
"""Columns of the controls that the terminal shows, with their headings."""


def about_measure(frames: Frames) -> list[str]:
    """What the values of another measure than CKA mean."""
    column = measure(cells(frames))
    return [] if column == "cka" else [described(column)]


def biased(frames: Frames) -> list[str]:
    """What layers with nothing in common would score: by formula, or between photographs."""
    frame = cells(frames)
    null, column = frame["null"], measure(frame)
    if null.isna().all():
        return []
    low, high = number(float(null.min()), 3), number(float(null.max()), 3)
    if DECLARED[column].null:
        own = frame[column].median()
        return [
            f"Between different photographs, {MEASURES[column]} of the same pairs of layers is "
            f"{low} to {high}, median {number(float(null.median()), 3)} (column `null`), and "
            f"between the same photographs {number(float(own), 3)} in the median."
        ]
    return [
        f"The estimator is biased: independent layers would score {low} to {high} here, not 0 "
        "(√(pq/((p+n)(q+n))) for p and q features and n samples)."
    ]


def influence(frames: Frames) -> list[str]:
    """How much a value depends on a single photograph."""
    frame = frames.get("influence")
    if frame is None or frame.empty or frame.share.isna().all():
        return []
    top = frame.sort_values("share", ascending=False, kind="stable").iloc[0]
    count = int((frame[VIEWS] == top[VIEWS]).all(axis=1).sum())
    strong = top.share > OUTLIER / count
    return [
        f"The most influential photograph, {escaped(str(top.photograph))}, contributes "
        f"{top.share:.0%} of the variance behind an interval (of {code(top.model_a)} under "
        f"{noise_phrase(top.noise_a)} against {code(top.model_b)} under "
        f"{noise_phrase(top.noise_b)}); with equal influence, each of {count} would contribute "
        f"{1 / count:.0%}" + (": see influence.csv." if strong else ".")
    ]


def missing(frames: Frames) -> list[str]:
    """Why layers have no value."""
    frame = frames.get("layers")
    return [] if frame is None else reasons.missing(frame, "layers.csv")


def cells_missing(frames: Frames) -> list[str]:
    """How many pairs of layers have no value although both layers have."""
    frame = cells(frames)
    if "reason" not in frame:
        return []
    column, of_layers = measure(frame), frames["layers"].reason
    why = frame.reason.fillna("")
    alone = why[(why != "") & ~why.isin(of_layers)]
    if alone.empty:
        return []
    return [
        f"{plural(len(alone), 'pair')} of layers of {len(frame):,} without a value (column "
        f"`reason` of {column}.csv), the first: {alone.iloc[0]}."
    ]


def without_interval(frames: Frames) -> list[str]:
    """How many pairs of layers have a value but no interval, although the run has intervals."""
    frame = cells(frames)
    column = measure(frame)
    without = frame[column].notna() & frame.low.isna()
    if column == "cka" or without.all() or not (count := int(without.sum())):
        return []
    why = "without one of the photographs they have no value"
    if column == "soft_matching":
        why = "their numbers of channels need a linear program for every photograph left out"
    have = verb(count, "has", "have")
    return [
        f"{plural(count, 'pair')} of layers of {len(frame):,} {have} a value but no interval: "
        f"{why}."
    ]


def few_permutations(manifest: Manifest) -> list[str]:
    """That the permutation tests of `cka.csv` cannot decide, and what they need."""
    count = manifest.get("permutations") or 0
    if not count:
        return []
    photographs = photographs_of(manifest)
    if photographs < ENOUGH:
        return [
            f"{plural(photographs, 'photograph')}: no p-values in `cka.csv`; at least {ENOUGH} are "
            "needed."
        ]
    least = 1 / (1 + count)
    if least < LEVEL:
        return []
    return [
        f"With {plural(count, 'permutation')} the tests of `cka.csv` cannot decide: p is "
        f"{least:.2g} or more; {math.ceil(1 / LEVEL)} permutations are needed."
    ]


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """What the intervals are about, or why there are none."""
    smallest = min(manifest.get("batches") or [STEADY])
    if manifest.get("estimator") == "minibatch" and smallest < STEADY:
        return [
            f"No intervals: leaving a photograph out of a minibatch of {smallest} crops changes "
            f"too much; they need minibatches of {STEADY} crops or more.",
            *illustration(manifest),
        ]
    means = frames["last_quarter"]
    if means.empty and cells(frames).low.notna().any():
        return [ALONE, *illustration(manifest)]
    photographs = int(means.photographs.max()) if "photographs" in means and len(means) else 0
    if not photographs:  # none left out
        photographs = photographs_of(manifest)
    return about_intervals(photographs, manifest, bool(means.low.notna().any()))
