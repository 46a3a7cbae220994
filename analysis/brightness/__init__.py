"""Brightness of outputs: whether it is that of the clean images, and what it costs.

A network that is trained with an input mask and without attention masks outputs images of the wrong
brightness once it is shown all pixels (the paper's Figures 5 and 6); this measures by how much, of
any networks. `measure_brightness` measures models; `python -m analysis.brightness` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.brightness.command import measure_brightness
    from analysis.brightness.result import BrightnessResult

__all__ = ["BrightnessResult", "measure_brightness"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BrightnessResult": "analysis.brightness.result",
        "measure_brightness": "analysis.brightness.command",
    },
)
