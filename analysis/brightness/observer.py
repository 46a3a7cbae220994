"""The observer of brightness: histograms of each output and of its clean image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.collecting_observer import Collector, check_crops
from analysis.engine.observer import OUTPUT, NoisyBatch, View
from mtd.metrics import psnr_ssim

LEVELS = 256
"""Levels of brightness, 0 to 255; a histogram has a bin for each."""

LUMA = (299, 587, 114)
"""Thousandths of R, G and B in the luma of ITU-R BT.601, which is as wide as they are."""

Array = NDArray[np.float64]


class Brightness(NamedTuple):
    """Brightness of every image under a view.

    Attributes:
        output: (images, LEVELS) int64, histograms of the network's outputs; see `count`.
        clean: the same of the clean images.
        fit: (images, 4) float64, see `fit`.
    """

    output: NDArray[np.int64]
    clean: NDArray[np.int64]
    fit: Array


class BrightnessHistograms(Collector):
    """Counts the brightness of outputs and of clean images, image by image; 4 KiB for each.

    Args:
        models: names of the networks.
    """

    name = "brightness_histograms"

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__({name: [OUTPUT] for name in models})

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """The fields of `Brightness`."""
        check_crops(layer, value, noisy)
        return {
            "output": count(psnr_ssim.levels(value)),
            "clean": count(psnr_ssim.levels(noisy.target)),
            "fit": fit(value, noisy.target),
        }

    def result(
        self, activations: Mapping[View, Sequence[CachedActivations]]
    ) -> dict[View, Brightness]:
        """The brightness of all images under every view."""
        return {
            view: joined([batch.tensors() for batch in batches])
            for view, batches in activations.items()
        }


def joined(parts: Sequence[Mapping[str, Tensor]]) -> Brightness:
    """Images of several batches as those of one."""
    return Brightness(
        *(torch.cat([part[name] for part in parts]).numpy() for name in Brightness._fields)
    )


def brightness(levels: Tensor) -> Tensor:
    """Brightness of each pixel, a whole level: (299 R + 587 G + 114 B)/1000, halves rounded up.

    Args:
        levels: (B, 3, H, W) whole 8-bit levels; or (B, 1, H, W), which are their own brightness.

    Returns:
        (B, H, W) int64, 0 to 255, exact: sums are of whole numbers.

    Raises:
        ValueError: neither one channel nor three.

    Reference: ITU-R BT.601, luma in full range.

    >>> brightness(torch.tensor([255.0, 0.0, 10.0]).view(1, 3, 1, 1))
    tensor([[[77]]])
    """
    whole = levels.long()
    if whole.shape[1] == 1:
        return whole[:, 0]
    if whole.shape[1] != 3:
        raise ValueError(f"{whole.shape[1]} channels: brightness needs RGB, or one")
    red, green, blue = (part * weight for part, weight in zip(whole.unbind(1), LUMA, strict=True))
    return (red + green + blue + 500) // 1000


def count(levels: Tensor) -> Tensor:
    """How many pixels of each image have each brightness.

    Args:
        levels: (B, C, H, W) whole 8-bit levels, NaN where there are none; see
            `mtd.metrics.psnr_ssim.levels`.

    Returns:
        (B, LEVELS) int64; pixels with a channel that is NaN are not counted.
    """
    known = levels.isfinite().all(1)
    place = brightness(levels.nan_to_num(0))
    place += LEVELS * torch.arange(len(levels)).view(-1, 1, 1)
    return torch.bincount(place[known], minlength=LEVELS * len(levels)).view(-1, LEVELS)


def fit(output: Tensor, target: Tensor) -> Tensor:
    """How far outputs are from clean images, as they are and with brightness and contrast matched.

    An image y is matched to x by a·y + b, a and b common to all channels and pixels, where
    Σ (a·y + b − x)² is least:

        a = Σ (y − ȳ)(x − x̄) / Σ (y − ȳ)²,   b = x̄ − a·ȳ

    and a = 0 where all of y is one value. y and x are clipped to [0, 1] and not rounded; a·y + b
    is neither, so that matching never makes the error larger.

    Args:
        output: (B, C, H, W), y.
        target: the same shape, x.

    Returns:
        (B, 4) float64: mean squared error of y and of a·y + b over all pixels and channels, in
        squared 8-bit levels; a; and b in 8-bit levels. NaN where y is not finite.

    Raises:
        ValueError: shapes that differ.
    """
    if output.shape != target.shape:
        raise ValueError(f"images of shapes {tuple(output.shape)} and {tuple(target.shape)}")
    # by numpy, whose sums do not depend on the number of threads
    y, x = (
        psnr_ssim.levels(image, quantize=False).clamp(0, 255).flatten(1).numpy()
        for image in (output, target)
    )
    means = y.mean(1), x.mean(1)
    moved, wanted = y - means[0][:, None], x - means[1][:, None]
    flat = y.max(1) == y.min(1)
    spread = np.where(flat, 1, np.square(moved).sum(1))
    slope = np.where(flat, 0, (moved * wanted).sum(1) / spread)
    error = np.square(y - x).mean(1)
    matched = np.square(slope[:, None] * moved - wanted).mean(1)
    return torch.from_numpy(np.stack([error, matched, slope, means[1] - slope * means[0]], 1))


def numbers(output: NDArray[Any], clean: NDArray[Any]) -> tuple[Array, Array, Array]:
    """How two histograms of brightness differ.

    With p and q the shares of pixels at each level k, 0 to 255, F and G their running sums:

    - shift: Σ k·p(k) − Σ k·q(k), the difference of mean brightness in 8-bit levels, above 0 where
      outputs are too bright;
    - distance: Σ |F(k) − G(k)|, the 1-Wasserstein distance in 8-bit levels, at least |shift|;
    - difference: ½ Σ |p(k) − q(k)|, total variation, 0 for equal histograms to 1 for disjoint ones.

    Args:
        output: (…, LEVELS) counts.
        clean: the same of the clean images.

    Returns:
        (…) each; NaN where `output` counts fewer pixels, as some have no brightness.
    """
    totals = output.sum(-1), clean.sum(-1)
    whole = np.where(totals[0] == totals[1], totals[0], np.nan)
    places = np.arange(LEVELS)
    shift = (output @ places) / whole - (clean @ places) / totals[1]
    apart = output / whole[..., None] - clean / totals[1][..., None]
    distance: Array = np.abs(apart.cumsum(-1)).sum(-1)
    difference: Array = np.abs(apart).sum(-1) / 2
    return shift, distance, difference
