"""The last quarter of every snapshot: between two noises, and with the end of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.cka.tables import Quarter
from analysis.commands.snapshots import Snapshot
from analysis.stats.controls import COLUMNS, columns, gap, interval

NAME = "over_training"

NOISES, END = "another noise", "the end of training"
"""What a snapshot is compared with; entries of the column `against`."""

CONTROLS = ("ceiling", "floor", "untrained", "untrained_sd")

CHANGE = ("from_first", "from_first_low", "from_first_high")


def over_training(
    means: Sequence[Quarter], snapshots: Mapping[str, Snapshot], measure: str, several: bool
) -> pd.DataFrame:
    """A row for each snapshot and comparison, in the order of runs, comparisons and steps.

    With the end of training, under one noise and draw, there is a floor alone. `from_first` is the
    value minus that of the run's first snapshot, with its 95% interval, the
    same photographs left out and the trainings subtracted one by one.

    Args:
        means: over the last quarter, of models.
        snapshots: run and step by model.
        measure: name of the column of values.
        several: whether models have several trainings; see `analysis.stats.controls.COLUMNS`.
    """
    groups: dict[tuple[Any, ...], dict[int, Quarter]] = {}
    for quarter in means:
        model_a, noise_a, model_b, noise_b = quarter.views
        run, step = snapshots[model_a]
        against = NOISES if model_a == model_b else END
        groups.setdefault((run, against, noise_a, noise_b), {})[step] = quarter
    rows = []
    for (run, against, noise_a, noise_b), steps in groups.items():
        first = steps[min(steps)].mean
        for step in sorted(steps):
            of, controls = steps[step].mean, steps[step].controls.columns(steps[step].mean)
            if against == END:
                controls |= dict.fromkeys(("ceiling", "untrained", "untrained_sd"), math.nan)
            rows.append(
                (
                    *(run, step, against, noise_a, noise_b, of.value, *interval(of)),
                    len(of.without),
                    *(controls[name] for name in CONTROLS),
                    *gap(of, first),
                    *(columns(of).values() if several else ()),
                )
            )
    names = ["run", "step", "against", "noise_a", "noise_b", measure, "low", "high", "photographs"]
    more = COLUMNS if several else ()
    return pd.DataFrame(rows, columns=[*names, *CONTROLS, *CHANGE, *more])


def by_training(
    rows: pd.DataFrame, snapshots: Mapping[str, Snapshot], measure: str
) -> pd.DataFrame:
    """The same of single trainings: `run`, `training`, `step`, what it is compared with, value.

    Args:
        rows: `last_quarter_by_training.csv`.
        snapshots: run and step by model.
        measure: name of the column of values.
    """
    where = [snapshots[model] for model in rows.model_a]
    names = [text.rpartition(", step ")[0] for text in rows.training_a]
    against = [NOISES if a == b else END for a, b in zip(rows.model_a, rows.model_b, strict=True)]
    return pd.DataFrame(
        {
            "run": [snapshot.run for snapshot in where],
            "training": names,
            "step": [snapshot.step for snapshot in where],
            "against": against,
            "noise_a": rows.noise_a,
            "noise_b": rows.noise_b,
            measure: rows[measure],
            "low": rows.low,
            "high": rows.high,
        }
    )
