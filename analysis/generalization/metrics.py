"""The metrics of a benchmark: which are computed, and why others are not run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from analysis.text.markdown import code, escaped, plain
from mtd.metrics import METRICS, pyiqa_metrics, registry
from mtd.metrics.lpips import LPIPS, NAMES, SMALLEST
from mtd.metrics.lpips_backbone import NoBackbone
from mtd.metrics.psnr_ssim import WINDOW
from mtd.metrics.pyiqa_metrics import PREFIX, NotRun
from mtd.metrics.registry import Metric
from mtd.utils.errors import BadInput, nearest
from mtd.utils.messages import plural, waiting

if TYPE_CHECKING:
    import pandas as pd

    from mtd.data.crops import Crop
    from mtd.utils.distributed import Ranks

Manifest = Mapping[str, Any]

OWN = ("psnr", "ssim", *NAMES.values())
"""The metrics that have a place of their own in the observer."""

LEFT_OUT = "not run: left out by --no-lpips"
NO_BACKBONE = "not run: backbone missing"
"""What is said of LPIPS where it is absent."""

EARLIER = {"not run: left out (--no-lpips)": LEFT_OUT}
"""Reasons as manifests of earlier runs have them."""

REMEDIES = {NO_BACKBONE: ("mtd zoo get lpips/alexnet", "--lpips-weights FILE")}
"""What to do about a reason: a command, or an option."""


@dataclass(frozen=True)
class Chosen:
    """The metrics of a run beside PSNR and SSIM.

    Attributes:
        perceptual: LPIPS, or None.
        further: those of other packages.
        not_run: by name why a metric that was wanted, or LPIPS, is not computed.
        backbone: what can be done where the backbone of LPIPS is missing.
    """

    perceptual: LPIPS | None = None
    further: tuple[Metric, ...] = ()
    not_run: Mapping[str, str] = field(default_factory=lambda: {"lpips": LEFT_OUT})
    backbone: str = ""

    @property
    def lpips(self) -> str | None:
        """The digest of LPIPS' backbone."""
        return self.perceptual.sha256 if self.perceptual else None

    @property
    def messages(self) -> list[str]:
        """Why metrics that were wanted are not computed."""
        others = [n for n in self.not_run if n not in NAMES.values()]
        own = [f"{label(name)} {self.not_run[name]}" for name in others]
        return [*filter(None, [self.backbone]), *own]

    def alike(self, ranks: Ranks) -> Chosen:
        """The metrics that all processes have."""
        not_run: dict[str, str] = {}
        for one in ranks.gather(dict(self.not_run)):
            not_run |= one
        perceptual = None if set(NAMES.values()) & set(not_run) else self.perceptual
        further = tuple(metric for metric in self.further if metric.name not in not_run)
        return replace(self, perceptual=perceptual, further=further, not_run=not_run)


class MetricSettings(Protocol):
    """Settings that say which metrics are computed."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of metrics beside PSNR, SSIM and LPIPS."""
        ...

    @property
    def lpips(self) -> bool:
        """Whether LPIPS is computed."""
        ...

    @property
    def lpips_weights(self) -> str | None:
        """The file of its backbone."""
        ...

    @property
    def lpips_channels(self) -> Literal["rgb", "bgr"]:
        """The order in which it is given the colors."""
        ...


def facts(metric: str) -> Metric:
    """Facts about a metric: label, unit, digits, which way is better.

    Raises:
        BadInput: no package that is installed here has it.
    """
    if metric not in METRICS:
        raise BadInput(f"metric {metric!r}: not installed here; {nearest(metric, METRICS)}")
    return METRICS[metric]


def load(settings: MetricSettings, device: str) -> Chosen:
    """LPIPS, if it is wanted, and the metrics of other packages.

    Raises:
        BadInput: an unknown name, pyiqa is not installed, or a file that is not LPIPS' backbone.
    """
    further, not_run = load_further(settings.metrics, device)
    if not settings.lpips:
        return Chosen(None, further, {"lpips": LEFT_OUT, **not_run})
    channels = settings.lpips_channels
    try:
        return Chosen(LPIPS(settings.lpips_weights, device, channels), further, not_run)
    except NoBackbone as problem:
        missing = {NAMES[channels]: NO_BACKBONE}
        return Chosen(None, further, {**missing, **not_run}, str(problem))


def load_further(names: Sequence[str], device: str) -> tuple[tuple[Metric, ...], dict[str, str]]:
    """The metrics beside PSNR, SSIM and LPIPS: those of other packages, which are always computed,
    then those of pyiqa that are named.

    Args:
        names: of metrics, as of `--metric`; that of one that is computed anyway changes nothing.
        device: of networks.

    Returns:
        The metrics, and by the names of those that cannot be computed, why.

    Raises:
        BadInput: an unknown name, or pyiqa is not installed.
    """
    asked = [name for name in dict.fromkeys(names) if name.startswith(PREFIX)]
    if asked and pyiqa_metrics.installed():
        waiting("loading pyiqa")
    for name in names:
        check(name)
    found, missing = [], {}
    for name in asked:
        try:
            found.append(pyiqa_metrics.load(name, device))
        except NotRun as problem:
            missing[name] = f"not run: {problem}"
    registry.remember({metric.name: metric.entry for metric in found})
    installed = [metric for name, metric in registry.metrics().items() if name not in OWN]
    return (*installed, *found), missing


