"""What the tables of a CKA comparison say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from itertools import combinations
from typing import Any

import pandas as pd

from analysis.cka.figures import MEASURES, cells, measure, removed
from analysis.cka.settings import STEADY
from analysis.engine.layers import blocks, last_quarter
from analysis.plotting.model_styles import short
from analysis.stats.jackknife import ENOUGH
from analysis.stats.paired_tests import LEVEL
from analysis.text import reasons, verdicts
from analysis.text.equal_weights import weights_of
from analysis.text.intervals import about_intervals, illustration
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import bounded, code, codes, escaped, listed, number
from analysis.text.model_kinds import kinds
from analysis.text.rows import records
from analysis.text.terminal import grid, plural
from analysis.text.verdicts import Verdict

MOST_PAIRS = 4
"""Maximum number of pairs of noises with a sentence each."""

ALL_MODELS = 3
"""Up to this many models, every pair of them has a sentence."""

FEW_LAYERS = 3
"""Fewer layers than this are listed one by one."""

OUTLIER = 10.0
"""A photograph is influential if its share of a pair's spread is this many times the mean share."""

VIEWS = ["model_a", "noise_a", "model_b", "noise_b"]

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]

Equal = Set[frozenset[str]]
"""Pairs of models that are the same network, so that nothing is to be said of their difference."""


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    equal = equal_networks(manifest)
    return [
        *main(frames, manifest),
        *quarters(frames),
        *kinds(manifest),
        *differences(frames, manifest, equal),
        *between_models(frames, equal),
        *best_matches(frames, equal),
        *biased(frames),
        *influence(frames),
        *missing(frames),
        *few_permutations(manifest),
        *scope(frames, manifest),
    ]


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
        what = f"{name} in the last quarter of the {where(frames)} between {code(a)}"
        rows = rows.rename(columns={"model_a": "model"})
        beside = {str(row["model"]): in_brackets(row) for row in records(rows)}
        text += by_model(tidy(rows, column), f"{what} and {code(b)}", 3, beside=beside)
        text += quarter_differences(frames, manifest, (str(a), str(b)), equal)
        text += gaps(rows, manifest)
    if len(pairs) > MOST_PAIRS:
        rest = len(pairs) - MOST_PAIRS
        text.append(f"{plural(rest, 'more pair')} of noises: see last_quarter.csv.")
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
    return [f"In this mean {verdicts.joined(effects, least)}."] if effects else []


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
                + f" in {code(row['model'])}",
                judged(row, name, manifest),
            )
            for row in records(known)
        ]
        if known[f"{name}_low"].isna().all():  # `scope` says why
            text.append(f"{what} {listed(value for value, _ in effects)}.")
        else:
            text.append(f"{what} {verdicts.joined(effects, smallest(manifest))}.")
    return text


def quarters(frames: Frames) -> list[str]:
    """Which layers the last quarter of each model is."""
    frame = frames.get("layers")
    if frame is None or "last_quarter" not in frame:
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
        rows.append([" and ".join(models), " against ".join(noises), value, *beside])
    return f"{line}\n{grid(rows)}"


BESIDE = {
    "ceiling": "ceiling",
    "floor": "floor",
    "untrained": "untrained",
    "normalised": "normalized",
}
"""Columns of the controls that the terminal shows, with their headings."""


