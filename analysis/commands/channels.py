"""Whether a run is on color or on grayscale images: its networks decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.data.recorded_noise import Recorded
    from mtd.networks.base import Denoiser
    from mtd.noise.base import Noise

HINT = "--grayscale per-channel runs grayscale networks on each channel of color images"

GRAYSCALE = "grayscale networks: all images are grayscale, of color photographs the luma"
"""Of a run whose images have one channel."""


def possible(
    noises: Sequence[Noise | Recorded], channels: int, optional: Collection[str] = ()
) -> tuple[list[Noise | Recorded], tuple[str, ...]]:
    """The noises that can be added to images of so many channels.

    Args:
        noises: of a run.
        channels: of its images, 3 or 1.
        optional: specifications of those that are left out if they cannot, such as a suite's.

    Returns:
        The noises; what is left out, a line each.

    Raises:
        BadInput: another noise needs color, and images are grayscale.
    """
    without = [noise.spec for noise in noises if channels == 1 and noise.needs_color]
    for spec in without:
        if spec not in optional:
            raise BadInput(
                f"noise {spec}: it needs color images, and the networks take grayscale ones; leave "
                f"it out, or: {HINT}"
            )
    kept = [noise for noise in noises if noise.spec not in without]
    return kept, tuple(f"left out noise {spec}: it needs color images" for spec in without)


def channels_of(models: Mapping[str, Denoiser]) -> int:
    """The channels of all images of a run: 1 if every network takes 1, else 3.

    Classical denoisers take any number; without a network images have 3.

    Args:
        models: of the run, by name.

    Raises:
        BadInput: networks for grayscale images and for color ones, or a network for neither.
    """
    taken = {name: model.channels for name, model in models.items() if model.channels is not None}
    for name, channels in taken.items():
        if channels not in (1, 3):
            raise BadInput(f"{name}: takes {channels} channels; expected 3, color, or 1, grayscale")
    if len(set(taken.values())) > 1:
        gray, color = (next(n for n, count in taken.items() if count == of) for of in (1, 3))
        raise BadInput(
            f"{gray} takes 1 channel, {color} 3; expected the same of all models of a run: {HINT}"
        )
    return next(iter(taken.values()), 3)
