"""Settings of the generalization benchmark."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

from analysis.commands.parser import flag_of
from analysis.commands.settings import (
    Settings,
    check_lpips,
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
    references_option,
)
from mtd.data.test_sets import RECIPES
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from analysis.generalization.noise_suite import Suite

SUITE = "quick"
"""The suite of a benchmark for which no noises are given."""

LIST, CHECK = "list", "check"
"""What `--suite` takes to list all suites, and to check what they draw."""

PICTURES = "strips.safetensors"
"""The file of the pictures that comparison strips are made of."""

NOISY = (
    *("noisy", "page", "noises", "crop", "crop_rule", "limit", "tile", "memory", "batch_size"),
    *("mask_draws", "attention_mask", "mask_samples", "seed", "device", "autocast"),
    "metrics",
)
"""Settings that have an effect on noisy pictures without a clean one."""

Tile = int | Literal["auto", "off"]


def tile(text: str) -> Tile:
    """A tile's side in pixels from a text, or `auto` or `off`.

    Raises:
        ValueError: none of these; the message says what was expected.
    """
    if text == "auto" or text == "off":
        return "auto" if text == "auto" else "off"
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("expected auto, off, or a number of pixels such as 512")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class GeneralizationSettings(Settings):
    """Settings of `analysis.generalization`; see `Settings` for those that every analysis shares.

    Attributes:
        crop: side of a crop in pixels; None for the suite's, or whole images without one.
        limit: number of crops or images; None for the suite's, or as many as there are.
        noises: specifications of noises. Beside a suite they are added to its own; without any,
            the noises are those of the suite `quick`.
        suite: noises, test sets, crops and protocol under one name, or a TOML file; see
            `noise_suite`.
        in_distribution: noises that the models, or a model, were trained on, as
            `[MODEL=]SPEC[..SPEC]`; none for what each checkpoint says; see
            `analysis.commands.training_noises`.
        testset: published test sets, as `NAME=DIR`, or `NAME` if it is downloaded.
        paired_images: places of noisy images and of their clean ones; the former may begin with
            `NAME=`, the name of the noise.
        tone_map: for paired images in linear EXR files: `srgb`, `gamma2.2`, `reinhard`; None for
            `srgb`.
        protocol: `default`, whole images, or `paper`, with 1 pixel left out at every side; None
            for what the suite says, or `default`.
        channel: of PSNR and SSIM, `rgb` or luma, `y`; None for the suite's, or `rgb`.
        metrics: beside PSNR, SSIM and LPIPS, as `pyiqa:dists`; see `mtd.metrics.pyiqa_metrics`.
        lpips: compute LPIPS as well.
        lpips_weights: file of the AlexNet backbone of LPIPS; None to look for it, and download it
            if it is not there; see `mtd.metrics.lpips_backbone`.
        lpips_channels: order of the colors that LPIPS is given, `rgb` or `bgr`; the latter is the
            metric `lpips_bgr`.
        references: score a blur, a median and each model's own fixed filter beside the models; see
            `analysis.generalization.references`.
        tile: large images in tiles: `auto`, `off`, or the side of a tile.
        memory: in GiB, that `tile="auto"` keeps to.
        noisy: folders of noisy pictures without a clean one, instead of a benchmark; see
            `analysis.generalization.noisy`. The noises are then those that theirs is compared
            with.
    """

    crop: int | None = crop_option(None, "the suite's; whole images without a suite")
    limit: int | None = limit_option(None, "the suite's; all whole images without a suite")
    noises: tuple[str, ...] | None = noises_option(None, "the suite's")
    suite: str | None = option(
        None,
        "noises, test sets and protocol under one name, or a .toml file; list shows all, check "
        "compares what they draw with what is pinned; --noise adds to a suite that is given, and "
        "replaces the default one",
        metavar="NAME",
        shown=SUITE,
        group="noise",
    )
    in_distribution: tuple[str, ...] = in_distribution_option()
    testset: tuple[str, ...] = option(
        (),
        "a published test set, checked: python -m mtd.testsets lists them; without =DIR one that "
        "its --download has put into MTD_HOME (repeatable)",
        metavar="NAME[=DIR]",
        group="images",
    )
    paired_images: tuple[tuple[str, str], ...] = option(
        (),
        "noisy images and their clean ones: two folders, two patterns with one *, or SIDD's two "
        ".mat files (repeatable); NAME such as monte_carlo:64 names the noise and its level",
        metavar=("[NAME=]NOISY", "CLEAN"),
        aliases=("--pairs",),
        group="images",
    )
    tone_map: str | None = option(
        None,
        "for paired images in linear EXR files: srgb, gamma2.2, reinhard",
        metavar="NAME",
        shown="srgb",
        group="images",
    )
    protocol: Literal["default", "paper"] | None = option(
        None,
        "whole images, or with 1 pixel left out at every side as in the paper",
        shown="the suite's; else default",
    )
    channel: Literal["rgb", "y"] | None = option(
        None, "of PSNR and SSIM: rgb, or y, luma", shown="the suite's; else rgb"
    )
    metrics: tuple[str, ...] = metrics_option()
    lpips: bool = lpips_option()
    lpips_weights: str | None = lpips_weights_option()
    lpips_channels: Literal["rgb", "bgr"] = lpips_channels_option()
    references: bool = references_option()
    tile: int | Literal["auto", "off"] = option(
        "auto",
        "large images in tiles: auto, off, or the tile's side",
        metavar="TILE",
        parse=tile,
        group="compute",
    )
    memory: float = memory_option("memory that --tile auto keeps to")
    noisy: tuple[str, ...] = option(
        (),
        "noisy pictures without a clean one, so without PSNR, instead of a benchmark: outputs, "
        "what is left of the noise, how models agree, CKA and SRGA against synthetic noise "
        "(repeatable)",
        metavar="DIR",
        group="images",
    )

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if type(self.tile) is not int and self.tile not in ("auto", "off"):
            raise BadInput(f"tile {self.tile!r}: expected auto, off, or a number of pixels")
        if type(self.tile) is int and self.tile < 1:
            raise BadInput(f"tile {self.tile}: expected auto, off, or a number of pixels")
        check_lpips(self.lpips, self.lpips_weights, self.lpips_channels, self.metrics)
        self.check_test_sets()
        if self.noisy:
            self.check_noisy()

    def check_names(self) -> None:
        """See `Settings.check_names`; also the suite with its noises, and all other folders."""
        from analysis.commands import checks
        from analysis.generalization import noise_suite

        if self.suite:
            suite = noise_suite.load(self.suite)
            checks.noises(suite.noises, suite.protocol.drawing.quantize)
        super().check_names()
        checks.images(self.noisy)
        checks.images(text.partition("=")[2] for text in self.testset if "=" in text)
        checks.images([self.lpips_weights] if self.lpips_weights else [], "file")

    def check_test_sets(self) -> None:
        """Check that test sets are known, and each is given once.

        Raises:
            BadInput: an unknown one, or one that is given twice.
        """
        names = [text.partition("=")[0] for text in self.testset]
        for name in names:
            if name not in RECIPES:
                raise BadInput(
                    f"--testset {name}: expected NAME=DIR, such as kodak24=Kodak24, or the name of "
                    f"a test set that is downloaded; {nearest(name, RECIPES)}"
                )
            if names.count(name) > 1:
                raise BadInput(f"--testset {name}: given twice; leave one out")

    def check_noisy(self) -> None:
        """Check that nothing needs the clean images that noisy pictures do not have.

        Raises:
            BadInput: something does.
        """
        why = "has no effect with --noisy, as there is no clean image; leave one of them out"
        for item in fields(self):
            if item.name not in NOISY and getattr(self, item.name) != item.default:
                raise BadInput(f"{flag_of(item)} {why}")
        for spec in self.noises or ():
            if spec.startswith("folder:"):
                raise BadInput(f"--noise {spec} {why}")

    def completed(self, suite: Suite | None) -> GeneralizationSettings:
        """The same with the noises and crops of a suite where these settings leave them open.

        Noises that are given come after the suite's; what is complete stays as it is.

        Raises:
            BadInput: an unknown noise.
        """
        if suite is None:
            return replace(self, noises=self.noises or ())
        from analysis.commands.inputs import canonical

        known = {canonical(spec) for spec in suite.noises}
        more = [spec for spec in self.noises or () if canonical(spec) not in known]
        return replace(
            self,
            noises=(*suite.noises, *more),
            crop=suite.crop if self.crop is None else self.crop,
            limit=suite.limit if self.limit is None else self.limit,
        )
