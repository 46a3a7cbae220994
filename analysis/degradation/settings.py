"""Settings of the degradation clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.commands.settings import (
    REFERENCE,
    UNSEEN,
    ReferenceFirst,
    controls_option,
    intervals_option,
    limit_option,
    memory_option,
    noises_option,
    option,
    untrained_option,
)
from analysis.text.terminal import plural
from mtd.utils.errors import BadInput

NOISES = (REFERENCE, *(noise for noise in UNSEEN if not noise.startswith("mixture")))


@dataclass(frozen=True, kw_only=True)
class DegradationSettings(ReferenceFirst):
    """Settings of `analysis.degradation`; see `Settings` for those that every analysis shares.

    Attributes:
        layers: patterns of layers, `input:GLOB` for what goes into them; none for the blocks or
            convolutions, and what goes into the last convolution.
        pool: maps are averaged to at most `pool` x `pool` positions; 0 keeps every position.
        components: principal components, at most one fewer than samples.
        intervals: leave out one crop or photograph at a time for 95% intervals.
        controls: ceiling, floor and untrained networks beside the values, see
            `analysis.degradation.controls`.
        untrained: number of untrained networks of each architecture.
        memory: GiB for reading features back.
    """

    limit: int | None = limit_option(48)
    noises: tuple[str, ...] | None = noises_option(NOISES)
    layers: tuple[str, ...] = option(
        (),
        "layers: glob, re:REGEX or type:CLASS, input:GLOB for what goes into them (repeatable)",
        metavar="PATTERN",
        shown="blocks or convolutions, and what goes into the last convolution",
    )
    pool: int = option(
        8, "average maps to at most POOL x POOL positions; 0 keeps every position", minimum=0
    )
    components: int = option(50, "principal components, at most samples - 1", minimum=2)
    intervals: bool = intervals_option("photographs")
    controls: bool = controls_option()
    untrained: int = untrained_option()
    memory: float = memory_option(
        "memory for reading back the features, which are kept in the run folder meanwhile"
    )

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: features are compared on crops of one size; give --crop")

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order."""
        return self.noises or NOISES

    def completed(self, crops: int, noises: int) -> DegradationSettings:
        """The same with as many components as the samples have.

        Raises:
            BadInput: too few noises or crops.
        """
        if noises < 2:
            raise BadInput("1 noise: nothing to separate; give --noise twice or more")
        if crops < 3:
            raise BadInput(f"{plural(crops, 'crop')}: expected 3 or more; raise --limit")
        return replace(self, components=min(self.components, crops * noises - 1))
