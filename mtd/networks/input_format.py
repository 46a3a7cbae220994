"""How a network is called: value range, channel order, noise level, what it returns, a wrapper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mtd.utils.errors import BadInput, one_of

if TYPE_CHECKING:
    from torch import Tensor

Sigma = float | Literal["oracle"] | None

Residual = Literal["none", "minus", "plus", "flip"]
RESIDUALS: tuple[Residual, ...] = get_args(Residual)

Wrap = Literal["none", "normalize"]
WRAPS: tuple[Wrap, ...] = get_args(Wrap)


@dataclass(frozen=True)
class InputFormat:
    """How images in [0, 1], RGB if they have three channels, become the input of a network.

    And how what it returns becomes the denoised image.

    Attributes:
        value_range: the network's value of white, 1 or 255.
        bgr: whether its channels are in the order blue, green, red.
        per_channel: whether a grayscale network is called for each channel of a color image.
        sigma: the noise level of a noise-conditional network, in 8-bit levels; `oracle` is the
            level of the noise that was added.
        residual: the denoised image, of the input x and what the network returns, f(x). `none`:
            f(x); `minus`: x − f(x), f(x) being the noise; `plus`: x + f(x); `flip`: 2x − f(x),
            where the network itself adds a residual of the wrong sign.
        wrap: what is done around the network; `normalize`: it is given each image with mean 0.5 and
            standard deviation 0.25, and its output is scaled back, see
            `mtd.networks.normalization`.

    Raises:
        BadInput: a value range that is not above 0, a noise level outside 0 to 255, or another
            residual or wrapper.

    >>> InputFormat(value_range=255, bgr=True).to_dict()
    {'value_range': 255, 'bgr': True}
    """

    value_range: float = 1.0
    bgr: bool = False
    per_channel: bool = False
    sigma: Sigma = None
    residual: Residual = "none"
    wrap: Wrap = "none"

    def __post_init__(self) -> None:
        if not 0 < self.value_range < math.inf:
            raise BadInput(
                f"value range {self.value_range}: expected a number above 0, such as 1 or 255"
            )
        number = isinstance(self.sigma, int | float) and not isinstance(self.sigma, bool)
        if self.sigma not in (None, "oracle") and not (number and 0 <= float(self.sigma) <= 255):
            raise BadInput(f"sigma {self.sigma}: expected a level from 0 to 255, or oracle")
        one_of("residual", self.residual, RESIDUALS)
        one_of("wrap", self.wrap, WRAPS)

    def denoised(self, x: Tensor, returned: Tensor) -> Tensor:
        """The denoised image, of the input and what the network returns, in one format.

        >>> import torch
        >>> InputFormat(residual="minus").denoised(torch.tensor(0.5), torch.tensor(0.25))
        tensor(0.2500)
        """
        if self.residual == "minus":
            return x - returned
        if self.residual == "plus":
            return x + returned
        return 2 * x - returned if self.residual == "flip" else returned

    def to_dict(self) -> dict[str, Any]:
        """The values that differ from an RGB image in [0, 1]; empty if none does."""
        values = {
            "value_range": self.value_range,
            "bgr": self.bgr,
            "per_channel": self.per_channel,
            "sigma": self.sigma,
            "residual": self.residual,
            "wrap": self.wrap,
        }
        return {k: v for k, v in values.items() if v != getattr(InputFormat, k)}
