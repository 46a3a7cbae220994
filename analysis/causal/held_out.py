"""The branch that recovers most, chosen on some photographs and measured on others.

The largest recovery of many branches on the same photographs is too large: it is the maximum of
estimates with errors, and rises with the number of branches even where none recovers anything.
Photographs are therefore cut into two halves; those of each half are patched in the branch that
recovers most on the other half. Where only branches with the largest estimates were patched, all
photographs have chosen those, and part of the bias remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.stats.controls import halves

if TYPE_CHECKING:
    from analysis.causal.traced import Traced

Array = NDArray[np.float64]


def patched_elsewhere(
    traced: Traced, numbers: Sequence[int], draws: NDArray[np.int64]
) -> Array | None:
    """(crops,) the error L_B←A of each crop, its branch chosen on the other half of photographs.

    Branches that are a cut through the whole network, those that were not patched, and those with
    an error that is not finite are left out; None where no branch or only one photograph is left.

    Args:
        traced: of a network under a noise.
        numbers: the branches among which one is chosen.
        draws: (crops,) the photograph of each.
    """
    known = [i for i in numbers if i in traced.exact and i not in traced.whole]
    known = [i for i in known if bool(traced.exact[i].isfinite().all())]
    sides = halves(draws)
    if not known or not sides:
        return None
    patched = np.stack([traced.exact[i].numpy() for i in known])
    reference, error = traced.reference.numpy(), traced.error.numpy()
    found = np.empty(len(error))
    sign = np.sign(error.sum() - reference.sum())  # of the recovery's denominator
    for own, other in zip(sides, reversed(sides), strict=True):
        recovered = error[other].sum() - patched[:, other].sum(1)
        found[own] = patched[np.argmax(recovered * sign), own]
    return found
