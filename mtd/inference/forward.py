"""The forward pass: a network on images of any size, with its masks and noise level."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mtd.inference.tiling import Image, Layout, Tile
    from mtd.networks.normalization import Normalization
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
    normalization: Normalization | None = None,
) -> Tensor:
    """One call of a network: (B, C, H, W), nominally in [0, 1], to the same shape.

    The network gets tensors of its own, so that one that writes into its input changes nothing
    outside.

    Args:
        model: a `Denoiser` takes keys and noise level, any other module the image alone.
        noisy: (B, C, H, W), nominally in [0, 1].
        keys: one per image, which seed its attention masks.
        input_mask: boolean (B, 1, H, W), True kept. A network trained with an input mask
            (`Denoiser.fills_input_mask`) fills masked pixels as in training; any other gets them
            black.
        sigma: (B,), the noise level of each image in [0, 1] units (15 of 255 is 15/255), for a
            noise-conditional network.
        normalization: of the whole images that `noisy` are tiles of, for a network wrapped by
            `normalize`; by default that of the visible pixels of `noisy`.

    >>> import torch
    >>> from mtd.networks.base import Unchanged
    >>> forward(Unchanged(), torch.full((1, 3, 1, 1), 0.5)).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """
    from mtd.networks.base import Denoiser

    denoiser = model if isinstance(model, Denoiser) else None
    output: Tensor
    noisy = noisy.clone()
    sigma = None if sigma is None else sigma.clone()
    more: dict[str, Any] = {}
    if denoiser is not None and denoiser.normalizes:
        normalization = normalization or normalization_of(denoiser, noisy, input_mask)
        more["normalization"] = normalization
    if input_mask is not None:
        if denoiser is not None and denoiser.fills_input_mask:
            output = denoiser(noisy, keys, input_mask=input_mask.clone(), **more)
            return output
        visible = input_mask.to(noisy.dtype)
        noisy = noisy * visible
        if normalization is not None:  # black is what the network itself is given
            noisy = noisy + normalization.undo(noisy.new_zeros(())) * (1 - visible)
    output = model(noisy) if denoiser is None else denoiser(noisy, keys, sigma=sigma, **more)
    return output


def normalization_of(
    model: nn.Module, images: Tensor, input_mask: Tensor | None = None
) -> Normalization | None:
    """How whole images are normalized for a network that `normalize` wraps; None for any other.

    Args:
        model: any.
        images: (B, C, H, W).
        input_mask: boolean (B, 1, H, W); masked pixels do not count.
    """
    from mtd.networks.base import Denoiser
    from mtd.networks.normalization import Normalization

    if not (isinstance(model, Denoiser) and model.normalizes):
        return None
    return Normalization.of(images, input_mask)


def forward_whole(
    model: nn.Module,
    noisy: Tensor,
    keys: Sequence[Key],
    input_mask: Tensor | None = None,
    sigma: Tensor | None = None,
) -> Tensor:
    """One call of a network on whole images of any size, with gradient wherever that is enabled.

    Images smaller than the network's smallest input are padded and cropped again, see `denoise`.

    Args:
        model: see `forward`.
        noisy: (B, C, H, W), nominally in [0, 1].
        keys: see `forward`.
        input_mask: boolean (B, 1, H, W), see `forward`.
        sigma: (B,), see `forward`.

    Returns:
        (B, C, H, W), not clamped.

    Raises:
        BadInput: a network that changes the size.
    """
    padded, mask = _padded(model, noisy, input_mask)
    normalization = normalization_of(model, noisy, input_mask)  # without the padding
    output = _call(model, padded, keys, mask, sigma, normalization)
    return output[..., : noisy.shape[-2], : noisy.shape[-1]]


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
    """Denoise images of any size, without gradient; the output is not clamped.

    Images smaller than the network's smallest input are padded at the bottom and right, by
    reflection where they are large enough, else by their edge, and cropped again. Where the whole
    image would need too much memory, it is denoised in overlapping tiles, blended by weights that
    sum to 1 (`mtd.inference.tiling`); tile corners are multiples of the attention window, so that
    a tile's windows are those of the image. The training mode of the module is unchanged.

    Tiles give the same result as the whole image, up to rounding (1e-5), where the overlap is at
    least twice the radius of the receptive field (`mtd.inference.tiling.reach`). This is the
    default if it is at most a quarter of the tile, or 64 pixels; otherwise the overlap is 64 pixels
    or half a tile, whichever is less, and pixels within that radius of a tile's inner border differ
    slightly. Measured for networks of 32 channels (radius 40) without attention masks, on three
    noisy images of Kodak24 in tiles of 128: with an overlap of 64 at most 1.2e-5, 7e-8 on average,
    less than 0.00001 dB; with 32 at most 6e-4, 4e-6 on average, 0.00005 dB. For unknown networks
    the difference is not bounded.

    With attention masks on, every tile draws its own masks, keyed by the image's key and the tile's
    corner, so that the result is another random draw than that of the whole image. A network that
    is wrapped by `normalize` has mean and deviation of the whole image in every tile.

    Args:
        model: a network of this package, or any module from images to images of the same size.
        noisy: (B, C, H, W), nominally in [0, 1]; tiles go to the network's device one by one.
        keys: one per image, on which its attention masks depend; 0 for all by default.
        tile: `auto` uses tiles if the memory is too small for the whole image, `off` never; or the
            side of a tile in pixels, rounded up to whole windows.
        overlap: of neighboring tiles, in pixels, at least; rounded up to whole windows.
        memory: budget in bytes for the network's working memory, by an estimate
            (`mtd.inference.tiling.bytes_per_pixel`); input, output and weights come on top.
        input_mask: boolean (B, 1, H, W), True kept; see `forward`.
        sigma: (B,), see `forward`.
        progress: called with the number of pixels that were denoised since the last call.

    Returns:
        (B, C, H, W) on the device of `noisy`.

    Raises:
        BadInput: not four dimensions, an empty image, whole numbers instead of values in [0, 1],
            another number of keys, masks or levels than of images, a network that changes the size,
            or tile, overlap and memory that do not fit.

    >>> import torch
    >>> from mtd.loading.load import load
    >>> denoise(load("baseline.pth"), torch.rand(1, 3, 7, 30)).shape
    torch.Size([1, 3, 7, 30])
    """
    import torch

    from mtd.inference import tiling

    if noisy.ndim != 4 or 0 in noisy.shape:
        raise BadInput(f"image of shape {list(noisy.shape)}: expected (B, C, H, W), none of them 0")
    if not noisy.is_floating_point():
        raise BadInput(f"image of type {noisy.dtype}: expected real values, nominally in [0, 1]")
    batch, _, height, width = noisy.shape
    keys = list(keys) if keys is not None else [0] * batch
    for name, values in (("keys", keys), ("input masks", input_mask), ("noise levels", sigma)):
        if values is not None and len(values) != batch:
            raise BadInput(f"{len(values)} {name} for {batch} images: expected one for each")
    if not memory > 0:
        raise BadInput(f"{memory} bytes of memory: expected more than 0")
    if overlap is not None and (not isinstance(overlap, int) or overlap < 0):
        raise BadInput(f"overlap {overlap!r}: expected a whole number of pixels, 0 or more")
    layout = tiling.layout(model, (batch, height, width), tile, overlap, memory)
    with torch.no_grad():
        outputs = [
            _denoise_part(
                model,
                noisy[images],
                keys[images],
                None if input_mask is None else input_mask[images],
                None if sigma is None else sigma[images],
                layout,
                progress or _silent,
            )
            for images in layout.parts(batch)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _denoise_part(
    model: nn.Module,
    noisy: Tensor,
    keys: Sequence[Key],
    input_mask: Tensor | None,
    sigma: Tensor | None,
    layout: Layout,
    report: Callable[[int], object],
) -> Tensor:
    """Images that go through the network together, whole or in the tiles of a layout."""
    if layout.grid is None:
        output = forward_whole(model, noisy, keys, input_mask, sigma)
        report(noisy[:, 0].numel())
        return output
    from mtd.inference import tiling

    normalization = normalization_of(model, noisy, input_mask)  # of images, not of tiles
    padded, mask = _padded(model, noisy, input_mask)

    def call(tile: Tensor, keys: Sequence[Key], mask: Tensor | None) -> Tensor:
        return _call(model, tile, keys, mask, sigma, normalization)

    output = noisy.new_empty((*noisy.shape[:2], *padded.shape[-2:]))
    for rows, band in tiling.bands(call, padded, keys, mask, layout.grid, report):
        output[..., rows, :] = band
    return output[..., : noisy.shape[-2], : noisy.shape[-1]]


def denoise_in_bands(
    model: nn.Module,
    noisy: Image,
    *,
    keys: Sequence[Key],
    tile: Tile = "auto",
    overlap: int | None = None,
    memory: int = MEMORY,
    input_mask: Tensor | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[tuple[slice, slice, Tensor]]:
    """As `denoise`, of what need not be in memory as a whole, and band by band.

    Args:
        model, keys, tile, overlap, memory, input_mask, progress: see `denoise`.
        noisy: (B, C, H, W), which gives tensors when it is cut. It is cut as a whole if it needs no
            tiles, or if the network normalizes whole images.

    Yields:
        Which images, which of their rows, and the denoised values (b, C, rows, W) of these.

    Raises:
        BadInput: see `denoise`.
    """
    import torch

    from mtd.inference import tiling

    batch, _, height, width = noisy.shape
    layout = tiling.layout(model, (batch, height, width), tile, overlap, memory)
    normalizes = bool(getattr(model, "normalizes", False))
    if layout.grid is None or normalizes or min(height, width) < tiling.smallest(model):
        given = {"tile": tile, "overlap": overlap, "memory": memory, "progress": progress}
        whole = denoise(model, noisy[...], keys=keys, input_mask=input_mask, **given)  # type: ignore[arg-type]
        yield slice(0, batch), slice(0, height), whole
        return

    def call(part: Tensor, keys: Sequence[Key], mask: Tensor | None) -> Tensor:
        with torch.no_grad():
            return _call(model, part, keys, mask, None, None)

    for images in layout.parts(batch):
        cut, mask = tiling.Images(noisy, images), None if input_mask is None else input_mask[images]
        own = list(keys[images])
        for rows, band in tiling.bands(call, cut, own, mask, layout.grid, progress or _silent):
            yield images, rows, band


def _padded(
    model: nn.Module, noisy: Tensor, input_mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Images and their input masks, at least as large as the network's smallest input."""
    from mtd.inference import tiling
    from mtd.networks.padding import extend

    least = tiling.smallest(model)
    mask = None if input_mask is None else extend(input_mask, least=least)
    return extend(noisy, least=least), mask


def _silent(pixels: int) -> None:
    """Reports nothing."""


def _call(
    model: nn.Module,
    part: Tensor,
    keys: Sequence[Key],
    mask: Tensor | None,
    sigma: Tensor | None,
    normalization: Normalization | None,
) -> Tensor:
    """A call on the network's device; the output is on the image's device."""
    device = next((p.device for p in model.parameters()), part.device)
    mask = None if mask is None else mask.to(device)
    output = forward(model, part.to(device), keys, mask, sigma, normalization).to(part.device)
    if output.shape != part.shape:
        sizes = f"{list(output.shape)} for {list(part.shape)}"
        raise BadInput(f"the network returns {sizes}: expected the same size")
    return output
