"""The conditions of a benchmark: the long table of its results as arrays, one metric at a time.

`results` is the long table of `analysis.engine.image_quality`: one row for each model, noise,
image and metric.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.commands import training_noises
from analysis.commands.training_noises import Trained
from analysis.commands.trainings import TRAINING, Trainings
from analysis.generalization.metrics import facts
from analysis.generalization.trainings import networks_in
from analysis.stats import jackknife
from analysis.stats.trainings import Samples
from analysis.text.noise_labels import NOISY
from mtd.noise.training_noise import changes_nothing

Array = NDArray[np.float64]

CROP = ["image", "top", "left", "height", "width", "sha256"]


@dataclass(frozen=True)
class Condition:
    """One noise: values of every model on the same crops.

    Attributes:
        noise: its text.
        kind: its kind; the levels of a kind count together as much as any other kind.
        level: its level, NaN if it has none.
        trained: whether every model was trained on it (True) or none (False), of those of which
            it is known; None if it is neither; see `analysis.commands.training_noises.splits`.
        crops: number of rows, in the order of the images.
        values: (crops, models).
        units: (crops,) which photograph each row belongs to, from 0.
        population: which set of photographs that is; noises on the same crops share it.
        names: (crops,) which crops they are, with the columns `CROP`.
        single: (crops, trainings) values of every training of every model, of which `values` are
            the means.
    """

    noise: str
    kind: str
    level: float
    trained: bool | None
    values: Array
    units: NDArray[np.int64]
    population: int
    names: pd.DataFrame
    single: Array


@dataclass(frozen=True)
class Table:
    """One metric's conditions.

    Attributes:
        metric: its name.
        models: names of the columns of `values`; references follow the models, and the noisy
            input, if it is there, is the last.
        conditions: the noises.
        photographs: number of them in each population.
        trained: by model, the noises that it was trained on; None where that is unknown.
        references: the classical references among the models.
        trainings: of each model, in the order of the columns of `Condition.single`.
    """

    metric: str
    models: list[str]
    conditions: list[Condition]
    photographs: list[int]
    trained: Trained = field(default_factory=dict)
    references: frozenset[str] = frozenset()
    trainings: Trainings = field(default_factory=dict)

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return facts(self.metric).higher_is_better

    @property
    def contestants(self) -> list[str]:
        """The models without references and the noisy input."""
        return [name for name in self.models if name not in (*self.references, NOISY)]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """(models,) of which it is not known what they were trained on.

        References and the noisy input are among them where all others are.
        """
        names, own = set(training_noises.unknown(self.trained)), set(self.contestants)
        every = names >= own
        return np.array([name in names if name in own else every for name in self.models])

    @property
    def has_split(self) -> bool:
        """Whether some noise is in or out of distribution for all models of known training."""
        return any(condition.trained is not None for condition in self.conditions)

    @property
    def several(self) -> bool:
        """Whether some model has several trainings."""
        return any(len(names) > 1 for names in self.trainings.values())

    def samples(self, single: Array) -> list[Samples]:
        """Of each model the values of its trainings; none of a single network.

        Args:
            single: (trainings,) in the order of `Condition.single`.
        """
        ends = np.cumsum([len(names) for names in self.trainings.values()])[:-1]
        return [(own,) if len(own) > 1 else () for own in np.split(single, ends)]

    def in_distribution(self, condition: Condition, model: str) -> bool | None:
        """Whether a model was trained on a noise; None where that is unknown, or no noise."""
        if model not in self.contestants:
            return condition.trained
        noises = self.trained.get(model)
        if noises is None or changes_nothing(condition.noise):
            return None
        return condition.noise in noises


def table(results: pd.DataFrame, metric: str, in_distribution: Any) -> Table:
    """One metric of the long table, as arrays.

    Args:
        results: see `analysis.engine.image_quality.COLUMNS`.
        metric: of its column `metric`.
        in_distribution: the noises that all models were trained on, or those of each model, None
            where that is unknown; the entry of a manifest.
    """
    part = results[results.metric == metric]
    beside = references_in(part)
    models = sorted(  # else as given
        dict.fromkeys(part.model), key=lambda name: 2 if name == NOISY else name in beside
    )
    found = networks_in(part)
    networks = {name: found[name] for name in models}
    column = TRAINING if TRAINING in part else "model"
    every = [name for names in networks.values() for name in names]
    own = [name for name in models if name not in (*beside, NOISY)]
    trained = training_noises.from_entry(in_distribution, own)
    split = training_noises.splits(trained, list(dict.fromkeys(part.noise)))
    conditions: list[Condition] = []
    populations: dict[tuple[str, ...], tuple[int, NDArray[np.int64]]] = {}
    for noise, rows in part.groupby("noise", sort=False):
        wide = rows.pivot(index=CROP, columns=column, values="value")[every]
        first = rows[rows[column] == every[0]].sort_values(["sha256", *CROP], kind="stable")
        wide = wide.reindex(pd.MultiIndex.from_frame(first[CROP]))
        names = first[CROP].reset_index(drop=True)
        # the same pixels under another name are the same draw
        key = tuple(names.sha256 if names.sha256.is_unique else names.sha256 + names.image)
        if key not in populations:
            populations[key] = len(populations), jackknife.draws(list(first.scene))
        population, units = populations[key]
        single = wide.to_numpy(dtype=float)
        conditions.append(
            Condition(
                str(noise),
                str(first.kind.iloc[0]),
                float(first.level.iloc[0]),
                split[str(noise)],
                means_of(single, networks),
                units,
                population,
                names,
                single,
            )
        )
    photographs = [int(units.max()) + 1 for _, units in populations.values()]
    return Table(metric, models, conditions, photographs, trained, beside, networks)


def means_of(single: Array, names: Trainings) -> Array:
    """(crops, trainings) to (crops, models): the mean over the trainings of each model."""
    ends = np.cumsum([len(own) for own in names.values()])[:-1]
    return np.stack([own.mean(1) for own in np.split(single, ends, axis=1)], axis=1)


def references_in(frame: pd.DataFrame) -> frozenset[str]:
    """The classical references among a table's models; none in the tables of runs without any."""
    if "is_reference" not in frame:
        return frozenset()
    return frozenset(map(str, frame.model[frame.is_reference.eq(True)]))


def contestants(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are of models, not of references or the noisy input."""
    return frame[~frame.model.isin([*references_in(frame), NOISY])]
