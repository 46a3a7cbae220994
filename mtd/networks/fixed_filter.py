"""A fixed linear filter: a gain for each frequency, the same in every direction and channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mtd.networks.classical import Image, WithoutLayers
from mtd.networks.config import Config


@dataclass(frozen=True)
class FixedFilterConfig(Config):
    """The gains of a linear filter.

    Attributes:
        frequencies: rising, the first one 0, in cycles per pixel.
        gains: at these frequencies; linear in between, and constant above the last one.
    """

    frequencies: tuple[float, ...] = (0.0,)
    gains: tuple[float, ...] = (1.0,)


class FixedFilter(WithoutLayers):
    """A linear filter of each channel with reflecting borders, by its gain at every frequency.

    The image is mirrored at its borders (`d c b a | a b c d | d c b a`) and its Fourier
    coefficients are multiplied by the gains: in the cosine transform (DCT-II) of H x W pixels,
    coefficient (k, l) has the frequency √((k / 2H)² + (l / 2W)²) cycles per pixel.

    Example:
        >>> half = FixedFilter("filter:half", FixedFilterConfig(gains=(0.5,)))
        >>> half(torch.full((1, 3, 4, 6), 0.5))[0, 0, 0, 0]
        tensor(0.2500)
    """

    config: FixedFilterConfig
    about = ("numpy", "scipy")

    def __init__(self, spec: str, config: FixedFilterConfig) -> None:
        super().__init__(spec)
        self.config = config
        # of the state dict, whose digest is that of the filter
        for name in ("frequencies", "gains"):
            values = torch.tensor(getattr(config, name), dtype=torch.float64)
            self.register_buffer(name, values)

    def _apply(self, *_: Any, **__: Any) -> Self:
        """Stay in float64 on the CPU, where it is computed wherever networks are."""
        return self

    def denoised(self, image: Image) -> Image:
        """See `WithoutLayers.denoised`."""
        from scipy.fft import dctn, idctn

        gains = np.interp(
            radial_frequencies(*image.shape[:2]), self.config.frequencies, self.config.gains
        )
        spectrum = dctn(image, axes=(0, 1), norm="ortho") * gains[..., None]
        return np.asarray(idctn(spectrum, axes=(0, 1), norm="ortho"))


def radial_frequencies(height: int, width: int) -> NDArray[np.float64]:
    """The frequency of each coefficient of a cosine transform (DCT-II), in cycles per pixel.

    >>> radial_frequencies(2, 2)
    array([[0.        , 0.25      ],
           [0.25      , 0.35355339]])
    """
    rows, columns = (np.arange(side) / (2 * side) for side in (height, width))
    return np.hypot(rows[:, None], columns[None, :])
