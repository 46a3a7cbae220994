"""Gain of image content and of noise by spatial frequency.

The output's spectrum F is explained by those of the clean image X and of the noise N = Y − X. In a
ring of frequencies, with sums S over its frequencies, over images, channels and draws,

    [[Sxx, Sxn], [Sxn*, Snn]] · [Hx, Hn]ᵀ = [Sxf, Snf],    Sab = Σ A* B,

is solved by least squares: |Hx| is the content gain, |Hn| the noise gain, and
1 − (Hx Sxf + Hn Snf) / Sff the share of the output's power that neither explains. A ring holds each
frequency together with its negative, so that all sums are real. Noise that depends on the image is
N = Y − X as well.

This is the multiple-input, single-output model of linear systems; the unexplained share is 1 minus
the multiple coherence. Reference: Bendat and Piersol, *Random Data: Analysis and Measurement
Procedures*, chapter 7.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

WIDTH, HIGHEST = 0.025, 0.5
"""Width of a ring and highest frequency, in cycles per pixel."""

RINGS = round(HIGHEST / WIDTH)

SUMS = ("xx", "nn", "xn", "xf", "nf", "ff")
"""The sums of a ring, in their order."""

ROUNDING = 1e-9
"""Of rings: a frequency on the border of two belongs to the upper one."""

NOTHING = 1e-12
"""Noise with less than this share of the content's power is none."""


def centers() -> Array:
    """(rings,) the frequencies in the middle of the rings, in cycles per pixel."""
    middle: Array = (np.arange(RINGS, dtype=np.float64) + 0.5) * WIDTH
    return middle


@cache
def rings(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The ring of each frequency of a real transform, and how often it counts.

    Returns:
        (height, width // 2 + 1) each: the ring, `RINGS` for none, as for the mean and beyond the
        highest frequency; 2 where the negative frequency is left out of the transform, else 1.
    """
    exact = torch.float64
    rows, columns = torch.fft.fftfreq(height, dtype=exact), torch.fft.rfftfreq(width, dtype=exact)
    radius = torch.hypot(rows[:, None], columns[None])
    ring = (radius / WIDTH + ROUNDING).floor().long().clamp(max=RINGS)
    ring[0, 0] = RINGS
    times = torch.full((1, width // 2 + 1), 2.0, dtype=torch.float64)
    times[:, 0] = 1
    if width % 2 == 0:
        times[:, -1] = 1
    return ring, times.expand(height, -1)


@cache
def window(height: int, width: int) -> Tensor:
    """(height, width) a Hann window that sums to 1."""
    rows, columns = (torch.hann_window(n, dtype=torch.float64) for n in (height, width))
    both = rows[:, None] * columns[None]
    return both / both.sum()


def transform(images: Tensor) -> Tensor:
    """Spectra of images under a Hann window, their mean under it taken off.

    Args:
        images: (…, height, width).

    Returns:
        (…, height, width // 2 + 1) complex128.
    """
    own = window(*images.shape[-2:]).to(images.device)
    exact = images.double()
    centered = exact - (exact * own).sum((-2, -1), keepdim=True)
    spectrum: Tensor = torch.fft.rfft2(centered * own)
    return spectrum


def sums(clean: Tensor, noise: Tensor, output: Tensor) -> Tensor:
    """The sums `SUMS` of each image, over channels.

    Args:
        clean: (images, channels, height, width), values in [0, 1].
        noise: the same shape, the noisy images minus the clean ones.
        output: the same shape.

    Returns:
        (images, rings, sums) float64.
    """
    sides = [transform(side) for side in (clean, noise, output)]
    x, n, f = ((of.real.contiguous(), of.imag.contiguous()) for of in sides)
    pairs = ((x, x), (n, n), (x, n), (x, f), (n, f), (f, f))
    products = torch.stack([(a * c + b * d).sum(1) for (a, b), (c, d) in pairs], -1)
    ring, times = (part.to(clean.device) for part in rings(*clean.shape[-2:]))
    weighted = (products * times[..., None]).flatten(1, 2)
    total = products.new_zeros(len(clean), RINGS + 1, len(SUMS))
    return total.index_add_(1, ring.flatten(), weighted)[:, :RINGS]


class Transfer(NamedTuple):
    """The gains of a denoiser; (…, rings) each, NaN where there is none.

    Attributes:
        content_gain: |Hx|.
        noise_gain: |Hn|.
        unexplained: share of the output's power that neither explains.
    """

    content_gain: Array
    noise_gain: Array
    unexplained: Array


def transfer(of: Array) -> Transfer:
    """The gains from sums over images.

    With D = Sxx Snn − Sxn²,

        Hx = (Sxf Snn − Snf Sxn) / D,  Hn = (Snf Sxx − Sxf Sxn) / D;

    without noise Hx = Sxf / Sxx and there is no Hn. No error is raised: what is not determined is
    NaN.

    Args:
        of: (…, rings, sums), see `sums`, in any unit that is the same for image, noise and output;
            a ring without frequencies has sums of 0.

    Returns:
        (…, rings) each, without unit: |Hx| and |Hn|, 0 or more, and the unexplained share, from 0
        to 1 but for rounding.

    >>> gains = transfer(np.array([[4.0, 1.0, 0.0, 2.0, 0.1, 1.5]]))
    >>> [round(float(part[0]), 6) for part in gains]
    [0.5, 0.1, 0.326667]
    """
    xx, nn, xn, xf, nf, ff = np.moveaxis(of, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        noiseless = nn <= NOTHING * xx
        determinant = np.where(xx * nn > xn**2, xx * nn - xn**2, np.nan)
        content = np.where(noiseless, xf / xx, (xf * nn - nf * xn) / determinant)
        noise = np.where(noiseless, np.nan, (nf * xx - xf * xn) / determinant)
        explained = content * xf + np.where(noiseless, 0, noise) * nf
        unexplained = 1 - explained / ff
    return Transfer(np.abs(content), np.abs(noise), unexplained)


def cutoff(gain: Array, frequencies: Array, level: float = 0.5**0.5) -> Array:
    """The frequency above which a gain stays below a level, between rings by interpolation.

    Args:
        gain: (…, rings).
        frequencies: (rings,), rising.
        level: 1/√2, half the power, by default.

    Returns:
        (…,); the lowest frequency where the gain is below everywhere, NaN where it is not below at
        the highest one.

    >>> float(cutoff(np.array([1.0, 0.75, 0.25]), np.array([0.1, 0.2, 0.3]), 0.5))
    0.25
    """
    below = gain < level
    place = gain.shape[-1] - np.minimum.accumulate(below[..., ::-1], -1).sum(-1)
    place = np.minimum(place, gain.shape[-1] - 1)
    upper = np.take_along_axis(gain, place[..., None], -1)[..., 0]
    before = np.maximum(place - 1, 0)
    lower = np.take_along_axis(gain, before[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(place > 0, (lower - level) / (lower - upper), 0)
    start, end = frequencies[before], frequencies[place]
    return np.where(below[..., -1], start + part * (end - start), np.nan)
