"""Paired tests between models on the same images under the same noise, and what they decide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.generalization.scoring import Table, facts, interval, weighted, weights
from analysis.stats.paired_tests import LEVEL, draws_needed, holm, least_p, wilcoxon
from analysis.text.markdown import side
from analysis.text.terminal import plural

OUTSIDE = "out of distribution"
"""Stands for a noise where a test is of each image's mean over all noises out of distribution."""

ALL = "all noises"
"""The same over all noises, where it is not known what the models were trained on."""


def paired(table: Table) -> pd.DataFrame:
    """Every two models under every noise, and over all noises out of distribution together.

    The latter are all noises where none is in or out of distribution for all models. A model of
    which it is not known what it was trained on has no such test beside models of which it is.

    Columns: `difference`, the mean over images of a − b, with its 95% interval; `better`, the share
    of draws on which a is better; `p`, see `wilcoxon`, over the draws (a photograph's crops are
    averaged first); `p_holm`, corrected for all tests of the metric. The joint test is of each
    image's mean over noises, every kind counting the same, where all those noises share the images.
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
        alone = replace(table, conditions=[conditions[0]])
        for a, b in combinations(range(len(table.contestants)), 2):
            if noise == OUTSIDE and (table.unknown[a] or table.unknown[b]):
                continue
            with np.errstate(invalid="ignore"):
                change = values[:, a] - values[:, b]
            mean, low, high = interval(alone, lambda parts: parts[0], [change[:, None]])
            each = np.array([change[units == i].mean() for i in range(table.draws[population])])
            known = np.isfinite(each).all()
            rows.append(
                {
                    "noise": noise,
                    "metric": table.metric,
                    "model_a": table.models[a],
                    "model_b": table.models[b],
                    "difference": mean[0],
                    "low": low[0],
                    "high": high[0],
                    "better": float((sign * each > 0).mean()) if known else np.nan,
                    "p": wilcoxon(each),
                    "draws": len(each),
                    "draw": table.unit[population],
                }
            )
    columns = ["noise", "metric", "model_a", "model_b", "difference", "low", "high", "better"]
    frame = pd.DataFrame(rows, columns=[*columns, "p", "draws", "draw"])
    frame.insert(9, "p_holm", holm(list(frame.p)))
    return frame


class PairedDifference(NamedTuple):
    """A paired difference of two models, a - b, so that more is always better for a.

    Attributes:
        value: in units of the metric, its sign turned where less is better.
        low: of its 95% interval.
        high: of its 95% interval.
        p: corrected by Holm for all tests of the metric.
        draws: number of images that the test is of; 0 if that is not known.
        least: a bound that the corrected p-value cannot fall below, however the images come out:
            that of a signed-rank test, times the number of tests that remain.
        tests: number of tests of the metric.
    """

    value: float
    low: float
    high: float
    p: float
    draws: int = 0
    least: float = 0.0
    tests: int = 1

    @property
    def side(self) -> int:
        """1 for a, -1 for b, 0 if the interval alone does not decide."""
        return side(self.low, self.high)

    @property
    def decided(self) -> int:
        """As `side`, if the corrected p-value agrees or there is none."""
        return self.side if math.isnan(self.p) or self.p < LEVEL else 0

    @property
    def undecidable(self) -> bool:
        """Whether there are too few images for the test to decide anything."""
        return self.least >= LEVEL and not self.p < LEVEL

    @property
    def needed(self) -> int:
        """The number of images with which the test could decide, besides as many others."""
        return draws_needed(self.tests, LEVEL)


def paired_differences(
    tests: pd.DataFrame, metric: str, a: str, b: str
) -> dict[str, PairedDifference]:
    """Every test of two models, by noise.

    Args:
        tests: see `paired`.
        metric: of its column `metric`.
        a: a model.
        b: another one; the table may have them in either order.
    """
    part = tests[tests.metric == metric]
    differences = {}
    for flipped in (False, True):
        names = (b, a) if flipped else (a, b)
        rows = part[(part.model_a == names[0]) & (part.model_b == names[1])]
        sign = (-1 if flipped else 1) * (1 if facts(metric).higher_is_better else -1)
        for row in rows.to_dict("records"):
            low, high = (sign * row[end] for end in ("low", "high"))
            ends = (low, high) if sign > 0 else (high, low)
            value = sign * row["difference"]
            draws = int(row.get("draws", 0))
            remaining = int((part.p >= least_p(draws)).sum())
            least = least_p(draws, remaining) if draws else 0.0
            differences[str(row["noise"])] = PairedDifference(
                value, *ends, row["p_holm"], draws, least, int(part.p.notna().sum())
            )
    return differences


def too_few(tests: Iterable[PairedDifference]) -> str:
    """That tests of so few images cannot decide, and how many they need."""
    few = list(tests)
    draws = sorted({test.draws for test in few})
    images = plural(draws[-1], "image")
    span = images if len(draws) == 1 else f"{draws[0]} to {images}"
    one = few[0]
    corrected = f", corrected for {plural(one.tests, 'test')}," if one.tests > 1 else ""
    return (
        f"with {span} the test cannot decide: its p{corrected} is "
        f"{min(test.least for test in few):.2g} or more, and it needs {one.needed} images"
    )


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
