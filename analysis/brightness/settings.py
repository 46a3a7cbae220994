"""Settings of the brightness of outputs."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.commands.settings import Settings
from mtd.utils.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class BrightnessSettings(Settings):
    """Settings of `analysis.brightness`: those that every analysis shares, see `Settings`."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            BadInput: a value that cannot be used.
        """
        super().__post_init__()
        if self.crop is None:
            raise BadInput("crop None: images are compared as crops of one size; give --crop")
