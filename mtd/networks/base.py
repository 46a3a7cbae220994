"""What every denoising network of this package has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtd.masking import MaskedInference
from mtd.networks.block_names import BlockNames
from mtd.networks.config import Config
from mtd.networks.input_format import Usage
from mtd.utils import seeds
from mtd.utils.errors import BadInput


class Denoiser(nn.Module):
    """A network from (B, C, H, W), nominally in [0, 1], to the same shape, never clamped.

    A subclass implements `restore`, on images in whatever form its authors chose; `usage` says
    which, and `forward` brings images into that form and back.

    Attributes:
        config: its hyper-parameters; `in_chans` is C.
        usage: value range, channel order and noise level that it is called with.
        inference: whether and how attention masks are drawn; a network without attention has none.
        source: where it was loaded from: path, digest, mask policy; empty if it was not.
        mask_draw, mask_draws: which of how many averaged mask draws is being computed; observers
            read both.
        part, parts: which of how many channels a grey network is being called for.
        takes_sigma: whether `restore` needs a noise level.
        takes_masks: whether `restore` takes attention masks, an input mask, and a stream for both.
        block_names: how its repeated blocks are named; None for a network without any.
        range_unknown: whether weights do not tell the value range.
        multiple: tiles that begin at multiples of this are seen as parts of the whole.
        smallest: the least height and width that it takes.
    """

    config: Config
    takes_sigma: bool = False
    takes_masks: bool = False
    block_names: BlockNames | None = None
    range_unknown: bool = False
    multiple = 1
    smallest = 1

    def __init__(self) -> None:
        super().__init__()
        self.inference, self.usage = MaskedInference(), Usage()
        self.source: dict[str, Any] = {}
        self.mask_draw, self.mask_draws = 0, 1
        self.part, self.parts = 0, 1

    @property
    def channels(self) -> int:
        """Channels of the images that `forward` takes."""
        return 3 if self.usage.per_channel else self.config.in_chans

    @property
    def takes_oracle_sigma(self) -> bool:
        """Whether it is given the noise level of the very noise that it sees."""
        return self.takes_sigma and self.usage.sigma == "oracle"

    @property
    def fills_input_mask(self) -> bool:
        """Whether it was trained with an input mask, and fills masked pixels itself."""
        return self.takes_masks and self.inference.policy.masks_input

    @property
    def reach(self) -> int | None:
        """How far a pixel of the output sees, in pixels to each side; None if not known."""
        return None

    def bytes_per_pixel(self) -> int:
        """Estimated peak of working memory for each pixel of an image, in float32, on the CPU."""
        return guessed_bytes_per_pixel(self)

    def block_paths(self) -> list[str]:
        """Paths of the repeated blocks, in the order of their definition."""
        names = [name for name, _ in self.named_modules()]
        return self.block_names.select(names) if self.block_names else []

    def main_layers(self) -> list[str]:
        """Paths of the layers that analyses record when none are named, in order of depth.

        Here every convolution.
        """
        kinds = (nn.Conv2d, nn.ConvTranspose2d)
        return [name for name, module in self.named_modules() if isinstance(module, kinds)]

    def last_convolution(self) -> str:
        """Path of the convolution that makes the image: the last one, here as it is defined.

        What goes into it are the deepest features. Empty if there is none.
        """
        found = [name for name, part in self.named_modules() if isinstance(part, nn.Conv2d)]
        return found[-1] if found else ""

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights from a stream: convolutions uniform within 1/√(inputs), as PyTorch's."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                if module.bias is not None:
                    nn.init.uniform_(module.bias, -bound, bound, generator=generator)

    def forward(
        self,
        x: Tensor,
        keys: Sequence[seeds.Key] | None = None,
        *,
        sigma: Tensor | None = None,
        **given: Any,
    ) -> Tensor:
        """Denoise.

        Args:
            x: (B, C, H, W), RGB if C is 3, nominally in [0, 1].
            keys: one per image, on which its attention masks depend.
            sigma: (B,), noise level of each image as a share of white, if the network takes one
                and `usage` does not say it.
            given: what the network's own `restore` takes besides.

        Raises:
            BadInput: the network takes a noise level, and none is known.
        """
        usage = self.usage
        if self.takes_sigma:
            given["sigma"] = self._level(x, sigma)
        if usage.bgr:
            x = x.flip(1)
        if usage.value_range != 1:
            x = x * usage.value_range
        if usage.per_channel:
            output = self._each_channel(x, keys, given)
        else:
            output = self.restore(x, keys, **given)
        if usage.value_range != 1:
            output = output / usage.value_range
        return output.flip(1) if usage.bgr else output

    def _each_channel(
        self, x: Tensor, keys: Sequence[seeds.Key] | None, given: dict[str, Any]
    ) -> Tensor:
        found: list[Tensor] = []
        self.parts = x.shape[1]
        try:
            for self.part, channel in enumerate(x.split(1, 1)):
                found.append(self.restore(channel, keys, **given))
        finally:
            self.part, self.parts = 0, 1
        return torch.cat(found, 1)

    def _level(self, x: Tensor, sigma: Tensor | None) -> Tensor:
        if isinstance(self.usage.sigma, int | float):
            sigma = x.new_full((len(x),), self.usage.sigma / 255)
        if sigma is None:
            raise BadInput(
                f"a {type(self).__name__} needs the noise level: give --sigma, in 8-bit levels"
            )
        return sigma.to(x).view(-1, 1, 1, 1) * self.usage.value_range

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **given: Any) -> Tensor:
        """Denoise an image in the form that the network's authors chose.

        Args:
            x: (B, C, H, W), in the network's value range and channel order.
            keys: one per image, on which its attention masks depend.
            given: `sigma`, (B, 1, 1, 1) in the network's value range, if it takes a noise level;
                and what its own training needs.
        """
        raise NotImplementedError


class Unchanged(Denoiser):
    """The denoiser that does nothing: what it gives is what a model's gain is measured from."""

    config = Config()

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **given: Any) -> Tensor:
        """The image itself."""
        return x


def guessed_bytes_per_pixel(model: nn.Module) -> int:
    """24 · the most channels that a convolution puts out: a guess, with room for skips."""
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    return 24 * max(widths, default=64)
