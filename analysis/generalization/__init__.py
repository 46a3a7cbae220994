"""The generalization benchmark: image quality over noise types and levels.

`benchmark` runs it on any models; `python -m analysis.generalization` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.generalization.command import benchmark
    from analysis.generalization.result import GeneralizationResult

__all__ = ["GeneralizationResult", "benchmark"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "GeneralizationResult": "analysis.generalization.result",
        "benchmark": "analysis.generalization.command",
    },
)
