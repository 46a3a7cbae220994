"""Positions as samples: the channel vectors of a layer at chosen places of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtd import seeds
from mtd.errors import BadInput

MAX_WINDOW = 32
"""Largest multiple to which networks are taken to pad."""

WINDOWED = re.compile(r"\.attn(\.|\[|#|$)")
"""Paths of window attention and its parts, whose tokens are those of single windows."""


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

        Layers are (B, C, h, w) or tokens (B, h · w, C), of the image or of the image padded on the
        right and below to whole windows. A layer of another resolution gives the cell in which a
        pixel's centre lies.

        Raises:
            BadInput: an output that has no places in the image.
        """
        batch = len(self.rows)
        if WINDOWED.search(name):
            raise BadInput(
                f"layer {name!r} works inside windows, which every second block shifts, so that it "
                "has no positions in the image; leave it out or use --unit image"
            )
        if activation.shape[0] == batch and activation.ndim == 4:
            height, width = activation.shape[-2:]
            flat = activation.flatten(2).transpose(1, 2)
        elif activation.shape[0] == batch and activation.ndim == 3:
            height, width = self._token_grid(name, activation.shape[1])
            flat = activation
        else:
            raise BadInput(
                f"layer {name!r} puts out {tuple(activation.shape)}, which has no positions of a "
                "batch of images; leave it out or use --unit image"
            )
        padded_height, padded_width = self._padded(height, width)
        rows = (2 * self.rows + 1) * height // (2 * padded_height)
        columns = (2 * self.columns + 1) * width // (2 * padded_width)
        index = (rows * width + columns).to(flat.device)
        return flat.gather(1, index[..., None].expand(-1, -1, flat.shape[-1]))

    def _paddings(self) -> list[tuple[int, int]]:
        """The image's size, and its sizes after padding to whole windows, smallest window first."""
        windows = range(1, min(MAX_WINDOW, self.height, self.width) + 1)
        return [(-(-self.height // w) * w, -(-self.width // w) * w) for w in windows]

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        """What size the image had when a layer of (height, width) saw it.

        The smallest padding of which the layer is a whole multiple or fraction; if there is none,
        the image itself.
        """
        for full in self._paddings():
            for large, small in ((full, (height, width)), ((height, width), full)):
                factor, rest = divmod(large[0], small[0])
                if rest == 0 and small[1] * factor == large[1]:
                    return full
        return self.height, self.width

    def _token_grid(self, name: str, tokens: int) -> tuple[int, int]:
        for height, width in self._paddings():
            if height * width == tokens:
                return height, width
        raise BadInput(
            f"layer {name!r} has {tokens} tokens, no grid of a {self.height} x {self.width} crop; "
            "leave it out or use --unit image"
        )
