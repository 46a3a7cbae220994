"""Which index predicts generalization: rank correlations over many models.

`correlate` compares models or run folders; `python -m analysis.compare` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.compare.command import correlate
    from analysis.compare.result import CompareResult

__all__ = ["CompareResult", "correlate"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CompareResult": "analysis.compare.result",
        "correlate": "analysis.compare.command",
    },
)
