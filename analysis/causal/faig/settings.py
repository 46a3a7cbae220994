"""Settings of filter attribution."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.commands.settings import (
    Settings,
    limit_option,
    noises_option,
    option,
    reference_first,
    reference_option,
)
from mtd.utils.errors import BadInput

NOISES = ("gaussian:50", "poisson:3.5")

PERCENT = (1.0, 3.0, 5.0, 10.0)
"""Shares of the filters that are reverted, as published."""


@dataclass(frozen=True, kw_only=True)
class FaigSettings(Settings):
    """Settings of `analysis.causal.faig`; see `Settings` for those that every analysis shares.

    Attributes:
        reference: noise B, whose attribution is subtracted.
        steps: K, points of the path between the two networks at which gradients are taken.
        percent: shares of the filters that are reverted to the baseline's values.
        random: how many random choices of as many filters are reverted, too.
        reverting: whether filters are reverted at all.
    """

    limit: int | None = limit_option(12)
    noises: tuple[str, ...] | None = noises_option(NOISES)
    reference: str = reference_option(
        "noise that the others are compared with: its attribution is subtracted from theirs"
    )
    steps: int = option(
        20,
        "points on the path between the models at which gradients are taken",
        minimum=1,
        maximum=1000,
    )
    percent: tuple[float, ...] = option(
        PERCENT,
        "percentage of the filters that are set back to the first model's values (repeatable)",
        metavar="PERCENT",
        above=0,
        maximum=100,
        shown=", ".join(f"{share:g}" for share in PERCENT),
    )
    random: int = option(
        5,
        "random choices of as many filters, for comparison",
        metavar="N",
        minimum=2,
        maximum=1000,
    )
    reverting: bool = option(True, "only attribute: do not set filters back", flag="--no-reverting")

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if self.autocast != "off":
            raise BadInput(f"--autocast {self.autocast}: gradients need float32; leave it out")
        if self.mask_draws != "shared":
            raise BadInput(
                f"--mask-draws {self.mask_draws}: attributions under two noises are compared with "
                "the same masks; use shared"
            )
        if not self.specs[1:]:
            raise BadInput(
                f"--noise {self.reference}: it is the reference itself; name another one"
            )
        if not self.percent or len(set(self.percent)) < len(self.percent):
            given = ", ".join(f"{share:g}" for share in self.percent)
            raise BadInput(f"--percent {given or 'none'}: expected each percentage once")

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order, the reference first."""
        return reference_first(self.reference, self.noises or NOISES)
