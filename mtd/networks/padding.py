"""Extending images at the bottom and right to sizes that a network takes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def extend(image: Tensor, multiple: int = 1, least: int = 1) -> Tensor:
    """(…, C, H, W) to sides that are multiples of `multiple` and `least` or more.

    By reflection where the image is large enough for that, else by repeating its edge. Boolean and
    whole-number images keep their type.
    """
    kind = image.dtype
    if not image.is_floating_point():
        image = image.float()
    for axis in (-2, -1):
        side = image.shape[axis]
        missing = -(-max(side, least) // multiple) * multiple - side
        if missing > 0:
            margin = (0, missing, 0, 0) if axis == -1 else (0, 0, 0, missing)
            image = F.pad(image, margin, mode="reflect" if missing < side else "replicate")
    return image.to(kind)
