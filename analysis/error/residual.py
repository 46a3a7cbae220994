"""What is in the residual y − f(y) that a denoiser removes, beside noise.

A perfect denoiser removes the noise alone: its residual is as white as the noise, and nothing of
the image's detail is in it.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

SUMS = ("error_noise", "noise", "power", "horizontal", "vertical", "detail", "inner", "cross")
"""The sums of an image, in their order."""

CHECKS = ("leak", "autocorrelation_horizontal", "autocorrelation_vertical", "detail")
"""What follows from the sums, in their order; see `checks`."""

NOTHING = 1e-12
"""A mean square below this, of images in [0, 1], is none."""


def sums(clean: Tensor, noisy: Tensor, output: Tensor) -> Tensor:
    """Mean products behind the checks of each image; residuals and details without their mean.

    The detail is the clean image minus its 3 × 3 mean, inside the outermost pixels.

    Args:
        clean: (images, channels, height, width), values in [0, 1].
        noisy: the same shape.
        output: the same shape.

    Returns:
        (images, sums) float64, `SUMS`.
    """
    x, y, f = (side.double() for side in (clean, noisy, output))
    noise, error = y - x, f - x
    residual = centered(y - f)
    inner = centered((y - f)[..., 1:-1, 1:-1])
    detail = centered(x[..., 1:-1, 1:-1] - F.avg_pool2d(x, 3, stride=1))
    products = (
        error * noise,
        noise * noise,
        residual * residual,
        residual[..., :, :-1] * residual[..., :, 1:],
        residual[..., :-1, :] * residual[..., 1:, :],
        detail * detail,
        inner * inner,
        detail * inner,
    )
    return torch.stack([product.flatten(1).mean(1) for product in products], -1)


def centered(images: Tensor) -> Tensor:
    """Images without the mean of each channel."""
    return images - images.mean((-2, -1), keepdim=True)


def checks(of: Array) -> Array:
    """The checks, from sums over the crops and draws of a photograph.

    * leak ⟨e, n⟩ / ‖n‖²: 1 if the noise stays as it is, 0 if nothing of it is left;
    * autocorrelation of the residual at a distance of one pixel, along rows and along columns: 0 of
      white noise;
    * detail: correlation of the residual with the clean image's detail; 0 if no detail is removed.

    Args:
        of: (…, sums), see `sums`.

    Returns:
        (…, checks) without unit, correlations from −1 to 1; NaN without noise, without a residual,
        or of an image without detail.
    """
    error_noise, noise, power, along, across, detail, inner, cross = np.moveaxis(of, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise, power, detail, inner = (
            np.where(part > NOTHING, part, np.where(np.isfinite(part), np.nan, part))
            for part in (noise, power, detail, inner)
        )
        found = (error_noise / noise, along / power, across / power)
        return np.stack([*found, cross / np.sqrt(detail * inner)], -1)
