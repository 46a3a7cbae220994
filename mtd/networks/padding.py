"""Padding images at the bottom and right to the sizes that a network takes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def extend(image: Tensor, multiple: int = 1, least: int = 1) -> Tensor:
    """Pad images so that height and width are multiples of `multiple` and at least `least`.

    By reflection where the image is large enough, else by repeating its edge.

    Args:
        image: (…, C, H, W), of any type, which is kept.
        multiple: of both sides.
        least: of both sides.

    >>> import torch
    >>> extend(torch.arange(3.0).view(1, 1, 3), multiple=4)[0, 0]
    tensor([0., 1., 2., 1.])
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
