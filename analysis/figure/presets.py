"""The paper's Figures 11 to 15 as analyses with its noises, each a record."""

from __future__ import annotations

from dataclasses import dataclass

STRONGEST = ("spatial:60", "speckle:0.04", "poisson:3.5", "mixture:4")

LEVELS = (
    *(f"spatial:{level}" for level in (40, 45, 50, 55, 60)),
    *(f"speckle:{level}" for level in (0.018, 0.024, 0.03, 0.036, 0.04)),
    *(f"poisson:{level}" for level in (2, 2.5, 3, 3.5)),
    *(f"mixture:{level}" for level in (1, 2, 3, 4, 5)),
)


def noise_options(specs: tuple[str, ...]) -> tuple[str, ...]:
    """Options of a command that has these noises."""
    return tuple(part for spec in specs for part in ("--noise", spec))


@dataclass(frozen=True)
class Preset:
    """A figure of the paper.

    Attributes:
        number: of the figure.
        title: what it shows.
        analysis: that makes it.
        options: of the analysis' command.
        figures: their files in the run folder, without ending.
        differs: what differs from the paper's, as the end of a caption.
        measured: whether models are run; else the logs of training runs are read.
    """

    number: int
    title: str
    analysis: str
    options: tuple[str, ...]
    figures: tuple[str, ...]
    differs: str
    measured: bool = True

    @property
    def note(self) -> str:
        """The last sentence of the captions."""
        return f"After Figure {self.number} of the paper; there, {self.differs}."


PRESETS = {
    preset.number: preset
    for preset in (
        Preset(
            11,
            "PSNR and SSIM over the level of four kinds of noise",
            "generalization",
            ("--no-lpips", "--no-references", *noise_options(LEVELS)),
            ("levels_psnr", "levels_ssim"),
            "images are those of Kodak24, whole",
        ),
        Preset(
            12,
            "CKA of layers: two models under Gaussian noise, one model under Gaussian and Poisson",
            "cka",
            ("--reference", "gaussian:15", "--noise", "poisson:3.5"),
            ("cross_model", "cross_noise"),
            "images, their number and the estimator are not given",
        ),
        Preset(
            13,
            "PSNR over the steps of training, on several noises",
            "curves",
            (),
            ("curves",),
            "no training loss, networks of full size, and other test images and levels",
            measured=False,
        ),
        Preset(
            14,
            "SRGA of each model under several noises, Gaussian noise the reference",
            "srga",
            ("--reference", "gaussian:15", *noise_options(STRONGEST)),
            ("srga",),
            "images and levels are not given",
        ),
        Preset(
            15,
            "distributions of deep features under several noises",
            "distributions",
            ("--reference", "gaussian:15", *noise_options(STRONGEST)),
            ("distributions",),
            "images and levels are not given",
        ),
    )
}
"""By number."""


def overview() -> str:
    """All presets, one a line."""
    lines = [f"  {one.number}  {one.title} (mtd {one.analysis})" for one in PRESETS.values()]
    return "\n".join(["figures of the paper:", *lines])
