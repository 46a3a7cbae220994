"""Positions as samples: the channel vectors of a layer at chosen places of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.engine.feature_maps import paddings
from mtd.utils import seeds
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class Positions:
    """Places in a batch of equal-sized images, the same for every layer and view.

    Attributes:
        rows: (B, P) row of each place, in pixels of the image.
        columns: (B, P) its column.
        height: of the image.
        width: of the image.
    """

    rows: Tensor
    columns: Tensor
    height: int
    width: int

    @classmethod
    def draw(
        cls, keys: Sequence[seeds.Key], count: int, height: int, width: int, seed: int
    ) -> Positions:
        """`count` different places in each image; image i's depend on (seed, keys[i]) only.

        Raises:
            BadInput: more places than pixels.
        """
        if not 1 <= count <= height * width:
            raise BadInput(
                f"{count} positions in a crop of {height} x {width}: expected 1 to {height * width}"
            )
        places = torch.stack(
            [
                torch.randperm(height * width, generator=seeds.generator("positions", seed, key))
                for key in keys
            ]
        )[:, :count]
        return cls(places // width, places % width, height, width)

    def pick(self, maps: Tensor) -> Tensor:
        """(B, P, C): the channels of maps (B, C, h, w) at the places, met by image coordinates.

        Maps of another resolution give the cell in which a pixel's center lies.
        """
        height, width = maps.shape[-2:]
        padded_height, padded_width = self._padded(height, width)
        rows = (2 * self.rows + 1) * height // (2 * padded_height)
        columns = (2 * self.columns + 1) * width // (2 * padded_width)
        index = (rows * width + columns).to(maps.device)
        flat = maps.flatten(2).mT
        return flat.gather(1, index[..., None].expand(-1, -1, flat.shape[-1]))

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        """The padded size of the image at a layer of size (height, width).

        The smallest padding of which the layer is a whole multiple or fraction; if there is none,
        the image itself.
        """
        for full in paddings(self.height, self.width):
            for large, small in ((full, (height, width)), ((height, width), full)):
                factor, rest = divmod(large[0], small[0])
                if rest == 0 and small[1] * factor == large[1]:
                    return full
        return self.height, self.width
