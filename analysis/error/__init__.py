"""Error decomposition: how much of a denoiser's error is noise that leaks, how much lost content.

`decompose` measures models; `analysis.error.decomposition` and `analysis.error.spectra` have the
formulas; `python -m analysis.error` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.error.command import decompose
    from analysis.error.result import ErrorResult

__all__ = ["ErrorResult", "decompose"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ErrorResult": "analysis.error.result",
        "decompose": "analysis.error.command",
    },
)
