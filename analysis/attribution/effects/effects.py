"""Causal effects of the blocks of an input on the PSNR of one window of the output.

With f the network, y the noisy image and y[i ← p] the same with block i replaced by a patch p of
another noisy image, the causal effect of block i on a window is, in dB,

    CE(i) = PSNR(f(y), window) − mean over p of PSNR(f(y[i ← p]), window),

positive where replacing the block lowers the PSNR of the window, negative where it raises it. The
mean is over a few patches; of blocks whose effect is then not small it is over more.

Outputs are neither clamped nor rounded, so that small effects are not lost.

Reference: Hu et al., *Interpreting Low-level Vision Models with Causal Effect Maps*, IEEE TPAMI
2025 (arXiv 2407.19789), with windows of 32 x 32 pixels, blocks of 8 x 8, and 50 patches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import torch
from torch import Tensor

from analysis.attribution.integrated_gradients import Window
from mtd.utils import seeds
from mtd.utils.seeds import Key

EXACT = "the window is restored exactly, so that its PSNR is infinite"
UNDEFINED = "the output is not finite"
"""Why a map has no numbers."""

Call = Callable[[Tensor], Tensor]
"""From images (B, C, H, W) to outputs of the same shape."""


class Block(NamedTuple):
    """A block of the input: rows from `top`, columns from `left`, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)


class Effects(NamedTuple):
    """The causal effects of all blocks on a window.

    Attributes:
        values: (1, H, W) float64, at every pixel the effect of its block in dB.
        psnr: of the window with nothing replaced, in dB.
        refined: number of blocks that were replaced by all patches.
    """

    values: Tensor
    psnr: float
    refined: int


def blocks(shape: Sequence[int], window: Window, side: int) -> list[Block]:
    """The blocks of an image, row by row, those at its borders cut off.

    They are counted from the window's corner, so that a window whose side is a multiple of theirs
    is made of whole blocks.

    Args:
        shape: height and width of the image.
        window: of the output.
        side: of a block, in pixels.

    >>> [tuple(block) for block in blocks((4, 5), Window(1, 2, 4), 4)]
    [(0, 0, 1, 2), (0, 2, 1, 3), (1, 0, 3, 2), (1, 2, 3, 3)]
    """
    rows = edges(shape[0], window.top, side)
    columns = edges(shape[1], window.left, side)
    return [
        Block(top, left, below - top, right - left)
        for (top, below), (left, right) in product(pairwise(rows), pairwise(columns))
    ]


def edges(size: int, start: int, side: int) -> list[int]:
    """Where blocks begin, one of them at `start`, and the end of the last one."""
    return sorted({0, *range(start % side, size, side), size})


def patches(pool: Tensor, block: Block, side: int, count: int, *key: Key) -> Tensor:
    """Random patches of other images for a block.

    Args:
        pool: (images, C, H, W).
        block: to be replaced.
        side: of a block that is not cut off, in pixels.
        count: of patches.
        key: of the random stream, beside the block's place.

    Returns:
        (count, C, block's height, block's width); the same for all models.
    """
    stream = seeds.generator("causal effects", *key, f"{block.top},{block.left}")
    limits = (len(pool), pool.shape[2] - side + 1, pool.shape[3] - side + 1)
    drawn = [torch.randint(limit, (count,), generator=stream).tolist() for limit in limits]
    return torch.stack(
        [
            pool[image, :, top : top + block.height, left : left + block.width]
            for image, top, left in zip(*drawn, strict=True)
        ]
    )


def psnr(output: Tensor, target: Tensor, window: Window) -> Tensor:
    """(B,) float64, 10 log₁₀(1 / MSE) in dB over a window, of values in [0, 1], not clamped.

    ∞ where the window is restored exactly.

    Args:
        output: (B, C, H, W).
        target: (C, H, W).
        window: of the output.
    """
    top, left, side = window
    part = (..., slice(top, top + side), slice(left, left + side))
    errors = output[part].double() - target[part].to(output.device).double()
    # one by one, so that equal outputs have equal values in batches of any size
    return -10 * torch.log10(torch.stack([one.square().mean() for one in errors])).cpu()


