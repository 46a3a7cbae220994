"""What every denoising network of this package has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mtd import seeds
from mtd.masking import MaskedInference


class Denoiser(nn.Module):
    """A network from (B, C, H, W), nominally in [0, 1], to the same shape, never clamped.

    Attributes:
        config: its hyper-parameters; `in_chans` is C.
        inference: whether and how attention masks are drawn; a network without attention has none.
        source: where it was loaded from: path, digest, mask policy; empty if it was not.
        mask_draw, mask_draws: which of how many averaged mask draws is being computed; observers
            read both.
    """

    config: Any

    def __init__(self) -> None:
        super().__init__()
        self.inference = MaskedInference()
        self.source: dict[str, Any] = {}
        self.mask_draw, self.mask_draws = 0, 1

    def forward(self, x: Tensor, keys: Sequence[seeds.Key] | None = None) -> Tensor:
        """Denoise; `keys`, one per image, are what masks depend on."""
        raise NotImplementedError


class Unchanged(Denoiser):
    """The denoiser that does nothing: what it gives is what a model's gain is measured from."""

    def forward(self, x: Tensor, keys: Sequence[seeds.Key] | None = None) -> Tensor:
        """The image itself."""
        return x
