"""Settings of the analysis of local linear maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from analysis.commands.settings import (
    REFERENCE,
    UNSEEN,
    ReferenceFirst,
    crop_option,
    limit_option,
    memory_option,
    noises_option,
    option,
)
from mtd.utils.errors import BadInput

NOISES = (REFERENCE, "gaussian:50", UNSEEN[0])

PHOTOGRAPHS = 12
"""Of how many photographs a crop is taken, unless a number of crops is given."""

WHOLE = 40
"""Largest side of a crop whose whole Jacobian is computed."""

REPORT_CROP, REPORT_PROBES = 24, 8
"""Side of a crop and number of random vectors in a report."""

FILTERS = "linear.safetensors"
"""The file of the filters in a run folder."""

LEVELS = "5,10,15,25,50,75,100"


def levels(text: str) -> str:
    """Noise levels as a text of numbers with commas between, in one form.

    Raises:
        ValueError: it is none; the message says what was expected.

    >>> levels("5, 10.0")
    '5,10'
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(0 < value <= 255 for value in values):
        raise ValueError("expected levels above 0 up to 255, as in 5,15,50")
    if len(set(values)) < len(values):
        raise ValueError("expected each level once")
    return ",".join(f"{value:g}" for value in values)


@dataclass(frozen=True, kw_only=True)
class LinearSettings(ReferenceFirst):
    """Settings of `analysis.linear`; see `Settings` for those that every analysis shares.

    Attributes:
        crop: side of a crop.
        limit: number of crops; None for one crop of each of up to `PHOTOGRAPHS` photographs.
        whole: largest side of a crop whose whole Jacobian is computed; 0 for none.
        probes: random vectors that estimate trace, norm and asymmetry for larger crops.
        rank: number of leading singular values for larger crops; 0 for no products J v, and so
            neither these, asymmetry nor affine rest.
        levels: standard deviations of Gaussian noise under which PSNR is measured, in 8-bit levels.
        memory: budget in GiB for what the backward pass needs.
    """

    crop: int | None = crop_option(24)
    limit: int | None = limit_option(None, f"one of each photograph, at most {PHOTOGRAPHS}")
    noises: tuple[str, ...] | None = noises_option(NOISES)
    whole: int = option(
        WHOLE,
        "largest side of a crop whose whole Jacobian is computed; 0 for none",
        minimum=0,
        maximum=WHOLE,
    )
    probes: int = option(
        32,
        "random vectors by which trace, norm and asymmetry are estimated (Hutchinson) for crops "
        "above --whole",
        metavar="K",
        minimum=2,
        maximum=100_000,
    )
    rank: int = option(
        8,
        "number of leading singular values for crops above --whole (randomized SVD); 0 leaves "
        "out these, asymmetry and affine rest, and is several times faster",
        metavar="K",
        minimum=0,
        maximum=1000,
    )
    levels: str = option(
        LEVELS,
        "standard deviations of Gaussian noise under which PSNR is measured, in 8-bit levels",
        metavar="S,S",
        parse=levels,
    )
    memory: float = memory_option("memory for what the backward pass needs, in GiB")

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        given: Any = self.levels  # in Python numbers, too
        if not isinstance(given, str):
            values = given if isinstance(given, Iterable) else [given]
            object.__setattr__(self, "levels", ",".join(map(str, values)))
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: linear maps need crops of one size; give --crop")
        if self.autocast != "off":
            raise BadInput(f"--autocast {self.autocast}: gradients need float32; leave it out")

    def for_report(self) -> LinearSettings:
        """The same under the reference and one other noise, with few random vectors."""
        assert self.crop is not None
        side, few = min(self.crop, REPORT_CROP), REPORT_PROBES
        return replace(self, noises=self.specs[:2], crop=side, whole=0, probes=few, rank=0)

    @property
    def is_whole(self) -> bool:
        """Whether whole Jacobians are computed."""
        return self.crop is not None and self.crop <= self.whole

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the maps in their order."""
        return self.noises or NOISES

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The levels of Gaussian noise, in 8-bit levels."""
        return tuple(float(part) for part in self.levels.split(","))
