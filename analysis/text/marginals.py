"""Sentences on values that have an interval for each model, but none of their difference.

If two such intervals do not overlap, the models differ: the standard error of a difference is at
most the sum of both. If they overlap, the order is undecided here, though a paired test might
decide it. The lowest and the highest of many are not compared: they are selected for being far
apart, so that their intervals often do not overlap even where all models are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from itertools import combinations

import pandas as pd

from analysis.text.markdown import bounded, code, codes, listed, number
from analysis.text.rows import ends, records
from analysis.text.terminal import plural

FEW = 4
"""Up to so many models are each named; of more, the ends and the middle."""


def tidy(frame: pd.DataFrame, value: str, low: str = "low", high: str = "high") -> pd.DataFrame:
    """Columns model, noise (if there is one), value, low and high; NaN where there is no bound."""
    named = {name: frame[name].astype(str) for name in ("model", "noise") if name in frame}
    tidied = pd.DataFrame(named | {"value": frame[value].astype(float)})
    for name, column in (("low", low), ("high", high)):
        tidied[name] = frame[column].astype(float) if column in frame else float("nan")
    return tidied.reset_index(drop=True)


def disjoint(a: pd.Series, b: pd.Series) -> bool:
    """Whether two intervals do not overlap; False if one is missing."""
    return bool(a.low > b.high or b.low > a.high)


def by_model(
    rows: pd.DataFrame,
    what: str,
    digits: int = 2,
    unit: str = "",
    equal: Set[frozenset[str]] = frozenset(),
    beside: Mapping[str, str] | None = None,
) -> list[str]:
    """One value of each model.

    Args:
        rows: columns of `tidy`, a row for each model.
        what: start of the sentence, such as `CKA in the last quarter of the blocks`.
        digits: after the point.
        unit: of the values.
        equal: pairs of models that are the same network and are not compared.
        beside: what stands after each model's value, by model; models are then compared elsewhere.
    """
    known = rows[rows.value.notna()]
    unknown = rows[rows.value.isna()].model
    missing = [f"{what}: no value for {codes(unknown)}."] if len(unknown) else []
    if known.empty:
        return missing
    rows_named = known
    if len(known) > FEW:
        ranked = known.sort_values("value", kind="stable")
        rows_named = ranked.iloc[[0, -1]]
        middle = number(float(known.value.median()), digits)
        what = f"{what}, over {len(known)} models (median {middle}), lowest and highest"
    each = [
        f"{bounded(r['value'], r['low'], r['high'], digits, unit)} in {code(r['model'])}"
        + (beside or {}).get(str(r["model"]), "")
        for r in records(rows_named)
    ]
    compared = beside is None and len(rows_named) == len(known)
    comparison = overlaps(rows_named, equal) if compared else ""
    return [f"{what}: {listed(each)}{comparison}.", *missing]


def overlaps(rows: pd.DataFrame, equal: Set[frozenset[str]] = frozenset()) -> str:
    """Which of the intervals do not overlap, after a semicolon; empty for fewer than two."""
    bounded_rows = rows[rows.low.notna()]
    models = list(bounded_rows.model)
    pairs = [
        (i, j)
        for i, j in combinations(range(len(models)), 2)
        if frozenset((models[i], models[j])) not in equal
    ]
    if not pairs:
        return ""
    names: dict[bool, list[str]] = {True: [], False: []}
    for i, j in pairs:
        a, b = bounded_rows.iloc[i], bounded_rows.iloc[j]
        names[disjoint(a, b)].append(f"{code(a.model)} and {code(b.model)}")
    if not names[False]:
        return f"; {which(models, pairs)} do not overlap"
    if not names[True]:
        return f"; {which(models, pairs)} overlap, which leaves the order undecided"
    if len(names[True]) < len(names[False]):
        return f"; undecided, as intervals overlap, but for {listed(names[True])}"
    return f"; undecided, as intervals overlap, between {listed(names[False])}"


def which(models: Sequence[str], pairs: Sequence[tuple[int, int]]) -> str:
    """The intervals that a sentence is about: all of them, or those of certain pairs of models."""
    if len(pairs) == len(models) * (len(models) - 1) // 2:
        return "these intervals"
    each = [f"{code(models[i])} and {code(models[j])}" for i, j in pairs]
    return f"the intervals of {listed(each)}"


def by_noise(
    rows: pd.DataFrame,
    what: str,
    digits: int = 2,
    unit: str = "",
    within: Set[str] = frozenset(),
) -> list[str]:
    """One value of each model under each noise: means over noises, and which model is lower where.

    Means are over those noises under which every model has a value, so that models are compared
    under the same noises; a model without any value is left out of this.

    Args:
        rows: columns of `tidy`, a row for each model and noise; none where there is no value.
        what: see `by_model`.
        digits: after the point.
        unit: of the values.
        within: noises under which values say nothing, as another draw of one noise gives as much;
            models are not compared there.
    """
    noises, models = (list(dict.fromkeys(rows[name])) for name in ("noise", "model"))
    if len(noises) == 1:
        beside: dict[str, str] | None = {} if noises[0] in within else None
        return by_model(rows, f"{what} under {code(noises[0])}", digits, unit, beside=beside)
    sentences = means(rows, what, digits, unit)
    if len(models) == 1:
        return [*sentences, *extremes(rows, models[0], digits, unit)]
    same = [noise for noise in noises if noise in within]
    rows = rows[~rows.noise.isin(within)]
    if len(rows):
        sentences += lower(rows, models) if len(models) == 2 else lowest(rows, models)
    if same:
        sentences.append(
            f"Models are not compared under {codes(same)}, where none is shown to differ from "
            "another draw of the reference noise."
        )
    return sentences


def means(rows: pd.DataFrame, what: str, digits: int, unit: str) -> list[str]:
    """The mean of each model over the noises under which every model has a value."""
    noises, models = (list(dict.fromkeys(rows[name])) for name in ("noise", "model"))
    wide = rows.pivot(index="noise", columns="model", values="value").reindex(noises)[models]
    shared = wide[wide.columns[wide.notna().any()]].dropna().index
    if shared.empty:
        return [f"{what}: no mean over noises, as none has a value for every model."]
    over = f"{what}, mean over {plural(len(shared), 'noise')}"
    if len(shared) < len(noises):
        over = f"{what}, mean over {len(shared)} of {len(noises)} noises, "
        over += "those with a value for every model"
    values = wide.loc[shared].mean().rename("value").reset_index()
    return by_model(tidy(values, "value"), f"{over} (without an interval)", digits, unit)


def extremes(rows: pd.DataFrame, model: str, digits: int, unit: str) -> list[str]:
    """Under which noise one model has its smallest and its largest value."""
    known = rows[(rows.model == model) & rows.value.notna()]
    if known.empty:
        return []
    each = [
        f"{bounded(r['value'], r['low'], r['high'], digits, unit)} under {code(r['noise'])}"
        for r in ends(known, "value")
    ]
    return [f"In {code(model)} it ranges from {each[0]} to {each[1]}."]


def lower(rows: pd.DataFrame, models: Sequence[str]) -> list[str]:
    """Of two models, which one is lower under which noises, by intervals that do not overlap."""
    wide = {name: rows[rows.model == name].set_index("noise") for name in models}
    lower_under: dict[str, list[str]] = {name: [] for name in models}
    equal: list[str] = []
    overlapping: list[str] = []
    unbounded: list[str] = []
    for noise in wide[models[0]].index.intersection(wide[models[1]].index, sort=False):
        a, b = (wide[name].loc[noise] for name in models)
        if disjoint(a, b):
            lower_under[models[0] if a.value < b.value else models[1]].append(str(noise))
        elif a.value == b.value:
            equal.append(str(noise))
        elif not math.isnan(a.value) and not math.isnan(b.value):
            bounds = (a.low, a.high, b.low, b.high)
            (unbounded if any(map(math.isnan, bounds)) else overlapping).append(str(noise))
    how = "by intervals that do not overlap, lower in"
    parts = [
        f"{how} {code(n)} under {codes(noises)}" for n, noises in lower_under.items() if noises
    ]
    parts += [f"equal under {codes(equal)}"] if equal else []
    parts += [f"undecided under {codes(overlapping)} (intervals overlap)"] if overlapping else []
    if unbounded and rows.low.notna().any():  # else the analysis says that there are no intervals
        parts.append(f"undecided under {codes(unbounded)} (intervals are missing)")
    text = "; ".join(parts)
    return [f"{text[0].upper()}{text[1:]}."] if parts else []


def lowest(rows: pd.DataFrame, models: Sequence[str]) -> list[str]:
    """Of many models, under how many noises each one has the lowest value."""
    known = rows[rows.value.notna()]
    least = known.groupby("noise", sort=False).value.transform("min")
    counts = known[known.value == least].model.value_counts()
    total = known.noise.nunique()
    each = [f"{code(name)} {counts[name]}" for name in models if counts.get(name)]
    if not each:
        return []
    ties = "; ties count for each" if counts.sum() > total else ""
    return [
        f"Number of noises, of {total}, under which a model has the lowest value (intervals not "
        f"considered{ties}): {listed(each)}."
    ]
