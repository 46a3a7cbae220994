"""Settings of training and test curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis.commands.settings import REFERENCE, UNSEEN, Settings, noises_option, option
from mtd.utils.cli import SEED
from mtd.utils.errors import BadInput

KINDS = ("poisson", "salt_pepper", "speckle")
"""Kinds of unseen noise under which checkpoints are evaluated."""

NOISES = (
    REFERENCE,
    "gaussian:50",
    *(spec for kind in KINDS for spec in UNSEEN if spec.partition(":")[0] == kind),
)
"""Noises under which checkpoints are evaluated."""

OF_LOGS = ("smooth", "in_distribution")
"""Settings that apply to logs too; all others are about the evaluation of checkpoints."""


@dataclass(frozen=True, kw_only=True)
class CurvesSettings(Settings):
    """Settings of `analysis.curves`; see `Settings` for those of the evaluation.

    Attributes:
        smooth: decay β of the weights by which the loss is averaged over its neighbors, from 0
            (none) to below 1; see `analysis.curves.figures.smoothed`.
        in_distribution: noises or test sets that the runs, or a run, were trained on, as
            `[RUN=]SPEC[..SPEC]`; none for what recipes and checkpoints say.
    """

    smooth: float = option(
        0.9,
        "decay of the loss's exponential average over both sides, drawn over the logged values; "
        "0 for none; test curves are never smoothed",
        metavar="DECAY",
        minimum=0,
        below=1,
    )
    in_distribution: tuple[str, ...] = option(
        (),
        "noise or test set that the runs, or RUN, were trained on, or a range of levels as in "
        "gaussian:0..gaussian:55 (repeatable)",
        metavar="[RUN=]SPEC[..SPEC]",
        shown="what recipe.json or checkpoints say; else unknown",
        group="noise",
    )
    noises: tuple[str, ...] | None = noises_option(NOISES)
    attention_mask: Literal["auto", "on", "off"] = option(
        "auto", "attention masks as the checkpoint says, or against it", group="masks"
    )
    mask_samples: int = option(
        1,
        "a network with random attention masks returns the mean of its outputs with K masks",
        metavar="K",
        minimum=1,
        group="masks",
    )
    seed: int = option(0, SEED, metavar="N", minimum=0, group="compute")

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            BadInput: a value that cannot be used.
        """
        super().__post_init__()
        if not self.noises:
            raise BadInput(f"noises {self.noises!r}: give at least one")
