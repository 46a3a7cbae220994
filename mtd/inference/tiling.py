"""Tiles of large images: receptive field, positions, and blending weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from mtd.networks.base import Denoiser, guessed_bytes_per_pixel
from mtd.utils import seeds
from mtd.utils.errors import BadInput

Call = Callable[[Tensor, Sequence[seeds.Key], Tensor | None], Tensor]
Tile = int | Literal["auto", "off"]

OVERLAP = 64
"""Default overlap of tiles in pixels, where an exact one would cost too much."""

STEP = 8
"""Tile corners are multiples of this for an unknown network."""


def reach(model: nn.Module) -> int | None:
    """Radius of the receptive field, in pixels to each side; None for an unknown network."""
    return model.reach if isinstance(model, Denoiser) else None


def step(model: nn.Module) -> int:
    """The number of pixels that tile corners are multiples of."""
    return model.multiple if isinstance(model, Denoiser) else STEP


def smallest(model: nn.Module) -> int:
    """The smallest height and width of a network's input."""
    return model.smallest if isinstance(model, Denoiser) else 1


def bytes_per_pixel(model: nn.Module) -> int:
    """Estimated peak of working memory per pixel of an image, in bytes, without weights.

    A fit, by architecture, to the growth of resident memory on the CPU in float32; see
    `mtd.networks.base.Denoiser.bytes_per_pixel`.
    """
    value = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    if isinstance(model, Denoiser):
        need = model.bytes_per_pixel()
    else:
        need = guessed_bytes_per_pixel(model)
    return need * value.element_size() // 4


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis.

    Attributes:
        starts: first pixel of each tile.
        tile: side of a tile.
        weights: blending weights, (tiles, length), float64; each column sums to 1.
    """

    starts: tuple[int, ...]
    tile: int
    weights: Tensor


@dataclass(frozen=True)
class Layout:
    """How a batch goes through a network.

    Attributes:
        one_by_one: images go through it one at a time, not as one batch.
        grid: rows and columns of tiles; None if an image is taken whole.
    """

    one_by_one: bool
    grid: tuple[Axis, Axis] | None

    def parts(self, batch: int) -> list[slice]:
        """The images that go through the network together."""
        return [slice(i, i + 1) for i in range(batch)] if self.one_by_one else [slice(0, batch)]

    @property
    def key(self) -> list[Any]:
        """What tells outputs of different layouts apart, ready for JSON."""
        tiles = [] if self.grid is None else [[axis.tile, *axis.starts] for axis in self.grid]
        return ["one by one" if self.one_by_one else "batch", *tiles]


def layout(
    model: nn.Module, shape: tuple[int, int, int], tile: Tile, overlap: int | None, memory: int
) -> Layout:
    """How `shape` = (batch, H, W) goes through a network; `tile="off"` takes it in one piece.

    Raises:
        BadInput: see `plan`.
    """
    batch, height, width = shape
    need = batch * height * width * bytes_per_pixel(model)
    one_by_one = tile == "auto" and batch > 1 and need > memory
    least = smallest(model)
    size = (1 if one_by_one else batch, max(height, least), max(width, least))
    return Layout(one_by_one, plan(model, size, tile, overlap, memory))


def plan(
    model: nn.Module, shape: tuple[int, int, int], tile: Tile, overlap: int | None, memory: int
) -> tuple[Axis, Axis] | None:
    """Rows and columns of tiles for `shape` = (batch, H, W), or None if none are needed.

    Raises:
        BadInput: a tile too small for the network or its overlap, or too little memory for any.
    """
    batch, height, width = shape
    unit, radius = step(model), reach(model)
    rows, columns = (_up(side, unit) for side in (height, width))
    least = 4 * max(unit, STEP)
    if isinstance(tile, int):
        if tile < least:
            raise BadInput(f"tile {tile}: expected {least} pixels or more, auto, or off")
        side = _up(tile, unit)
    elif tile == "auto":
        room = memory / (batch * bytes_per_pixel(model))
        if rows * columns <= room:
            return None
        side = int(room**0.5) // unit * unit
        if side < least:
            needed = batch * bytes_per_pixel(model) * least**2 / 2**30
            raise BadInput(
                f"{memory / 2**30:.3g} GiB of memory: too little for a tile of {least} x {least}; "
                f"this network needs {needed:.2g} GiB or more"
            )
    elif tile == "off":
        return None
    else:
        raise BadInput(f"tile {tile!r}: expected auto, off, or a number of pixels")
    shared = _overlap(overlap, side, unit, radius)
    if rows <= side and columns <= side:
        return None
    return _axis(height, side, shared, unit, radius), _axis(width, side, shared, unit, radius)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _overlap(overlap: int | None, tile: int, unit: int, radius: int | None) -> int:
    """The given overlap, or by default one that makes tiles exact if that costs little."""
    if overlap is not None:
        if overlap < 0 or _up(overlap, unit) >= tile:
            raise BadInput(
                f"overlap {overlap}: expected 0 or more, and less than the tile ({tile})"
            )
        return _up(overlap, unit)
    exact = None if radius is None else _up(2 * radius, unit)
    if exact is not None and exact <= min(max(OVERLAP, tile // 4), tile // 2):
        return exact
    return min(OVERLAP // unit, tile // 2 // unit) * unit


def _axis(length: int, tile: int, overlap: int, unit: int, radius: int | None) -> Axis:
    starts = corners(length, tile, overlap, unit)
    return Axis(starts, tile, weights(length, starts, tile, radius))


def corners(length: int, tile: int, overlap: int, unit: int) -> tuple[int, ...]:
    """First pixels of tiles: multiples of `unit`, evenly spaced, with at least `overlap` in common.

    `tile` and `overlap` are multiples of `unit`. The last tile ends at `length` rounded up to
    `unit`, where the network pads the image itself.

    >>> corners(100, 48, 16, 8)
    (0, 24, 56)
    """
    padded = _up(length, unit)
    if padded <= tile:
        return (0,)
    gaps = -(-(padded - tile) // (tile - overlap))
    return tuple(i * (padded - tile) // gaps // unit * unit for i in range(gaps + 1))


def weights(length: int, starts: tuple[int, ...], tile: int, radius: int | None) -> Tensor:
    """Blending weights (tiles, length), float64; every column sums to 1.

    The weight of a tile is 1 in its center and falls linearly towards its neighbors. Next to a
    border inside the image it is 0: over `radius`, that of the receptive field, if the overlap has
    room for it on both sides, which makes tiles exact; else over a quarter of the overlap.
    """
    place = torch.arange(length, dtype=torch.float64) + 0.5
    raw = torch.stack([((place > s) & (place < s + tile)).double() for s in starts])
    for i in range(len(starts) - 1):
        end, start = starts[i] + tile, starts[i + 1]
        raw[i] *= _ramp(end - place, end - start, radius)
        raw[i + 1] *= _ramp(place - start, end - start, radius)
    return raw / raw.sum(0)


def _ramp(distance: Tensor, shared: int, radius: int | None) -> Tensor:
    """From 0 to 1 with the distance from an inner border; those of both sides sum to 1."""
    guard = radius if radius is not None and 2 * radius <= shared else shared // 4
    if shared == 2 * guard:
        return (distance > guard).double()
    return ((distance - guard) / (shared - 2 * guard)).clamp(0, 1)


class Image(Protocol):
    """What tiles are cut from: a tensor, or what gives tensors when it is cut."""

    @property
    def shape(self) -> Sequence[int]:
        """Images, channels, height and width."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensors that it gives."""
        ...

    def __getitem__(self, place: Any, /) -> Tensor: ...


