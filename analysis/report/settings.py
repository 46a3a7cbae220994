"""Settings and options of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from analysis.commands.settings import (
    UNSEEN,
    Options,
    Settings,
    check_lpips,
    controls_option,
    crop_option,
    in_distribution_option,
    limit_option,
    lpips_channels_option,
    lpips_option,
    lpips_weights_option,
    memory_option,
    metrics_option,
    noises_option,
    option,
    reference_option,
    references_option,
    untrained_option,
)
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("html", "ipynb", "md", "pdf")
"""Formats of the page."""


def limits() -> dict[str, int]:
    """Maximum number of crops of each section that is computed from images, by name."""
    from analysis.report.sections import computed

    return {name: record.report_crops or 0 for name, record in computed().items()}


@dataclass(frozen=True, kw_only=True)
class ReportSettings(Settings):
    """Everything that decides the numbers of a report; see `Settings` for the shared settings.

    Attributes:
        limit: maximum number of crops of every section.
        noises: beside the reference; None for `UNSEEN`, and in the benchmark for the suite's.
        reference: the noise with which the others are compared.
        in_distribution: noises that the models, or a model, were trained on; none for what each
            checkpoint says.
        references: a blur, a median and each model's fixed filter beside the models in the
            benchmark.
        suite: noises of the benchmark.
        benchmark_crop: side of the benchmark's crops, at most that of the smallest image.
        max_crops: maximum number of crops of single sections, as `SECTION=N`.
        budget: the same in megapixels of clean images, an older spelling.
        metrics: of the benchmark, beside PSNR, SSIM and LPIPS.
        lpips: compute LPIPS as well.
        lpips_weights: file of the AlexNet backbone of LPIPS; None to look for it.
        lpips_channels: order of the colors that LPIPS is given, `rgb` or `bgr`.
        intervals: 95% intervals of CKA and SRGA.
        controls: ceiling, floor and untrained networks beside the values.
        untrained: number of untrained networks of each architecture.
        memory: of each analysis, in GiB.
    """

    crop: int | None = crop_option(64)
    limit: int | None = limit_option(None, "none, see --max-crops")
    noises: tuple[str, ...] | None = noises_option(
        None, f"{', '.join(UNSEEN)}; for the benchmark, those of its suite"
    )
    reference: str = reference_option()
    in_distribution: tuple[str, ...] = in_distribution_option()
    references: bool = references_option()
    suite: str | None = option(
        None,
        "noises of the benchmark",
        metavar="NAME",
        shown="quick; with --noise: --reference and the noises given",
        group="noise",
    )
    benchmark_crop: int = option(
        96,
        "side of the benchmark's crops, at most that of the smallest image",
        metavar="SIDE",
        minimum=16,
        group="images",
    )
    max_crops: tuple[str, ...] = option(
        (),
        "maximum number of crops of a section (repeatable)",
        metavar="SECTION=N",
        shown=lambda: ", ".join(f"{name}={count}" for name, count in limits().items()),
        group="images",
    )
    budget: tuple[str, ...] = option((), "", metavar="SECTION=MEGAPIXELS")
    metrics: tuple[str, ...] = metrics_option()
    lpips: bool = lpips_option()
    lpips_weights: str | None = lpips_weights_option()
    lpips_channels: Literal["rgb", "bgr"] = lpips_channels_option()
    intervals: bool = option(True, "no intervals of CKA and SRGA", flag="--no-intervals")
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
            raise BadInput("crop None: a report's features are taken of crops; give --crop")
        self.crops_of(self.benchmark_crop)
        check_lpips(self.lpips, self.lpips_weights, self.lpips_channels, self.metrics)

    def check_names(self) -> None:
        """See `Settings.check_names`; also the suite of the benchmark."""
        from analysis.commands import checks
        from analysis.generalization import noise_suite

        if self.suite:
            noise_suite.load(self.suite)
        super().check_names()
        checks.images([self.lpips_weights] if self.lpips_weights else [], "file")

    def crops_of(self, side: int) -> dict[str, int]:
        """The maximum number of crops of each section.

        Args:
            side: of the benchmark's crops in pixels.

        Raises:
            BadInput: no such section, or not a number above 0.
        """
        counts, known = limits(), limits()
        for text in self.budget:
            name, value = section_value("--budget", text, known, "megapixels", 0.5)
            pixels = (side if name == BENCHMARK else self.crop or 64) ** 2
            counts[name] = max(1, int(value * 1e6 / pixels))
        for text in self.max_crops:
            name, value = section_value("--max-crops", text, known, "a number of crops", 48)
            if value != int(value):
                raise BadInput(f"--max-crops {text}: expected a whole number, as {name}=48")
            counts[name] = int(value)
        if self.limit is not None:
            counts = {name: min(count, self.limit) for name, count in counts.items()}
        return counts


BENCHMARK = "generalization"
"""The section whose crops have their own size."""


def section_value(
    flag: str, text: str, known: Mapping[str, Any], what: str, example: float
) -> tuple[str, float]:
    """Section and number from a text such as `srga=300`.

    Raises:
        BadInput: no such section, or not a number above 0.
    """
    name, _, number = text.partition("=")
    if name not in known:
        raise BadInput(f"{flag} {text}: {nearest(name, known)}")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise BadInput(f"{flag} {text}: expected {what}, as {name}={example:g}")
    return name, value


@dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """Sections and formats of a report; no number depends on them.

    Attributes:
        sections: comma-separated names, `default` for those of None: all that are possible but
            some that take long.
        training: training runs for the training curves; none for the logs beside the checkpoints.
        format: comma-separated formats of the page.
        title: of the page.
        verify: a report whose numbers are recomputed.
        share: share of the numbers that are recomputed.
        verify_seed: seed of the drawn rows; None for other rows each time.
    """

    sections: str | None = option(
        None,
        "comma-separated sections; `default` stands for all that are possible except stitch and "
        "causal_effects, which take longer",
        metavar="NAMES",
        shown="default",
    )
    training: tuple[str, ...] = option(
        (),
        "training run: folder of mtd.train, or any log that analysis.curves reads (repeatable)",
        metavar="RUN",
        shown="logs beside the checkpoints",
    )
    format: str = option(
        "html,ipynb",
        f"comma-separated formats of the page: {', '.join(FORMATS)}",
        metavar="NAMES",
        group="output",
    )
    title: str | None = option(
        None,
        "title of the page",
        metavar="TITLE",
        shown="names of the models",
        group="output",
    )
    verify: str | None = option(
        None,
        "a report's folder or page: recompute a random part of its numbers and check that they "
        "agree",
        metavar="REPORT",
    )
    share: float = option(0.01, "share of the numbers that --verify recomputes", above=0, maximum=1)
    verify_seed: int | None = option(
        None, "seed of the rows that --verify draws", minimum=0, shown="other rows each time"
    )

    @property
    def formats(self) -> list[str]:
        """The formats of the page.

        Raises:
            BadInput: an unknown format, or none.
        """
        names = [name.strip() for name in self.format.split(",") if name.strip()]
        for name in names:
            if name not in FORMATS:
                raise BadInput(f"--format {name}: {nearest(name, FORMATS)}")
        if not names:
            raise BadInput(f"--format names none: {', '.join(FORMATS)}")
        return names
