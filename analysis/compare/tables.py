"""The tables of the comparison: models and indices, rank correlations, notes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from analysis.compare import predictors
from analysis.compare.candidates import among
from analysis.compare.predictors import targets
from analysis.compare.runs import Run
from analysis.stats.paired_tests import holm
from analysis.stats.rank_correlation import LEAST, spearman
from analysis.text.terminal import plural
from mtd.utils.errors import BadInput

FEWEST_KINDS = 3
"""Fewest different values of untrained networks of which a rank correlation is taken."""


def tables(runs: Sequence[Run]) -> dict[str, pd.DataFrame]:
    """A row for each model, one for each index and target, and one for each note, by file name.

    Where a model has several trainings, also a row for each of these.

    Raises:
        BadInput: see `analysis.compare.predictors.gather` and `correlations`.
    """
    frame, single = predictors.gather(runs), predictors.gather_by_training(runs)
    return {
        "compare.csv": frame,
        **({} if single.empty else {"compare_by_training.csv": single}),
        "correlations.csv": correlations(frame),
        "notes.csv": predictors.notes(runs),
    }


def correlations(frame: pd.DataFrame) -> pd.DataFrame:
    """Each index against the PSNR drop, its parts, and the PSNR under unseen noise.

    Columns: `index`; `target`; `models`, how many have both; `spearman`, ρ, with its 95% interval
    `low` to `high` and two-sided `p`, see `analysis.stats.rank_correlation.spearman`;
    `p_corrected`, Holm's, over the indices of one target; `untrained`, ρ of the same index of
    untrained networks, NaN where the models share fewer than `FEWEST_KINDS` kinds of them, whose
    order says nothing; `describes`, whether the index needs the clean images of the unseen noises,
    as the drop does. There is no row for an index and an outcome that is computed from the same
    numbers, see `analysis.compare.candidates`.

    Raises:
        BadInput: fewer than 4 models.
    """
    if len(frame) < LEAST:
        raise BadInput(f"{plural(len(frame), 'model')}: rank correlations need {LEAST} or more")
    parts = []
    for target in targets(frame):
        rows = []
        for one in among(frame):
            if target in one.not_with:
                continue
            index = one.index
            both = frame[[index.name, target]].dropna()
            few = len(both) < LEAST
            value = spearman([], []) if few else spearman(both[index.name], both[target])
            rows.append(
                {"index": index.name, "target": target, "models": len(both)}
                | {"spearman": value.value, "low": value.low, "high": value.high, "p": value.p}
                | {"untrained": of_untrained(frame, index.name, target)}
                | {"describes": one.describes}
            )
        if not rows:
            continue
        part = pd.DataFrame(rows)
        parts.append(part.assign(p_corrected=holm(list(part.p))))
    return pd.concat(parts, ignore_index=True)


def of_untrained(frame: pd.DataFrame, name: str, target: str) -> float:
    """Spearman's ρ of an index of untrained networks with a target; NaN where it is undefined."""
    column = predictors.untrained_column(name)
    if column not in frame:
        return math.nan
    both = frame[[name, column, target]].dropna()
    if len(both) < LEAST or both[column].nunique() < FEWEST_KINDS:
        return math.nan
    return float(spearman(both[column], both[target]).value)
