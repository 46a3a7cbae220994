"""Causal tracing: which branches of a network decide how well it removes an unseen noise.

`trace` patches models; `python -m analysis.causal` is the command; `analysis.causal.patching` has
patches and estimates, and `analysis.engine.recorded_run` runs networks with features replaced.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.causal.command import trace
    from analysis.causal.result import CausalResult

__all__ = ["CausalResult", "trace"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CausalResult": "analysis.causal.result",
        "trace": "analysis.causal.command",
    },
)
