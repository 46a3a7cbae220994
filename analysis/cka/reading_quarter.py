"""Sentences on means over the last quarter, beside their controls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.cka.figures import MEASURES, cells, measure, removed
from analysis.cka.reading_pairs import ALL_MODELS, Equal, compared_models, different, equal_networks
from analysis.engine.layers import blocks
from analysis.text import verdicts
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import bounded, code, codes, listed, number
from analysis.text.noise_names import noise_phrase
from analysis.text.rows import records
from analysis.text.terminal import plural
from analysis.text.verdicts import Verdict

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


BETWEEN = "\n"
"""Stands between two models that a value is of."""

MOST_PAIRS = 2
"""Maximum number of pairs of noises with a sentence each."""


def where(frames: Frames) -> str:
    """What the last quarter is taken from: blocks, or layers if a model has no blocks."""
    by_name = cells(frames).groupby("model_a").layer_a.unique()
    return "blocks" if all(blocks(list(names)) for names in by_name) else "layers"


def main(frames: Frames, manifest: Manifest) -> list[str]:
    """The last quarter of the blocks under two noises, model by model, and what follows from it."""
    means = frames["last_quarter"]
    column, equal = measure(means), equal_networks(manifest)
    own = means[(means.model_a == means.model_b) & (means.noise_a != means.noise_b)]
    pairs, text = list(own.groupby(["noise_a", "noise_b"], sort=False)), []
    name = f"{MEASURES[column]}{removed(cells(frames).centering.iloc[0])}"
    for (a, b), rows in pairs[:MOST_PAIRS]:
        what = f"{name} in the last quarter of the {where(frames)} between {noise_phrase(a)}"
        rows = rows.rename(columns={"model_a": "model"})
        beside = {str(row["model"]): in_brackets(row) for row in records(rows)}
        text += by_model(tidy(rows, column), f"{what} and {noise_phrase(b)}", 3, beside=beside)
        text += quarter_differences(frames, manifest, (str(a), str(b)), equal)
        text += gaps(rows, manifest)
    if len(pairs) > MOST_PAIRS:
        rest = len(pairs) - MOST_PAIRS
        text.append(
            f"{plural(rest, 'more pair')} of noises: see last_quarter.csv and "
            "quarter_difference.csv."
        )
    return text


def in_brackets(row: Mapping[str, Any]) -> str:
    """The controls of a value, in brackets; empty without any."""
    parts = [
        f"{name} {number(row[name], 3)}"
        for name in ("ceiling", "floor")
        if not math.isnan(row.get(name, math.nan))
    ]
    if not math.isnan(row.get("untrained", math.nan)):
        sd = row["untrained_sd"]
        spread = "" if math.isnan(sd) else f" ± {number(sd, 3)}"
        parts.append(f"untrained {number(row['untrained'], 3)}{spread}")
    return f" ({', '.join(parts)})" if parts else ""


def quarter_differences(
    frames: Frames, manifest: Manifest, noises: tuple[str, str], equal: Equal
) -> list[str]:
    """Differences between models' means over the last quarter, for two noises."""
    rows = frames.get("quarter_difference", pd.DataFrame(columns=["noise_a", "noise_b"]))
    rows = rows[(rows.noise_a == noises[0]) & (rows.noise_b == noises[1])]
    if rows.empty:
        return []
    chosen = [set(pair) for pair in compared_models(frames, rows)]
    rows = rows[[{a, b} in chosen for a, b in zip(rows.model_a, rows.model_b, strict=True)]]
    effects = []
    for row in records(rows[different(rows, equal)]):
        value = bounded(row["difference"], row["low"], row["high"], 3, signed=True)
        text = f"{code(row['model_b'])} - {code(row['model_a'])} is {value}"
        effects.append((text, judged(row, "", manifest)))
    least = smallest(manifest)
    return [f"In this mean, {verdicts.joined(effects, least)}."] if effects else []


def judged(row: Mapping[str, Any], name: str, manifest: Manifest) -> Verdict:
    """The verdict on a difference of a table's row."""
    low, high = row[f"{name}_low" if name else "low"], row[f"{name}_high" if name else "high"]
    return verdicts.verdict(low, high, int(row["photographs"]), smallest(manifest))


def smallest(manifest: Manifest) -> float:
    """The smallest difference that matters."""
    return float(manifest.get("least") or 0.0)


def gaps(rows: pd.DataFrame, manifest: Manifest) -> list[str]:
    """What the kind of noise changes beyond its draw, and what training changes."""
    text = []
    for name, what in (
        ("below_ceiling", "The ceiling, the same noise drawn again, minus this mean is"),
        ("above_untrained", "This mean minus that of untrained networks is"),
    ):
        if name not in rows or rows[name].isna().all():
            continue
        known = rows[rows[name].notna()]
        known = known if len(known) <= FEW else known.sort_values(name).iloc[[0, -1]]
        effects = [
            (
                bounded(row[name], row[f"{name}_low"], row[f"{name}_high"], 3, signed=True)
                + f" in {codes(str(row['model']).split(BETWEEN))}",
                judged(row, name, manifest),
            )
            for row in records(known)
        ]
        if known[f"{name}_low"].isna().all():  # `scope` says why
            text.append(f"{what} {listed(value for value, _ in effects)}.")
        else:
            text.append(f"{what} {verdicts.joined(effects, smallest(manifest))}.")
    return text


def between_models(frames: Frames, manifest: Manifest, equal: Equal = frozenset()) -> list[str]:
    """How similar the last quarters of two models are under one noise, and two untrained ones."""
    means = frames["last_quarter"]
    column = measure(means)
    part = means[(means.model_a != means.model_b) & (means.noise_a == means.noise_b)]
    part = part[part[column].notna() & different(part, equal)]
    part = part.sort_values(column, kind="stable")
    if part.empty:
        return []
    listed_pairs = part if len(part) <= ALL_MODELS else part.iloc[[0, -1]]
    which = "" if len(listed_pairs) == len(part) else f", lowest and highest of {len(part)} pairs"
    each = [
        f"{bounded(r[column], r['low'], r['high'], 3)} for {code(r['model_a'])} and "
        f"{code(r['model_b'])} under {noise_phrase(r['noise_a'])}{in_brackets(r)}"
        for r in records(listed_pairs)
    ]
    what = f"Between models, {MEASURES[column]} in the last quarter of the {where(frames)}"
    pairs = [f"{a}{BETWEEN}{b}" for a, b in zip(part.model_a, part.model_b, strict=True)]
    return [
        f"{what}{statistic(part)}{which}: {'; '.join(each)}.",
        *gaps(part.assign(model=pairs), manifest),
    ]


def statistic(rows: pd.DataFrame) -> str:
    """Which pairs of layers the means of a table are over; "" where it does not say."""
    if "pairs" not in rows:
        return ""
    if (rows.pairs == "same").all():
        return ", each layer with the same layer of the other model"
    if (rows.pairs == "all").all():
        return ", each layer with each of the other model, whose layers differ"
    return ", the same layers where both models have them, else all pairs"
