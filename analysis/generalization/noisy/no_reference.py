"""Quantities of a denoised image that need no clean one, in 8-bit levels.

Images are arrays (H, W, C) of 8-bit levels, 0 to 255. A residual is the noisy image minus the
denoised one. Every quantity is computed channel by channel and averaged. None of them measures
quality: a noisy image that is hardly changed has a small residual, and a blurred one little noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REACH = 3
"""Largest lag of an autocorrelation in pixels, along each axis."""

SIDE = 9
"""Side of the window whose mean `detail` removes."""

_ROOT = math.sqrt(3)
LOWPASS = np.array([1 + _ROOT, 3 + _ROOT, 3 - _ROOT, 1 - _ROOT]) / math.sqrt(32)
"""Scaling filter of the Daubechies wavelet with two vanishing moments."""

HIGHPASS = LOWPASS[::-1] * np.array([1, -1, 1, -1])
"""Its wavelet filter."""

ROUNDING = 1e-9
"""Coefficients of flat areas, such as overexposed ones, are as small as this, and not counted."""

MEDIAN = 0.6744897501960817
"""The median of |z| for a standard normal z."""


def channels(image: NDArray[np.generic]) -> list[Array]:
    """The channels of (H, W, C), each (H, W) in float64."""
    return [image[..., i].astype(np.float64) for i in range(image.shape[-1])]


def noise_level(image: NDArray[np.generic]) -> float:
    """The standard deviation of white noise in an image, estimated at its finest scale.

    σ = median |d| / 0.6745, d being the nonzero diagonal coefficients of the finest scale of a
    wavelet transform (Daubechies, two vanishing moments), in which smooth content hardly appears.
    The same number as `skimage.restoration.estimate_sigma`, but that flat areas are left out. It is
    too small for noise that is spatially correlated, such as a camera's after demosaicing; see
    `coarse_noise_level`.

    Args:
        image: (H, W, C) in 8-bit levels, H and W at least 4.

    Returns:
        σ in 8-bit levels; 0 without such coefficients, NaN for a smaller image.

    Reference: Donoho and Johnstone 1994, *Ideal spatial adaptation by wavelet shrinkage*,
    Biometrika 81.
    """
    if min(image.shape[:2]) < len(HIGHPASS):
        return math.nan
    levels = []
    for channel in channels(image):
        coefficients = np.abs(_filtered(_filtered(channel, 0), 1))
        coefficients = coefficients[coefficients > ROUNDING]
        levels.append(float(np.median(coefficients)) / MEDIAN if len(coefficients) else 0.0)
    return float(np.mean(levels))


def _filtered(channel: Array, axis: int) -> Array:
    """Every second wavelet coefficient along an axis, the image being mirrored at its borders."""
    margin = len(HIGHPASS) - 1
    pads = [(0, 0), (0, 0)]
    pads[axis] = (margin, margin)
    padded = np.moveaxis(np.pad(channel, pads, mode="symmetric"), axis, 0)
    count = (channel.shape[axis] + margin) // 2
    parts = [HIGHPASS[k] * padded[1 + k : 2 * count + k : 2] for k in range(len(HIGHPASS))]
    total: Array = np.moveaxis(np.sum(parts, axis=0), 0, axis)
    return total


def coarse_noise_level(image: NDArray[np.generic]) -> float:
    """`noise_level` one octave coarser: of the means of 2 x 2 pixels, times 2.

    For white noise it estimates the same σ. Correlated noise has more of its power here, and fine
    image structure appears here too. On 15 photographs of the CC set
    (three cameras, noise of 3.6 to 8.4 levels) it is 0.87 of the true root mean square on average,
    the estimate at the finest scale 0.24; measured by `tests/analysis/generalization/noisy`.

    Args:
        image: (H, W, C) in 8-bit levels, H and W at least 8.

    Returns:
        In 8-bit levels; NaN for a smaller image.

    Reference: as `noise_level`; scale by scale for correlated noise, Johnstone and Silverman 1997,
    Journal of the Royal Statistical Society B 59.
    """
    height, width = (side // 2 for side in image.shape[:2])
    even = image[: 2 * height, : 2 * width].astype(np.float64)
    return 2 * noise_level(even.reshape(height, 2, width, 2, -1).mean((1, 3)))


def rms(residual: Array) -> float:
    """The root mean square of a residual (H, W, C), in 8-bit levels."""
    return float(np.sqrt(np.square(residual).mean()))


def autocorrelation(residual: Array, reach: int = REACH) -> Array:
    """The autocorrelation of a residual at small lags.

    ρ(k, l) = Σ r(i, j) r(i + k, j + l) / Σ r(i, j)², over the pixels inside the image, r being a
    channel minus its mean. White noise has 0 at every lag but (0, 0), up to chance: see
    `autocorrelation_floor`.

    Args:
        residual: (H, W, C).
        reach: largest lag.

    Returns:
        (channels, lags), for the lags of one half plane, since ρ(−k, −l) = ρ(k, l); NaN for a
        channel that does not vary.
    """
    values = []
    for channel in channels(residual):
        r = channel - channel.mean()
        power = float(np.square(r).sum())
        # rounding of a constant leaves some 1e-13 of its size
        if power <= 1e-20 * float(np.square(channel).sum()) or power == 0:
            values.append([math.nan] * len(lags(reach)))
            continue
        values.append([_product(r, down, right) / power for down, right in lags(reach)])
    return np.array(values)


def lags(reach: int = REACH) -> list[tuple[int, int]]:
    """The lags of one half plane, (down, right) in pixels, without (0, 0).

    >>> lags(1)
    [(0, 1), (1, -1), (1, 0), (1, 1)]
    """
    rows = range(reach + 1)
    return [(k, m) for k in rows for m in range(-reach, reach + 1) if k > 0 or m > 0]


def _product(r: Array, down: int, right: int) -> float:
    """Σ r(i, j) r(i + down, j + right) over the pixels inside the image."""
    height, width = r.shape
    a = r[: max(0, height - down), max(0, -right) : max(0, width - max(0, right))]
    b = r[down:, max(0, right) : max(0, width + min(0, right))]
    return float(np.einsum("ij,ij->", a, b))


def correlated(residual: Array, reach: int = REACH) -> float:
    """How far a residual is from white: the root mean square of its autocorrelation, see there.

    0 for white noise but for chance (`autocorrelation_floor`), at most 1; NaN for a residual that
    does not vary. The true noise of a camera is not white: 0.31 on the CC photographs.
    """
    return float(np.sqrt(np.square(autocorrelation(residual, reach)).mean(1)).mean())


def autocorrelation_floor(height: int, width: int, reach: int = REACH) -> float:
    """The root mean square autocorrelation of white noise: about 1 / √(H W).

    √(mean over lags of (H − |k|)(W − |l|)) / (H W).
    """
    pairs = [max(0, height - k) * max(0, width - abs(m)) for k, m in lags(reach)]
    return math.sqrt(float(np.mean(pairs))) / (height * width)


def detail(image: NDArray[np.generic], side: int = SIDE) -> Array:
    """An image minus the mean over the `side` x `side` pixels around each; mirrored at the border.

    Args:
        image: (H, W, C).
        side: odd.
    """
    from scipy.ndimage import uniform_filter

    values = image.astype(np.float64)
    smooth: Array = uniform_filter(values, (side, side, 1), mode="reflect")
    return values - smooth


def detail_correlation(residual: Array, output: NDArray[np.generic]) -> float:
    """Pearson's correlation of a residual with the fine detail of the denoised image.

    0, up to 1 / √(H W) by chance, where the residual has nothing linear in common with what the
    output shows (see `detail`). Above 0 where detail of the image was taken away, or where part of
    the noise remains in the output: both leave a copy of the residual's structure in it. Below 0
    where the output sharpens. The true noise of the CC photographs has 0.02 with the clean detail.

    Args:
        residual: (H, W, C).
        output: (H, W, C) in 8-bit levels.

    Returns:
        The mean over channels; NaN if either does not vary.

    Reference: the residual as *method noise*, which should hold no structure of the image: Buades,
    Coll and Morel 2005, Multiscale Modeling & Simulation 4.
    """
    values = []
    for r, d in zip(channels(residual), channels(detail(output)), strict=True):
        a, b = r - r.mean(), d - d.mean()
        power = math.sqrt(float(np.square(a).sum()) * float(np.square(b).sum()))
        values.append(float((a * b).sum()) / power if power > 0 else math.nan)
    return float(np.mean(values))
