"""Local attribution: which pixels of a noisy input a network uses to restore one window.

`attribute` makes local attribution maps, `causal_effects` causal effect maps;
`python -m analysis.attribution` is the command; `analysis.attribution.integrated_gradients` and
`analysis.attribution.effects.effects` have the formulas.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.attribution.command import attribute
    from analysis.attribution.effects.command import causal_effects
    from analysis.attribution.effects.result import CausalEffectsResult
    from analysis.attribution.result import AttributionResult

__all__ = ["AttributionResult", "CausalEffectsResult", "attribute", "causal_effects"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AttributionResult": "analysis.attribution.result",
        "CausalEffectsResult": "analysis.attribution.effects.result",
        "attribute": "analysis.attribution.command",
        "causal_effects": "analysis.attribution.effects.command",
    },
)
