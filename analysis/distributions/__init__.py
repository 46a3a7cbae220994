"""Distributions of features: histograms, fitted densities and distances under several noises.

`measure_distances` is the Python function; `python -m analysis.distributions` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.distributions.command import measure_distances
    from analysis.distributions.result import DistributionsResult

__all__ = ["DistributionsResult", "measure_distances"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DistributionsResult": "analysis.distributions.result",
        "measure_distances": "analysis.distributions.command",
    },
)
