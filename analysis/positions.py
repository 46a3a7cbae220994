"""Positions as samples: the channel vectors of a layer at chosen places of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtd import seeds
from mtd.errors import BadInput


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

    def pick(self, name: str, activation: Tensor) -> Tensor:
        """(B, P, C): the channels of a layer at the places, met by image coordinates.

        A layer of another resolution gives the cell in which a pixel's centre lies. Layers are
        (B, C, h, w), or tokens (B, h · w, C) of the image or of the image padded on the right and
        below to whole windows.

        Raises:
            BadInput: an output that has no places in the image.
        """
        batch = len(self.rows)
        if activation.shape[0] == batch and activation.ndim == 4:
            height, width = activation.shape[-2:]
            flat = activation.flatten(2).transpose(1, 2)
            rows, columns = self._cells(height, width)
        elif activation.shape[0] == batch and activation.ndim == 3:
            width = self._token_columns(name, activation.shape[1])
            flat, rows, columns = activation, self.rows, self.columns
        else:
            raise BadInput(
                f"layer {name!r} puts out {tuple(activation.shape)}, which has no positions of a "
                "batch of images; leave it out or use --unit image"
            )
        index = (rows * width + columns).to(flat.device)
        return flat.gather(1, index[..., None].expand(-1, -1, flat.shape[-1]))

    def _cells(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        rows = (2 * self.rows + 1) * height // (2 * self.height)
        columns = (2 * self.columns + 1) * width // (2 * self.width)
        return rows, columns

    def _token_columns(self, name: str, tokens: int) -> int:
        """Columns of the token grid: the image's, or after padding to a multiple of a window."""
        for window in range(1, 33):
            height = -(-self.height // window) * window
            width = -(-self.width // window) * window
            if height * width == tokens:
                return width
        raise BadInput(
            f"layer {name!r} has {tokens} tokens, no grid of a {self.height} x {self.width} crop; "
            "leave it out or use --unit image"
        )
