"""The controls of CH by noise: draws of one noise as classes, and untrained networks.

* *Ceiling*: the same index, of the same crops and as many classes, when the classes are draws of
  the reference noise rather than kinds of noise. No smaller index says anything of their kinds.
* *Floor*: none. Classes of different photographs would hold fewer samples, and CH depends on their
  number; the index by content (`ch_content`) says how far photographs lie apart.
* *Untrained*: of networks of the same architecture with random weights, under the same noises; mean
  and standard deviation.

The probe, the silhouette and t-SNE are not computed of controls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.degradation import separability
from analysis.degradation.observer import Pooled, PooledLayers
from analysis.degradation.samples import labels, scores
from analysis.degradation.settings import DegradationSettings
from analysis.stats import jackknife
from analysis.stats.controls import Controls, Series, average, deviation, gap, over_trainings
from analysis.stats.undefined import Undefined

RATIOS = [
    f"{name}{end}" for name in ("over_ceiling", "over_untrained") for end in ("", "_low", "_high")
]
"""Columns of the last features: CH over that of its controls, with 95% intervals."""


def add(
    frame: pd.DataFrame,
    indices: Mapping[tuple[str, str], Series],
    pooled: PooledLayers,
    inputs: RunInputs,
    settings: DegradationSettings,
) -> None:
    """Add the columns of the controls to the table of separability; called in every process.

    Args:
        frame: a row for each model and layer.
        indices: CH by noise by model and layer, and without each photograph.
        pooled: features of all networks.
        inputs: with controls.
        settings: components and intervals.
    """

    def measured(place: int) -> dict[str, float]:
        row = frame.iloc[place]
        entry, last = (str(row.model), str(row.layer)), bool(row.last_features)
        return columns(entry, indices[entry] if last else None, pooled, inputs, settings)

    rows = inputs.ranks.map(measured, range(len(frame)), "controls")
    for name in ("ceiling", "floor", "untrained", "untrained_sd", *RATIOS):
        frame[name] = [row[name] for row in rows]


def columns(
    entry: tuple[str, str],
    own: Series | None,
    pooled: PooledLayers,
    inputs: RunInputs,
    settings: DegradationSettings,
) -> dict[str, float]:
    """The columns of the controls of one layer.

    Args:
        entry: model and layer.
        own: the index, to compute how many times its controls it is, with intervals if the settings
            have them; else NaN.
        pooled: features of all networks.
        inputs: with controls.
        settings: components and intervals.
    """
    model, layer = entry
    assert inputs.controls is not None
    networks = inputs.trainings[model]
    names = inputs.controls.controls.untrained.get(networks[0], ())
    leave_out = own is not None and settings.intervals
    drawn = [pooled.noises.get((name, layer)) for name in names]
    untrained = [index(of, inputs, settings, leave_out) for of in drawn]
    ceiling = over_trainings(
        [index(pooled.draws.get((one, layer)), inputs, settings, leave_out) for one in networks]
    )
    found: dict[str, Any] = Controls(ceiling, math.nan, untrained).columns()
    if own is None:
        return found | dict.fromkeys(RATIOS, math.nan)
    mean, sd = average(untrained), deviation(untrained)
    logarithms = (
        gap(own.log(), ceiling.log()),
        gap(own.log(), mean.log(), sd / mean.value if sd > 0 else 0.0, len(untrained)),
    )
    values = [float(np.exp(value)) for three in logarithms for value in three]
    return found | dict(zip(RATIOS, values, strict=True))


def index(
    pooled: Pooled | None, inputs: RunInputs, settings: DegradationSettings, leave_out: bool
) -> Series:
    """CH by noise of a layer, and without each photograph; NaN where there is none."""
    missing = Series(math.nan, np.zeros(0))
    if pooled is None:
        return missing
    noise, crop = labels(inputs)
    try:
        value = separability.calinski_harabasz(scores(pooled, settings), noise)
    except Undefined:
        return missing
    photographs = jackknife.draws([c.scene or c.image for c in inputs.crops])
    if not leave_out or len(set(photographs.tolist())) < jackknife.LEAST:
        return Series(value, np.zeros(0))
    draws = photographs[crop]
    logs = separability.log_index(pooled.gram, noise, draws, settings.components)
    return Series(value, np.exp(logs.without))
