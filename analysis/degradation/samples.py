"""The samples of a layer: their noise, their crop, and their scores on principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.commands.inputs import RunInputs
from analysis.degradation import separability
from analysis.degradation.observer import Pooled
from analysis.degradation.settings import DegradationSettings
from analysis.stats import gram_pca
from analysis.stats.undefined import CONSTANT, Undefined


def labels(inputs: RunInputs) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each sample's noise and crop, by their places; see `analysis.degradation.observer.Pooled`."""
    crops, noises = np.arange(len(inputs.crops)), np.arange(len(inputs.noises))
    return np.repeat(noises, len(crops)), np.tile(crops, len(noises))


def scores(pooled: Pooled, settings: DegradationSettings) -> NDArray[np.float64]:
    """Scores on principal components, (samples, components).

    Raises:
        Undefined: the features are not finite or do not vary.
    """
    values = separability.upright(gram_pca.scores(pooled.gram, settings.components))
    if not np.square(values).sum() > 0:
        raise Undefined(CONSTANT)
    return values
