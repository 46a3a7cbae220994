"""Settings of the comparison of indices."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.commands.settings import (
    UNSEEN,
    Settings,
    controls_option,
    crop_option,
    in_distribution_option,
    limit_option,
    memory_option,
    noises_option,
    option,
    reference_first,
    reference_option,
    references_option,
    untrained_option,
)
from mtd.utils.errors import BadInput, one_of


def with_index() -> list[str]:
    """The analyses that have an index, in the order in which they are computed."""
    from analysis.commands.registry import analyses

    return [name for name, record in analyses().items() if record.index]


OUTCOMES_OF = "error"
"""The analysis that the parts of the PSNR drop are taken from, and indices under trained noise."""


def analyses_of_a_comparison() -> list[str]:
    """The analyses with an index, and that of the parts of the PSNR drop."""
    return [*with_index(), OUTCOMES_OF]


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Settings):
    """Settings of `analysis.compare`; see `Settings` for those that every analysis shares.

    Attributes:
        noises: unseen noises, under which PSNR drops and indices are taken.
        reference: the noise with which the others are compared.
        in_distribution: noises that the models, or a model, were trained on; none for what each
            checkpoint says.
        references: a blur, a median and each model's fixed filter beside the models in the
            benchmark.
        skip: analyses that are left out.
        intervals: 95% intervals of the indices.
        controls: ceiling, floor and untrained networks beside the values of the analyses.
        untrained: number of untrained networks of each architecture.
        memory: GiB for each analysis.
    """

    crop: int | None = crop_option(64)
    limit: int | None = limit_option(64)
    noises: tuple[str, ...] = noises_option(UNSEEN)
    reference: str = reference_option()
    in_distribution: tuple[str, ...] = in_distribution_option()
    references: bool = references_option()
    skip: tuple[str, ...] = option(
        (),
        "leave the index or the outcomes of an analysis out (repeatable)",
        metavar="NAME",
        shown=lambda: f"none of {', '.join(analyses_of_a_comparison())}",
    )
    intervals: bool = option(True, "no intervals of the indices", flag="--no-intervals")
    controls: bool = controls_option()
    untrained: int = untrained_option()
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
        for name in self.skip:
            one_of("skip", name, analyses_of_a_comparison())
        if set(self.skip) >= set(analyses_of_a_comparison()):
            raise BadInput("--skip: every index is left out")

    @property
    def analyses(self) -> tuple[str, ...]:
        """The analyses whose index is compared, and that of the parts of the PSNR drop."""
        return tuple(name for name in analyses_of_a_comparison() if name not in self.skip)

    def of_analysis(self, name: str) -> Settings:
        """The settings of an analysis that an index is of."""
        from analysis.commands.registry import analysis

        record = analysis(name)
        settings: Settings = record.settings.under(self, self.reference, self.noises)
        if name == OUTCOMES_OF and record.report_settings is not None:
            settings = record.report_settings(settings)  # few draws, which controls need anyway
        return settings

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order: none, if an analysis needs it, then the others."""
        noises = reference_first(self.reference, self.noises)
        own = {spec for name in self.analyses for spec in self.of_analysis(name).specs}
        return (*sorted(own - set(noises)), *noises)
