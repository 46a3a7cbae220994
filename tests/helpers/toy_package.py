"""A package that adds a noise, a metric, a network and an analysis, installed by pip."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

NETWORK = '''
from dataclasses import dataclass

import torch
from torch import nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.config import Config
from mtd.noise import Noise


@dataclass(frozen=True)
class Shift(Noise):
    """Every pixel brighter by a number of 8-bit levels."""

    level: float
    name = "toy_shift"
    label = "toy shift"
    level_unit = "8-bit levels"

    @classmethod
    def from_parts(cls, spec, level, options):
        return cls(float(level))

    @property
    def spec(self):
        return f"toy_shift:{self.level:g}"

    def sample(self, clean, generator):
        return clean + self.level / 255


@dataclass(frozen=True)
class ToyConfig(Config):
    features: int = 8


class ToyNet(Denoiser):
    def __init__(self, config=None):
        super().__init__()
        self.config = config or ToyConfig()
        self.toy_body = nn.Conv2d(self.config.in_chans, self.config.in_chans, 3, padding=1)

    def restore(self, x, keys=None, **more):
        return x - 0.1 * self.toy_body(x)


def detect(weights):
    return ToyConfig() if set(weights) == {"toy_body.weight", "toy_body.bias"} else None


ARCHITECTURE = Architecture(
    "ToyNet", "toy_body.weight", ToyConfig, ToyNet, detect, ("toy_body.weight",), "a toy"
)
'''

CODE = '''
from dataclasses import dataclass

from analysis import Analysis, Settings
from analysis.commands.index import Index, index_values


@dataclass(frozen=True, kw_only=True)
class ToySettings(Settings):
    """Settings of the toy analysis."""


def observer(inputs, settings, batches):
    from toy_observer import MeanOutput

    return MeanOutput(list(inputs.models))


def tables(means, job):
    import pandas as pd

    rows = [{"model": v.model, "noise": v.noise, "mean": m} for v, m in means.items()]
    return {"toy.csv": pd.DataFrame(rows)}


def figures(frames, manifest):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(frames["toy"]["mean"])
    return {"toy": figure}


def sentences(frames, manifest):
    return [f"The mean output is {frames['toy']['mean'].mean():.3f}."]


def unseen_means(frame, reference, trained):
    return index_values(frame[~frame.noise.isin([reference, *trained])], "mean")


ANALYSIS = Analysis(
    name="toy",
    title="Toy means",
    description="Mean of the outputs.",
    examples="  mtd toy baseline.pth\\n",
    settings=ToySettings,
    observer=observer,
    tables=tables,
    figures=figures,
    sentences=sentences,
    keys={"toy": ("model", "noise")},
    report_crops=4,
    index=Index("toy_mean", "mean of the output", "toy mean", "toy", unseen_means),
    package="toy_package",
)
'''

OBSERVER = '''
from analysis.engine.collecting_observer import Collector
from analysis.engine.observer import OUTPUT


class MeanOutput(Collector):
    """Keeps the mean of every output."""

    name = "toy"

    def __init__(self, models):
        super().__init__({model: [OUTPUT] for model in models})

    def extract(self, layer, value, batch):
        return {"mean": value.mean((1, 2, 3)).clone()}

    def result(self, cached, ranks=None):
        return {
            view: float(sum(c.tensors()["mean"].sum() for c in parts))
            / sum(len(c.tensors()["mean"]) for c in parts)
            for view, parts in cached.items()
        }
'''

METRIC = '''
from mtd.metrics.registry import Metric


def largest_error(output, target):
    """The largest absolute difference, (B,)."""
    return (output.double() - target.double()).abs().amax((1, 2, 3))


METRIC = Metric("toy_error", "toy error", "", False, 3, largest_error)
'''

ENTRY_POINTS = """\
[mtd.noises]
toy_shift = toy_network:Shift
[mtd.metrics]
toy_error = toy_metric:METRIC
[mtd.models]
toy = toy_network:ARCHITECTURE
[mtd.analyses]
toy = toy_package:ANALYSIS
"""

METADATA = "Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def install(folder: Path) -> Path:
    """Build a wheel of the package, and install it with pip into a folder for PYTHONPATH."""
    info = "toy_package-1.0.dist-info"
    files = {
        "toy_network.py": NETWORK,
        "toy_package.py": CODE,
        "toy_observer.py": OBSERVER,
        "toy_metric.py": METRIC,
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    wheel = folder / "toy_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(name, text)
    target = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True)
    return target
