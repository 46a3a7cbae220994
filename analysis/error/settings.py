"""Settings of the error decomposition."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.commands.settings import REFERENCE, UNSEEN, Settings, noises_option, option
from mtd.utils.errors import BadInput

NOISES = (REFERENCE, "gaussian:50", *UNSEEN)


@dataclass(frozen=True, kw_only=True)
class ErrorSettings(Settings):
    """Settings of `analysis.error`; see `Settings` for those that every analysis shares.

    Attributes:
        noise_draws: K, draws of each noise.
        masks: M, draws of random attention masks under each draw of the noise, of networks that
            have such masks at inference.
        mask_mean: over how many draws of the masks outputs are averaged to measure what that gains;
            1 to leave this out.
    """

    noises: tuple[str, ...] | None = noises_option(NOISES)
    noise_draws: int = option(
        4, "draws of each noise", flag="--draws", metavar="K", minimum=2, maximum=1000
    )
    masks: int = option(
        2,
        "draws of attention masks under each draw of the noise, of networks with random masks",
        metavar="M",
        minimum=2,
        maximum=1000,
    )
    mask_mean: int = option(
        4,
        "draws of the masks over which outputs are averaged to measure what that gains; 1 for none",
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
            raise BadInput("crop None: spectra are those of crops of one size; give --crop")

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order."""
        return self.noises or NOISES
