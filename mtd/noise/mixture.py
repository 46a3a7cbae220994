"""A mixture of five noises at five levels, this project's own preset.

The paper tests a mixture at levels 1 to 5 without giving its components or their strengths, so that
its numbers cannot be reproduced. This one is tuned so that a baseline trained on Gaussian noise
(`pair-baseline` of `reports/findings/training`) comes close to the paper's in its Figure 11: 28.3,
25.4, 23.1, 21.4, 20.0 dB on the central 256 × 256 of six images of Kodak24, against 28.1, 26.2,
23.2, 21.4, 20.1 dB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtd.noise.base import Levelled, Noise
from mtd.noise.synthetic import Gaussian, Poisson, SaltPepper, Spatial, Speckle
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor

OURS = "mixture is this project's own preset; the paper's is not public"
"""A note for every table and figure that shows a mixture."""


def _components(
    speckle: float, poisson: float, spatial: float, gaussian: float, salt_pepper: float
) -> tuple[Noise, ...]:
    """The components in the order in which they are added."""
    return (
        Speckle(speckle),
        Poisson(poisson),
        Spatial(spatial),
        Gaussian(gaussian),
        SaltPepper(salt_pepper),
    )


LEVELS: dict[int, tuple[Noise, ...]] = {
    1: _components(0.010, 1.00, 20, 8, 0.0050),
    2: _components(0.015, 1.25, 30, 12, 0.0075),
    3: _components(0.020, 1.50, 40, 16, 0.0100),
    4: _components(0.025, 1.75, 50, 20, 0.0125),
    5: _components(0.030, 2.00, 60, 24, 0.0150),
}
"""Components by level n: (n + 1) / 2 times those of level 1, except α, which is (n + 3) / 4."""


class Mixture(Levelled):
    """Speckle, Poisson, spatial, Gaussian, salt and pepper, one after the other; level 1 to 5.

    Each is applied to the unclipped result of the previous ones (Poisson counts are those of the
    running image); the final result is clipped and rounded once. On a constant gray level g, inside
    the image, before salt and pepper of density d, the mean is g and, with the other components'
    levels v, α, s and σ,

        variance = g² v + α² g / 256 + ((s / 3)² + σ²) / 255²,

    and after it the mean is g' = g (1 − d) + d / 2, the variance
    (1 − d) (variance + g²) + d / 2 − g'².

    | level | v     | α    | s  | σ  | d      | noisy PSNR, Kodak24 |
    |-------|-------|------|----|----|--------|---------------------|
    | 1     | 0.010 | 1.00 | 20 | 8  | 0.0050 | 21.73 dB            |
    | 2     | 0.015 | 1.25 | 30 | 12 | 0.0075 | 19.49 dB            |
    | 3     | 0.020 | 1.50 | 40 | 16 | 0.0100 | 17.81 dB            |
    | 4     | 0.025 | 1.75 | 50 | 20 | 0.0125 | 16.46 dB            |
    | 5     | 0.030 | 2.00 | 60 | 24 | 0.0150 | 15.35 dB            |

    The PSNR is the mean over the 24 whole images of 500 × 500, noise of seed 0 by `pair_keyed`.
    """

    name = "mixture"
    meaning = "level, 1 to 5"
    note = OURS

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise BadInput(f"noise {self.spec}: level must be 1, 2, 3, 4 or 5")

    @property
    def components(self) -> tuple[Noise, ...]:
        """The noises that are applied, in order."""
        return LEVELS[int(self.level)]

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`."""
        running = clean
        for component in self.components:
            running = component.sample(running, generator)
        return running
