"""LPIPS: perceptual distance by the features of AlexNet, through the package `lpips`.

For each of five layers, features of both images are scaled to unit length over the channels of
each position; their squared differences are weighted by channel, averaged over positions, and added
over layers. The weights come with that package; for the backbone see `mtd.metrics.lpips_backbone`.

Reference: Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*,
CVPR 2018; version 0.1.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mtd.metrics import lpips_backbone
from mtd.metrics.psnr_ssim import Quantize, as_rgb, levels

Channels = Literal["rgb", "bgr"]
"""The order of an image's colors: that of the backbone's training, or the reverse, in which some
scripts give them that read images with OpenCV."""

NAMES: dict[Channels, str] = {"rgb": "lpips", "bgr": "lpips_bgr"}
"""The names of the metric, in the registry and in tables."""

SMALLEST = 31
"""Side of the smallest image that AlexNet takes."""

LARGEST = 1024
"""Side of the largest part of an image whose features are held in memory at once, in pixels."""

MARGIN = 96
"""Pixels around a part that its features depend on, at most."""

STRIDES = (4, 8, 16, 16, 16)
"""Pixels from one position of each layer to the next; `MARGIN` and `LARGEST` are multiples."""


class LPIPS:
    """LPIPS (AlexNet, version 0.1) of images in [0, 1]; lower is better, 0 for equal images.

    Args:
        weights: file of the backbone; by default see `mtd.metrics.lpips_backbone.fetch`.
        device: of the network.
        channels: order in which the network is given the colors, `rgb` or `bgr`.
        largest: see `LARGEST`, a multiple of 16; the value is the same up to rounding.

    Attributes:
        sha256: digest of the backbone's tensors, the same for every file that holds them.
        name: of the metric, which depends on the order of colors.

    Raises:
        BadInput: `weights` is not the AlexNet backbone.
        NoBackbone: it is not given, not here, and cannot be downloaded.
        ValueError: another order, or `largest` is no multiple of 16.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        device: torch.device | str = "cpu",
        channels: Channels = "rgb",
        largest: int = LARGEST,
    ) -> None:
        if channels not in get_args(Channels):
            raise ValueError(f"channels {channels!r}: expected rgb or bgr")
        if largest < STRIDES[-1] or largest % STRIDES[-1]:
            raise ValueError(f"largest {largest}: expected a multiple of {STRIDES[-1]}")
        self.channels, self.largest = channels, largest
        backbone = lpips_backbone.read(weights if weights is not None else lpips_backbone.fetch())
        self.sha256 = lpips_backbone.digest_of(backbone)
        self.device = torch.device(device)
        self.network: Any = build(backbone).to(self.device)

    @property
    def name(self) -> str:
        """`lpips`, or `lpips_bgr`."""
        return NAMES[self.channels]

    @torch.no_grad()
    def __call__(self, output: Tensor, target: Tensor, quantize: Quantize = True) -> Tensor:
        """LPIPS of each image.

        Args:
            output: (B, 3, H, W) RGB in [0, 1], or (B, 1, H, W) grayscale, which is repeated; H and
                W at least 31.
            target: the same shape.
            quantize: clip and round both to 8 bits first; "clip" does not round.

        Returns:
            (B,) float64 on the CPU.

        Raises:
            ValueError: other shapes, or a target outside [0, 1].
        """
        if output.shape != target.shape or output.ndim != 4 or output.shape[1] not in (1, 3):
            raise ValueError(
                f"images of shapes {tuple(output.shape)} and {tuple(target.shape)}: expected the "
                "same (B, 3, H, W) or (B, 1, H, W) for both"
            )
        if min(output.shape[-2:]) < SMALLEST:
            raise ValueError(
                f"image {output.shape[-2]} x {output.shape[-1]}: LPIPS needs {SMALLEST} x "
                f"{SMALLEST}"
            )
        low, high = float(target.min()), float(target.max())
        if quantize and not (low >= -1e-6 and high <= 1 + 1e-6):
            raise ValueError(f"target from {low:g} to {high:g}: expected [0, 1]")
        with torch.autocast(self.device.type, enabled=False):  # whatever the caller's is
            if max(output.shape[-2:]) > self.largest:
                return self._in_parts(output, target, quantize)
            a, b = (self._prepared(image, quantize) for image in (output, target))
            distance: Tensor = self.network(a, b)
        return distance.flatten().cpu().double()

    def _prepared(self, image: Tensor, quantize: Quantize) -> Tensor:
        """What the network is given of an image: float32 from -1 to 1, on its device."""
        colors = levels(as_rgb(image), quantize)
        ordered = colors.flip(1) if self.channels == "bgr" else colors
        return (ordered / 127.5 - 1).to(self.device, torch.float32)

    def _in_parts(self, output: Tensor, target: Tensor, quantize: Quantize) -> Tensor:
        """LPIPS of large images from parts of them, each with the margin its features depend on.

        The positions of a layer that lie in a part are added up over parts; the same positions are
        averaged as of the whole images.
        """
        sums = torch.zeros(len(output), len(STRIDES), dtype=torch.float64)
        counts = torch.zeros(len(STRIDES), dtype=torch.float64)
        for rows, columns in product(*(parts(size, self.largest) for size in output.shape[-2:])):
            area = (..., slice(*rows.seen), slice(*columns.seen))
            maps = self._layers(*(self._prepared(i[area], quantize) for i in (output, target)))
            for i, (stride, values) in enumerate(zip(STRIDES, maps, strict=True)):
                own = values[..., rows.positions(stride), columns.positions(stride)]
                sums[:, i] += own.double().sum((1, 2, 3)).cpu()
                counts[i] += own[0].numel()
        return (sums / counts).sum(1)

    def _layers(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """By layer, (B, 1, h, w): the weighted squared difference at each position."""
        import lpips

        network = self.network
        features = [network.net.forward(network.scaling_layer(image)) for image in (a, b)]
        units = [[lpips.normalize_tensor(layer) for layer in layers] for layers in features]
        return [
            weighted((one - other).square())
            for weighted, one, other in zip(network.lins, *units, strict=True)
        ]


class Part:
    """A part of an image along one side.

    Args:
        start: its first pixel, a multiple of 16.
        stop: behind its last one.
        size: of the image.
    """

    def __init__(self, start: int, stop: int, size: int) -> None:
        self.start, self.stop = start, stop
        self.seen = max(start - MARGIN, 0), min(stop + MARGIN, size)

    def positions(self, stride: int) -> slice:
        """The positions of a layer that lie in it, of those of its pixels and the margin."""
        first = self.seen[0] // stride
        return slice(self.start // stride - first, self.stop // stride - first)


def parts(size: int, largest: int) -> list[Part]:
    """A side in parts.

    >>> [(part.start, part.stop, part.seen) for part in parts(300, 128)]
    [(0, 128, (0, 224)), (128, 256, (32, 300)), (256, 300, (160, 300))]
    """
    return [Part(at, min(at + largest, size), size) for at in range(0, size, largest)]


@cache
def _default(channels: Channels) -> LPIPS:
    return LPIPS(channels=channels)


def lpips(output: Tensor, target: Tensor) -> Tensor:
    """LPIPS of each image with the backbone that is here or is downloaded, on the CPU.

    Args:
        output: (B, 3, H, W) RGB in [0, 1], or (B, 1, H, W) grayscale; H and W at least 31.
        target: the same shape.

    Returns:
        (B,) float64 on the CPU; lower is better, 0 for equal images.

    Raises:
        NoBackbone: the backbone is not here and cannot be downloaded.
        ValueError: other shapes, or a target outside [0, 1].
    """
    return _default("rgb")(output, target)


def lpips_bgr(output: Tensor, target: Tensor) -> Tensor:
    """As `lpips`, where the network is given blue first: other values, as of some scripts."""
    return _default("bgr")(output, target)


def build(backbone: dict[str, Tensor]) -> torch.nn.Module:
    """The published LPIPS network with torchvision's AlexNet weights, in eval mode."""
    import lpips

    with (
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")  # about torchvision's older arguments, and torch.load's
        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    state = network.net.state_dict()  # slice1.0.weight is torchvision's features.0.weight
    filled = {key: backbone[f"features.{key.partition('.')[2]}"] for key in state}
    network.net.load_state_dict(filled)
    evaluated: torch.nn.Module = network.eval()
    return evaluated
