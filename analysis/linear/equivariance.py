"""Whether a network commutes with changes of its input: contrast, brightness, turns, flips.

The relative error of a change T is ‖f(T y) − T f(y)‖ / ‖T f(y)‖, for the contrast T y = a y, for
the brightness T y = y + b. A network without additive constants has error 0 for the contrast. A
noise level that a network is given is multiplied by `Change.level`.

Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks*, ICLR 2020, for the contrast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

STEP = 0.1
"""Change of the brightness, of a range from 0 to 1: 25.5 8-bit levels."""


class Change(NamedTuple):
    """A change of images (B, C, H, W), and by what it multiplies the level of the noise."""

    apply: Callable[[Tensor], Tensor]
    level: float = 1.0
    moves: bool = False


CHANGES: dict[str, Change] = {
    "contrast x 0.5": Change(lambda y: 0.5 * y, 0.5),
    "contrast x 2": Change(lambda y: 2 * y, 2.0),
    f"brightness + {STEP}": Change(lambda y: y + STEP),
    f"brightness - {STEP}": Change(lambda y: y - STEP),
    "rotation by 90": Change(lambda y: torch.rot90(y, 1, (-2, -1)), moves=True),
    "rotation by 180": Change(lambda y: torch.rot90(y, 2, (-2, -1)), moves=True),
    "rotation by 270": Change(lambda y: torch.rot90(y, 3, (-2, -1)), moves=True),
    "flip left-right": Change(lambda y: y.flip(-1), moves=True),
    "flip up-down": Change(lambda y: y.flip(-2), moves=True),
}


def relative_error(changed: Tensor, expected: Tensor) -> float:
    """‖f(T y) − T f(y)‖ / ‖T f(y)‖; NaN where that is 0.

    Args:
        changed: (B, C, H, W), f(T y).
        expected: the same shape, T f(y).

    Returns:
        Without unit, 0 or more.

    >>> relative_error(torch.tensor([[3.0, 4.5]]), torch.tensor([[3.0, 4.0]]))
    0.1
    """
    size = float(torch.linalg.norm(expected.double()))
    return (
        float(torch.linalg.norm(changed.double() - expected.double())) / size
        if size
        else (math.nan)
    )
