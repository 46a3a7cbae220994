"""The content gain of a network, frequency by frequency, and the fixed filter that has it.

A network that does nothing but attenuate frequencies is no better than this filter; what it does
beyond it is what it makes of the content of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtd.data.crops import Crop, crops, to_tensor
from mtd.data.grayscale import of_channels
from mtd.data.photographs import Photograph, photographs
from mtd.networks.base import Denoiser
from mtd.networks.fixed_filter import FixedFilterConfig, radial_frequencies
from mtd.networks.padding import extend
from mtd.noise.base import Noise, noisy_images

Array = NDArray[np.float64]

SIDE, COUNT = 64, 16
"""Side of the crops in pixels, and their number."""

WIDTH = 1 / 64
"""Width of a band of frequencies, in cycles per pixel."""

BANDS = 1 + int(np.ceil(np.sqrt(0.5) / WIDTH))
"""Number of bands: frequency 0, then up to the highest frequency, that of a checkerboard."""

DIGITS = 4
"""Decimals of a gain: a filter is the same in every run, though the last digits of networks vary
with the number of threads."""


@dataclass
class Spectra:
    """Sums of products of Fourier coefficients by band, over images and channels.

    Attributes:
        xx: of the content with itself; nn: of the noise; xn: of both; xf, nf: with the output.
        frequency: of xx times frequency.
    """

    xx: Array = field(default_factory=lambda: np.zeros(BANDS))
    nn: Array = field(default_factory=lambda: np.zeros(BANDS))
    xn: Array = field(default_factory=lambda: np.zeros(BANDS))
    xf: Array = field(default_factory=lambda: np.zeros(BANDS))
    nf: Array = field(default_factory=lambda: np.zeros(BANDS))
    frequency: Array = field(default_factory=lambda: np.zeros(BANDS))

    def add(self, content: Tensor, noise: Tensor, output: Tensor) -> None:
        """Add images, (B, C, H, W) each; mirrored at their borders, they have cosine spectra."""
        from scipy.fft import dctn

        x, n, f = (
            dctn(images.double().cpu().numpy(), axes=(-2, -1), norm="ortho")
            for images in (content, noise, output)
        )
        radius = radial_frequencies(*x.shape[-2:])
        band = np.minimum(1 + (radius / WIDTH).astype(int), BANDS - 1)
        band[0, 0] = 0

        def summed(product: Array) -> Array:
            weights = product.sum((0, 1)).ravel()
            return np.bincount(band.ravel(), weights, BANDS).astype(np.float64)

        self.xx += summed(x * x)
        self.nn += summed(n * n)
        self.xn += summed(x * n)
        self.xf += summed(x * f)
        self.nf += summed(n * f)
        self.frequency += summed(x * x * radius)

    def gains(self) -> FixedFilterConfig:
        """The content gain of each band with content, at its mean frequency; see `content_gain`."""
        determinant = self.xx * self.nn - self.xn**2
        alone = determinant <= 1e-12 * self.xx * self.nn  # no noise, or noise that is the content
        with np.errstate(divide="ignore", invalid="ignore"):
            both = (self.xf * self.nn - self.nf * self.xn) / determinant
            gain = np.where(alone, self.xf / self.xx, both)
            frequency = self.frequency / self.xx
        known = self.xx > 0
        return FixedFilterConfig(
            frequencies=tuple(round(float(f), 6) for f in frequency[known]),
            gains=tuple(round(float(g), DIGITS) for g in gain[known]),
        )


def content_gain(
    network: Denoiser, noises: Sequence[Noise], images: Sequence[Photograph] | None = None
) -> FixedFilterConfig:
    """The mean content gain of a network under noises, by radial frequency.

    In each band, X, N and F being the Fourier coefficients of content, noise and output, the gains
    Hx of the content and Hn of the noise are those that fit best, Σ (F − Hx X − Hn N)² → min, over
    crops, channels and directions. Noise is clipped and rounded to 8 bits.
    Frequency 0, the crops' means, is a band of its own. Gains are rounded to 4 decimals.

    Args:
        network: from (B, C, H, W) in [0, 1] to the same, in eval mode; of a network of one channel
            the content is grayscale.
        noises: that it was trained on.
        images: photographs; by default the bundled ones. 16 crops of them, of 64 x 64, are taken.

    Returns:
        Frequencies in cycles per pixel, from 0 to √½, and the gain at each.

    Example:
        >>> import mtd
        >>> config = content_gain(mtd.load("classical:blur:1"), [mtd.noise.parse("gaussian:15")])
        >>> at_quarter = float(np.interp(0.25, config.frequencies, config.gains))
        >>> round(at_quarter, 2), round(float(np.exp(-2 * (np.pi * 0.25) ** 2)), 2)
        (0.29, 0.29)
    """
    every = list(images) if images is not None else photographs()
    chosen = [of_channels(photo, network.channels or 3) for photo in every]
    cut, spectra = cropped(chosen), Spectra()
    place = next((p.device for p in network.parameters()), torch.device("cpu"))
    for noise in noises:
        for crop in cut:
            clean, keys = to_tensor([crop.pixels]), [crop.digest]
            noisy, target, level = noisy_images(noise, clean, keys)
            with torch.no_grad():
                given = extend(noisy, least=network.smallest).to(place, copy=True)
                output = network(given, keys, sigma=level.to(given))
            height, width = noisy.shape[-2:]
            spectra.add(target, noisy - target, output[..., :height, :width])
    return spectra.gains()


def cropped(images: Sequence[Photograph]) -> list[Crop]:
    """The crops that gains are measured on."""
    side = min(SIDE, *(min(image.height, image.width) for image in images))
    return crops(images, side, COUNT)
