"""Paired tests between models on the same images under the same noise, and what they decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.generalization.conditions import Table
from analysis.generalization.intervals import estimate
from analysis.generalization.metrics import facts
from analysis.generalization.scoring import weighted, weights
from analysis.stats.controls import COLUMNS
from analysis.stats.jackknife import ENOUGH
from analysis.stats.paired_tests import LEVEL, draws_needed, holm, least_p, wilcoxon
from analysis.stats.trainings import subtract
from analysis.text.markdown import side
from analysis.text.terminal import plural
from analysis.text.verdicts import Verdict, in_words

OUTSIDE = "out of distribution"
"""Stands for a noise where a test is of each image's mean over all noises out of distribution."""

ALL = "all noises"
"""The same over all noises, where it is not known what the models were trained on."""


def paired(table: Table) -> pd.DataFrame:
    """Every two models under every noise, and over all noises out of distribution together.

    The latter are all noises where none is in or out of distribution for all models. A model of
    which it is not known what it was trained on has no such test beside models of which it is.

    Columns: `difference`, the mean over images of a − b, with its 95% interval; `better`, the share
    of photographs on which a is better; `p`, see `wilcoxon`, over the photographs (the crops of one
    are averaged first), NaN for fewer than `ENOUGH`; `p_holm`, corrected for all tests of the
    metric. The joint test is of each image's mean over noises, every kind counting the same, where
    all those noises share the images.

    Of models with several trainings the means over them are compared. The interval is over
    photographs, and over the trainings of both models, which are independent, where both have
    three; `better` and `p` are over photographs alone.
    """
    sign = 1 if table.higher else -1
    none = not table.has_split
    outside = weights(table.conditions, None if none else False)
    used = [c for c, w in zip(table.conditions, outside, strict=True) if w]
    sets = [([c], np.ones(1), c.noise) for c in table.conditions]
    if len(used) > 1 and len({c.population for c in used}) == 1:
        sets.append((used, outside[outside > 0], ALL if none else OUTSIDE))
    rows = []
    for conditions, weight, noise in sets:
        units, population = conditions[0].units, conditions[0].population
        with np.errstate(invalid="ignore"):  # the difference of infinite values is no number
            values = weighted([c.values for c in conditions], weight)
            single = weighted([c.single for c in conditions], weight).mean(0)
        alone = replace(table, conditions=[conditions[0]])
        for a, b in combinations(range(len(table.contestants)), 2):
            if noise == OUTSIDE and (table.unknown[a] or table.unknown[b]):
                continue
            with np.errstate(invalid="ignore"):
                change = values[:, a] - values[:, b]
            samples = subtract(table.samples(single)[a], table.samples(single)[b], False)
            found = estimate(alone, lambda parts: parts[0], [samples], [change[:, None]])
            low, high = found.bounds()
            each = np.array(
                [change[units == i].mean() for i in range(table.photographs[population])]
            )
            known = np.isfinite(each).all()
            rows.append(
                {
                    "noise": noise,
                    "metric": table.metric,
                    "model_a": table.models[a],
                    "model_b": table.models[b],
                    "difference": found.value[0],
                    "low": low[0],
                    "high": high[0],
                    "better": float((sign * each > 0).mean()) if known else np.nan,
                    "p": wilcoxon(each) if len(each) >= ENOUGH else np.nan,
                    "photographs": len(each),
                }
            )
            if table.several:
                of = [len(table.trainings[table.models[i]]) for i in (a, b)]
                rows[-1] |= {"trainings": min(of)}
                rows[-1] |= {name: float(end[0]) for name, end in found.columns().items()}
    columns = ["noise", "metric", "model_a", "model_b", "difference", "low", "high", "better"]
    further = COLUMNS if table.several else ()
    frame = pd.DataFrame(rows, columns=[*columns, "p", "photographs", *further])
    frame.insert(9, "p_holm", holm(list(frame.p)))
    return frame


