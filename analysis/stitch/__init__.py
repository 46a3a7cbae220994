"""Stitching: whether features of another model, or under another noise, serve a network's tail.

`stitch_models` stitches models; `python -m analysis.stitch` is the command;
`analysis.stitch.matching` has the formulas, and `fit` the map between two sets of features.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.stitch.command import stitch_models
    from analysis.stitch.matching import Stitch, fit
    from analysis.stitch.result import StitchResult

__all__ = ["Stitch", "StitchResult", "fit", "stitch_models"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Stitch": "analysis.stitch.matching",
        "StitchResult": "analysis.stitch.result",
        "fit": "analysis.stitch.matching",
        "stitch_models": "analysis.stitch.command",
    },
)
