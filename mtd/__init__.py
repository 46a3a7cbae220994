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

import os
import sys

# by os alone: any other module might be one of the working folder
try:
    _started_in = os.getcwd()  # noqa: PTH109
except OSError:  # it was removed
    _started_in = ""
if (
    sys.argv[:1] == ["-m"]
    and sys.path[:1] == [_started_in]
    and sys.path[:1] != [os.path.dirname(__path__[0])]  # noqa: PTH120
):
    del sys.path[0]  # which `python -m` adds: files of the working folder shadow no library

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

__version__ = "0.1.0"
__all__ = ["__version__", "load"]
SUBMODULES = (
    *("data", "inference", "loading", "masking", "metrics", "networks", "noise", "rendering"),
    *("tensor_files", "training", "utils"),
)

if TYPE_CHECKING:
    from mtd.loading.load import load

__getattr__, _names = lazy_exports(
    __name__, {"load": "mtd.loading.load", **{name: f"mtd.{name}" for name in SUBMODULES}}
)


def __dir__() -> list[str]:
    return sorted(["__version__", *_names()])