class PairedDifference(NamedTuple):
    """A paired difference of two models, a - b, so that more is always better for a.

    Attributes:
        value: in units of the metric, its sign turned where less is better.
        low: of its 95% interval.
        high: of its 95% interval.
        p: corrected by Holm for all tests of the metric; NaN for fewer than `ENOUGH` photographs.
        photographs: that the test is of.
        least: a bound that the corrected p-value cannot fall below, however the photographs come
            out: that of a signed-rank test, times the number of tests that remain.
        tests: number of tests of the metric, those without a p-value included.
    """

    value: float
    low: float
    high: float
    p: float
    photographs: int
    least: float
    tests: int

    @property
    def side(self) -> int:
        """1 for a, -1 for b, 0 if the interval alone does not decide."""
        return side(self.low, self.high)

    @property
    def decided(self) -> int:
        """As `side`, if the corrected p-value agrees; 0 without one."""
        return self.side if self.p < LEVEL else 0

    @property
    def undecidable(self) -> bool:
        """Whether there are too few photographs for the test to decide anything."""
        few = self.photographs < ENOUGH or self.least >= LEVEL
        return few and not self.p < LEVEL

    @property
    def verdict(self) -> Verdict:
        """The verdict by interval and corrected p-value together."""
        if self.decided:
            return "shown"
        return "too few images" if self.undecidable else "not shown"

    @property
    def needed(self) -> int:
        """The number of photographs with which the test could decide, besides as many others."""
        return max(ENOUGH, draws_needed(max(1, self.tests), LEVEL))


def paired_differences(
    frame: pd.DataFrame, metric: str, a: str, b: str
) -> dict[str, PairedDifference]:
    """Every test of two models, by noise.

    Args:
        frame: see `paired`.
        metric: of its column `metric`.
        a: a model.
        b: another one; the table may have them in either order.
    """
    part, differences = frame[frame.metric == metric], {}
    tests = int(np.isfinite(part.difference.astype(float)).sum())
    for flipped in (False, True):
        names = (b, a) if flipped else (a, b)
        rows = part[(part.model_a == names[0]) & (part.model_b == names[1])]
        sign = (-1 if flipped else 1) * (1 if facts(metric).higher_is_better else -1)
        for row in rows.to_dict("records"):
            low, high = (sign * row[end] for end in ("low", "high"))
            ends = (low, high) if sign > 0 else (high, low)
            value = sign * row["difference"]
            photographs = int(row["photographs"])
            least = least_p(photographs, int((part.p >= least_p(photographs)).sum()))
            differences[str(row["noise"])] = PairedDifference(
                value, *ends, row["p_holm"], photographs, least, tests
            )
    return differences


def too_few(tests: Iterable[PairedDifference]) -> str:
    """That tests of so few photographs cannot show anything, and how many they need.

    Args:
        tests: of one metric, all undecidable.
    """
    few = list(tests)
    words, one = in_words("too few images", needed=few[0].needed), few[0]
    if min(test.photographs for test in few) < ENOUGH:
        return words
    corrected = f", corrected for {plural(one.tests, 'test')}," if one.tests > 1 else ""
    return f"{words}, as p{corrected} is {min(test.least for test in few):.2g} or more"


def over_unseen(
    frames: Mapping[str, pd.DataFrame], metric: str, a: str, b: str
) -> PairedDifference | None:
    """The test of two models over all unseen noises, or under the only one; None without.

    Over all noises where it is not known what the models were trained on.
    """
    differences = paired_differences(frames["tests"], metric, a, b)
    for noise in (OUTSIDE, ALL):
        if noise in differences:
            return differences[noise]
    noises = frames["noises"]
    unseen = unseen_noises(noises) or list(differences)
    return differences.get(str(unseen[0])) if len(unseen) == 1 else None


def unseen_noises(noises: pd.DataFrame) -> list[str]:
    """The noises that no model was trained on, of those of which it is known."""
    known = noises[noises.in_distribution.notna()]
    unseen = known.in_distribution.eq(False).groupby(known.noise, sort=False).all()
    return [str(noise) for noise in unseen[unseen].index]
