"""Several trainings of one run: their mean curves and summaries, with intervals over trainings.

A run that was resumed is one training, whose logs are read as one, see
`analysis.curves.resumed_runs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.commands.trainings import Trainings, by_training, several
from analysis.curves import tables
from analysis.curves.logged import LOSS, PSNR
from analysis.curves.tables import COLUMNS, SUMMARY, Trained
from analysis.stats.trainings import half_width
from mtd.utils.errors import BadInput

POINT = ["source", "quantity", "noise", "step"]
"""Columns that say what a value is of."""

MEASURED = tuple(name for name in SUMMARY if name not in ("run", "trained", "unseen"))
"""Columns of a summary of which there are means."""


RECIPE = ("network", "mask", "optimizer")
"""Sections of a recipe that are the same for all trainings of a run."""


def check_recipes(run: str, recipes: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that trainings of `mtd.train` were made by one recipe; noises by `said_together`.

    Args:
        run: its name.
        recipes: of each training; empty where it is not known.

    Raises:
        BadInput: recipes that differ in more than a seed.
    """
    known = {name: recipe for name, recipe in recipes.items() if recipe}
    for (a, one), (b, other) in combinations(known.items(), 2):
        if differing := [name for name in RECIPE if one.get(name) != other.get(name)]:
            raise BadInput(
                f"{run}: the recipes of {a} and {b} differ ({', '.join(differing)}); expected "
                "trainings that differ in their seed"
            )


def check(run: str, frames: Mapping[str, pd.DataFrame]) -> None:
    """Check that logs may be those of different trainings of one run.

    Args:
        run: its name.
        frames: the curves of each training, columns `COLUMNS`.

    Raises:
        BadInput: equal values, a log that begins where another one does not, or no common values.
    """
    for (a, one), (b, other) in combinations(frames.items(), 2):
        shared = [
            part[part.quantity.isin([LOSS, PSNR])].set_index(POINT).value for part in (one, other)
        ]
        pairs = pd.concat(shared, axis=1, join="inner").to_numpy()
        if len(pairs) and (pairs[:, 0] == pairs[:, 1]).all():
            raise BadInput(f"{a} and {b} hold equal values; give each training once")
        check_begin(a, one, b, other)
    if frames and wide(pd.concat(frames.values()), list(frames)).empty:
        raise BadInput(
            f"{run}: no step that all of its trainings have logged; expected logs of one program "
            "at the same steps"
        )


def check_begin(a: str, one: pd.DataFrame, b: str, other: pd.DataFrame) -> None:
    """Check that one log does not go on where another one was interrupted.

    Raises:
        BadInput: they begin farther from each other than their values lie apart.
    """
    quantity = LOSS if all((part.quantity == LOSS).any() for part in (one, other)) else PSNR
    steps = [np.unique(part[part.quantity == quantity].step) for part in (one, other)]
    if not all(map(len, steps)):
        return
    apart = max(np.diff(own).max(initial=0) for own in steps)
    first, second = (int(own[0]) for own in steps)
    if abs(first - second) > apart:
        raise BadInput(
            f"{a} begins at step {first:,} and {b} at step {second:,}; a run that was resumed is "
            "one training: give one folder with all its logs, and trainings from their start"
        )


def wide(curves: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Values where all trainings have one: index `POINT`, in the first one's order, by training."""
    table = curves[curves.run.isin(names)].pivot(index=POINT, columns="run", values="value")
    first = curves[curves.run == names[0]]
    order = pd.MultiIndex.from_frame(first[POINT])
    return table.reindex(columns=list(names)).reindex(order).dropna()


def common_tests(tested: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """The noises and test sets that all trainings of a run were tested on."""
    known = [tested[name] for name in names if name in tested]
    return [noise for noise in known[0] if all(noise in of for of in known)] if known else []


def said_together(run: str, said: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """What the trainings of a run say that they were trained on.

    Raises:
        BadInput: they say different noises.
    """
    found = {tuple(said[name]): name for name in names if said.get(name)}
    if len(found) > 1:
        each = " and ".join(f"{', '.join(noises)} ({name})" for noises, name in found.items())
        raise BadInput(
            f"{run}: its trainings were trained on different noises, {each}; expected trainings of "
            "one recipe"
        )
    return list(next(iter(found), ()))


def of_runs(curves: pd.DataFrame, trainings: Trainings) -> pd.DataFrame:
    """The curves of runs: of several trainings the mean at the steps that all of them have.

    Columns `COLUMNS`, then the number of `trainings` and the interval `low` to `high` over them.

    Args:
        curves: of single trainings.
        trainings: by run.
    """
    frames = []
    for run, names in trainings.items():
        if len(names) == 1:
            own = curves[curves.run == run]
            frames.append(own.assign(trainings=1, low=np.nan, high=np.nan))
            continue
        values = wide(curves, names)
        half = half_width((values.to_numpy().T,))
        frame = values.mean(axis=1).rename("value").reset_index().assign(run=run)
        bounds = {"low": frame.value - half, "high": frame.value + half}
        frames.append(frame.assign(trainings=len(names), **bounds))
    columns = [*COLUMNS, "trainings", "low", "high"]
    return pd.concat(frames, ignore_index=True)[columns]


def summary(single: pd.DataFrame, trainings: Trainings) -> pd.DataFrame:
    """The summaries of runs: of several trainings the means of their values.

    Columns `SUMMARY`, then the number of `trainings` and, of every mean, its interval over them.

    Args:
        single: a row for each training, columns `SUMMARY`.
        trainings: by run.
    """
    rows = []
    for run, names in trainings.items():
        own = single.set_index("run").loc[list(names)]
        values = own[list(MEASURED)].astype(float).to_numpy()
        mean = values.mean(0)
        half = half_width((values,)) if len(names) > 1 else np.full(len(MEASURED), np.nan)
        row = {"run": run, "trained": own.trained.iloc[0], "unseen": own.unseen.iloc[0]}
        row |= dict(zip(MEASURED, mean, strict=True)) | {"trainings": len(names)}
        for name, value, width in zip(MEASURED, mean, half, strict=True):
            row |= {f"{name}_low": value - width, f"{name}_high": value + width}
        rows.append(row)
    return pd.DataFrame(rows)


def tables_of(
    curves: pd.DataFrame,
    trainings: Trainings,
    tested: Mapping[str, Sequence[str]],
    trained: Trained,
) -> dict[str, pd.DataFrame]:
    """The tables of a run folder, with those of single trainings.

    Args:
        curves: of single trainings.
        trainings: by run.
        tested: by run, the tests that all its trainings have.
        trained: by run, its tests of noises trained on; None where that is unknown.
    """
    of = {name: run for run, names in trainings.items() for name in names}
    tests = curves.quantity == PSNR
    everywhere = np.array(
        [noise in tested[of[name]] for name, noise in zip(curves.run, curves.noise, strict=True)],
        dtype=bool,
    )
    single = tables.summary(
        curves[~tests | everywhere], {name: trained[run] for name, run in of.items()}
    )
    return {
        "curves.csv": of_runs(curves, trainings),
        "curves_by_training.csv": by_training(curves, trainings, ("run",)),
        "summary.csv": summary(single, trainings),
        "summary_by_training.csv": by_training(single, several(trainings), ("run",)),
    }
