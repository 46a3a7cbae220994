"""The small print of a benchmark: how noisy images are made, and how outputs are scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mtd.noise.drawing import STORED, Drawing
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.metrics.psnr_ssim import Channel

DOMAINS: dict[str, Channel] = {"rgb": "rgb", "luma": "y"}
"""What PSNR and SSIM may be computed of, as suites and manifests call it."""


@dataclass(frozen=True)
class Protocol:
    """How noisy images are made, and how outputs are compared with the clean images.

    Attributes:
        name: in tables.
        border: pixels left out at every side.
        channel: of PSNR and SSIM, all channels or luma.
        round_output: round outputs to 8 bits before they are scored; they are clipped in any case.
        drawing: the random streams, clipping and rounding of noisy images.
    """

    name: str = "default"
    border: int = 0
    channel: Channel = "rgb"
    round_output: bool = True
    drawing: Drawing = STORED

    def of_channels(self, channels: int) -> Protocol:
        """The same for images of 3 channels, or of 1.

        Raises:
            BadInput: luma, which is of color.
        """
        if channels == 3:
            return self
        if self.channel == "y":
            raise BadInput(
                "luma (--channel y, or metric_domain of a suite): the images are grayscale, their "
                "one channel is scored; leave it out"
            )
        return replace(self, channel="gray")

    def entry(self) -> dict[str, Any]:
        """The keys of a suite that state it, ready for JSON."""
        clip = self.drawing.clip
        return {
            "seed_policy": self.drawing.seed_policy,
            "clip_noisy": list(clip) if isinstance(clip, tuple) else clip,
            "quantize_noisy": self.drawing.quantize,
            "round_output": self.round_output,
            "border": self.border,
            "metric_domain": {"y": "luma"}.get(self.channel, self.channel),
        }


DEFAULT = Protocol()

PROTOCOLS = {"default": DEFAULT, "paper": Protocol("paper", border=1)}
"""The default compares whole images; the paper's script for its own networks leaves out 1 pixel."""
