"""PSNR and SSIM of denoised images, with the conventions of denoising papers.

Images are (B, C, H, W) in [0, 1]. They are clipped and rounded to 8 bits first, like stored images;
`quantize="clip"` omits the rounding, `quantize=False` both. Each function returns one float64 value
per image; the value of a test set is the mean over its images. LPIPS is in `mtd.metrics.lpips`.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from mtd.utils.errors import one_of

Channel = Literal["rgb", "y", "gray"]

Quantize = bool | Literal["clip"]
"""Whether images are clipped and rounded to 8 bits before they are compared; or only clipped."""

LUMA = (65.481, 128.553, 24.966)
"""Weights of R, G, B in [0, 1] in the luma of BT.601, which lies in 16 to 235."""

WINDOW = 11
"""Side of the Gaussian window of SSIM, and of the smallest image that has one."""


def psnr(
    output: Tensor,
    target: Tensor,
    border: int = 0,
    channel: Channel = "rgb",
    quantize: Quantize = True,
) -> Tensor:
    """Peak signal-to-noise ratio, 10 log₁₀(255² / MSE) in dB, of each image.

    One mean squared error over all pixels and channels of an image, in 8-bit levels.

    Args:
        output: (B, C, H, W) in [0, 1].
        target: the same shape.
        border: pixels omitted at every side.
        channel: `rgb`, all channels; `y`, the BT.601 luma of RGB (16 to 235, not rounded, peak
            255); or `gray`, the one channel of grayscale images, which `rgb` is for them, too.
        quantize: clip and round both to 8 bits first; "clip" does not round.

    Returns:
        (B,) float64 on the CPU, in dB; infinite where the images are equal, NaN where one is not
        finite.

    Raises:
        ValueError: shapes that differ, or a border that leaves no pixels.
        BadInput: an unknown channel.

    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
    tensor([19.8313], dtype=torch.float64)
    """
    a, b = prepared(output, target, border, channel, quantize)
    return 10 * torch.log10(255**2 / (a - b).square().mean(dim=(1, 2, 3)))


def ssim(
    output: Tensor,
    target: Tensor,
    border: int = 0,
    channel: Channel = "rgb",
    quantize: Quantize = True,
) -> Tensor:
    """Structural similarity of each image, mean over its pixels and channels.

        SSIM = (2 μₐ μᵦ + C₁)(2 σₐᵦ + C₂) / ((μₐ² + μᵦ² + C₁)(σₐ² + σᵦ² + C₂))

    with an 11 x 11 Gaussian window of σ = 1.5, population covariances, C₁ = (0.01 · 255)² and
    C₂ = (0.03 · 255)², over the pixels whose window lies inside the image; without downsampling.
    Computed by scikit-image, channel by channel.

    Args:
        output: (B, C, H, W) in [0, 1], H and W at least 11.
        target: the same shape.
        border: pixels omitted at every side.
        channel: see `psnr`.
        quantize: clip and round both to 8 bits first; "clip" does not round.

    Returns:
        (B,) float64 on the CPU, at most 1; 1 where the images are equal.

    Raises:
        ValueError: shapes that differ, or images smaller than 11 x 11 inside the border.
        BadInput: an unknown channel.

    Reference: Wang et al., *Image Quality Assessment*, IEEE TIP 2004.

    >>> image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> ssim(image, image), ssim(image, 1 - image) < 0
    (tensor([1.], dtype=torch.float64), tensor([True]))
    """
    from skimage.metrics import structural_similarity

    a, b = prepared(output, target, border, channel, quantize)
    if min(a.shape[-2:]) < WINDOW:
        raise ValueError(f"image {a.shape[-2]} x {a.shape[-1]}: SSIM needs {WINDOW} x {WINDOW}")
    values = [
        structural_similarity(
            x.numpy(),
            y.numpy(),
            channel_axis=0,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for x, y in zip(a, b, strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def prepared(
    output: Tensor, target: Tensor, border: int, channel: Channel, quantize: Quantize
) -> tuple[Tensor, Tensor]:
    """Output and target in 8-bit levels, float64 on the CPU, without border, as RGB, luma or gray.

    Raises:
        ValueError: shapes that differ, whole numbers instead of values in [0, 1], a target
            outside [0, 1], a border that leaves no pixels, or another number of channels.
        BadInput: an unknown channel.
    """
    if output.shape != target.shape or output.ndim != 4:
        raise ValueError(
            f"images of shapes {tuple(output.shape)} and {tuple(target.shape)}: expected the same "
            "(B, C, H, W) for both"
        )
    for image in (output, target):
        if not image.is_floating_point():
            raise ValueError(f"image of type {image.dtype}: expected real values in [0, 1]")
    if ((target < 0) | (target > 1)).any():
        low, high = float(target.min()), float(target.max())
        raise ValueError(f"target from {low:.4g} to {high:.4g}: expected values in [0, 1]")
    one_of("channel", channel, get_args(Channel))
    if border < 0 or 2 * border >= min(output.shape[-2:]):
        raise ValueError(f"border {border}: no pixels are left of {tuple(output.shape[-2:])}")
    a, b = (levels(image, quantize) for image in (output, target))
    if channel == "gray" and a.shape[1] != 1:
        raise ValueError(f"{a.shape[1]} channels: gray images have one")
    if channel == "y":
        a, b = luma(a), luma(b)
    height, width = a.shape[-2:]
    inside = (..., slice(border, height - border), slice(border, width - border))
    return a[inside], b[inside]


def levels(image: Tensor, quantize: Quantize = True) -> Tensor:
    """An image in [0, 1] as 8-bit levels in float64 on the CPU; halves are rounded to even.

    Values that are not finite become NaN.
    """
    # half precision does not resolve 255 levels exactly
    exact = image.detach().cpu().to(torch.float32 if image.dtype.itemsize < 4 else image.dtype)
    exact = torch.where(exact.isfinite(), exact, torch.nan)  # not white
    if quantize == "clip":
        return exact.clamp(0, 1).mul(255).double()  # × 255 in float32, as scripts do
    if quantize:
        return exact.clamp(0, 1).mul(255).round().double()
    return exact.double() * 255


def as_rgb(image: Tensor) -> Tensor:
    """Images (B, C, H, W) as (B, 3, H, W): grayscale repeated, for metrics that are of colors.

    >>> as_rgb(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image


def luma(image: Tensor) -> Tensor:
    """BT.601 luma (B, 1, H, W) of RGB in 8-bit levels: 16 + (65.481 R + 128.553 G + 24.966 B)/255.

    Raises:
        ValueError: not three channels.
    """
    if image.shape[1] != 3:
        raise ValueError(f"{image.shape[1]} channels: luma needs RGB")
    weights = image.new_tensor(LUMA).view(1, 3, 1, 1) / 255
    return 16 + (image * weights).sum(1, keepdim=True)
