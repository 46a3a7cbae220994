"""Masked training for denoisers: networks, masks, noise models, training, checkpoints.

`mtd.load`, `mtd.noise` and the like are imported on first use, so that commands can answer
`--help` without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]
SUBMODULES = ("data", "inference", "loading", "masking", "metrics", "networks", "noise", "training")

if TYPE_CHECKING:
    from mtd.loading.load import load


def __getattr__(name: str) -> Any:
    if name == "load":
        from mtd.loading.load import load

        return load
    if name in SUBMODULES:
        return import_module(f"mtd.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
