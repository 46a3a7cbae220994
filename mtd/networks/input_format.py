"""How a network is called: the images that it expects, which are not always RGB from 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from mtd.utils.errors import BadInput

Sigma = float | Literal["oracle"] | None


@dataclass(frozen=True)
class Usage:
    """What stands between an RGB image in [0, 1] and a network.

    Attributes:
        value_range: white, for the network: 1 or 255.
        bgr: channels go in, and come out, blue first.
        per_channel: a grey network is called for each channel in turn.
        sigma: the noise level that a network which asks for one is told, in 8-bit levels; `oracle`
            tells it that of the noise which was added.
    """

    value_range: float = 1.0
    bgr: bool = False
    per_channel: bool = False
    sigma: Sigma = None

    def __post_init__(self) -> None:
        if not 0 < self.value_range < math.inf:
            raise BadInput(
                f"value range {self.value_range}: expected a number above 0, such as 1 or 255"
            )
        number = isinstance(self.sigma, int | float) and not isinstance(self.sigma, bool)
        if self.sigma not in (None, "oracle") and not (number and 0 <= float(self.sigma) <= 255):
            raise BadInput(f"sigma {self.sigma}: expected a level from 0 to 255, or oracle")

    def to_dict(self) -> dict[str, Any]:
        """What differs from an RGB image in [0, 1]; empty if nothing does."""
        values = {
            "value_range": self.value_range,
            "bgr": self.bgr,
            "per_channel": self.per_channel,
            "sigma": self.sigma,
        }
        return {k: v for k, v in values.items() if v != getattr(Usage, k)}
