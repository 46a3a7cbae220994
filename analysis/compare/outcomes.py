"""Parts of the PSNR drop as outcomes: how much of it is leaked noise, how much damaged content."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product

import numpy as np
import pandas as pd

from analysis.compare.settings import OUTCOMES_OF
from analysis.error.decomposition import shapley

ERROR = OUTCOMES_OF
"""The analysis that outcomes are taken from, and its table."""

LEAK, DAMAGE = "drop_leak", "drop_damage"

OUTCOMES = {
    LEAK: "PSNR drop by leaked noise (dB)",
    DAMAGE: "PSNR drop by damaged content (dB)",
}
"""The outcomes, with their labels."""

PARTS = ("bias2", "variance", "mask_variance")
"""Columns of the error's parts: damage, and the two that are counted as leak."""


def outcomes(frame: pd.DataFrame, trained: Collection[str], models: Sequence[str]) -> pd.DataFrame:
    """The parts of each model's PSNR drop from the noises trained on to unseen ones, in dB.

    Between a noise trained on and an unseen one the PSNR of the mean squared error falls by
    10 log₁₀(MSE of the unseen one / MSE of the other), which is divided between bias² (damage) and
    variance over noise and masks (leak), see `analysis.error.decomposition.shapley`. Means over all
    pairs of noises, of those under which every model has its parts.

    Args:
        frame: error.csv, see `analysis.error`.
        trained: noises that the models were trained on.
        models: names of the models, in the order of the rows.

    Returns:
        A row for each model, a column for each outcome; NaN without noises of both kinds.
    """
    wide = {
        part: frame.pivot(index="model", columns="noise", values=part).reindex(list(models))
        for part in PARTS
    }
    known = wide[PARTS[0]].notna()
    for part in PARTS[1:]:
        known &= wide[part].notna()
    of_any = known.any(axis=1)
    shared = [str(noise) for noise in known if of_any.any() and known[noise][of_any].all()]
    seen, unseen = ([n for n in shared if (n in trained) == side] for side in (True, False))
    pairs = list(product(seen, unseen))
    if not pairs:
        return pd.DataFrame(np.nan, index=range(len(models)), columns=list(OUTCOMES))
    damage, variance, over_masks = (
        [of[[pair[side] for pair in pairs]].to_numpy(np.float64) for side in (0, 1)]
        for of in wide.values()
    )
    leak = [one + other for one, other in zip(variance, over_masks, strict=True)]
    change = shapley(damage[0], leak[0], damage[1], leak[1])
    return pd.DataFrame({LEAK: -change.leak.mean(1), DAMAGE: -change.damage.mean(1)})
