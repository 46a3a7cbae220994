"""Training and test curves, from the logs of training runs or from their checkpoints.

`read_curves` reads logs, `evaluate_checkpoints` evaluates what a run has saved;
`python -m analysis.curves` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.curves.command import evaluate_checkpoints, read_curves
    from analysis.curves.result import CurvesResult

__all__ = ["CurvesResult", "evaluate_checkpoints", "read_curves"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CurvesResult": "analysis.curves.result",
        "evaluate_checkpoints": "analysis.curves.command",
        "read_curves": "analysis.curves.command",
    },
)