def effects(
    call: Call,
    image: Tensor,
    target: Tensor,
    window: Window,
    replacements: Sequence[tuple[Block, Tensor]],
    *,
    coarse: int = 3,
    least: float = 0.01,
    batch: int = 8,
) -> Effects:
    """The causal effect of every block on a window.

    Args:
        call: the network, from images to images; masks, if any, are the same in every call.
        image: (C, H, W), y.
        target: (C, H, W), the clean image.
        window: of the output.
        replacements: every block with the patches (K, C, h, w) that may replace it.
        coarse: patches by which each block is replaced first.
        least: absolute effect in dB from which on it is replaced by all K.
        batch: altered images that go through the network together.

    Returns:
        In dB; the mean of a refined block is over all its patches, the first ones included. NaN for
        every block where the window's PSNR with nothing replaced is not finite.

    Reference: Hu et al. 2025.
    """
    base = float(psnr(call(image[None]), target, window)[0])
    values = image.new_full((1, *image.shape[1:]), torch.nan, dtype=torch.float64, device="cpu")
    if not abs(base) < torch.inf:
        return Effects(values, base, 0)

    def altered(chosen: Sequence[int], first: int, last: int | None) -> list[Tensor]:
        jobs = [(replacements[i][0], p) for i in chosen for p in replacements[i][1][first:last]]
        found = [
            base - psnr(call(replaced(image, jobs[start : start + batch])), target, window)
            for start in range(0, len(jobs), batch)
        ]
        counts = [len(replacements[i][1][first:last]) for i in chosen]
        return list(torch.cat(found).split(counts)) if found else [torch.empty(0)] * len(chosen)

    far = beyond_reach(call, image, window, replacements)
    near = [i for i in range(len(replacements)) if i not in far]
    lost = dict.fromkeys(far, torch.zeros(1, dtype=torch.float64))
    lost |= zip(near, altered(near, 0, coarse), strict=True)
    large = [i for i in near if not abs(float(lost[i].mean())) < least]
    for i, more in zip(large, altered(large, coarse, None), strict=True):
        lost[i] = torch.cat([lost[i], more])
    for i, (block, _) in enumerate(replacements):
        values[(0, *block.place)] = lost[i].mean()
    return Effects(values, base, len(large))


def beyond_reach(
    call: Call,
    image: Tensor,
    window: Window,
    replacements: Sequence[tuple[Block, Tensor]],
) -> set[int]:
    """Blocks so far from the window that none of them changes it; their effects are 0.

    From the border inwards all blocks of a distance or more are replaced at once, by two patches
    each, as long as the window stays as it is, bit by bit. The image itself is in the same batch,
    since rounding may depend on a batch's size.

    Args:
        call: the network.
        image: (C, H, W).
        window: of the output.
        replacements: see `effects`.

    Returns:
        Their places among the replacements.
    """
    top, left, side = window
    place = (..., slice(top, top + side), slice(left, left + side))
    distances = [distance(block, window) for block, _ in replacements]
    found: set[int] = set()
    for least in sorted({of for of in distances if of >= 0}, reverse=True):
        outer = {i for i, of in enumerate(distances) if of >= least}
        images = image.repeat(3, 1, 1, 1)
        for i in outer:
            block, patches = replacements[i]
            for one, patch in zip(images[1:], patches, strict=False):
                one[(slice(None), *block.place)] = patch
        own, *others = call(images)[place]
        if not all(torch.equal(one, own) for one in others):
            break
        found = outer
    return found


def distance(block: Block, window: Window) -> int:
    """Pixels between a block and the window, the larger of both directions; below 0 inside."""
    top, left, side = window
    return max(
        top - (block.top + block.height),
        block.top - (top + side),
        left - (block.left + block.width),
        block.left - (left + side),
    )


def replaced(image: Tensor, jobs: Sequence[tuple[Block, Tensor]]) -> Tensor:
    """(B, C, H, W), the image once for each block and patch (C, h, w), which replaces it."""
    images = image.repeat(len(jobs), 1, 1, 1)
    for one, (block, patch) in zip(images, jobs, strict=True):
        one[(slice(None), *block.place)] = patch
    return images


def by_pixel(values: Tensor, grid: Sequence[Block]) -> Tensor:
    """(H, W), the absolute effects of (1, H, W), each shared by the pixels of its block."""
    shares = torch.zeros_like(values[0])
    for block in grid:
        shares[block.place] = values[0][block.place].abs() / (block.height * block.width)
    return shares


def of_blocks(values: Tensor, grid: Sequence[Block]) -> list[float]:
    """The effect of each block, of values (1, H, W)."""
    return [float(values[0, block.top, block.left]) for block in grid]
