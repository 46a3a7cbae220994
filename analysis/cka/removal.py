"""What is removed from features before they are compared: content, or principal components.

* *Given the clean image*: partial CKA. With C (n, c), the clean image's pixels at each sample's
  position, features X become X − C(CᵀC)⁺CᵀX, columns of both centered: what is not a linear
  function of these pixels.
* *Principal components*: X (I − V Vᵀ), V being the first K eigenvectors of the features'
  covariance, after the above.

Coefficients and components are those of all samples, also where photographs are left out.

Reference: the residuals are those of linear least squares; on removing the first components of
representations, Ding et al. 2021 (arXiv 2108.01661).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.cka.positions import Positions
from analysis.stats.arrays import double, single
from mtd.utils.distributed import SINGLE_PROCESS, Ranks

Load = Callable[[], Tensor]


def clean_pixels(clean: Tensor, places: Positions, neighborhood: bool) -> Tensor:
    """The clean image's pixels at each position, (images, positions, values).

    Args:
        clean: (images, channels, height, width).
        places: the positions.
        neighborhood: the 3 × 3 pixels around each instead, reflected at the border.
    """
    if not neighborhood:
        return places.pick(clean)
    padded = F.pad(clean, (1, 1, 1, 1), mode="reflect")
    height, width = clean.shape[-2:]
    around = F.unfold(padded, 3).reshape(len(clean), -1, height, width)
    return places.pick(around)


@dataclass(frozen=True)
class Removal:
    """What is removed from features, by sums over all samples.

    Attributes:
        mean: (D,) of the features.
        pixel_mean: (c,) of the pixels; c is 0 where nothing is regressed out.
        coefficients: (c, D).
        directions: of each representation, (features, K) orthonormal columns to be removed.
    """

    mean: Tensor
    pixel_mean: Tensor
    coefficients: Tensor
    directions: Sequence[Tensor]

    @classmethod
    def fit(
        cls,
        batches: Sequence[Load],
        pixels: Sequence[Tensor],
        widths: Sequence[int],
        components: int,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> Removal:
        """Coefficients and components of all samples.

        Args:
            batches: each gives (images, samples of an image, D).
            pixels: of each batch, (images, samples of an image, c).
            widths: features of each representation, D in all.
            components: K.
            ranks: the processes that share the batches.
        """
        own = range(ranks.rank, len(batches), ranks.size)
        size, values = sum(widths), pixels[0].shape[-1]
        sums = torch.zeros(size + values + 1, dtype=torch.float64)
        for index in own:
            both = torch.cat([double(batches[index]()), double(pixels[index])], dim=-1)
            sums[:-1] += both.sum((0, 1))
            sums[-1] += both.shape[:2].numel()
        (sums,) = ranks.sum(sums)
        mean, pixel_mean = (sums[:-1] / sums[-1]).split([size, values])
        cc = torch.zeros(values, values, dtype=torch.float64)
        cx = torch.zeros(values, size, dtype=torch.float64)
        xx = [torch.zeros(width, width, dtype=torch.float64) for width in widths]
        for index in own:
            x = (double(batches[index]()) - mean).flatten(0, 1)
            c = (double(pixels[index]) - pixel_mean).flatten(0, 1)
            cc += c.mT @ c
            cx += c.mT @ x
            for total, part in zip(xx, x.split(list(widths), dim=1), strict=True):
                total += part.mT @ part
        cc, cx, *xx = ranks.sum(cc, cx, *xx)
        coefficients = torch.linalg.pinv(cc, hermitian=True) @ cx if values else cx
        directions = []
        for total, part, b in zip(
            xx, cx.split(list(widths), dim=1), coefficients.split(list(widths), dim=1), strict=True
        ):
            directions.append(first_components(total - b.mT @ part, components))
        return cls(mean, pixel_mean, coefficients, directions)

    def apply(self, features: Tensor, pixels: Tensor) -> Tensor:
        """(images, samples, D) without what is removed, in the features' own precision."""
        exact = double(features) - self.mean
        if pixels.shape[-1]:
            exact = exact - (double(pixels) - self.pixel_mean) @ self.coefficients
        widths = [len(directions) for directions in self.directions]
        parts = [
            part - (part @ v) @ v.mT
            for part, v in zip(exact.split(widths, dim=-1), self.directions, strict=True)
        ]
        return torch.cat(parts, dim=-1).to(single(features).dtype)


def first_components(covariance: Tensor, count: int) -> Tensor:
    """(p, count) eigenvectors of the largest eigenvalues; all of them where there are fewer."""
    width = len(covariance)
    if not count or not bool(covariance.isfinite().all()):
        return covariance.new_zeros(width, 0)
    vectors: Tensor = torch.linalg.eigh(covariance).eigenvectors
    return vectors[:, max(0, width - count) :]
