"""The controls of a score: ceiling, floor and untrained networks.

A score is a distance, so that its controls are distances, too:

* *Ceiling*: of the reference noise from the reference noise drawn again. No smaller score says
  anything of the kind of noise.
* *Floor*: between the patches of every other photograph and those of the rest, all under the
  reference noise, each half once as the reference; the mean of both. Other content alone moves
  features as far. Half the patches give half the components, so that a floor is on another scale
  than the scores beside it.
* *Untrained*: of networks of the same architecture with random weights, between the same two
  noises; mean and standard deviation.
"""

from __future__ import annotations

import math

import numpy as np

from analysis.engine.controls import Controls as ControlViews
from analysis.engine.observer import View
from analysis.srga.fits import AllFits
from analysis.stats.controls import NO_CONTROLS, NOTHING, Controls, halves


def floor(fits: AllFits, reference: View) -> float:
    """The score between two halves of the photographs under one noise; NaN where there is none."""
    sides = halves(fits.draws)
    if not sides or min(map(len, sides)) < 2:
        return math.nan
    a, b = (fits.some(reference, side) for side in sides)
    return float(np.mean([a.to(b).value, b.to(a).value]))


def controls(fits: AllFits, views: ControlViews, model: str, reference: str) -> dict[str, Controls]:
    """The controls of a model's score under every noise but the reference, by noise.

    Args:
        fits: of all views, the controls among them.
        views: which are the controls of which.
        model: the model.
        reference: the reference noise.
    """
    own = View(model, reference)
    again, apart = views.other_draw(own), floor(fits, own)
    ceiling = NOTHING if again is None else fits[own].to(fits[again])
    found = {}
    for noise in (view.noise for view in fits.features if view.model == model):
        pairs = views.untrained_pairs(own, View(model, noise))
        drawn = [fits[a].to(fits[b]) for a, b in pairs if b in fits.features]
        found[noise] = Controls(ceiling, apart, drawn)
    return found | {reference: NO_CONTROLS}
