"""Degradation clusters: do features sort crops by their noise, or by their content?

`measure_clusters` measures models; `python -m analysis.degradation` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.degradation.command import measure_clusters
    from analysis.degradation.result import DegradationResult

__all__ = ["DegradationResult", "measure_clusters"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DegradationResult": "analysis.degradation.result",
        "measure_clusters": "analysis.degradation.command",
    },
)
