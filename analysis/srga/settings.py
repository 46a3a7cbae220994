"""Settings of SRGA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis.commands.settings import (
    UNSEEN,
    Settings,
    controls_option,
    crop_option,
    intervals_option,
    limit_option,
    memory_option,
    noises_option,
    option,
    reference_first,
    reference_option,
    untrained_option,
)
from analysis.srga.score import COMPONENTS, PATCHES
from mtd.utils.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class SRGASettings(Settings):
    """Settings of `analysis.srga`; see `Settings` for those that every analysis shares.

    Attributes:
        reference: the noise with which the others are compared.
        noises: that are scored against the reference.
        layer: a pattern that names one layer, `input:GLOB` what goes into it; None for what goes
            into the last convolution.
        components: at most how many principal components.
        fit: the shape of a density: the nearest of the published `grid`, or exact (`root`).
        intervals: leave out photographs, each with all its patches, for 95% intervals.
        controls: ceiling, floor and untrained networks beside the values, see
            `analysis.srga.controls`.
        untrained: number of untrained networks of each architecture.
        memory: GiB that reading features back may take.
        matched_psnr: folders of training runs, whose snapshots of equal PSNR are the models; see
            `analysis.srga.matched_psnr`.
    """

    crop: int = crop_option(128)
    limit: int | None = limit_option(PATCHES)
    reference: str = reference_option()
    noises: tuple[str, ...] = noises_option(UNSEEN)
    layer: str | None = option(
        None,
        "layer to take, input:GLOB for what goes into it",
        metavar="GLOB",
        shown="what goes into the last convolution",
        aliases=("--layers",),
    )
    components: int = option(
        COMPONENTS, "principal components, at most one fewer than patches", minimum=1
    )
    fit: Literal["grid", "root"] = option(
        "grid", "shape of the fitted density: the nearest on the published grid, or exact"
    )
    intervals: bool = intervals_option("photographs")
    controls: bool = controls_option()
    untrained: int = untrained_option()
    memory: float = memory_option(
        "memory for reading back the features, which are kept in the run folder meanwhile"
    )
    matched_psnr: tuple[str, ...] = option(
        (),
        "folder of a training run, instead of models: of each run the snapshot is compared whose "
        "PSNR under the reference is nearest to what all runs reach; NAME=PATTERN for several "
        "trainings of one model (repeatable)",
        metavar="RUN",
        group="models",
    )

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
