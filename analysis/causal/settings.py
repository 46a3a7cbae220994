"""Settings of causal tracing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.commands.settings import (
    Settings,
    limit_option,
    noises_option,
    option,
    reference_first,
    reference_option,
)
from mtd.utils.errors import BadInput, nearest

NOISES = ("gaussian:50", "poisson:3.5", "salt_pepper:0.02")

AUTO = "auto"

KINDS = ("attention", "mlp", "heads", "convolutions", "channels")
"""Kinds of branches."""

SMALL = 48
"""Up to so many branches, all are patched; of more, those that screening picks."""

TOP = 16
"""As many branches with the largest estimates are patched then, and as many random ones."""

REPORT_CROPS, REPORT_CROP, REPORT_CONFIRM = 12, 48, 8
"""Of a report: number of crops, their side, and as many branches with the largest estimates."""


@dataclass(frozen=True, kw_only=True)
class CausalSettings(Settings):
    """Settings of `analysis.causal`; see `Settings` for those that every analysis shares.

    Attributes:
        reference: the noise whose features are patched in.
        branches: kinds of branches, separated by commas; `auto` for attention and MLP updates where
            a network has them, else its convolutions.
        groups: of channels of a convolution, for the kind `channels`.
        confirm: N, how many branches with the largest estimates are patched, and as many random
            others; all branches of a network that has at most 2 N. None for all branches of a
            network with up to `SMALL`, and N = `TOP` for others.
        ablation: whether branches are replaced by their means, too.
    """

    limit: int | None = limit_option(24)
    noises: tuple[str, ...] | None = noises_option(NOISES)
    reference: str = reference_option(
        "noise that the others are compared with: its features are patched into runs under them"
    )
    branches: str = option(
        AUTO,
        f"kinds of branches, separated by commas: {', '.join(KINDS)}",
        metavar="KINDS",
        shown="attention and MLP updates where a network has them, else convolutions",
    )
    groups: int = option(
        4,
        "with --branches channels: groups into which the channels of a convolution are split",
        minimum=2,
    )
    confirm: int | None = option(
        None,
        "patch only the N branches with the largest estimates (attribution patching) and N "
        "random others; all, where a network has at most 2 N",
        metavar="N",
        minimum=1,
        shown=f"all where a network has at most {SMALL} branches, else {TOP}",
    )
    ablation: bool = option(True, "do not replace branches by their means", flag="--no-ablation")

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: patching needs crops of one size; give --crop")
        if self.autocast != "off":
            raise BadInput(f"--autocast {self.autocast}: gradients need float32; leave it out")
        if self.mask_draws != "shared":
            raise BadInput(
                f"--mask-draws {self.mask_draws}: patching needs the same masks under both "
                "noises; use shared"
            )
        for kind in self.kinds:
            if kind not in KINDS:
                raise BadInput(f"--branches {kind}: {nearest(kind, KINDS)}")
        if not self.specs[1:]:
            raise BadInput(
                f"--noise {self.reference}: it is the reference itself; name another one"
            )

    def for_report(self) -> CausalSettings:
        """The same under one unseen noise, on small crops, with few patched branches."""
        assert self.crop is not None
        unseen = self.specs[1:2]
        few = min(self.confirm or REPORT_CONFIRM, REPORT_CONFIRM)
        side = min(self.crop, REPORT_CROP)
        return replace(self, noises=unseen, crop=side, confirm=few, ablation=False)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of branches; none for those that suit a network."""
        if self.branches == AUTO:
            return ()
        return tuple(dict.fromkeys(kind.strip() for kind in self.branches.split(",")))

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order, the reference first."""
        return reference_first(self.reference, self.noises or NOISES)