@dataclass(frozen=True)
class Images:
    """Some images of a batch.

    Attributes:
        batch: of all images.
        which: of them.
    """

    batch: Image
    which: slice

    @property
    def shape(self) -> Sequence[int]:
        """Images, channels, height and width."""
        count = len(range(*self.which.indices(self.batch.shape[0])))
        return (count, *self.batch.shape[1:])

    @property
    def dtype(self) -> torch.dtype:
        """Of the batch."""
        return self.batch.dtype

    def __getitem__(self, place: tuple[Any, ...]) -> Tensor:
        return self.batch[self.which, :, *place[-2:]]


def bands(
    call: Call,
    image: Image,
    keys: Sequence[seeds.Key],
    mask: Tensor | None,
    grid: tuple[Axis, Axis],
    report: Callable[[int], object],
) -> Iterator[tuple[slice, Tensor]]:
    """All tiles of an image through `call`, weighted and added up, from top to bottom.

    At any time one row of tiles is in memory, not the whole image.

    Args:
        call: from a tile, the keys of its masks, and its part of the input mask, if any.
        image: (B, C, H, W).
        keys: one per image.
        mask: the input mask, (B, 1, H, W), if any.
        grid: rows and columns of tiles.
        report: called with the number of pixels of each finished tile.

    Yields:
        Rows that are finished, and their values (B, C, rows, W).
    """
    rows, columns = grid
    kind = torch.promote_types(image.dtype, torch.float32)
    batch, _, height, width = image.shape
    done, area, count = 0, batch * height * width, len(rows.starts) * len(columns.starts)
    above: Tensor | None = None  # sums of rows that the tiles above share with the next ones
    for i, (top, down) in enumerate(zip(rows.starts, rows.weights, strict=True)):
        total: Tensor | None = None
        below = slice(top, min(top + rows.tile, height))
        for j, (left, across) in enumerate(zip(columns.starts, columns.weights, strict=True)):
            place = (..., below, slice(left, left + columns.tile))
            own = [f"{key}@{top},{left}" for key in keys]
            output = call(image[place], own, None if mask is None else mask[place])
            if total is None:
                size = (*output.shape[:2], below.stop - top, width)
                total = torch.zeros(size, dtype=kind, device=output.device)
                if above is not None:
                    total[..., : above.shape[-2], :] = above
            weight = down[below, None] * across[None, place[2]]
            total[..., place[2]] += output * weight.to(output.device, kind)
            now = area * (i * len(columns.starts) + j + 1) // count
            report(now - done)
            done = now
        assert total is not None
        end = rows.starts[i + 1] if i + 1 < len(rows.starts) else height
        yield slice(top, end), total[..., : end - top, :].to(image.dtype)
        above = total[..., end - top :, :].clone()
