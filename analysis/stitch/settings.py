"""Settings of stitching."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.commands.settings import (
    REFERENCE,
    ReferenceFirst,
    limit_option,
    memory_option,
    noises_option,
    option,
)
from mtd.utils.errors import BadInput

NOISES = (REFERENCE, "gaussian:50")

REPORT_CROPS = 16
"""Number of crops in a report; of the report's size, as maps that are fitted to few pixels do not
fit other photographs: with crops of 32 x 32 of two bundled ones R² is below 0 in some layers."""


@dataclass(frozen=True, kw_only=True)
class StitchSettings(ReferenceFirst):
    """Settings of `analysis.stitch`; see `Settings` for those that every analysis shares.

    Attributes:
        noises: the first is the reference: every other one is stitched into it, and it into them.
        layers: patterns of layers; none for blocks and the convolutions around them, or all
            convolutions of a network without blocks, without those that hold the output.
        ridge: λ of the fit, as a share of the mean variance of the sender's channels.
        controls: whether stitches have a floor and a ceiling.
        memory: GiB of recorded features that are kept; what does not fit is computed again.
    """

    limit: int | None = limit_option(16)
    noises: tuple[str, ...] | None = noises_option(NOISES)
    layers: tuple[str, ...] = option(
        (),
        "layers: glob, re:REGEX or type:CLASS (repeatable)",
        metavar="PATTERN",
        shown="blocks and the convolutions around them, else all convolutions, without those that "
        "hold the output",
    )
    ridge: float = option(
        1e-6,
        "ridge penalty of the fit, as a share of the mean variance of the sender's channels",
        above=0,
        maximum=1,
    )
    controls: bool = option(
        True,
        "no controls: no stitches from another draw of the noise or fitted to other photographs",
        flag="--no-controls",
    )
    memory: float = memory_option(
        "memory for recorded features, in GiB; those that do not fit are computed again"
    )

    def for_report(self) -> StitchSettings:
        """The same under the reference and one other noise."""
        return replace(self, noises=self.specs[:2])

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: stitching needs crops of one size; give --crop")
        if self.autocast != "off":
            raise BadInput(f"--autocast {self.autocast}: stitches need float32; leave it out")
        if wrong := [name for name in self.layers if name.startswith("input:")]:
            raise BadInput(
                f"layer {wrong[0]!r}: stitches replace what a layer returns; name the layer before"
            )
