"""Relative change and gain of activations between a clean and a noisy image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.stats.undefined import CONSTANT, NOT_FINITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from analysis.sensitivity.observer import Sums

    Array = NDArray[np.float64]


NOTHING = 1e-10
"""A layer that varies by less than this share of its size is taken for constant."""


def change(layer: Sums, draws: Sequence[int] | None = None) -> tuple[Array, Array]:
    """How far a layer moves under noise, relative to how much it varies between clean contents.

    √(Σ ‖f(noisy) − f(clean)‖² / Σ ‖f(clean) − m‖²), sums over all images and positions, m being
    the channels' means over all images and positions: the noise-to-signal ratio of the layer, as
    one of amplitudes. Neither a layer's scale nor a constant added to a channel changes it, so
    layers can be compared, and 1 means that the noise moves a layer as much as image content
    does. The sums are of all images, so that batches do not matter.

    Args:
        layer: its sums; see `analysis.sensitivity.observer.Sums`.
        draws: which images are left out together, (images,) from 0; see `jackknife.draws`. By
            default each by itself.

    Returns:
        The value, and the (draws,) values with one of them left out; NaN where the layer is
        constant over clean images, or not finite.
    """
    import numpy as np

    draw_of_image = np.arange(len(layer.moved)) if draws is None else np.asarray(draws)
    members = draw_of_image == np.arange(draw_of_image.max() + 1)[:, None]
    sums = [side.numpy() for side in (layer.moved, layer.first, layer.second)]
    # sums of each draw by themselves, added up image by image
    moved, first, second = (np.stack([side[chosen].sum(0) for chosen in members]) for side in sums)
    sizes = members.sum(1)
    whole = (moved.sum()[None], first.sum(0)[None], second.sum(0)[None], sizes.sum()[None])
    without = (moved.sum() - moved, first.sum(0) - first, second.sum(0) - second)
    ratios = []
    for shift, total, square, images in (whole, (*without, sizes.sum() - sizes)):
        count = np.maximum(1, images * layer.positions)[:, None]
        spread = (square - np.square(total) / count).sum(-1)
        varies = spread > NOTHING * square.sum(-1)
        known = varies & np.isfinite(spread) & np.isfinite(shift)
        ratio = np.maximum(shift, 0) / np.where(known, spread, np.nan)
        ratios.append(np.sqrt(ratio))
    return ratios[0][0], ratios[1]


def lacking(layer: Sums) -> str:
    """Why a layer has no `change`, or "".

    Args:
        layer: its sums; see `analysis.sensitivity.observer.Sums`.
    """
    sums = (layer.moved, layer.first, layer.second)
    if not all(bool(side.sum().isfinite()) for side in sums):
        return NOT_FINITE
    return f"{CONSTANT} over clean images" if math.isnan(change(layer)[0]) else ""


def gain(layer: tuple[Array, Array], image: tuple[Array, Array]) -> tuple[Array, Array]:
    """A layer's change over the noisy image's own: 1 is as sensitive as the input.

    Args:
        layer: of `change`.
        image: of `change`, for what goes into the network.

    Returns:
        As of `change`; NaN where the noise changes nothing.
    """
    import numpy as np

    whole, without = (
        moved / np.where(own > 0, own, np.nan) for moved, own in zip(layer, image, strict=True)
    )
    return whole, without