def check(name: str) -> None:
    """Check the name of a metric.

    Raises:
        BadInput: there is none of that name here.
    """
    if name.startswith(PREFIX):
        return pyiqa_metrics.check(name)
    if name in registry.metrics():
        return None
    if not pyiqa_metrics.installed():
        raise BadInput(
            f"metric {name!r}: no metric of that name (those of pyiqa begin with {PREFIX}); "
            f"{nearest(name, registry.metrics())}"
        )
    if name in pyiqa_metrics.names():
        raise BadInput(f"metric {name!r}: did you mean {PREFIX}{name}?")
    known = [*registry.metrics(), *(f"{PREFIX}{own}" for own in pyiqa_metrics.names())]
    raise BadInput(f"metric {name!r}: {nearest(name, known)}")


def entries(chosen: Chosen, sizes: Sequence[tuple[int, int]], border: int) -> dict[str, Any]:
    """The entries of a manifest: `metrics`, those beside the usual ones, and `not_run`, the reasons
    for those that are absent, by name.

    Args:
        chosen: the metrics of the run.
        sizes: (height, width) of every crop.
        border: pixels left out at every side for PSNR and SSIM.
    """
    not_run = {"ssim": too_small(sizes, WINDOW + 2 * border)}
    if chosen.perceptual:
        not_run[chosen.perceptual.name] = too_small(sizes, SMALLEST)
    not_run |= chosen.not_run
    return entries_of_further(chosen.further, not_run, sizes)


def entries_of_further(
    further: Sequence[Metric], not_run: Mapping[str, str], sizes: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """As `entries`, of further metrics alone.

    Args:
        further: those of the run.
        not_run: why others are not in it; an empty reason does not count.
        sizes: (height, width) of every crop.
    """
    reasons = {name: reason for name, reason in not_run.items() if reason}
    for metric in further:
        why = {size: metric.refuses(*size) for size in dict.fromkeys(sizes)}
        if any(why.values()):
            each = ", ".join(dict.fromkeys(filter(None, why.values())))
            reasons[metric.name] = without(sum(bool(why[size]) for size in sizes), sizes, each)
    about = {metric.name: metric.entry for metric in further}
    return ({"metrics": about} if about else {}) | ({"not_run": reasons} if reasons else {})


def sizes_of(crops: Sequence[Crop]) -> list[tuple[int, int]]:
    """(height, width) of crops."""
    return [(crop.pixels.shape[0], crop.pixels.shape[1]) for crop in crops]


def table(further: Sequence[Metric]) -> dict[str, pd.DataFrame]:
    """`metrics.csv`, a row for each metric beside the usual ones; none without any.

    Args:
        further: those of the run.
    """
    import pandas as pd

    if not further:
        return {}
    rows = [{"metric": metric.name, **metric.entry} for metric in further]
    frame = pd.DataFrame(rows)
    if "settings" in frame:
        frame["settings"] = [json.dumps(row.get("settings", {})) for row in rows]
    return {"metrics.csv": frame}


def too_small(sizes: Sequence[tuple[int, int]], side: int) -> str:
    """That some or all images are smaller than a side; empty if none is."""
    count = sum(min(size) < side for size in sizes)
    return without(count, sizes, f"images under {side} x {side}") if count else ""


def without(count: int, sizes: Sequence[tuple[int, int]], why: str) -> str:
    """That a metric was not run on some or all images."""
    if count == len(sizes):
        return f"not run: {why}"
    return f"not run on {count} of {plural(len(sizes), 'image')}: {why}"


def not_run(manifest: Manifest) -> dict[str, str]:
    """By name why a metric was not run; from a benchmark's manifest."""
    given = dict(manifest.get("not_run", {}))
    said = not given.keys().isdisjoint(NAMES.values())
    if not said and "lpips_requested" in manifest and not manifest.get("lpips"):
        given["lpips"] = NO_BACKBONE if manifest["lpips_requested"] else LEFT_OUT  # earlier runs
    reasons = {str(name): str(reason) for name, reason in given.items()}
    return {name: EARLIER.get(reason, reason) for name, reason in reasons.items()}


def absent(manifest: Manifest, found: Collection[str]) -> list[str]:
    """The metrics that were wanted and have no value: leaderboards keep a column for them.

    Args:
        manifest: of a benchmark.
        found: the metrics that have values.
    """
    reasons = not_run(manifest).items()
    return [name for name, reason in reasons if reason != LEFT_OUT and name not in found]


def label(name: str) -> str:
    """What a metric is called, also of one that could not be made."""
    if name in METRICS:
        return METRICS[name].label
    return pyiqa_metrics.label(name) if name.startswith(PREFIX) else name


def lines(manifest: Manifest) -> list[str]:
    """A line for each metric that was not run, with the reason, and what to do about it.

    >>> lines({"not_run": {"lpips": NO_BACKBONE}})
    ['LPIPS not run: backbone missing, see mtd zoo get lpips/alexnet or --lpips-weights FILE']
    """
    return [plain(text) for text in of_not_run(manifest)]


def of_not_run(manifest: Manifest) -> list[str]:
    """`lines` as Markdown, without a full stop."""
    text = []
    for name, reason in not_run(manifest).items():
        remedies = " or ".join(map(code, REMEDIES.get(reason, ())))
        see = f", see {remedies}" if remedies else ""
        text.append(f"{escaped(label(name))} {escaped(reason)}{see}")
    return text


def sentences(manifest: Manifest) -> list[str]:
    """What was not run and what to do about it; and what metrics without reference judge."""
    text = [f"{line}." for line in of_not_run(manifest)]
    about = manifest.get("metrics", {})
    alone = [str(entry["label"]) for entry in about.values() if not entry["full_reference"]]
    if alone:
        text.append(
            f"Metrics without reference ({', '.join(alone)}) judge the output alone, not whether "
            "it shows the clean image: an invented texture may score well, and so may a blur."
        )
    return text
