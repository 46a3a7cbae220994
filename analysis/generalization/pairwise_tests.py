"""Paired tests between models on the same images under the same noise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.generalization.scoring import Table, interval, weighted, weights
from analysis.stats.paired_tests import holm, wilcoxon

OUTSIDE = "out of distribution"
"""Stands for a noise where a test is of each image's mean over all noises out of distribution."""


def paired(table: Table) -> pd.DataFrame:
    """Every two models under every noise, and over all noises out of distribution together.

    Columns: `difference`, the mean over images of a − b, with its 95% interval; `better`, the share
    of draws on which a is better; `p`, see `wilcoxon`, over the draws (a photograph's crops are
    averaged first); `p_holm`, corrected for all tests of the metric. The joint test is of each
    image's mean over noises, every kind counting the same, where all those noises share the images.
    """
    sign = 1 if table.higher else -1
    outside = weights(table.conditions, False)
    used = [c for c, w in zip(table.conditions, outside, strict=True) if w]
    sets = [([c], np.ones(1), c.noise) for c in table.conditions]
    if len(used) > 1 and len({c.population for c in used}) == 1:
        sets.append((used, outside[outside > 0], OUTSIDE))
    rows = []
    for conditions, weight, noise in sets:
        units, population = conditions[0].units, conditions[0].population
        with np.errstate(invalid="ignore"):  # the difference of infinite values is no number
            values = weighted([c.values for c in conditions], weight)
        alone = Table(table.metric, table.models, [conditions[0]], table.draws, table.unit)
        for a, b in combinations(range(len(table.contestants)), 2):
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
