"""The self-test of a network: does it denoise, and would it denoise better if called otherwise?

Files of weights do not tell whether a network returns the image or the noise, whether its channels
are RGB or BGR, and whether white is 1 or 255. Every choice is tried on bundled photographs with
Gaussian noise; a wrong one mostly costs many dB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mtd.data.crops import crops, to_tensor
from mtd.data.photographs import photographs
from mtd.inference.forward import denoise
from mtd.metrics.psnr_ssim import psnr
from mtd.networks.base import Denoiser
from mtd.networks.input_format import RESIDUALS, InputFormat
from mtd.noise import parse
from mtd.noise.base import pair_keyed
from mtd.utils.errors import BadInput

SIGMA = 15.0
"""Standard deviation of the noise, in 8-bit levels; neither clipped nor rounded, as in training."""

SIDES = (96, 64, 48)
"""Sides of the crops in pixels: the largest within the budget, or the last."""

BUDGET = 5e10
"""Multiply-adds of a self-test, a second or two on a laptop."""

MARGIN = 1.0
"""Gain in dB of a choice that denoises, and of a value range or residual that is better."""

ORDER_MARGIN = 0.1
"""The same for the order of channels alone, a mistake that costs 0.03 to 0.4 dB."""


@dataclass(frozen=True)
class Choice:
    """One way of calling a network, and what it gives.

    Attributes:
        how: value range, channel order and residual.
        psnr: of each crop, in dB; NaN where the output is not finite.
    """

    how: InputFormat
    psnr: Tensor

    @property
    def mean(self) -> float:
        """Over the crops, in dB."""
        return float(self.psnr.mean())

    def options(self, other: InputFormat) -> list[str]:
        """The options that choose it, where they differ from another choice's."""
        how = self.how
        values = {
            "--residual": (how.residual, other.residual),
            "--channel-order": ("bgr" if how.bgr else "rgb", "bgr" if other.bgr else "rgb"),
            "--value-range": (f"{how.value_range:g}", f"{other.value_range:g}"),
        }
        return [f"{option} {own}" for option, (own, its) in values.items() if own != its]


