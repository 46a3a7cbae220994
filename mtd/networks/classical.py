"""Classical denoisers: Gaussian blur, median, non-local means, total variation, wavelets.

They have no weights and no layers; a network that is not better than one of them has learned
little. Gaussian blur and median are SciPy's, the others scikit-image's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtd.networks.base import Denoiser
from mtd.networks.config import Config
from mtd.networks.layer_roles import LayerRoles
from mtd.utils import seeds
from mtd.utils.errors import BadInput

Image = NDArray[np.float64]
"""(H, W, C), nominally in [0, 1]."""

TRUNCATE = 4.0
"""Radius of the Gaussian's kernel in standard deviations: SciPy's default."""

PATCH, DISTANCE, STRENGTH = 5, 6, 0.6
"""Of non-local means: side of a patch and largest distance of two, in pixels, and h / σ."""


@dataclass(frozen=True)
class ClassicalConfig(Config):
    """What a classical denoiser is.

    Attributes:
        kind: `blur`, `median`, `nlm`, `tv` or `wavelet`.
        parameter: σ of a blur or side of a median's window, in pixels; 0 for the others.
    """

    kind: str = "blur"
    parameter: float = 0.0

    @property
    def spec(self) -> str:
        """Its name as a model.

        >>> ClassicalConfig(kind="blur", parameter=0.9).spec, ClassicalConfig(kind="nlm").spec
        ('classical:blur:0.9', 'classical:nlm')
        """
        return f"classical:{self.kind}" + (f":{self.parameter:g}" if self.parameter else "")


class WithoutLayers(Denoiser):
    """A denoiser without weights and layers, which are not there to be analyzed.

    Args:
        spec: its name as a model.
        about: the packages that its output depends on.
    """

    about: tuple[str, ...] = ("numpy",)
    has_layers = False
    any_channels = True

    def __init__(self, spec: str) -> None:
        super().__init__()
        self.spec = spec
        # of the state dict, whose digest tells two of them apart
        self.register_buffer("spec_text", torch.tensor(list(spec.encode()), dtype=torch.uint8))

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the packages that its output depends on."""
        return {name: version(name) for name in self.about}

    def main_layers(self) -> list[str]:
        """None."""
        return []

    def own_layer_roles(self) -> LayerRoles:
        """It has no layers."""
        return LayerRoles(frozenset(), "", "image")

    def bytes_per_pixel(self) -> int:
        """Images and results in float64, and a few copies of them."""
        return 240

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise, image by image, in float64 on the CPU.

        Raises:
            BadInput: a gradient is needed.
        """
        if x.requires_grad and torch.is_grad_enabled():
            raise BadInput(f"{self.spec} has no gradient: leave it out")
        images = x.detach().to("cpu", torch.float64).permute(0, 2, 3, 1).numpy()
        outputs = np.stack([self.denoised(np.ascontiguousarray(image)) for image in images])
        return torch.from_numpy(outputs).permute(0, 3, 1, 2).to(x)

    def denoised(self, image: Image) -> Image:
        """One image (H, W, C), denoised."""
        raise NotImplementedError


class Classical(WithoutLayers):
    """A classical denoiser; its output is not rounded, and only that of `wavelet` is clamped.

    `blur` is SciPy's `gaussian_filter` of each channel, up to 4 standard deviations, and `median`
    its `median_filter`, both with reflecting borders (`d c b a | a b c d | d c b a`). `nlm`, `tv`
    and `wavelet` are scikit-image's `denoise_nl_means` (patches of 5 x 5 pixels, at most 6 pixels
    apart, h = 0.6 σ), `denoise_tv_chambolle` (weight σ) and `denoise_wavelet` (BayesShrink, soft
    thresholds, of colors in YCbCr), σ being each image's noise level as `noise_level` estimates it.
    Images have any number of channels.

    Example:
        >>> import mtd
        >>> blur = mtd.load("classical:blur:0.9")
        >>> blur.reach, blur(torch.full((1, 3, 4, 4), 0.5))[0, 0, 0, 0]
        (4, tensor(0.5000))
    """

    config: ClassicalConfig

    def __init__(self, config: ClassicalConfig) -> None:
        super().__init__(config.spec)
        self.config = config
        self.about = ("numpy", "scipy", *(("scikit-image", "PyWavelets") * self.estimates_noise))

    @property
    def estimates_noise(self) -> bool:
        """Whether it depends on an estimate of each image's noise level."""
        return self.config.kind not in ("blur", "median")

    @property
    def reach(self) -> int | None:
        """Of a blur int(4 σ + 0.5), of a median half its window; the others see the whole image."""
        if self.estimates_noise:
            return None
        if self.config.kind == "median":
            return int(self.config.parameter) // 2
        return int(TRUNCATE * self.config.parameter + 0.5)

    def denoised(self, image: Image) -> Image:
        """See `WithoutLayers.denoised`; an image without noise stays as it is."""
        from scipy.ndimage import gaussian_filter, median_filter

        kind, parameter = self.config.kind, self.config.parameter
        if kind == "blur":
            size = (parameter, parameter, 0)
            return np.asarray(gaussian_filter(image, size, mode="reflect", truncate=TRUNCATE))
        if kind == "median":
            side = int(parameter)
            return np.asarray(median_filter(image, (side, side, 1), mode="reflect"))
        level = noise_level(image)
        return BY_LEVEL[kind](image, level) if level > 0 else image


def noise_level(image: Image) -> float:
    """The noise level of an image in [0, 1] units: scikit-image's `estimate_sigma`.

    The mean over channels, without flat ones, of median |d| / 0.6745, d being the diagonal
    coefficients of the finest scale of a wavelet transform. 0 where it is not defined.

    Args:
        image: (H, W, C).

    Reference: Donoho and Johnstone 1994, *Ideal spatial adaptation by wavelet shrinkage*.

    >>> noise_level(np.zeros((8, 8, 3)))
    0.0
    """
    from skimage.restoration import estimate_sigma

    channels = [channel for channel in np.moveaxis(image, -1, 0) if np.ptp(channel)]
    if not channels or min(image.shape[:2]) < 2:
        return 0.0
    levels = estimate_sigma(np.stack(channels, -1), channel_axis=-1)
    found = [level for level in levels if math.isfinite(level)]
    return float(np.mean(found)) if found else 0.0


def _non_local_means(image: Image, level: float) -> Image:
    from skimage.restoration import denoise_nl_means

    output = denoise_nl_means(
        image,
        patch_size=PATCH,
        patch_distance=DISTANCE,
        h=STRENGTH * level,
        sigma=level,
        fast_mode=True,
        channel_axis=-1,
    )
    return np.asarray(output).reshape(image.shape)  # one channel has been dropped


def _total_variation(image: Image, level: float) -> Image:
    from skimage.restoration import denoise_tv_chambolle

    return np.asarray(denoise_tv_chambolle(image, weight=level, channel_axis=-1))


def _wavelet(image: Image, level: float) -> Image:
    from skimage.restoration import denoise_wavelet

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images that are smaller than the wavelet
        output = denoise_wavelet(
            image,
            sigma=level,
            method="BayesShrink",
            mode="soft",
            convert2ycbcr=image.shape[2] == 3,
            rescale_sigma=True,
            channel_axis=-1,
        )
    return np.asarray(output)


BY_LEVEL: dict[str, Callable[[Image, float], Image]] = {
    "nlm": _non_local_means,
    "tv": _total_variation,
    "wavelet": _wavelet,
}
"""The denoisers that need the noise level of an image."""
