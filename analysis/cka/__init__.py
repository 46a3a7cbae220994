"""Centered kernel alignment: layers compared across models and across noises.

`cka` and `CKA` are for arrays, `python -m analysis.cka` is the command.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.cka.functional import CKA, cka

__all__ = ["CKA", "cka"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from analysis.cka import functional

        return getattr(functional, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
