"""Settings of local attribution and causal effect maps."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from analysis.commands.settings import (
    REFERENCE,
    ReferenceFirst,
    crop_option,
    limit_option,
    noises_option,
    option,
)
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

NOISES = (REFERENCE, "gaussian:50")

PHOTOGRAPHS = 12
"""Of how many photographs a crop is taken, unless a number of crops is given."""

REPORT_STEPS = 16
"""Steps of the path in a report. Of the bundled pair, the values of a map then sum to what they
should within 2%, and means of the diffusion index change by 0.1 at most."""

MAPS = "attribution.safetensors"
"""The file of the maps in a run folder."""

CROP = {"lam": 64, "cem": 64}
"""Sides of crops in pixels unless one is given, by the kind of map."""

SIDE = {"lam": 16, "cem": 32}
"""Sides of windows in pixels unless one is given, by the kind of map."""

REPORT_CROP = 48
"""Side of a crop of causal effect maps in a report."""

OWN = {"lam": ("steps", "blur"), "cem": ("block", "coarse", "patches", "least")}
"""Settings of one kind of map alone."""


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
class AttributionSettings(ReferenceFirst):
    """Settings of `analysis.attribution`; see `Settings` for those that every analysis shares.

    Attributes:
        map: `lam`, local attribution maps; or `cem`, causal effect maps, see
            `analysis.attribution.effects.effects`.
        crop: side of a crop in pixels; None for that of `CROP`.
        limit: number of crops; None for one crop of each of up to `PHOTOGRAPHS` photographs.
        side: of the window, in pixels; None for that of `SIDE`.
        window: upper left pixel of the window in every crop; None for the place with most detail
            in the middle half of each.
        steps: of the path from the blurred crop to the crop itself.
        blur: standard deviation of the blur at the start of the path, in pixels. At 3, what a
            denoiser is to restore is gone, and of white noise a tenth of the standard deviation is
            left. Published for super-resolution: 1.2, for inputs that have lost their detail
            already.
        block: side of the blocks whose effect is mapped, in pixels.
        coarse: patches by which every block is replaced, for a first mean effect.
        patches: patches in all by which a block is replaced if that effect is not small.
            Published: 50.
        least: smallest absolute effect in dB that is not small.
    """

    map: Literal["lam", "cem"] = option(
        "lam", "lam: local attribution maps; cem: causal effect maps, by replacing blocks"
    )
    crop: int | None = crop_option(None, f"{CROP['lam']}")

    limit: int | None = limit_option(None, f"one of each photograph, at most {PHOTOGRAPHS}")
    noises: tuple[str, ...] | None = noises_option(NOISES)
    side: int | None = option(
        None,
        "side of the window in pixels",
        minimum=2,
        shown=f"{SIDE['lam']}, with --map cem {SIDE['cem']}",
    )
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
    block: int = option(8, "with --map cem: side of a block in pixels", minimum=1)
    coarse: int = option(
        3,
        "with --map cem: patches by which every block is replaced, one after another, for a first "
        "mean effect",
        minimum=1,
    )
    patches: int = option(
        8,
        "with --map cem: patches in all by which a block is replaced if its first mean effect is "
        "not small, see --least (50 as published)",
        minimum=1,
    )
    least: float = option(
        0.01,
        "with --map cem: a block whose first mean effect is smaller than this many dB, above or "
        "below 0, is replaced by --coarse patches alone",
        metavar="DB",
        minimum=0,
    )

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        for name, of in (("crop", CROP), ("side", SIDE)):
            if getattr(self, name) is None and self.map in of:
                object.__setattr__(self, name, of[self.map])
        super().__post_init__()
        if self.autocast != "off":
            why = "gradients need float32" if self.map == "lam" else "small effects need float32"
            raise BadInput(f"--autocast {self.autocast}: {why}; leave it out")
        self._check_own()
        if self.map == "cem":
            self._check_blocks()

    def _check_own(self) -> None:
        """Check that no setting is given that is of the other kind of map alone."""
        other = "cem" if self.map == "lam" else "lam"
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in OWN[other] and value != item.default:
                raise BadInput(
                    f"--{item.name} {value:g}: only for --map {other}; leave it out, or give "
                    f"--map {other}"
                )

    def _check_blocks(self) -> None:
        """Check that blocks fit into the window, and that there are not fewer patches than few."""
        assert self.side is not None
        if self.side % self.block:
            raise BadInput(
                f"--side {self.side}: expected a multiple of --block, {self.block}, so that every "
                "block is inside the window or outside"
            )
        if self.patches < self.coarse:
            raise BadInput(
                f"--patches {self.patches}: expected as many as --coarse, {self.coarse}, or more"
            )

    @property
    def window_side(self) -> int:
        """The side of the window, in pixels."""
        assert self.side is not None
        return self.side

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the maps in their order; of local attribution the clean image first."""
        if self.map == "cem":
            return self.noises or NOISES
        return (CLEAN, *(spec for spec in self.noises or NOISES if spec != CLEAN))

    @property
    def together(self) -> int:
        """Points of the path, or altered images, that go through a network together."""
        assert self.crop is not None
        pixels = 2**13 if self.map == "lam" else 2**16  # gradients need memory
        return self.batch_size or max(1, pixels // self.crop**2)

    def effects_for_report(self) -> AttributionSettings:
        """Causal effect maps under one unseen noise, every block replaced by the same few patches.

        The window is a third of the crop, so that there are blocks around it on all sides.
        """
        assert self.crop is not None
        crop = min(self.crop, REPORT_CROP)
        block = min(self.block, max(1, crop // 6))
        return replace(
            self,
            map="cem",
            noises=self.specs[2:3],
            crop=crop,
            side=2 * block,
            block=block,
            patches=self.coarse,
        )

    def for_report(self) -> AttributionSettings:
        """The same with a shorter path under two noises, the usual ones if they are there, and a
        window that fits."""
        assert self.crop is not None
        noises = [spec for spec in self.specs[1:] if spec in NOISES] or self.specs[1:3]
        return replace(
            self,
            noises=tuple(noises),
            side=max(2, min(self.window_side, self.crop // 2)),
            steps=min(self.steps, REPORT_STEPS),
        )
