"""Every metric by its name, with what tables and figures must know of it.

Other packages add metrics by an entry point of the group `mtd.metrics` that names a `Metric`; those
of the package pyiqa are made by `mtd.metrics.pyiqa_metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from torch import Tensor

from mtd.metrics.lpips import lpips, lpips_bgr
from mtd.metrics.psnr_ssim import psnr, ssim
from mtd.utils import plugins
from mtd.utils.errors import BadInput

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
            for each image, (B,) in float64 on the CPU. Grayscale images are three equal channels;
            without reference the target is ignored.
        full_reference: whether the output is compared with the clean image, or judged alone.
        source: what else decides the values, ready for JSON: package, version, settings.
        refuses: from an image's height and width to why it has no value, such as `images under
            161 x 161`; empty if it has one.
        quantizes: whether the function takes, third, how a protocol rounds images, as `psnr` does;
            else it is given images as they are.

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
    function: Callable[..., Tensor]
    full_reference: bool = True
    source: Mapping[str, Any] = field(default_factory=dict)
    refuses: Callable[[int, int], str] = lambda *_: ""
    quantizes: bool = False

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return f"{'higher' if self.higher_is_better else 'lower'} is better"

    @property
    def entry(self) -> dict[str, Any]:
        """What a manifest says of it; `remember` reads it."""
        about = {name: getattr(self, name) for name in DESCRIBED}
        return about | dict(self.source)


DESCRIBED = {
    "label": str,
    "unit": str,
    "higher_is_better": bool,
    "digits": int,
    "full_reference": bool,
}
"""The attributes in a metric's entry of a manifest, and their types."""


BUILT_IN = (
    Metric("psnr", "PSNR", "dB", True, 2, psnr),
    Metric("ssim", "SSIM", "", True, 4, ssim),
    Metric("lpips", "LPIPS", "", False, 4, lpips),
    Metric("lpips_bgr", "LPIPS (BGR)", "", False, 4, lpips_bgr),
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


_described: dict[str, Metric] = {}


def remember(entries: object) -> None:
    """Let `METRICS` know the labels, units and directions of the metrics of a run.

    They may be of a package that is not installed here; their values cannot be computed then.

    Args:
        entries: of its manifest, by name; see `Metric.entry`. Anything else is ignored.
    """
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        if isinstance(entry, Mapping) and all(
            isinstance(entry.get(part), kind) for part, kind in DESCRIBED.items()
        ):
            about = {part: entry[part] for part in DESCRIBED}
            _described[str(name)] = Metric(name=str(name), function=_absent, **about)


def _absent(*images: Tensor) -> Tensor:
    """In place of a metric's function, where only its values are known."""
    raise BadInput(f"{len(images)} images: this metric is known from a run only")


class _Metrics(Mapping[str, Metric]):
    """`metrics()` and what was remembered; entry points are loaded when it is first read."""

    def __getitem__(self, name: str) -> Metric:
        return metrics()[name] if name in metrics() else _described[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**metrics(), **_described})

    def __len__(self) -> int:
        return len({**metrics(), **_described})


METRICS: Mapping[str, Metric] = _Metrics()
"""Every metric by name: `metrics()`, and those of runs that were read (`remember`).

>>> METRICS["psnr"].higher_is_better, METRICS["psnr"].unit
(True, 'dB')
"""
