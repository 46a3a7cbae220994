"""One forward path: a network on images of any size, with its masks and noise level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mtd.inference.tiling import Tile
    from mtd.utils.seeds import Key


GIB = 2**30


MEMORY = 2 * GIB
"""Default budget for a network's working memory, in bytes."""


def forward(
    model: nn.Module,
    noisy: Tensor,
    keys: Sequence[Key] | None = None,
    input_mask: Tensor | None = None,
    sigma: Tensor | None = None,
) -> Tensor:
    """One call of a network, whatever its kind: (B, C, H, W) to the same shape.

    Args:
        model: one of this package takes keys, any other module the image alone.
        noisy: nominally in [0, 1].
        keys: one per image, on which its attention masks depend.
        input_mask: boolean (B, 1, H, W), True kept. A network that was trained with an input mask
            fills the rest as in its training; any other sees black pixels there.
        sigma: (B,), the noise level of each image as a share of white, for a network that is told
            that of the noise at hand.
    """
    from mtd.networks.base import Denoiser
    from mtd.networks.swinir import SwinIR

    output: Tensor
    if input_mask is not None:
        if isinstance(model, SwinIR) and model.inference.policy.masks_input:
            output = model(noisy, keys, input_mask=input_mask)
            return output
        noisy = noisy * input_mask.to(noisy.dtype)
    output = model(noisy, keys, sigma=sigma) if isinstance(model, Denoiser) else model(noisy)
    return output


def denoise(
    model: nn.Module,
    noisy: Tensor,
    *,
    keys: Sequence[Key] | None = None,
    tile: Tile = "auto",
    overlap: int | None = None,
    memory: int = MEMORY,
    input_mask: Tensor | None = None,
    sigma: Tensor | None = None,
    progress: Callable[[int], object] | None = None,
) -> Tensor:
    """Denoise images of any height and width from 1 up; never clamped, without gradient.

    What is smaller than the network takes is padded at the bottom and right, by reflection where
    the image is large enough for that, else by its edge, and cut again. Where the whole image
    would need too much memory it is done in overlapping tiles, blended by weights that sum to 1
    (`mtd.inference.tiling`); tile corners are multiples of the attention window, so that a tile's
    windows are the image's. The module stays in the mode it is in.

    How tiles differ from the whole: not at all, up to rounding (1e-5), where the overlap is twice
    the network's reach (`mtd.inference.tiling.reach`) or more. By default it is that if that is at
    most a quarter of the tile, or 64 pixels; otherwise it is 64 pixels or half a tile, whichever is
    less, and pixels within reach of a tile's inner border differ a little. Measured for the bundled
    networks (reach 40) without attention masks, on three noisy images of Kodak24 in tiles of 128:
    with an overlap of 64 at most 1.2e-5, 7e-8 on average, and less than 0.00001 dB; with 32 at most
    6e-4, 4e-6 on average, 0.00005 dB. Of unknown networks nothing is claimed.

    With attention masks on, tiles draw masks of their own, keyed by the image's key and the tile's
    corner, so that the result is another draw than that of the whole image.

    Args:
        model: a network of this package, or any module from images to images of the same size.
        noisy: (B, C, H, W), nominally in [0, 1]; tiles go to the network's device one by one.
        keys: one per image, on which its attention masks depend; all 0 if not given.
        tile: `auto` uses tiles if the memory is too small for the whole; `off` never; or the side
            of a tile in pixels, rounded up to whole windows.
        overlap: of neighbouring tiles, in pixels, at least; rounded up to whole windows, and more
            where evenly spread tiles have more in common.
        memory: budget in bytes for the network's working memory, by an estimate
            (`mtd.inference.tiling.bytes_per_pixel`); input, output and weights come on top.
        input_mask: boolean (B, 1, H, W), True kept; see `forward`.
        sigma: (B,), see `forward`.
        progress: called with the number of pixels that are done, now and then.

    Raises:
        BadInput: not four dimensions, an empty image, or tile, overlap and memory do not fit.
    """
    import torch

    from mtd.inference import tiling
    from mtd.networks.padding import extend

    if noisy.ndim != 4 or 0 in noisy.shape:
        raise BadInput(f"image of shape {list(noisy.shape)}: expected (B, C, H, W), none of them 0")
    batch, _, height, width = noisy.shape
    keys = list(keys) if keys is not None else [0] * batch
    report = progress or _silent
    need = batch * height * width * tiling.bytes_per_pixel(model)
    with torch.no_grad():
        if tile == "auto" and batch > 1 and need > memory:
            parts = [
                denoise(
                    model,
                    noisy[i : i + 1],
                    keys=keys[i : i + 1],
                    overlap=overlap,
                    memory=memory,
                    input_mask=None if input_mask is None else input_mask[i : i + 1],
                    sigma=None if sigma is None else sigma[i : i + 1],
                    progress=progress,
                )
                for i in range(batch)
            ]
            return torch.cat(parts)
        least = tiling.smallest(model)
        large = extend(noisy, least=least)
        mask = None if input_mask is None else extend(input_mask, least=least)
        grid = tiling.plan(model, (batch, *large.shape[-2:]), tile, overlap, memory)
        if grid is None:
            output = _call(model, large, keys, mask, sigma)
            report(batch * height * width)
        else:

            def call(part: Tensor, keys: Sequence[Key], hidden: Tensor | None) -> Tensor:
                return _call(model, part, keys, hidden, sigma)

            output = tiling.blend(call, large, keys, mask, grid, report)
        return output[..., :height, :width]


def _silent(pixels: int) -> None:
    """Reports nothing."""


def _call(
    model: nn.Module,
    part: Tensor,
    keys: Sequence[Key],
    mask: Tensor | None,
    sigma: Tensor | None,
) -> Tensor:
    """A call on the network's device, its result where the image was."""
    here = next((p.device for p in model.parameters()), part.device)
    mask = None if mask is None else mask.to(here)
    output = forward(model, part.to(here), keys, mask, sigma).to(part.device)
    if output.shape != part.shape:
        raise BadInput(
            f"the network makes {list(output.shape)} of {list(part.shape)}: expected the same size"
        )
    return output
