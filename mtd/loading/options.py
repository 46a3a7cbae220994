"""How a network is called, where its checkpoint does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtd.networks.input_format import RESIDUALS, WRAPS, Residual, Sigma, Wrap
from mtd.utils import errors
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.masking import AttentionSwitch


@dataclass(frozen=True)
class LoadOptions:
    """How a network is called, where its checkpoint does not say.

    Attributes:
        attention_mask: `auto` follows the checkpoint's policy, `on` and `off` override it.
        mask_samples: number of mask draws whose outputs are averaged.
        seed: part of every mask's key.
        options: KAIR option file that states the mask policy; by default the `.json` file next to
            the checkpoint.
        sigma: noise level for a noise-conditional network, in 8-bit levels, or `oracle`; ignored by
            others.
        value_range: the network's value of white, 1 or 255, where neither weights nor metadata tell
            it; by default that of the published networks, mostly 1.
        bgr: whether the network's channels are in the order blue, green, red.
        per_channel: whether a grayscale network is called for each channel.
        residual: how the denoised image is made of the input and what the network returns; see
            `mtd.networks.input_format.InputFormat`. By default it is what the network returns.
        wrap: `normalize` gives the network each image with one mean and standard deviation and
            scales its output back, see `mtd.networks.normalization`; `none` by default.
        factory: `package.module:name` of a class or function that returns the network.
        arguments: of the factory.
        weights: which weights of the file, by the keys and prefixes that lead to them, with dots;
            by default those that the network is recognized by, averaged ones first.

    Raises:
        BadInput: a value of another type, or arguments without a factory.
    """

    attention_mask: AttentionSwitch = "auto"
    mask_samples: int = 1
    seed: int = 0
    options: str | Path | None = None
    sigma: Sigma = None
    value_range: float | None = None
    bgr: bool | None = None
    per_channel: bool = False
    residual: Residual | None = None
    wrap: Wrap | None = None
    factory: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None

    def __post_init__(self) -> None:
        expected: dict[str, tuple[bool, str]] = {
            "value_range": (self.value_range in (None, 1, 255), "1 or 255"),
            "bgr": (self.bgr in (None, True, False), "True or False"),
            "per_channel": (self.per_channel in (True, False), "True or False"),
            "residual": (self.residual in (None, *RESIDUALS), "none, minus, plus or flip"),
            "factory": (isinstance(self.factory, str | None), "'package.module:name'"),
            "arguments": (isinstance(self.arguments, Mapping), "a mapping"),
            "weights": (isinstance(self.weights, str | None), "keys with dots between them"),
        }
        if self.wrap is not None:
            errors.one_of("wrap", self.wrap, WRAPS)
        for name, (valid, what) in expected.items():
            if not valid:
                raise BadInput(f"{name} {getattr(self, name)!r}: expected {what}")
        if self.arguments and not self.factory:
            raise BadInput(f"arguments {dict(self.arguments)}: there is no factory to pass them to")
