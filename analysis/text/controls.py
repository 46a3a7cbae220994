"""Sentences and cells of tables on distances beside their controls.

The ceiling is the distance of the reference noise from the same noise drawn again, the floor that
between different photographs under the reference, *untrained* that in networks with random weights.
Columns are those of `analysis.stats.controls.Controls`, each behind a prefix where a table has
several distances. What is read has the words of `HEADS`: a distance *ceiling* would be the lowest
of all values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from analysis.text import verdicts
from analysis.text.marginals import FEW
from analysis.text.markdown import code, listed, number
from analysis.text.noise_names import noise_phrases
from analysis.text.rows import records
from analysis.text.verdicts import Verdict, verdict

Row = Mapping[str, Any]

HEADS = {"ceiling": "noise redrawn", "floor": "other photographs", "untrained": "untrained"}
"""Headings of the controls of distances, by their columns."""

LEGEND = """\
noise redrawn: the reference noise drawn again; a distance no larger than this says nothing about
the kind of noise. other photographs: different photographs under the reference. untrained: random
weights, mean ± SD."""


def has_controls(frame: pd.DataFrame, prefix: str = "") -> bool:
    """Whether a table has controls, and any of them a value."""
    names = [f"{prefix}{name}" for name in ("ceiling", "floor", "untrained")]
    return all(name in frame for name in names) and bool(frame[names].notna().any().any())


def cells(row: Row, digits: int, prefix: str = "") -> list[str]:
    """Ceiling, floor and untrained networks of a row, as cells of a table."""
    ceiling, floor, untrained, sd = (
        row[f"{prefix}{name}"] for name in ("ceiling", "floor", "untrained", "untrained_sd")
    )
    spread = "" if math.isnan(sd) else f" ± {number(sd, digits)}"
    return [number(ceiling, digits), number(floor, digits), f"{number(untrained, digits)}{spread}"]


def within(frame: pd.DataFrame, prefix: str = "") -> frozenset[str]:
    """The noises under which no model's distance is shown to be above its ceiling.

    None with too few images, of which nothing is known.
    """
    if not has_controls(frame, prefix):
        return frozenset()
    known = frame[frame[f"{prefix}ceiling"].notna()]
    found: dict[str, set[Verdict]] = {}
    for row in records(known):
        found.setdefault(str(row["noise"]), set()).add(above_ceiling(row, prefix))
    return frozenset(noise for noise, of in found.items() if of == {"not shown"})


def sentences(frame: pd.DataFrame, what: str, prefix: str = "", floor: str = "") -> list[str]:
    """What the controls are, and what is shown against them.

    Args:
        frame: a row for each model and noise but the reference.
        what: the distance, such as `SRGA`.
        prefix: of the columns.
        floor: what must be said of the distance between different photographs.
    """
    if not has_controls(frame, prefix):
        return []
    return [
        *levels(frame, what, prefix, floor),
        *against_ceiling(frame, what, prefix),
        *against_untrained(frame, what, prefix),
    ]


def levels(frame: pd.DataFrame, what: str, prefix: str, floor: str) -> list[str]:
    """The controls' own values, of many models their range; of untrained networks over noises."""
    means = frame.groupby("model", sort=False)[
        [f"{prefix}{name}" for name in ("ceiling", "floor", "untrained")]
    ].mean()
    over = "" if frame.noise.nunique() == 1 else f", mean over {frame.noise.nunique()} noises,"
    parts = []
    for name, control in (
        ("ceiling", "of the reference noise drawn again"),
        ("floor", f"between different photographs under the reference{floor and f' ({floor})'}"),
        ("untrained", f"of untrained networks{over}"),
    ):
        known = means[f"{prefix}{name}"].dropna()
        if known.empty:
            continue
        values = [f"{value:.2g} in {code(model)}" for model, value in known.items()]
        if len(known) > FEW:
            values = [f"{known.min():.2g} to {known.max():.2g} in {len(known)} models"]
        parts.append(f"{control} is {listed(values)}")
    text = "; that ".join(parts)
    return [f"For comparison, {what} {text}."]


def band(row: Row, name: str) -> tuple[float, float]:
    """The interval that holds for all noises at once; of runs from before, the 95% interval."""
    low, high = (f"{name}_band_{end}" for end in ("low", "high"))
    if low not in row:
        low, high = (f"{name}_{end}" for end in ("low", "high"))
    return row[low], row[high]


def above_ceiling(row: Row, prefix: str) -> Verdict:
    """Whether a distance is shown to be above that of another draw; a smaller one is not."""
    low, high = band(row, f"{prefix}above_ceiling")
    found = verdict(low, high, int(row["photographs"]))
    return "not shown" if found == "shown" and high < 0 else found


def against_ceiling(frame: pd.DataFrame, what: str, prefix: str) -> list[str]:
    """Under which noises a distance is shown to be above that of another draw."""

    def judge(row: Row) -> str:
        return verdicts.in_words(above_ceiling(row, prefix))

    known = frame[frame[f"{prefix}above_ceiling"].notna()]
    text = grouped(known, judge)
    if not text:
        return []
    return [
        f"Excess of {what} over that of the reference noise drawn again, due to the kind of noise: "
        f"{text}."
    ]


def against_untrained(frame: pd.DataFrame, what: str, prefix: str) -> list[str]:
    """Where training is shown to have changed a distance."""

    def judge(row: Row) -> str:
        low, high = band(row, f"{prefix}above_untrained")
        found = verdict(low, high, int(row["photographs"]))
        if found == "shown":
            return "shown to be larger" if low > 0 else "shown to be smaller"
        return verdicts.in_words(found)

    known = frame[frame[f"{prefix}above_untrained"].notna()]
    text = grouped(known, judge)
    return [f"Difference of {what} from that of untrained networks: {text}."] if text else []


def grouped(rows: pd.DataFrame, judge: Callable[[Row], str]) -> str:
    """Verdicts with the models and noises that they hold for; of many models, their number."""
    models, noises = rows.model.nunique(), rows.noise.nunique()
    found: dict[str, dict[str, list[str]]] = {}
    for row in records(rows):
        found.setdefault(judge(row), {}).setdefault(str(row["model"]), []).append(str(row["noise"]))
    if len(found) == 1:
        word = next(iter(found))
        if len(rows) == 1 or word.startswith("too few"):
            return word
        if word.startswith("not"):
            return f"{word} for any {'model or noise' if models > 1 else 'noise'}"
        return f"{word} for every {'model and noise' if models > 1 else 'noise'}"
    parts = []
    for word, by_model in found.items():
        if models > FEW:
            count = sum(map(len, by_model.values()))
            parts.append(f"{word} in {count} of {len(rows)} models and noises")
            continue
        each = [
            f"in {code(model)} under "
            + (f"all {noises} noises" if len(of) == noises else noise_phrases(of))
            for model, of in by_model.items()
        ]
        if noises == 1:
            each = [f"in {code(model)}" for model in by_model]
        parts.append(f"{word} {listed(each)}")
    return "; ".join(parts)


def alt(frame: pd.DataFrame, digits: int, prefix: str = "") -> str:
    """For a figure's description: the controls' values over all models and noises; plain text."""
    parts = []
    for name, head in HEADS.items():
        if f"{prefix}{name}" not in frame:
            continue
        known = frame[f"{prefix}{name}"].dropna()
        if len(known):
            ends = dict.fromkeys(number(end, digits) for end in (known.min(), known.max()))
            parts.append(f"{head} {' to '.join(ends)}")
    return f" Controls: {', '.join(parts)}." if parts else ""
