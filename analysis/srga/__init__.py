"""SRGA, a generalization score computed from deep features.

`srga` is for arrays, `python -m analysis.srga` is the command.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.srga.score import SRGA, srga
    from analysis.stats.generalized_gaussian import fit_ggd, kl_ggd

__all__ = ["SRGA", "fit_ggd", "kl_ggd", "srga"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from analysis.srga import score
        from analysis.stats import generalized_gaussian

        home = generalized_gaussian if name.endswith("ggd") else score
        return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
