"""Settings of local attribution."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.commands.settings import REFERENCE, Settings, limit_option, noises_option, option
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

NOISES = (REFERENCE, "gaussian:50")

PHOTOGRAPHS = 12
"""Of how many photographs a crop is taken, unless a number of crops is given."""

MAPS = "attribution.safetensors"
"""The file of the maps in a run folder."""


def corner(text: str) -> tuple[int, int]:
    """The upper left pixel of a window, from a text such as 24,24.

    Raises:
        ValueError: it names none; the message says what was expected.
    """
    top, _, left = text.partition(",")
    if not (top.strip().isdecimal() and left.strip().isdecimal()):
        raise ValueError("expected Y,X such as 24,24")
    return int(top), int(left)


@dataclass(frozen=True, kw_only=True)
class AttributionSettings(Settings):
    """Settings of `analysis.attribution`; see `Settings` for those that every analysis shares.

    Attributes:
        limit: number of crops; None for one crop of each of up to `PHOTOGRAPHS` photographs.
        side: of the window, in pixels.
        window: upper left pixel of the window in every crop; None for the place with most detail
            in the middle half of each.
        steps: of the path from the blurred crop to the crop itself.
        blur: standard deviation of the blur at the start of the path, in pixels. At 3, what a
            denoiser is to restore is gone, and of white noise a tenth of the standard deviation is
            left. Published for super-resolution: 1.2, for inputs that have lost their detail
            already.
    """

    limit: int | None = limit_option(None, f"one of each photograph, at most {PHOTOGRAPHS}")
    noises: tuple[str, ...] | None = noises_option(NOISES)
    side: int = option(16, "side of the window in pixels", minimum=2)
    window: tuple[int, int] | None = option(
        None,
        "upper left pixel of the window in every crop",
        metavar="Y,X",
        minimum=0,
        parse=corner,
        shown="the place with most detail in the middle half of each",
    )
    steps: int = option(50, "steps of the path from the blurred crop to the crop", minimum=1)
    blur: float = option(
        3.0,
        "standard deviation of the blur at the start of the path, in pixels",
        above=0,
        maximum=1e3,
    )

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: maps are of crops of one size; give --crop")
        if self.autocast != "off":
            raise BadInput(f"--autocast {self.autocast}: gradients need float32; leave it out")

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the maps in their order, the clean image first."""
        return (CLEAN, *(spec for spec in self.noises or NOISES if spec != CLEAN))

    @property
    def together(self) -> int:
        """Points of the path that go through a network together."""
        assert self.crop is not None
        return self.batch_size or max(1, 2**13 // self.crop**2)

    def for_report(self) -> AttributionSettings:
        """The same under two noises, the usual ones if they are there, with a window that fits."""
        assert self.crop is not None
        noises = [spec for spec in self.specs[1:] if spec in NOISES] or self.specs[1:3]
        return replace(self, noises=tuple(noises), side=max(2, min(self.side, self.crop // 2)))
