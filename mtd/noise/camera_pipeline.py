"""Camera noise: unprocess a photograph to raw sensor values, add noise, process it again.

The photograph x, sRGB in [0, 1], is *unprocessed*: inverse tone curve, gamma expansion, color
matrix of a camera, inverse gains, mosaic of the color filter array. Shot and read noise are added
to the raw values, and these are *processed*: white balance, bilinear demosaicing, color matrix back
to sRGB, gamma. Processing inverts neither the tone curve nor the overall gain, so that even without
noise it does not return the photograph: its PSNR on Kodak24 is 17 to 24 dB, 21 dB on average.

All functions take and return batches on any device; every parameter has one value per image.

Reference: Brooks et al., Unprocessing Images for Learned Raw Denoising, CVPR 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_args

from mtd.noise.base import Noise, Quantize, at_draw, check, number, quantized
from mtd.utils.errors import BadInput, nearest
from mtd.utils.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor
else:
    torch, F = LazyModule("torch"), LazyModule("torch.nn.functional")

Target = Literal["processed", "original"]

XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
"""The color matrices of four cameras; a camera is a random mixture of them."""

RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)

DARKEST = 1e-8
"""Lower bound of the input of the gamma curves, whose slope is infinite at 0."""


@dataclass(frozen=True)
class Parameters:
    """A camera and its exposure, one per image.

    Attributes:
        rgb2cam: (B, 3, 3) linear sRGB to camera colors; rows sum to 1, so that gray stays gray.
        rgb_gain: (B,) overall brightness that the camera would have added.
        red: (B,) white-balance gain of red.
        blue: (B,) white-balance gain of blue.
        shot: (B,) variance of the noise per unit of signal.
        read: (B,) variance of the noise without signal.
    """

    rgb2cam: Tensor
    rgb_gain: Tensor
    red: Tensor
    blue: Tensor
    shot: Tensor
    read: Tensor


def camera_matrix(weights: Tensor) -> Tensor:
    """rgb2cam of a mixture of the four cameras: their weighted mean · (RGB → XYZ), rows sum to 1.

    Args:
        weights: (B, 4), positive.

    Returns:
        (B, 3, 3).
    """
    mean = torch.einsum("bi,ijk->bjk", weights, weights.new_tensor(XYZ_TO_CAMERA))
    matrix = mean @ weights.new_tensor(RGB_TO_XYZ)
    return matrix / matrix.sum(-1, keepdim=True)


def read_line(shot: Tensor) -> Tensor:
    """The median read noise for a shot noise, exp(2.18 ln shot + 1.20)."""
    return torch.exp(2.18 * torch.log(shot) + 1.20)


def draw(count: int, generator: torch.Generator, dtype: torch.dtype | None = None) -> Parameters:
    """Random parameters of `count` images from the published distributions.

    Weights of the four cameras U(1e-8, 1e8), 1 / rgb_gain N(0.8, 0.1), red U(1.9, 2.4), blue
    U(1.5, 1.9), ln shot U(ln 1e-4, ln 0.012), ln read N(2.18 ln shot + 1.20, 0.26).
    """
    options: dict[str, Any] = {"generator": generator, "device": generator.device, "dtype": dtype}

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, **options)

    def normal(mean: float, deviation: float) -> Tensor:
        return mean + deviation * torch.randn(count, **options)

    rgb2cam = camera_matrix(uniform(1e-8, 1e8, len(XYZ_TO_CAMERA)))
    rgb_gain = 1 / normal(0.8, 0.1)
    red, blue = uniform(1.9, 2.4), uniform(1.5, 1.9)
    shot = torch.exp(uniform(math.log(1e-4), math.log(0.012)))
    read = read_line(shot) * torch.exp(normal(0, 0.26))
    return Parameters(rgb2cam, rgb_gain, red, blue, shot, read)


def linearize(image: Tensor) -> Tensor:
    """Linear light of sRGB values x in [0, 1]: (½ − sin(asin(1 − 2x) / 3))^2.2.

    The inverse of the tone curve 3t² − 2t³, then gamma expansion.
    """
    toned = 0.5 - torch.sin(torch.asin(1 - 2 * image.clamp(0, 1)) / 3)
    return toned.clamp(min=DARKEST) ** 2.2


def dim(image: Tensor, p: Parameters) -> Tensor:
    """Divide (B, 3, H, W) by the gains but preserve highlights: white stays white.

    Channel c is multiplied by max(m + (1 − m) g_c, g_c), where g = (1/red, 1, 1/blue) / rgb_gain
    and m = (max(mean − 0.9, 0) / 0.1)², the mean being that of the pixel's three values.
    """
    inverse = torch.stack([1 / p.red, torch.ones_like(p.red), 1 / p.blue], 1) / p.rgb_gain[:, None]
    gains = inverse[:, :, None, None]
    bright = ((image.mean(1, keepdim=True) - 0.9).clamp(min=0) / 0.1) ** 2
    return image * torch.maximum(bright + (1 - bright) * gains, gains)


def mosaic(image: Tensor) -> Tensor:
    """The color filter array, (B, 3, H, W) → (B, 4, H/2, W/2): red, green, green, blue.

    Red is at even rows and columns, blue at odd ones, the first green beside red, the second below.

    Raises:
        ValueError: H or W is odd.
    """
    if image.shape[-2] % 2 or image.shape[-1] % 2:
        raise ValueError(f"image of {image.shape[-2]} x {image.shape[-1]}: a mosaic has even sides")
    red, green, blue = image.unbind(1)
    sites = red[:, ::2, ::2], green[:, ::2, 1::2], green[:, 1::2, ::2], blue[:, 1::2, 1::2]
    return torch.stack(sites, 1)


def demosaic(raw: Tensor) -> Tensor:
    """Bilinear demosaicing, (B, 4, H/2, W/2) → (B, 3, H, W).

    Each sample stays where it was taken; between samples is the mean of the 2 or 4 nearest of the
    same color; beyond the last sample it is repeated. Noise of variance 1 gets the variance 1, ½, ½
    or ¼ in red and blue, 1, 1, ¼ or ¼ in green.
    """
    red, green_right, green_below, blue = raw.unbind(1)
    right, below = _spread(green_right, 0, 1), _spread(green_below, 1, 0)
    green = (right + below) / 2
    green[:, ::2, 1::2], green[:, 1::2, ::2] = green_right, green_below
    return torch.stack([_spread(red, 0, 0), green, _spread(blue, 1, 1)], 1)


def _spread(samples: Tensor, row: int, column: int) -> Tensor:
    """(B, h, w) → (B, 2h, 2w): samples taken at rows `row` + 2i, columns `column` + 2j."""
    for axis, first in ((1, row), (2, column)):
        last = samples.shape[axis] - 1
        index = torch.arange(last + 1, device=samples.device)
        # the sample on the other side of the gap, which lies after even sites and before odd ones
        other = (index - 1 if first else index + 1).clamp(0, last)
        between = (samples + samples.index_select(axis, other)) / 2
        order = (between, samples) if first else (samples, between)
        samples = torch.stack(order, axis + 1).flatten(axis, axis + 1)
    return samples


def unprocess(image: Tensor, p: Parameters) -> Tensor:
    """Raw sensor values in [0, 1] of a photograph, (B, 3, H, W) → (B, 4, H/2, W/2)."""
    camera = torch.einsum("bij,bjhw->bihw", p.rgb2cam, linearize(image))
    return mosaic(dim(camera, p).clamp(0, 1))


def add_shot_read(raw: Tensor, p: Parameters, generator: torch.Generator) -> Tensor:
    """Shot and read noise, raw + N(0, shot · raw + read), not clipped.

    Args:
        raw: (B, 4, H/2, W/2) in [0, 1].
        p: parameters of each image.
        generator: the random stream, on the device of `raw`.
    """
    shot, read = p.shot.view(-1, 1, 1, 1), p.read.view(-1, 1, 1, 1)
    normal = torch.randn(raw.shape, generator=generator, device=raw.device, dtype=raw.dtype)
    return raw + normal * torch.sqrt(shot * raw + read)


def process(raw: Tensor, p: Parameters) -> Tensor:
    """A photograph from raw values, (B, 4, H/2, W/2) → (B, 3, H, W), clipped to [0, 1]."""
    ones = torch.ones_like(p.red)
    balance = torch.stack([p.red, ones, ones, p.blue], 1)[:, :, None, None]
    camera = demosaic((raw * balance).clamp(0, 1))
    linear = torch.einsum("bij,bjhw->bihw", torch.linalg.inv(p.rgb2cam), camera)
    return linear.clamp(DARKEST, 1) ** (1 / 2.2)


@dataclass(frozen=True)
class ISP(Noise):
    """Shot and read noise on raw values, seen after processing; without a level.

    The strength of the noise differs from image to image, unless `shot` is given. A `shot` without
    `read` implies the read noise of `read_line`, without the scatter around it. Odd sides are made
    even by repeating the last row or column, which is cropped again.

    Attributes:
        shot, read, red, blue, rgb_gain: see `Parameters`; None is drawn for each image.
        target: what a perfect denoiser returns: `processed`, the processed clean raw values, or
            `original`, the photograph, which they do not determine.
        draw: see `Noise`.
    """

    shot: float | None = None
    read: float | None = None
    red: float | None = None
    blue: float | None = None
    rgb_gain: float | None = None
    target: Target = "processed"
    draw: int = field(default=0, kw_only=True, repr=False)

    name = "isp"
    needs_color = True
    label = "camera pipeline (isp)"
    short = "camera pipeline"
    level = None
    options = {  # noqa: RUF012 (ClassVar in Noise)
        "shot": "variance per unit of signal",
        "read": "variance without signal",
        "red": "gain",
        "blue": "gain",
        "rgb_gain": "gain",
        "target": "processed or original",
    }

    def __post_init__(self) -> None:
        for name, value in self.fixed.items():
            least = 0.0 if name in ("shot", "read") else math.ulp(0.0)
            if not least <= value < math.inf:
                bound = "0 or more" if least == 0 else "above 0"
                raise BadInput(f"noise {self.spec}: {name} must be a number {bound}")
        if self.target not in get_args(Target):
            hint = nearest(self.target, get_args(Target))
            raise BadInput(f"noise isp: no target {self.target!r}; {hint}")

    @classmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:
        """See `Noise.from_parts`."""
        if level is not None:
            raise BadInput(f"noise {spec!r}: isp has no level; expected isp or isp,shot=0.01")
        numbers: dict[str, Any] = {}
        for name, text in options.items():
            if name != "target":
                try:
                    numbers[name] = float(text)
                except ValueError:
                    raise BadInput(f"noise {spec!r}: {name} is a number, not {text!r}") from None
        # __post_init__ checks the target, with the other values
        return cls(**numbers, target=cast(Target, options.get("target", "processed")))

    @property
    def fixed(self) -> dict[str, float]:
        """The parameters that are not drawn."""
        values = {name: getattr(self, name) for name in self.options if name != "target"}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        parts = [f",{name}={number(value)}" for name, value in self.fixed.items()]
        special = "" if self.target == "processed" else f",target={self.target}"
        return self.name + at_draw(self.draw) + "".join(parts) + special

    def parameters(
        self, count: int, generator: torch.Generator, dtype: torch.dtype | None = None
    ) -> Parameters:
        """Random parameters as `draw` returns them, with the fixed ones in their places."""
        drawn = draw(count, generator, dtype)
        fixed = {name: torch.full_like(drawn.shot, value) for name, value in self.fixed.items()}
        if "shot" in fixed and "read" not in fixed:
            fixed["read"] = read_line(fixed["shot"])
        return replace(drawn, **fixed)

    def develop(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Photographs (B, 3, H, W) processed with and without noise, (B, 3, H, W) each.

        Raises:
            BadInput: images that do not have three channels.
        """
        count, channels, height, width = clean.shape
        if channels != 3:
            raise BadInput(f"noise isp: {channels}-channel images; it needs color, 3 channels")
        p = self.parameters(count, generator, clean.dtype)
        raw = unprocess(F.pad(clean, (0, width % 2, 0, height % 2), mode="replicate"), p)
        noisy = process(add_shot_read(raw, p, generator), p)
        return noisy[..., :height, :width], process(raw, p)[..., :height, :width]

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`."""
        return self.develop(clean, generator)[0]

    def pair(
        self, clean: Tensor, *, generator: torch.Generator, quantize: Quantize = True
    ) -> tuple[Tensor, Tensor]:
        """See `Noise.pair`; a processed target is rounded to 8 bits if the noisy version is."""
        check(clean)
        noisy, developed = (quantized(i, quantize) for i in self.develop(clean, generator))
        return noisy, developed if self.target == "processed" else clean
