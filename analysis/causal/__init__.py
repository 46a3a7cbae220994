"""Causal tracing: which branches of a network decide how well it removes an unseen noise.

`trace` patches models; `python -m analysis.causal` is the command; `analysis.causal.patching` has
patches and estimates, and `analysis.engine.recorded_run` runs networks with features replaced.
`discriminative_filters` finds the filters by which a network differs from its baseline;
`python -m analysis.causal.faig` is its command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.causal.command import trace
    from analysis.causal.faig.command import discriminative_filters
    from analysis.causal.faig.result import FaigResult
    from analysis.causal.result import CausalResult

__all__ = ["CausalResult", "FaigResult", "discriminative_filters", "trace"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CausalResult": "analysis.causal.result",
        "FaigResult": "analysis.causal.faig.result",
        "discriminative_filters": "analysis.causal.faig.command",
        "trace": "analysis.causal.command",
    },
)
