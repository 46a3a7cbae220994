"""What a benchmark's tables say: who is ahead under unseen noise, and whether that is decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from analysis.generalization.pairwise_tests import OUTSIDE
from analysis.generalization.summary import ordered
from analysis.stats.jackknife import left_out
from analysis.text import markdown
from analysis.text.markdown import bounded, code, codes, listed, number, probability, side
from analysis.text.noise_labels import NOISY
from analysis.text.terminal import plural
from mtd.metrics import METRICS

TABLES = ("generalization", "noises", "tests", "strips", "results")

LEVEL = 0.05
"""Of a test."""

Frames = Mapping[str, pd.DataFrame]


class Duel(NamedTuple):
    """A paired difference of two models, a - b, so that more is always better for a.

    Attributes:
        value: in units of the metric, its sign turned where less is better.
        low: of its 95% interval.
        high: of its 95% interval.
        p: corrected by Holm for all tests of the metric.
    """

    value: float
    low: float
    high: float
    p: float

    @property
    def winner(self) -> int:
        """1 for a, -1 for b, 0 if that is not decided by the interval alone."""
        return side(self.low, self.high)

    @property
    def firm(self) -> int:
        """As `winner`, if the corrected p-value agrees or there is none."""
        return self.winner if math.isnan(self.p) or self.p < LEVEL else 0


def duels(tests: pd.DataFrame, metric: str, a: str, b: str) -> dict[str, Duel]:
    """Every test of two models, by noise."""
    part = tests[tests.metric == metric]
    found = {}
    for flipped in (False, True):
        names = (b, a) if flipped else (a, b)
        rows = part[(part.model_a == names[0]) & (part.model_b == names[1])]
        sign = (-1 if flipped else 1) * (1 if METRICS[metric].higher_is_better else -1)
        for row in rows.to_dict("records"):
            low, high = (sign * row[end] for end in ("low", "high"))
            ends = (low, high) if sign > 0 else (high, low)
            found[str(row["noise"])] = Duel(sign * row["difference"], *ends, row["p_holm"])
    return found


def overall(frames: Frames, metric: str, a: str, b: str) -> Duel | None:
    """The test over all unseen noises, or of the only unseen one."""
    found = duels(frames["tests"], metric, a, b)
    noises = frames["noises"]
    unseen = list(dict.fromkeys(noises[~noises.in_distribution].noise))
    return found.get(OUTSIDE) or (found.get(str(unseen[0])) if len(unseen) == 1 else None)


def contestants(frames: Frames, metric: str) -> pd.DataFrame:
    """Scores of the models, best first under unseen noise; without the noisy input."""
    frame = frames["generalization"]
    part = frame[(frame.metric == metric) & (frame.model != NOISY)]
    return part.set_index("model", drop=False).loc[ordered(frame, metric)]


def score(row: pd.Series, column: str, metric: str) -> str:
    """A score with its unit and interval."""
    about = METRICS[metric]
    low, high = (float(row[f"{column}_{end}"]) for end in ("low", "high"))
    return bounded(float(row[column]), low, high, about.digits, about.unit)


def sentences(frames: Frames, metric: str = "psnr") -> list[str]:
    """All that follows from the tables."""
    return [
        *main(frames, metric),
        *noise_by_noise(frames, metric),
        *losses(frames, metric),
        *worse(frames, metric),
        *others(frames, metric),
        *scope(frames),
    ]


def main(frames: Frames, metric: str = "psnr") -> list[str]:
    """Who is ahead under unseen noise, by how much, and whether that is decided."""
    rows, name = contestants(frames, metric), METRICS[metric].label
    known = rows[rows.out_of_distribution.notna()]
    found = []
    if known.empty:
        found.append(f"No noise here counts as unseen, or no model has a {name} under it.")
        for model, row in rows[rows.in_distribution.notna()].head(2).iterrows():
            value = score(row, "in_distribution", metric)
            found.append(f"Under the noise trained on {code(model)} has {value} {name}.")
        return found
    best = known.iloc[0]
    value = score(best, "out_of_distribution", metric)
    if len(known) == 1:
        found.append(f"Under unseen noise {code(best.model)} has a mean {name} of {value}.")
    elif len(known) == 2:
        other = known.iloc[1]
        found.append(
            f"Mean {name} under unseen noise: {value} by {code(best.model)}, "
            f"{score(other, 'out_of_distribution', metric)} by {code(other.model)}. "
            + verdict(overall(frames, metric, best.model, other.model), best, other, metric)
        )
    else:
        found += field(frames, known, metric)
    lost = rows[rows.out_of_distribution.isna()].model
    return [*found, *([f"No mean under unseen noise for {codes(lost)}."] if len(lost) else [])]


def verdict(duel: Duel | None, best: pd.Series, other: pd.Series, metric: str) -> str:
    """What the paired difference of two models over unseen noises says."""
    a, b, about = code(best.model), code(other.model), METRICS[metric]
    if duel is None or math.isnan(duel.value):
        return "There is no paired test over all unseen noises: their images differ, or are few."
    if duel.value == 0:
        return f"{a} and {b} are equal on average."
    value = bounded(duel.value, duel.low, duel.high, about.digits, about.unit, signed=True)
    lead = f"The lead of {a} over {b}, image by image, is {value}"
    known = not math.isnan(duel.p)
    p = f"{probability(duel.p)} after Holm's correction" if known else "without a p-value"
    if math.isnan(duel.low):
        return f"{lead}; too few images for an interval."
    if duel.firm:
        ahead = a if duel.firm > 0 else b
        return f"{lead}: {ahead} is ahead, the 95% interval excludes 0 ({p})."
    if duel.winner:
        return f"{lead}: undecided, the 95% interval excludes 0 but {p}."
    if duel.p < LEVEL:
        return f"{lead}: undecided, the 95% interval includes 0 but {p}."
    return f"{lead}: the 95% interval includes 0, these images do not decide who is ahead ({p})."


def field(frames: Frames, known: pd.DataFrame, metric: str) -> list[str]:
    """Of many models: the best, the worst, and which of the others the best is told apart from."""
    about, best, worst = METRICS[metric], known.iloc[0], known.iloc[-1]
    spread = abs(best.out_of_distribution - worst.out_of_distribution)
    value = number(spread, about.digits) + (f" {about.unit}" if about.unit else "")
    found = [
        f"Of {len(known)} models {code(best.model)} has the best mean {about.label} under unseen "
        f"noise, {score(best, 'out_of_distribution', metric)}, {code(worst.model)} the last, "
        f"{score(worst, 'out_of_distribution', metric)}: a spread of {value}."
    ]
    tests = {
        str(name): overall(frames, metric, best.model, str(name)) for name in known.model.iloc[1:]
    }
    ahead = [name for name, duel in tests.items() if duel is not None and duel.firm > 0]
    tested = [name for name, duel in tests.items() if duel is not None]
    undecided = [name for name in tested if name not in ahead]
    if not tested:
        return [*found, "There are no paired tests over all unseen noises."]
    rule = f"95% interval without 0, p < {LEVEL:g} after Holm's correction"
    name = code(best.model)
    if not ahead:
        return [*found, f"{name} is told apart from none of the {len(tests)} others ({rule})."]
    text = f"{name} is ahead of {len(ahead)} of the {len(tests)} others ({rule})"
    return [*found, f"{text}; undecided against {codes(undecided)}." if undecided else f"{text}."]


def noise_by_noise(frames: Frames, metric: str) -> list[str]:
    """Of two models, who is ahead under which noise; of more, how often each is the best."""
    models, noises = list(contestants(frames, metric).model), frames["noises"]
    part = noises[(noises.metric == metric) & noises.model.isin(models)]
    count = part.noise.nunique()
    if len(models) < 2 or count < 2:
        return []
    if len(models) == 2:
        return two_by_noise(frames, metric, models[0], models[1])
    best = part[part.mean_rank == part.groupby("noise", sort=False).mean_rank.transform("min")]
    counts = best.model.value_counts()
    each = [f"{code(name)} ({counts[name]})" for name in models if counts.get(name)]
    return [f"Best mean rank, of {count} noises: {listed(each)}; ties count for each."]


def two_by_noise(frames: Frames, metric: str, a: str, b: str) -> list[str]:
    """Who is ahead of whom under which noise, and where that is undecided."""
    found = {n: d for n, d in duels(frames["tests"], metric, a, b).items() if n != OUTSIDE}
    about, texts = METRICS[metric], []
    for name, sign in ((a, 1), (b, -1)):
        won = {noise: abs(duel.value) for noise, duel in found.items() if duel.firm == sign}
        if won:
            low, high = (number(end(won.values()), about.digits) for end in (min, max))
            span = low if low == high else f"{low} to {high}"
            by = " ".join(filter(None, (span, about.unit)))
            texts.append(f"{code(name)} under {codes(won, 20)} (by {by})")
    rule = f"95% interval without 0, p < {LEVEL:g} after Holm's correction"
    lines = [f"Ahead noise by noise ({rule}): {'; '.join(texts)}."] if texts else []
    if open_ := [noise for noise, duel in found.items() if duel.firm == 0]:
        lines.append(f"Undecided under {codes(open_, 20)}.")
    return lines


def losses(frames: Frames, metric: str) -> list[str]:
    """What is lost from the noise trained on to unseen noise, and where the difference lies."""
    rows = contestants(frames, metric)
    known, about = rows[rows.gap.notna()].sort_values("gap", kind="stable"), METRICS[metric]
    if known.empty:
        return []
    ends = known if len(known) <= 2 else known.iloc[[0, -1]]
    which = "" if len(known) <= 2 else f" (least and most of {plural(len(known), 'model')})"
    each = [f"{score(row, 'gap', metric)} by {code(row.model)}" for _, row in ends.iterrows()]
    found = [f"Lost from the noise trained on to unseen noise{which}: {listed(each)}."]
    if len(ends) == 2:
        small, large = ends.iloc[0], ends.iloc[1]
        start = large.in_distribution - small.in_distribution
        end = small.out_of_distribution - large.out_of_distribution
        values = [number(v, about.digits, signed=True) for v in (start, end)]
        a, b = code(small.model), code(large.model)
        total = number(large.gap - small.gap, about.digits)
        unit = f" {about.unit}" if about.unit else ""
        found.append(
            f"Between these means of {b} and {a} lie {total}{unit}, a difference without an "
            "interval of its own. It is the sum of two others, without intervals as well: "
            f"{values[0]}{unit} ({b} - {a} under the noise trained on) and {values[1]}{unit} "
            f"({a} - {b} under unseen noise)."
        )
    return found


def worse(frames: Frames, metric: str) -> list[str]:
    """Where a model is worse than doing nothing, and where that is not decided."""
    noises = frames["noises"]
    part = noises[(noises.metric == metric) & (noises.model != NOISY) & (noises.gain < 0)]
    sure = part.gain_high < 0
    found = []
    for rows, what in (
        (part[sure], "Worse than the noisy input, by its 95% interval"),
        (part[~sure], "On average worse than the noisy input, but not told from it"),
    ):
        if len(rows):
            found.append(f"{what}: {listed(deficits(rows, metric), 4)}.")
    return found


def deficits(rows: pd.DataFrame, metric: str) -> list[str]:
    """How much models fall short of the noisy input; of many rows, only where."""
    about = METRICS[metric]
    if len(rows) > 3:
        pairs = rows.groupby("model", sort=False).noise.agg(list)
        return [f"{code(name)} under {codes(of, 3)}" for name, of in pairs.items()]
    each = zip(rows.model, rows.noise, rows.gain, rows.gain_low, rows.gain_high, strict=True)
    return [
        f"{code(model)} under {code(noise)}, by "
        f"{bounded(-gain, -high, -low, about.digits, about.unit)}"
        for model, noise, gain, low, high in each
    ]


def others(frames: Frames, metric: str) -> list[str]:
    """Whether the other metrics agree on who is ahead under unseen noise."""
    first, found = contestants(frames, metric), []
    for other in frames["generalization"].metric.unique():
        rows = contestants(frames, other)
        known = rows[rows.out_of_distribution.notna()]
        if other == metric or len(known) < 2 or first.out_of_distribution.isna().all():
            continue
        best, second, label = known.iloc[0], known.iloc[1], METRICS[other].label
        agrees = "too" if best.model == first.model.iloc[0] else "instead"
        found.append(
            f"By {label} {code(best.model)} has the best mean {agrees}: "
            f"{score(best, 'out_of_distribution', other)}, next {code(second.model)}, "
            f"{score(second, 'out_of_distribution', other)}. "
            + verdict(overall(frames, other, best.model, second.model), best, second, other)
        )
    return found


def scope(frames: Frames) -> list[str]:
    """What intervals are about."""
    if frames["generalization"].out_of_distribution_low.isna().all():
        return ["Too few images for intervals: nothing is told apart."]
    unit = "crop" if "crop" in set(frames["noises"].draw) else "scene"
    scenes = frames["results"].scene.nunique()
    return [f"Intervals: {left_out(unit, scenes)}.", markdown.scope(unit)]
