"""Local attribution maps: which pixels of its input a network uses for one window of its output.

Reference: Gu and Dong, *Interpreting Super-Resolution Networks with Local Attribution Maps*, CVPR
2021. They explain what a super-resolution network makes of an image; here it is a denoiser, whose
input is already of the output's size.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtd.inference.forward import forward
from mtd.utils.errors import BadInput
from mtd.utils.seeds import Key

ROUNDING = 1e-12
"""A pixel that a blur changes by less is not changed."""

EPSILON = 1e-4
"""Added in quadrature to a gradient's magnitude, 0.03 8-bit levels: where the output is flat the
square root has a derivative all the same. The published code has none and drops what is not a
number."""

RADIUS = 4
"""A blur's kernel ends at so many standard deviations."""


class Window(NamedTuple):
    """A square of the output: its upper left pixel and its side, in pixels."""

    top: int
    left: int
    side: int


class Attribution(NamedTuple):
    """What a window's detail owes to each value of the input.

    Attributes:
        values: (C, H, W) float64, signed, in the unit of the objective.
        start: the objective for the blurred input.
        end: the objective for the input itself.
    """

    values: Tensor
    start: float
    end: float

    @property
    def error(self) -> float:
        """|Σ values − (end − start)| / |end − start|: 0 if nothing is lost; NaN if nothing is."""
        gained = self.end - self.start
        return abs(float(self.values.sum()) - gained) / abs(gained) if gained else math.nan

    @property
    def map(self) -> Tensor:
        """(H, W) |Σ over channels|, as published."""
        return self.values.sum(0).abs()


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, borders mirrored without the edge pixel.

    Args:
        image: (C, H, W).
        sigma: standard deviation in pixels; 0 leaves the image as it is.

    Returns:
        (C, H, W) in float64.

    Raises:
        BadInput: the kernel, of radius ⌈4 σ⌉, is larger than mirroring allows.
    """
    image = image.double()
    radius = math.ceil(RADIUS * sigma)
    if not radius:
        return image
    check_blur(min(image.shape[1:]), sigma)
    at = torch.arange(-radius, radius + 1, dtype=torch.float64, device=image.device)
    kernel = torch.exp(-0.5 * (at / sigma).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(image[:, None], (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))[:, 0]


def check_blur(side: int, sigma: float) -> None:
    """See that a blur fits into crops of a side; see `blur`.

    Raises:
        BadInput: it does not.
    """
    radius = math.ceil(RADIUS * sigma)
    if radius >= side:
        raise BadInput(
            f"blur of sigma {sigma:g} needs more than {radius} pixels a side, the crop has {side}: "
            "lower --blur or raise --crop"
        )


def path(image: Tensor, sigma: float, steps: int) -> Tensor:
    """Progressive de-blurring: the image blurred by σ (1 − k/steps), k from 0 to `steps`.

    Returns:
        (steps + 1, C, H, W) in float64; the first is the baseline, the last the image itself.
    """
    return torch.stack([blur(image, sigma * (1 - k / steps)) for k in range(steps + 1)])


def detail(output: Tensor, window: Window) -> Tensor:
    """D, how much detail there is in a window: Σ √(Δh² + Δv² + ε²) over its pixels and channels.

    Δ are forward differences, so that the column on the right of the window and the row below it
    count too; at the image's border they are 0.

    Args:
        output: (B, C, H, W).
        window: of the output.

    Returns:
        (B,).

    Reference: the published objective, but for ε (see `EPSILON`).
    """
    top, left, side = window
    part = output[..., top : top + side + 1, left : left + side + 1]
    below, right = top + side >= output.shape[-2], left + side >= output.shape[-1]
    part = F.pad(part, (0, int(right), 0, int(below)), mode="replicate")
    across = part[..., :-1, 1:] - part[..., :-1, :-1]
    down = part[..., 1:, :-1] - part[..., :-1, :-1]
    size = (across.square() + down.square() + EPSILON**2).sqrt()
    return size.sum((1, 2, 3))


def attribute(
    model: nn.Module,
    image: Tensor,
    window: Window,
    *,
    key: Key = 0,
    sigma: float = 3.0,
    steps: int = 50,
    batch: int = 8,
    noise_level: Tensor | None = None,
    input_mask: Tensor | None = None,
) -> Attribution:
    """Integrated gradients of `detail` along the path from the blurred image to the image itself.

    Σₖ ∇D((xₖ + xₖ₊₁)/2) ⊙ (xₖ₊₁ − xₖ): gradients in the middle of each step. The published code
    takes them at one end, whose error falls as 1/steps; in the middle it falls as 1/steps².

    The network is the same along the whole path: its attention masks, if any, are those of `key`.

    Args:
        model: in evaluation mode; (B, C, H, W) to the same shape.
        image: (C, H, W), of the network's precision; sums are on its device.
        window: of the output that is explained.
        key: of the attention masks.
        sigma: of the baseline's blur, in pixels.
        steps: of the path.
        batch: points of the path that go through the network together.
        noise_level: (1,), the level that a noise-conditional network is given, if it is that of the
            image.
        input_mask: boolean (1, 1, H, W), True where the network is given the image.

    Raises:
        BadInput: the window is not inside the image, or the blur is too large for it.
    """
    if min(window[:2]) < 0 or max(window.top, window.left) + window.side > min(image.shape[1:]):
        raise BadInput(f"window {tuple(window)} is not inside {tuple(image.shape[1:])}")

    place = next((p.device for p in model.parameters()), image.device)

    def call(images: Tensor) -> Tensor:
        count = len(images)
        level = None if noise_level is None else noise_level.expand(count)
        mask = None if input_mask is None else input_mask.expand(count, -1, -1, -1).to(place)
        output = forward(model, images.to(place), [key] * count, mask, level)
        return output.to(images.device)

    points = path(image, sigma, steps)
    middles, moves = (points[1:] + points[:-1]) / 2, points[1:] - points[:-1]
    moves = torch.where(moves.abs() > ROUNDING, moves, 0)  # of a flat image, all of them
    total = torch.zeros_like(points[0])
    for middle, move in zip(middles.split(batch), moves.split(batch), strict=True):
        inputs = middle.to(image.dtype).requires_grad_()
        with torch.enable_grad():
            value = detail(call(inputs), window).sum()
            slope = None
            if value.requires_grad:  # unless the output depends on nothing
                (slope,) = torch.autograd.grad(value, inputs, allow_unused=True)
        if slope is not None:
            total += (slope.double() * move).sum(0)
    with torch.no_grad():
        ends = torch.stack([points[0], points[-1]]).to(image.dtype)
        start, end = detail(call(ends).double(), window).tolist()
    return Attribution(total.cpu(), start, end)


def gini(values: Tensor) -> float:
    """Gini coefficient Σᵢ (2i − n − 1) a₍ᵢ₎ / (n Σ a), a₍₁₎ ≤ … ≤ a₍ₙ₎, of values of 0 or more.

    0 if all are equal, 1 − 1/n if all but one are 0; NaN if all are.

    >>> gini(torch.tensor([0.0, 0.0, 0.0, 4.0]))
    0.75
    """
    ordered = values.flatten().double().sort().values
    n, total = len(ordered), float(ordered.sum())
    if not total:
        return math.nan
    place = torch.arange(1, n + 1, dtype=torch.float64, device=ordered.device)
    return float(((2 * place - n - 1) * ordered).sum()) / (n * total)


def diffusion_index(values: Tensor) -> float:
    """DI = (1 − Gini) · 100: larger, the more pixels take part.

    It depends on how many pixels there are, and so compares maps of one size only.

    Reference: Gu and Dong, equation 7, whose code adds 10⁻⁷ to every value first.
    """
    return (1 - gini(values)) * 100


def reach(values: Tensor, window: Window, share: float) -> float:
    """How far around the window the pixels are that hold a share of the attribution.

    The least r ≥ 0 for which the window, widened by r pixels on every side as far as the image
    goes, holds `share` of the sum; NaN where the sum is 0 or not finite.

    Args:
        values: (H, W), none negative.
        window: of the output.
        share: from 0 to 1.
    """
    total = float(values.double().sum())
    if not total or not math.isfinite(total):
        return math.nan
    top, left, side = window
    for r in range(max(values.shape) + 1):
        rows = slice(max(0, top - r), top + side + r)
        columns = slice(max(0, left - r), left + side + r)
        if float(values[rows, columns].double().sum()) >= share * total * (1 - 1e-12):
            return r
    return max(values.shape)
