"""Settings of the distributions of features."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.commands.settings import (
    UNSEEN,
    Settings,
    controls_option,
    crop_option,
    noises_option,
    option,
    reference_first,
    reference_option,
    untrained_option,
)
from mtd.utils.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class DistributionsSettings(Settings):
    """Settings of `analysis.distributions`; see `Settings` for those that every analysis shares.

    Attributes:
        reference: the noise with which the others are compared.
        noises: under which features are compared with those under the reference.
        layers: patterns of layers beside what goes into the last convolution; `input:GLOB` for
            what goes into a layer.
        controls: ceiling, floor and untrained networks beside the values, see
            `analysis.distributions.controls`.
        untrained: number of untrained networks of each architecture.
    """

    crop: int = crop_option(128)
    reference: str = reference_option()
    noises: tuple[str, ...] = noises_option(UNSEEN)
    layers: tuple[str, ...] = option(
        (),
        "layers beside what goes into the last convolution: glob, re:REGEX or type:CLASS, "
        "input:GLOB for what goes into them (repeatable)",
        metavar="PATTERN",
        shown="none",
    )
    controls: bool = controls_option()
    untrained: int = untrained_option()

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            BadInput: a value that cannot be used, or no noise beside the reference.
        """
        super().__post_init__()
        if len(self.specs) < 2:
            raise BadInput("no noise beside the reference: give --noise")

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass, the reference first."""
        return reference_first(self.reference, self.noises)
