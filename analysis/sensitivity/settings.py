"""Settings of the sensitivity to noise."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.commands.settings import (
    REFERENCE,
    UNSEEN,
    Settings,
    limit_option,
    memory_option,
    noises_option,
    option,
)
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

KINDS = ("poisson", "salt_pepper")
"""Kinds of unseen noise that are measured unless noises are named."""

NOISES = (REFERENCE, "gaussian:50", *(n for n in UNSEEN if n.partition(":")[0] in KINDS))


@dataclass(frozen=True, kw_only=True)
class SensitivitySettings(Settings):
    """Settings of `analysis.sensitivity`; see `Settings` for those that every analysis shares.

    Attributes:
        layers: patterns of layers; none for blocks and convolutions around them, or all
            convolutions of a network without blocks.
        memory: GiB that the clean layers of a batch, of all networks, may take.
    """

    limit: int | None = limit_option(32)
    noises: tuple[str, ...] | None = noises_option(NOISES)
    layers: tuple[str, ...] = option(
        (),
        "layers: glob, re:REGEX or type:CLASS (repeatable)",
        metavar="PATTERN",
        shown="blocks and the convolutions around them, else all convolutions",
    )
    memory: float = memory_option("memory for the features of a batch of clean images")

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: layers are compared on crops of one size; give --crop")
        if CLEAN in self.specs[1:]:
            raise BadInput(
                f"--noise {CLEAN}: the clean image is what every noise is compared with; leave it "
                "out"
            )

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order, the clean image first."""
        return (CLEAN, *(self.noises or NOISES))
