"""Whether scores, and the order of models, depend on the number of components and of patches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.srga.fits import AllFits
from analysis.srga.score import Fit, compare, fit_scores
from analysis.stats import gram_pca
from analysis.stats.undefined import Undefined

COMPONENTS = (5, 10, 20, 50, 100, 300)
"""Numbers of components that are tried, beside that of the run."""

SHARES = (1, 2, 4)
"""The patches are taken whole, every second, and every fourth."""

FEWEST = 8
"""Fewer patches than this are not tried, unless the run itself has no more."""

COLUMNS = ["model", "patches", "components", "srga", "ceiling", "noises"]


def table(fits: AllFits, inputs: RunInputs) -> pd.DataFrame:
    """A row for each model, number of patches and number of components.

    `srga` is the mean score over the `noises` other than the reference, `ceiling` the score of the
    reference drawn again (see `analysis.srga.controls`); NaN where a score has no value. Components
    are at most one fewer than patches, and at most the features; those of the run itself are
    among them, and so are all of its patches.

    Args:
        fits: of every view.
        inputs: models and noises.
    """
    rows = []
    every = np.arange(len(fits.draws))
    chosen = [every[::step] for step in SHARES if step == 1 or len(every[::step]) >= FEWEST]
    for model in inputs.models:
        for patches in chosen:
            rows += [(model, len(patches), *row) for row in _rows(fits, inputs, model, patches)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    fits: AllFits, inputs: RunInputs, model: str, patches: NDArray[np.int64]
) -> Iterator[tuple[int, float, float, int]]:
    """Components, mean score, ceiling and number of noises of a model, of some patches."""
    reference, *others = (View(model, spec) for spec in inputs.specs)
    again = None if inputs.controls is None else inputs.controls.controls.other_draw(reference)
    most = min(len(patches) - 1, fits.features[reference].features)
    tried = sorted({min(n, most) for n in (*COMPONENTS, fits.settings.components)})
    views = [reference, *others, *([] if again is None else [again])]
    by_view = {view: fitted(fits, view, patches, tried) for view in views}
    for place, number in enumerate(tried):
        first = by_view[reference][place]
        scores = [score(first, by_view[view][place]) for view in others]
        ceiling = math.nan if again is None else score(first, by_view[again][place])
        yield number, float(np.mean(scores)), ceiling, len(scores)


def fitted(
    fits: AllFits, view: View, patches: NDArray[np.int64], components: Sequence[int]
) -> list[Fit | None]:
    """Fits of some patches of a view with each number of components; None where there is none."""
    import torch

    gram = fits.features[view].gram
    try:
        part = gram if len(patches) == len(gram) else None
        part = gram_pca.recentered(gram, torch.from_numpy(patches)) if part is None else part
        scores = gram_pca.scores(part, max(components))
        return [fit_scores(scores[:, :number], fits.settings.fit) for number in components]
    except Undefined:
        return [None] * len(components)


def score(reference: Fit | None, test: Fit | None) -> float:
    """The score of two fits; NaN where one is missing."""
    return math.nan if reference is None or test is None else compare(reference, test).srga
