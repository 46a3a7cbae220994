"""Masked training for denoisers: networks, masks, noise models, training, checkpoints.

`mtd.load` is imported on first use, so that commands can answer `--help` without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from mtd.checkpoint import load


def __getattr__(name: str) -> Any:
    if name == "load":
        from mtd.checkpoint import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
