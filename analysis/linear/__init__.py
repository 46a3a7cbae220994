"""The local linear map of a denoiser: equivalent filters, singular values, divergence, SURE.

`local_map` measures models; `jacobian` returns the map of one image; `python -m analysis.linear` is
the command. `analysis.linear.derivatives` and `analysis.linear.measures` have the formulas.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.linear.command import local_map
    from analysis.linear.functional import jacobian
    from analysis.linear.result import LinearResult

__all__ = ["LinearResult", "jacobian", "local_map"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "LinearResult": "analysis.linear.result",
        "jacobian": "analysis.linear.functional",
        "local_map": "analysis.linear.command",
    },
)
