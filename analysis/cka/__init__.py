"""Centered kernel alignment: layers compared across models and across noises.

`compare` compares models, `compare_snapshots` snapshots of training runs; `cka` and `CKA` are for
arrays; `python -m analysis.cka` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.cka.command import compare
    from analysis.cka.functional import CKA, cka
    from analysis.cka.over_training.command import compare_snapshots
    from analysis.cka.result import CKAResult

__all__ = ["CKA", "CKAResult", "cka", "compare", "compare_snapshots"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CKA": "analysis.cka.functional",
        "cka": "analysis.cka.functional",
        "CKAResult": "analysis.cka.result",
        "compare": "analysis.cka.command",
        "compare_snapshots": "analysis.cka.over_training.command",
    },
)
