"""Local attribution: which pixels of a noisy input a network uses to restore one window.

`attribute` maps models; `python -m analysis.attribution` is the command;
`analysis.attribution.integrated_gradients` has the formulas.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.attribution.command import attribute
    from analysis.attribution.result import AttributionResult

__all__ = ["AttributionResult", "attribute"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AttributionResult": "analysis.attribution.result",
        "attribute": "analysis.attribution.command",
    },
)
