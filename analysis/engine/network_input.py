"""What a network is given for a batch: images, keys of masks, input mask and noise level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from analysis.engine import forward
from analysis.engine.forward import ForwardSettings
from analysis.engine.observer import NoisyBatch
from mtd.inference.forward import forward_whole

WHITE = 255.0


@dataclass(frozen=True)
class NetworkInput:
    """What a network is given, and what it should return.

    Attributes:
        noisy: (B, C, H, W).
        target: (B, C, H, W), on the same device.
        keys: of the attention masks, one for each image.
        mask: boolean (B, 1, H, W), see `mtd.inference.forward.forward`.
        level: (B,), for networks that are given the noise level.
    """

    noisy: Tensor
    target: Tensor
    keys: Sequence[str]
    mask: Tensor | None = None
    level: Tensor | None = None

    @classmethod
    def of(cls, model: nn.Module, noisy: NoisyBatch, settings: ForwardSettings) -> NetworkInput:
        """What a network is given for a noisy batch of a run."""
        return cls(
            noisy.noisy,
            noisy.target.to(noisy.noisy.device),
            forward.mask_keys(noisy, settings),
            forward.input_mask(noisy, settings),
            forward.noise_level(model, noisy),
        )

    def run(self, model: nn.Module, noisy: Tensor | None = None) -> Tensor:
        """The network's output, (B, C, H, W), neither clamped nor rounded.

        Args:
            model: the network.
            noisy: other images, such as ones with gradients.
        """
        images = self.noisy if noisy is None else noisy
        return forward_whole(model, images, self.keys, self.mask, self.level)

    def errors(self, output: Tensor) -> Tensor:
        """(B,) mean squared error of each image, in squared 8-bit levels, in float64."""
        return (WHITE * (output.double() - self.target.double())).square().mean((1, 2, 3))
