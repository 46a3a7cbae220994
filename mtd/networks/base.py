"""The base class of denoising networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mtd.masking import MaskedInference
from mtd.networks import layer_roles
from mtd.networks.block_names import BlockNames
from mtd.networks.config import Config
from mtd.networks.input_format import InputFormat, Residual
from mtd.networks.layer_roles import LayerRoles, Prediction
from mtd.networks.normalization import Normalization
from mtd.utils import seeds
from mtd.utils.errors import BadInput

PREDICTS: dict[tuple[Prediction, Residual], Prediction] = {
    ("image", "minus"): "noise",
    ("image", "plus"): "noise",
    ("noise", "minus"): "image",
    ("noise", "flip"): "noise",
}
"""What the last layers hold, by what they hold for the network alone and its residual."""


class Denoiser(nn.Module):
    """A network from (B, C, H, W), nominally in [0, 1], to the same shape, never clamped.

    A subclass implements `restore` on images in the format of its authors, which `input_format`
    describes; `forward` converts images to that format and back.

    Attributes:
        config: its hyper-parameters; `in_chans` is C.
        input_format: its value range, channel order and noise level, what it returns, and whether
            it is wrapped.
        inference: whether and how attention masks are drawn; without effect for other networks.
        source: where it was loaded from: path, digest, mask policy; empty if it was not loaded.
        mask_draw, mask_draws: index and number of the averaged mask draws, which observers read
            during the forward pass.
        part, parts: index and number of the channels that a grayscale network is called for.
        takes_sigma: whether it is noise-conditional: `restore` needs a noise level.
        takes_masks: whether `restore` takes attention masks, an input mask, and a stream for both.
        draws: whether `restore` takes a stream of random numbers in training, without masks.
        block_names: how its repeated blocks are named; None for a network without any.
        range_unknown: whether the value range does not follow from the weights, nor is the same in
            all published files, so that it has to be given.
        range_in_weights: whether the value range follows from the weights.
        multiple: tiles that start at multiples of this are processed like parts of the whole image.
        smallest: smallest height and width of its input.
        has_layers: whether it is a network, with layers and gradients.
        any_channels: whether it takes images of any number of channels.
    """

    config: Config
    takes_sigma: bool = False
    takes_masks: bool = False
    draws: bool = False
    block_names: BlockNames | None = None
    range_unknown: bool = False
    range_in_weights: bool = False
    multiple = 1
    smallest = 1
    has_layers = True
    any_channels = False

    def __init__(self) -> None:
        super().__init__()
        self.inference, self.input_format = MaskedInference(), InputFormat()
        self.source: dict[str, Any] = {}
        self.mask_draw, self.mask_draws = 0, 1
        self.part, self.parts = 0, 1

    @property
    def channels(self) -> int | None:
        """Channels of the images that `forward` takes; None for any number."""
        if self.any_channels:
            return None
        return 3 if self.input_format.per_channel else self.config.in_chans

    @property
    def takes_oracle_sigma(self) -> bool:
        """Whether it is given the level of the noise that was added to its input."""
        return self.takes_sigma and self.input_format.sigma == "oracle"

    @property
    def normalizes(self) -> bool:
        """Whether it is wrapped by `normalize`; see `mtd.networks.normalization`."""
        return self.input_format.wrap == "normalize"

    @property
    def fills_input_mask(self) -> bool:
        """Whether it was trained with an input mask and fills masked pixels itself."""
        return self.takes_masks and self.inference.policy.masks_input

    @property
    def reach(self) -> int | None:
        """Radius of the receptive field, in pixels to each side; None if it is unknown."""
        return None

    def bytes_per_pixel(self) -> int:
        """Estimated peak of working memory per input pixel in bytes, in float32 on the CPU."""
        return guessed_bytes_per_pixel(self)

    def block_paths(self) -> list[str]:
        """Paths of the repeated blocks, in the order of their definition."""
        names = [name for name, _ in self.named_modules()]
        return self.block_names.select(names) if self.block_names else []

    def main_layers(self) -> list[str]:
        """Paths of the layers that analyses record by default, in order of depth.

        For the base class every convolution.
        """
        return convolutions(self)

    def layer_roles(self) -> LayerRoles:
        """Which layers hold features, and which the output."""
        roles, residual = self.own_layer_roles(), self.input_format.residual
        if residual == "none":
            return roles
        return replace(roles, predicts=PREDICTS.get((roles.predicts, residual), ""))

    def own_layer_roles(self) -> LayerRoles:
        """The roles of the layers for what the network itself returns.

        The base class runs the network to determine them.
        """
        return layer_roles.determine(self)

    def last_convolution(self) -> str:
        """Path of the layer that computes the output image; empty without one.

        Its input are the last features.
        """
        roles = self.layer_roles()
        if roles.image_layer:
            return roles.image_layer
        modules = dict(self.named_modules())
        names = [name for name in roles.calls if isinstance(modules[name], nn.Conv2d)]
        return names[-1] if names else ""

    def initialize(self, generator: torch.Generator) -> None:
        """Random weights: convolutions and linear layers uniform in ±1/√(inputs), as in PyTorch.

        Args:
            generator: the random stream, on the CPU.
        """
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
        normalization: Normalization | None = None,
        **options: Any,
    ) -> Tensor:
        """Denoise.

        Args:
            x: (B, C, H, W), RGB if C is 3, nominally in [0, 1].
            keys: one per image, on which its attention masks depend.
            sigma: (B,), noise level of each image in [0, 1] units (15 of 255 is 15/255), if the
                network is noise-conditional and `input_format` has no level.
            normalization: of the whole images that `x` are tiles of, if the network is wrapped by
                `normalize`; by default that of `x`, where no `input_mask` hides it.
            options: further arguments of the network's `restore`.

        Returns:
            (B, C, H, W), nominally in [0, 1], not clamped.

        Raises:
            BadInput: the network is noise-conditional, and no noise level is given.

        >>> from mtd.networks.dncnn import DnCNN, DnCNNConfig
        >>> network = DnCNN(DnCNNConfig(features=8, depth=3)).eval()
        >>> with torch.no_grad():
        ...     output = network(torch.rand(2, 3, 17, 33))
        >>> output.shape
        torch.Size([2, 3, 17, 33])
        """
        level = self._level(x, sigma) if self.takes_sigma else None
        if not self.normalizes:
            return self._denoised(x, keys, level, options)
        of = normalization or Normalization.of(x, options.get("input_mask"))
        level = None if level is None else level / of.divisor.to(level)
        return of.undo(self._denoised(of.apply(x), keys, level, options))

    def _denoised(
        self,
        x: Tensor,
        keys: Sequence[seeds.Key] | None,
        level: Tensor | None,
        options: dict[str, Any],
    ) -> Tensor:
        """Images in the format of the network's authors, and what it returns back in ours."""
        input_format = self.input_format
        if level is not None:
            options["sigma"] = level * input_format.value_range
        given = x
        if input_format.residual != "none":
            x = x.clone()  # which the network may change in place
        if input_format.bgr:
            x = x.flip(1)
        if input_format.value_range != 1:
            x = x * input_format.value_range
        if input_format.per_channel:
            output = self._each_channel(x, keys, options)
        else:
            output = self.restore(x, keys, **options)
        if input_format.value_range != 1:
            output = output / input_format.value_range
        return input_format.denoised(given, output.flip(1) if input_format.bgr else output)

    def _each_channel(
        self, x: Tensor, keys: Sequence[seeds.Key] | None, options: dict[str, Any]
    ) -> Tensor:
        outputs: list[Tensor] = []
        self.parts = x.shape[1]
        try:
            for self.part, channel in enumerate(x.split(1, 1)):
                outputs.append(self.restore(channel, keys, **options))
        finally:
            self.part, self.parts = 0, 1
        return torch.cat(outputs, 1)

    def _level(self, x: Tensor, sigma: Tensor | None) -> Tensor:
        if isinstance(self.input_format.sigma, int | float):
            sigma = x.new_full((len(x),), self.input_format.sigma / 255)
        if sigma is None:
            raise BadInput(
                f"a {type(self).__name__} is noise-conditional: give --sigma, in 8-bit levels"
            )
        return sigma.to(x).view(-1, 1, 1, 1)

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise images in the format of the network's authors.

        Args:
            x: (B, C, H, W), in the network's value range and channel order.
            keys: one per image, on which its attention masks depend.
            options: `sigma`, (B, 1, 1, 1) in the network's value range, if it is noise-conditional;
                and further arguments of its own training.

        Returns:
            The same shape and format.
        """
        raise NotImplementedError


class Unchanged(Denoiser):
    """The identity: its output is the noisy image, from which a model's gain is measured."""

    config = Config()
    any_channels = True

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """The images themselves."""
        return x


def convolutions(model: nn.Module) -> list[str]:
    """Paths of all convolutions, in the order of their definition."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    return [name for name, module in model.named_modules() if isinstance(module, kinds)]


def guessed_bytes_per_pixel(model: nn.Module) -> int:
    """24 · the largest number of output channels of a convolution: a guess, with room for skips."""
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    return 24 * max(widths, default=64)
