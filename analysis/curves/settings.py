"""Settings of training and test curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis.commands.settings import REFERENCE, UNSEEN, Settings, noises_option, option
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
        smooth: decay β of the loss's exponential moving average, from 0 (none) to below 1; see
            `analysis.curves.figures.smoothed`.
        in_distribution: the test curve that counts as trained on; None for the noise that a log
            names, else its first test curve, and for the first noise of an evaluation.
    """

    smooth: float = option(
        0.9,
        "decay of the loss's exponential moving average, which is drawn over the logged values; "
        "0 for none; test curves are never smoothed",
        metavar="DECAY",
        minimum=0,
        below=1,
    )
    in_distribution: str | None = option(
        None,
        "test curve that counts as trained on",
        metavar="SPEC",
        shown="a run's own noise, else its first",
    )
    noises: tuple[str, ...] | None = noises_option(
        NOISES, help="noise, the first counting as trained on (repeatable)"
    )
    attention_mask: Literal["auto", "on", "off"] = option(
        "auto", "attention masks as the checkpoint says, or against it"
    )
    mask_samples: int = option(
        1, "average K draws of the attention mask", metavar="K", minimum=1, shown="1"
    )
    seed: int = option(0, "of everything random", minimum=0)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            BadInput: a value that cannot be used.
        """
        super().__post_init__()
        if not self.noises:
            raise BadInput(f"noises {self.noises!r}: give at least one")