@dataclass(frozen=True)
class SelfTest:
    """The outcome of a self-test.

    Attributes:
        side: of the crops in pixels.
        images: the photographs, one crop of each.
        noisy: PSNR of each noisy crop, in dB.
        choices: that have been tried.
        own: how the network is called unless an option says otherwise.
    """

    side: int
    images: tuple[str, ...]
    noisy: Tensor
    choices: tuple[Choice, ...]
    own: InputFormat

    @property
    def chosen(self) -> Choice:
        """The network as it is called."""
        return next(choice for choice in self.choices if not choice.options(self.own))

    def able(self) -> list[Choice]:
        """The choices that denoise, by a margin."""
        least = float(self.noisy.mean()) + MARGIN
        return [choice for choice in self.choices if choice.mean > least]

    def better(self) -> Choice | None:
        """The choice that is better than the chosen one by a margin, and on every crop.

        Of several within the margin for orders of channels, the one that changes least. It has to
        denoise.
        """
        chosen = self.chosen.psnr.nan_to_num(nan=-torch.inf)
        found = []
        for choice in self.able():
            gain = choice.psnr - chosen
            order_alone = choice.options(self.own) == [
                f"--channel-order {'bgr' if choice.how.bgr else 'rgb'}"
            ]
            margin = ORDER_MARGIN if order_alone else MARGIN
            if bool((gain > 0).all()) and float(gain.mean()) >= margin:
                found.append(choice)
        if not found:
            return None
        best = max(choice.mean for choice in found)
        near = [choice for choice in found if choice.mean > best - ORDER_MARGIN]
        return min(near, key=lambda choice: (len(choice.options(self.own)), -choice.mean))

    def warning(self) -> str:
        """What is wrong with the chosen way of calling the network; empty if nothing."""
        better = self.better()
        if better is not None:
            options = " ".join(better.options(self.own))
            return f"{options} is better: {better.mean:.2f} dB, not {self.chosen.mean:.2f}"
        if not self.able():
            return (
                f"no choice gains {MARGIN:g} dB: a network for other noise or another task, "
                "weights that are not trained, or a class that is not theirs"
            )
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; a PSNR that is not finite is null."""
        return {
            "noise": f"gaussian:{SIGMA:g}",
            "images": list(self.images),
            "size": self.side,
            "noisy": _finite(float(self.noisy.mean())),
            "denoised": _finite(self.chosen.mean),
            "choices": [
                {
                    "value_range": choice.how.value_range,
                    "channel_order": _order(choice.how),
                    "residual": choice.how.residual,
                    "psnr": _finite(choice.mean),
                    "chosen": choice is self.chosen,
                }
                for choice in self.choices
            ],
            "warning": self.warning(),
        }


def self_test(model: Denoiser, macs_per_pixel: float = 0.0) -> SelfTest:
    """Denoise a crop of each bundled photograph in every way; the network is left as it was.

    A noise-conditional network is given the level, a grayscale one is called for each channel.

    Args:
        model: of 3 channels or 1.
        macs_per_pixel: its multiply-adds, by which the size of the crops is chosen.

    Raises:
        BadInput: another number of channels, or a network that fails on the crops.

    >>> from mtd.loading.load import load
    >>> test = self_test(load("baseline.pth"), macs_per_pixel=1e7)
    >>> test.side, test.warning(), test.chosen.mean > test.noisy.mean() + 5
    (48, '', tensor(True))
    """
    channels = model.config.in_chans
    if channels not in (1, 3):
        raise BadInput(f"takes {channels} channels: expected 3 or 1")
    photos = photographs()
    tried = 2 * (2 if channels == 3 else 1) * len(photos)
    side = next((s for s in SIDES if tried * s**2 * macs_per_pixel <= BUDGET), SIDES[-1])
    cut = crops(photos, side, len(photos), "center")
    clean = to_tensor([crop.pixels for crop in cut])
    noise, keys = parse(f"gaussian:{SIGMA:g}"), [crop.digest for crop in cut]
    noisy, _ = pair_keyed(noise, clean, keys, quantize=False)
    choices = tuple(_choices(model, noisy, clean))
    images = tuple(crop.image for crop in cut)
    return SelfTest(side, images, psnr(noisy, clean), choices, model.input_format)


def _choices(model: Denoiser, noisy: Tensor, clean: Tensor) -> Iterator[Choice]:
    """Every way of calling a network; one forward pass for each input gives all residuals."""
    own = model.input_format
    gray = model.config.in_chans == 1
    like = next((p for p in model.parameters() if p.is_floating_point()), noisy)
    tested = replace(
        own,
        sigma=SIGMA if model.takes_sigma else None,
        per_channel=gray,
        residual="none",
        wrap="none",  # the network's own format is tested
    )
    try:
        for value_range in sorted({1.0, 255.0, own.value_range}):
            for bgr in (own.bgr,) if gray else (False, True):
                how = replace(tested, value_range=value_range, bgr=bgr)
                model.input_format = how
                given = noisy.to(like, copy=True)  # which the network may change
                returned = denoise(model, given, tile="off").to(noisy)
                for residual in RESIDUALS:
                    choice = replace(how, residual=residual)
                    yield Choice(choice, psnr(choice.denoised(noisy, returned), clean))
    finally:
        model.input_format = own


def lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """A self-test as `SelfTest.to_dict` gives it: names and values, with a table of PSNR in dB.

    A row for each input, a column for each residual; an asterisk marks the choice.
    """
    found = {
        "self-test": f"{facts['noise']} on {len(facts['images'])} crops of {facts['size']} x "
        f"{facts['size']}: noisy {_decibel(facts['noisy'])} dB, "
        f"denoised {_decibel(facts['denoised'])} dB",
        "--residual": "".join(f"{residual:9}" for residual in RESIDUALS).rstrip(),
    }
    for choice in facts["choices"]:
        name = f"{choice['channel_order']}, 0 to {choice['value_range']:g}"
        text = _decibel(choice["psnr"]) + " *" * choice["chosen"]
        found[name] = f"{found.get(name, ''):{9 * RESIDUALS.index(choice['residual'])}}{text}"
    return found | {"warning": facts["warning"]}


def _decibel(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _order(how: InputFormat) -> str:
    """The order of channels of a choice; those of a grayscale network are called for each."""
    return "grayscale" if how.per_channel else "BGR" if how.bgr else "RGB"


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
