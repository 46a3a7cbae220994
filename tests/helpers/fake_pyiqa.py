"""A package in the place of pyiqa, with metrics of known values and known failures."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

VERSION = "9.8.7"

ADDRESS = "https://example.org/weights/heavy.pth"

CONFIGS = """
DEFAULT_CONFIGS = {
    "mae": {"metric_opts": {"type": "MAE", "power": 1}, "metric_mode": "FR", "lower_better": True,
            "score_range": "0, 1"},
    "likeness": {"metric_opts": {"type": "Likeness"}, "metric_mode": "FR", "score_range": "0, 100"},
    "brightness": {"metric_opts": {"type": "Brightness"}, "metric_mode": "NR"},
    "drawn": {"metric_opts": {"type": "Drawn"}, "metric_mode": "NR", "lower_better": True},
    "large": {"metric_opts": {"type": "Large"}, "metric_mode": "FR"},
    "blind": {"metric_opts": {"type": "Blind"}, "metric_mode": "FR"},
    "heavy": {"metric_opts": {"type": "Heavy"}, "metric_mode": "FR"},
    "needy": {"metric_opts": {"type": "Needy"}, "metric_mode": "NR"},
    "fid": {"metric_opts": {"type": "FID"}, "metric_mode": "NR"},
}
"""

PACKAGE = f"""
import urllib.error

import numpy as np
import torch

from pyiqa.default_model_configs import DEFAULT_CONFIGS

SEEN = []  # images that metrics were given


def list_models():
    return sorted(DEFAULT_CONFIGS)


class Model(torch.nn.Module):
    def __init__(self, name, device):
        super().__init__()
        config = DEFAULT_CONFIGS[name]
        self.name, self.device = name, device
        self.lower_better = config.get("lower_better", False)
        self.metric_mode = config["metric_mode"]
        self.score_range = config.get("score_range")
        self.scale = torch.nn.Parameter(torch.ones(2))

    def forward(self, output, target=None):
        assert (target is None) == (self.metric_mode == "NR")
        SEEN.append((output, target))
        if self.name == "brightness":
            return output.mean()[None]
        if self.name == "drawn":
            return torch.tensor([np.random.rand()]) + torch.rand(1)
        if self.name == "large" and output.shape[-1] < 24:
            raise RuntimeError("Calculated padded input size: kernel size can't be greater")
        if self.name == "large" and output.shape[-1] > 500:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        if self.name == "blind":
            return torch.zeros(1)
        error = (output - target).abs().mean()[None]
        return error if self.lower_better else 100 - 100 * error


def create_metric(name, device=None):
    if name == "heavy":
        print('Downloading: "{ADDRESS}" to somewhere')
        raise urllib.error.URLError("Name or service not known")
    if name == "needy":
        import a_package_that_nobody_has
    return Model(name, device)
"""


def install(folder: Path) -> Path:
    """Write the package with its metadata, and return the folder, for `PYTHONPATH`."""
    package, info = folder / "pyiqa", folder / f"pyiqa-{VERSION}.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "default_model_configs.py").write_text(CONFIGS)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pyiqa\nVersion: {VERSION}\n")
    return folder


@contextmanager
def in_place_of_pyiqa(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package imported in this process, in the place of pyiqa if that is installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyiqa"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(install(folder / "fake")))
    yield importlib.import_module("pyiqa")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyiqa"]:
        del sys.modules[name]
