"""Masked training for denoisers: networks, masks, noise models, training, checkpoints.

    >>> import mtd
    >>> network = mtd.load("masked.pth")
    >>> noise = mtd.noise.parse("gaussian:15")
    >>> dir(mtd)[:3]
    ['__version__', 'data', 'inference']

`mtd.load` and the subpackages are imported on first use, so that commands answer `--help` without
torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]
SUBMODULES = (
    *("data", "inference", "loading", "masking", "metrics", "networks", "noise", "rendering"),
    *("training", "utils"),
)

if TYPE_CHECKING:
    from mtd.loading.load import load


def __getattr__(name: str) -> Any:
    if name == "load":
        from mtd.loading.load import load

        return load
    if name in SUBMODULES:
        return import_module(f"mtd.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *SUBMODULES])
