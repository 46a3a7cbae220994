"""Sentences on one value of each model, with its interval, and under each noise.

Models are compared by the intervals of their differences alone, see
`analysis.text.model_differences`: whether the intervals of two values overlap says little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import pandas as pd

from analysis.text import model_differences
from analysis.text.markdown import bounded, code, codes, listed, number
from analysis.text.model_differences import MOST, ModelDifferences
from analysis.text.noise_names import noise_phrase, noise_phrases
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


def by_model(
    rows: pd.DataFrame,
    what: str,
    digits: int = 2,
    unit: str = "",
    beside: Mapping[str, str] | None = None,
) -> list[str]:
    """One value of each model.

    Args:
        rows: columns of `tidy`, a row for each model.
        what: start of the sentence, such as `CKA in the last quarter of the blocks`.
        digits: after the point.
        unit: of the values.
        beside: what stands after each model's value, by model.
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
    return [f"{what}: {listed(each)}.", *missing]


def by_noise(
    rows: pd.DataFrame,
    what: str,
    digits: int = 2,
    unit: str = "",
    within: Set[str] = frozenset(),
    differences: ModelDifferences | None = None,
) -> list[str]:
    """One value of each model under each noise: means over noises, and how models differ.

    Means are over those noises under which every model has a value, so that models are compared
    under the same noises; a model without any value is left out of this.

    Args:
        rows: columns of `tidy`, a row for each model and noise; none where there is no value.
        what: see `by_model`.
        digits: after the point.
        unit: of the values.
        within: noises under which values say nothing, as another draw of one noise gives as much;
            models are not compared there.
        differences: between the models; None for a run without.
    """
    noises, models = (list(dict.fromkeys(rows[name])) for name in ("noise", "model"))
    compared = model_differences.sentences(differences, digits, unit, within)
    if len(noises) == 1:
        return [*by_model(rows, f"{what} under {noise_phrase(noises[0])}", digits, unit), *compared]
    sentences = means(rows, what, digits, unit)
    if len(models) == 1:
        return [*sentences, *extremes(rows, models[0], digits, unit)]
    sentences += compared
    same = [noise for noise in noises if noise in within]
    rows = rows[~rows.noise.isin(within)]
    if len(rows) and len(models) > MOST:
        sentences += lowest(rows, models)
    if same:
        sentences.append(
            f"Noise by noise, models are not compared under {noise_phrases(same)}, where none is "
            "shown to differ from another draw of the reference noise; the means are over these "
            "noises, too."
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
        f"{bounded(r['value'], r['low'], r['high'], digits, unit)} under {noise_phrase(r['noise'])}"
        for r in ends(known, "value")
    ]
    return [f"In {code(model)} it ranges from {each[0]} to {each[1]}."]


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
