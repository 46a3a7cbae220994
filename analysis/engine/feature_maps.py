"""Activations as feature maps: tokens laid out over the image, and image content removed."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from mtd.utils.errors import BadInput, nearest

Centering = Literal["global", "image", "highpass"]

HIGHPASS = 9
"""Side of the window whose mean `highpass` removes."""

MAX_WINDOW = 32
"""Largest multiple to which networks are assumed to pad."""


def lay_out(
    name: str, activation: Tensor, batch: int, height: int, width: int, windowed: bool = False
) -> Tensor:
    """A layer's output for `batch` images of (height, width) as feature maps (B, C, h, w).

    Args:
        name: of the layer, for errors.
        activation: feature maps (B, C, h, w) or (B, h, w, C), see `channels_first`; or tokens
            (B, h · w, C) of the image, or of the image padded on the right and below to whole
            windows.
        batch: B.
        height: of the images.
        width: of the images.
        windowed: whether its tokens are those of single attention windows; see
            `analysis.engine.layers.windowed_layers`.

    Raises:
        BadInput: an output without positions in the image.
    """
    if windowed:
        raise BadInput(
            f"layer {name!r} works inside attention windows, which every second block shifts, so "
            "that it has no positions in the image; leave it out or use --unit image"
        )
    if activation.shape[0] == batch and activation.ndim == 4:
        return channels_first(activation, height, width)
    if activation.shape[0] == batch and activation.ndim == 3:
        for h, w in paddings(height, width):
            if h * w == activation.shape[1]:
                return activation.mT.reshape(batch, -1, h, w)
        raise BadInput(
            f"layer {name!r} has {activation.shape[1]} tokens, no grid of a {height} x {width} "
            "crop; leave it out or use --unit image"
        )
    raise BadInput(
        f"layer {name!r} outputs {tuple(activation.shape)}, which has no positions of a "
        "batch of images; leave it out or use --unit image"
    )


def channels_first(maps: Tensor, height: int, width: int) -> Tensor:
    """Feature maps (B, C, h, w) of images of (height, width), also where channels come last.

    (B, h, w, C), as linear layers and layer norms give it, is recognized by its middle sizes: they
    are those of the image, whole or divided by 2, 4, 8, …, and its last two are not.
    """
    known = grids(height, width)
    last = tuple(maps.shape[1:3]) in known and tuple(maps.shape[2:]) not in known
    return maps.permute(0, 3, 1, 2) if last else maps


@cache
def grids(height: int, width: int) -> frozenset[tuple[int, int]]:
    """Sizes of feature maps: the image's, also padded, whole or divided by a power of 2."""
    return frozenset(
        (-(-h // factor), -(-w // factor))
        for h, w in paddings(height, width)
        for factor in (1, 2, 4, 8, 16, 32)
    )


def paddings(height: int, width: int) -> list[tuple[int, int]]:
    """An image's size, and its sizes after padding to whole windows, smallest window first."""
    windows = range(1, min(MAX_WINDOW, height, width) + 1)
    return [(-(-height // w) * w, -(-width // w) * w) for w in windows]


def center(maps: Tensor, centering: Centering) -> Tensor:
    """Remove image content from feature maps (B, C, h, w), channel by channel.

    `global` leaves them as they are: the mean over all samples is removed later in any case.
    `image` subtracts each image's mean, and so what distinguishes whole images. `highpass`
    subtracts the mean over the `HIGHPASS` x `HIGHPASS` positions around each (fewer at the border),
    and leaves only fine structure.

    Raises:
        BadInput: no such centering.
    """
    if centering == "global":
        return maps
    if centering == "image":
        return maps - maps.mean((2, 3), keepdim=True)
    if centering == "highpass":
        margin = HIGHPASS // 2
        return maps - F.avg_pool2d(maps, HIGHPASS, 1, margin, count_include_pad=False)
    raise BadInput(f"centering {centering!r}: {nearest(str(centering), get_args(Centering))}")