def compared_models(frames: Frames, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The pairs of models that are compared: all, or of many the lowest and the highest mean."""
    models = list(dict.fromkeys([*rows.model_a, *rows.model_b]))
    if len(models) <= ALL_MODELS:
        return list(combinations(models, 2))
    means = frames["last_quarter"]
    own = means[(means.model_a == means.model_b) & (means.noise_a != means.noise_b)]
    each = own.groupby("model_a", sort=False)[measure(means)].mean().dropna()
    return [(str(each.idxmin()), str(each.idxmax()))] if len(each) > 1 else []


def differences(frames: Frames, manifest: Manifest, equal: Equal = frozenset()) -> list[str]:
    """From which layer on two models' curves over depth differ up to the last block."""
    rows, text = frames.get("difference"), []
    if rows is None or rows.empty:
        return []
    photographs = int(frames["last_quarter"].photographs.max())
    least = smallest(manifest)
    groups = list(rows.groupby(["noise_a", "noise_b"], sort=False))
    for (a, b), part in groups[:MOST_PAIRS]:
        for pair in compared_models(frames, part):
            if frozenset(pair) in equal:
                continue
            for names, sign in ((pair, 1), (pair[::-1], -1)):
                curve = part[(part.model_a == names[0]) & (part.model_b == names[1])]
                if len(curve):
                    curve = curve.sort_values("index")
                    of = (str(a), str(b))
                    text.append(difference(curve, pair, sign, of, photographs, least))
    if text and len({*rows.model_a, *rows.model_b}) > ALL_MODELS:
        text.append(
            "These two models were chosen by these same images, as those with the lowest and the "
            "highest mean in the last quarter: intervals without 0 are no test of them."
        )
    return text


def difference(
    curve: pd.DataFrame,
    pair: tuple[str, str],
    sign: int,
    noises: tuple[str, str],
    photographs: int,
    least: float,
) -> str:
    """One sentence about the difference of two curves, `difference` being b - a of its rows."""
    inside = blocks(list(curve.layer))
    curve = curve[curve.layer.isin(inside)] if inside else curve
    a, b = pair if sign > 0 else pair[::-1]
    what = "block" if inside else "layer"
    last = curve.iloc[-1]
    start = f"Over depth, {code(noises[0])} against {code(noises[1])}: "
    value = bounded(last.difference, last.low, last.high, 3, signed=True)
    end = f"at the last {what} {code(b)} - {code(a)} is {value}"
    if math.isnan(last.difference):
        return f"{start}at the last {what} {code(b)} - {code(a)} has no value."
    if curve.low.isna().all():
        return f"{start}{end}; without intervals the order is undecided."
    if photographs < ENOUGH:
        few = verdicts.in_words("too few images")
        return f"{start}{end}; {few} where the curves differ."
    outside = {
        1: [short(str(name)) for name in curve.layer[curve.band_low > least]],
        -1: [short(str(name)) for name in curve.layer[curve.band_high < -least]],
    }
    than = f"by more than {least:g}" if least else ""
    parts = [
        f"{code(b if side > 0 else a)} is shown to be higher{' ' + than if than else ''} at "
        f"{plural(len(names), what)} of {len(curve)}, the first of them {names[0]}"
        for side, names in outside.items()
        if names
    ]
    how = "by intervals that hold for all layers at once"
    if not parts:
        return f"{start}{end}; a difference {than or 'from 0'} is not shown at any {what}, {how}."
    return f"{start}{', and '.join(parts)}, {how}; {end}."


def between_models(frames: Frames, equal: Equal = frozenset()) -> list[str]:
    """How similar the last quarters of two models are under one noise."""
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
        f"{code(r['model_b'])} under {code(r['noise_a'])}{in_brackets(r)}"
        for r in records(listed_pairs)
    ]
    what = f"Between models, {MEASURES[column]} in the last quarter of the {where(frames)}"
    return [f"{what}{statistic(part)}{which}: {'; '.join(each)}."]


def statistic(rows: pd.DataFrame) -> str:
    """Which pairs of layers the means of a table are over; "" where it does not say."""
    if "pairs" not in rows:
        return ""
    if (rows.pairs == "same").all():
        return ", each layer with the same layer of the other model"
    if (rows.pairs == "all").all():
        return ", each layer with each of the other model, whose layers differ"
    return ", the same layers where both models have them, else all pairs"


def best_matches(frames: Frames, equal: Equal = frozenset()) -> list[str]:
    """Whether a model's last blocks resemble any block of another model."""
    frame = cells(frames)
    part = frame[(frame.model_a != frame.model_b) & (frame.noise_a == frame.noise_b)]
    part = part[different(part, equal)]
    groups = list(part.groupby(["model_a", "model_b", "noise_a"], sort=False))
    return [text for _, rows in groups[:ALL_MODELS] if (text := best_match(frames, rows))]


