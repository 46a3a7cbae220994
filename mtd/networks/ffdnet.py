"""FFDNet: noise-conditional, a stack of 3 x 3 convolutions on an image folded into four.

Module names follow the published checkpoints, so that their state dicts load strictly.

Reference: Zhang, Zuo and Zhang, *FFDNet: Toward a Fast and Flexible Solution for CNN based Image
Denoising*, IEEE TIP 2018.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser, convolutions
from mtd.networks.config import Config, Weights
from mtd.networks.layer_roles import LayerRoles
from mtd.utils import seeds
from mtd.utils.errors import BadInput

FOLD = 2
"""Factor of the pixel-unshuffle."""


@dataclass(frozen=True)
class FFDNetConfig(Config):
    """Hyper-parameters; the defaults are the published color network (852,108 weights).

    Attributes:
        features: channels between convolutions; 64 in the published grayscale network.
        depth: number of convolutions; 15 in the published grayscale network.
        bias: whether convolutions have one.
    """

    features: int = 96
    depth: int = 12
    bias: bool = True

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.depth

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range.
        """
        if min(self.in_chans, self.features) < 1 or self.depth < 2:
            raise BadInput(
                f"FFDNet of {self.in_chans} channels, {self.features} features, depth "
                f"{self.depth}: expected 1, 1 and 2 or more"
            )


class FFDNet(Denoiser):
    """Denoiser unfold(f(fold(x), σ)), (B, C, H, W) in [0, 1] to the same shape, never clamped.

    Folding (pixel-unshuffle) gives (B, 4C, H/2, W/2), to which a constant map of the noise level is
    appended as a channel. f is `depth` convolutions with a ReLU after all but the last; borders are
    padded with zeros. It predicts the clean image, not the noise. An odd side is made even by
    repeating the last row or column. It was trained without masks, for σ from 0 to 75 of 255.
    """

    takes_sigma = True
    multiple = FOLD

    def __init__(self, config: FFDNetConfig | None = None) -> None:
        super().__init__()
        self.config: FFDNetConfig = config or FFDNetConfig()
        c = self.config
        folded = c.in_chans * FOLD**2
        widths = [folded + 1, *[c.features] * (c.depth - 1), folded]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=c.bias), nn.ReLU(True)]
        self.model = nn.Sequential(*layers[:-1])

    @property
    def reach(self) -> int:
        """Two pixels for each convolution, and one more to the far side of a square."""
        return FOLD * self.config.depth + FOLD - 1

    def bytes_per_pixel(self) -> int:
        """3 · features + 12 · channels: three feature maps at half size, and copies of the image.

        Measured against estimated, at 1024 x 1024: 332 / 324 for the published color network, 212
        / 204 for the grayscale one; for smaller images, where the allocator keeps freed memory, up
        to 1.8 times that (351 and 358 at 512 x 512).
        """
        return 3 * self.config.features + 12 * self.config.in_chans

    def own_layer_roles(self) -> LayerRoles:
        """The last convolution holds the image."""
        last = convolutions(self)[-1]
        return LayerRoles(frozenset({last}), last, "image")

    def restore(  # type: ignore[override]
        self,
        x: Tensor,
        keys: Sequence[seeds.Key] | None = None,
        *,
        sigma: Tensor,
        **options: Any,
    ) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks.

        Args:
            x: (B, C, H, W), nominally in [0, 1].
            keys: one per image.
            sigma: (B, 1, 1, 1), the noise level of each image, as a share of white.
            options: unused.
        """
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % FOLD, 0, -height % FOLD), mode="replicate")
        folded = F.pixel_unshuffle(x, FOLD)
        level = sigma.expand(len(x), 1, *folded.shape[-2:])
        clean: Tensor = self.model(torch.cat([folded, level], 1))
        return F.pixel_shuffle(clean, FOLD)[..., :height, :width]


def detect(weights: Weights) -> FFDNetConfig | None:
    """Hyper-parameters of an FFDNet from its keys and shapes; None for another architecture.

    It is a stack of 3 x 3 convolutions at every second index, from 4C + 1 to 4C channels, of one
    width in between, and nothing else.
    """
    kernels = {
        int(key.split(".")[1]): value.shape
        for key, value in weights.items()
        if re.fullmatch(r"model\.\d+\.weight", key)
    }
    places = sorted(kernels)
    shapes = [kernels[place] for place in places]
    if len(places) < 2 or places != list(range(0, 2 * len(places), 2)):
        return None
    if any(len(shape) != 4 or shape[-2:] != (3, 3) for shape in shapes):
        return None
    biases = {f"model.{place}.bias" for place in places} & weights.keys()
    if len(weights) != len(places) + len(biases) or len(biases) not in (0, len(places)):
        return None
    (features, inputs), outputs = shapes[0][:2], shapes[-1][0]
    between = [features] * (len(places) - 1)
    if [shape[0] for shape in shapes] != [*between, outputs]:
        return None
    if [shape[1] for shape in shapes] != [inputs, *between]:
        return None
    channels, rest = divmod(outputs, FOLD**2)
    if rest or channels < 1 or inputs != outputs + 1:
        return None
    return FFDNetConfig(in_chans=channels, features=features, depth=len(places), bias=bool(biases))


ARCHITECTURE = Architecture(
    name="FFDNet",
    anchor="model.0.weight",
    config=FFDNetConfig,
    build=FFDNet,
    detect=detect,
    keys=("model.0.weight", "model.2.weight"),
    about="noise-conditional 3 x 3 convolutions on an image folded into four; Zhang et al., "
    "TIP 2018",
)
