"""Settings of the error decomposition."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.commands.settings import REFERENCE, UNSEEN, ReferenceFirst, noises_option, option
from mtd.utils.errors import BadInput

NOISES = (REFERENCE, "gaussian:50", *UNSEEN)


@dataclass(frozen=True, kw_only=True)
class ErrorSettings(ReferenceFirst):
    """Settings of `analysis.error`; see `Settings` for those that every analysis shares.

    Attributes:
        draws: K, independent draws of each noise, over which bias and variance are computed.
        masks: M, for networks with random attention masks at inference: draws of the masks under
            each draw of the noise, over which the variance over masks is computed.
        mask_mean: N, for the same networks: how many times as many masks as they use are averaged
            in one more output, to measure what averaging gains; 1 to leave this out.
    """

    noises: tuple[str, ...] | None = noises_option(NOISES)
    draws: int = option(
        4,
        "independent draws of each noise, over which bias and variance are computed",
        metavar="K",
        minimum=2,
        maximum=1000,
    )
    masks: int = option(
        2,
        "networks with random attention masks are run with M different masks under each draw of "
        "the noise, to measure how much their output varies with the mask",
        metavar="M",
        minimum=2,
        maximum=1000,
    )
    mask_mean: int = option(
        4,
        "of networks with random attention masks, measure also the error of a mean of outputs with "
        "N times as many masks as --mask-samples; 1 leaves this out",
        metavar="N",
        minimum=1,
        maximum=1000,
    )

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: spectra need crops of one size; give --crop")

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order."""
        return self.noises or NOISES