def last_layers(frames: Frames, model: str, names: list[str]) -> list[str]:
    """A model's last quarter: as its table says, or by the names where it does not."""
    frame = frames.get("layers")
    if frame is None or "last_quarter" not in frame:
        return last_quarter(names)
    marked = set(frame.layer[(frame.model == model) & frame.last_quarter])
    return [name for name in names if name in marked]


def best_match(frames: Frames, part: pd.DataFrame) -> str:
    """One sentence on the block of b that is most similar to a's last blocks; "" without values."""
    column = measure(part)
    a, b, noise = part.iloc[0][["model_a", "model_b", "noise_a"]]
    layers_a, layers_b = (list(dict.fromkeys(part[name])) for name in ("layer_a", "layer_b"))
    last = last_layers(frames, str(a), layers_a)
    facing = part[part.layer_b.isin(blocks(layers_b) or layers_b)].dropna(subset=column)
    # for each layer of a, the block of b that is most similar to it
    best = facing.sort_values(column).drop_duplicates("layer_a", keep="last").set_index("layer_a")
    near = best[best.index.isin(last)].sort_values(column)
    if near.empty:
        return ""
    top = near.iloc[-1]
    bounds = (top.get("low", math.nan), top.get("high", math.nan))
    whole_a, whole_b = ("blocks" if blocks(names) else "layers" for names in (layers_a, layers_b))
    text = (
        f"Under {code(noise)}, the best match of the last quarter of {code(a)} "
        f"({', '.join(map(short, last))}) among the {whole_b} of {code(b)} is "
        f"{short(str(top.layer_b))}, at {bounded(top[column], *bounds, 3)}"
    )
    others = best[best.index.isin(set(blocks(layers_a) or layers_a) - set(last))][column]
    if len(others):
        low, high = (f"{end:.3f}" for end in (others.min(), others.max()))
        span = low if low == high else f"{low} to {high}"
        text += f"; best matches of the other {whole_a} of {code(a)}: {span}"
    return f"{text}. As the best of several {whole_b} they were selected on these same crops."


HOW = ("usage", "policy", "architecture", "factory", "arguments", "module_sha256")
"""The entries of a manifest that tell models of the same weights apart."""


def equal_networks(manifest: Manifest) -> Equal:
    """Pairs of models with the same weights that are also called in the same way."""
    models = manifest.get("models", {})
    how = {
        name: (weights_of(about), *(about.get(key) for key in HOW))
        for name, about in models.items()
    }
    return {frozenset(pair) for pair in combinations(models, 2) if how[pair[0]] == how[pair[1]]}


def different(frame: pd.DataFrame, equal: Equal) -> pd.Series:
    """Which rows are of two models that are not the same network."""
    pairs = zip(frame.model_a, frame.model_b, strict=True)
    return pd.Series([frozenset(pair) not in equal for pair in pairs], frame.index, dtype=bool)


def biased(frames: Frames) -> list[str]:
    """The expected biased value of independent layers."""
    null = cells(frames)["null"]
    if null.isna().all():
        return []
    low, high = number(float(null.min()), 3), number(float(null.max()), 3)
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
        f"The largest share of one photograph in the spread behind an interval is {top.share:.0%} "
        f"({escaped(str(top.photograph))}, for {code(top.model_a)} under {code(top.noise_a)} "
        f"against {code(top.model_b)} under {code(top.noise_b)}); equal shares of {count} "
        f"photographs would be {1 / count:.0%}" + (": see influence.csv." if strong else ".")
    ]


def missing(frames: Frames) -> list[str]:
    """Why layers have no value."""
    frame = frames.get("layers")
    return [] if frame is None else reasons.missing(frame, "layers.csv")


def few_permutations(manifest: Manifest) -> list[str]:
    """That the permutation tests of `cka.csv` cannot decide, and what they need."""
    count = manifest.get("permutations") or 0
    if not count:
        return []
    photographs = len({crop["image"] for crop in manifest.get("crops", ())})
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
    photographs = int(means.photographs.max()) if "photographs" in means and len(means) else 0
    if not photographs:  # none left out
        photographs = len({crop["image"] for crop in manifest.get("crops", ())})
    return about_intervals(photographs, manifest, bool(means.low.notna().any()))
