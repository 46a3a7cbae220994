"""Every metric by its name, with what tables and figures must know of it.

Other packages add metrics by an entry point of the group `mtd.metrics` that names a `Metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from mtd.metrics.lpips import lpips
from mtd.metrics.psnr_ssim import psnr, ssim
from mtd.utils import plugins

GROUP = "mtd.metrics"


@dataclass(frozen=True)
class Metric:
    """A measure of how close denoised images are to the clean ones.

    Attributes:
        name: the value of the column `metric` in tables, such as `psnr`.
        label: what it is called in figures and sentences, such as `PSNR`.
        unit: of its values, such as `dB`; empty if they have none.
        higher_is_better: whether larger values mean better images.
        digits: decimals in tables.
        function: from output and target, (B, 3, H, W) each and nominally in [0, 1], to one value
            for each image, (B,) in float64 on the CPU. Grayscale images are three equal channels.

    A metric of your own, registered as an entry point of the group `mtd.metrics`:

    >>> def mae(output, target):
    ...     return (output.double() - target.double()).abs().mean((1, 2, 3)).mul(255)
    >>> MAE = Metric("mae", "mean absolute error", "8-bit levels", False, 2, mae)
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    digits: int
    function: Callable[[Tensor, Tensor], Tensor]


BUILT_IN = (
    Metric("psnr", "PSNR", "dB", True, 2, psnr),
    Metric("ssim", "SSIM", "", True, 4, ssim),
    Metric("lpips", "LPIPS", "", False, 4, lpips),
)


@cache
def metrics() -> dict[str, Metric]:
    """Every metric by name: the built-in ones, then those of other packages.

    Raises:
        BadInput: an entry point that cannot be used, or whose name is taken.

    Example:
        >>> {"psnr", "ssim"} <= metrics().keys(), metrics()["psnr"].higher_is_better
        (True, True)
    """
    return plugins.registered(
        GROUP,
        BUILT_IN,
        lambda entry: isinstance(entry, Metric),
        expected="a Metric (mtd.metrics.Metric)",
        plural="metrics",
    )


class _Metrics(Mapping[str, Metric]):
    """`metrics()` as a mapping; entry points are loaded when it is first read."""

    def __getitem__(self, name: str) -> Metric:
        return metrics()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(metrics())

    def __len__(self) -> int:
        return len(metrics())


METRICS: Mapping[str, Metric] = _Metrics()
"""Every metric by name; the same as `metrics()`.

>>> METRICS["psnr"].higher_is_better, METRICS["psnr"].unit
(True, 'dB')
"""
