"""Settings of the comparison of indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from analysis.commands.settings import (
    REFERENCE,
    UNSEEN,
    Settings,
    crop_option,
    limit_option,
    memory_option,
    noises_option,
    option,
    reference_first,
)
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

Name = Literal["srga", "distributions", "degradation", "sensitivity", "cka"]

ANALYSES: tuple[Name, ...] = get_args(Name)
"""The analyses that indices are of, in the order in which they are computed."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Settings):
    """Settings of `analysis.compare`; see `Settings` for those that every analysis shares.

    Attributes:
        noises: unseen noises, under which PSNR drops and indices are taken.
        reference: the noise that the models were trained on.
        skip: analyses whose index is left out.
        intervals: 95% intervals of the indices.
        memory: GiB for each analysis.
    """

    crop: int | None = crop_option(64)
    limit: int | None = limit_option(64)
    noises: tuple[str, ...] = noises_option(UNSEEN)
    reference: str = option(REFERENCE, "noise that the models were trained on", metavar="SPEC")
    skip: tuple[Name, ...] = option(
        (),
        f"leave an index out (repeatable): {', '.join(ANALYSES)}",
        metavar="NAME",
        shown="",
    )
    intervals: bool = option(True, "no intervals of the indices", flag="--no-intervals")
    memory: float = memory_option(
        "memory for each analysis; more features are read back from the run folder"
    )

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            BadInput: a value that cannot be used.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: features are taken of crops of one size; give --crop")
        if set(self.skip) == set(ANALYSES):
            raise BadInput("--skip: every index is left out")

    @property
    def analyses(self) -> tuple[str, ...]:
        """The analyses whose index is compared."""
        return tuple(name for name in ANALYSES if name not in self.skip)

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order: none, for sensitivity, the reference, unseen."""
        clean = (CLEAN,) if "sensitivity" in self.analyses else ()
        return (*clean, *reference_first(self.reference, self.noises))
