"""Sensitivity to noise over depth: how far each layer moves from a clean image to a noisy one.

`measure_sensitivity` measures models, `change` and `gain` are for sums of arrays;
`python -m analysis.sensitivity` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.sensitivity.command import measure_sensitivity
    from analysis.sensitivity.result import SensitivityResult

__all__ = ["SensitivityResult", "measure_sensitivity"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "SensitivityResult": "analysis.sensitivity.result",
        "measure_sensitivity": "analysis.sensitivity.command",
    },
)
