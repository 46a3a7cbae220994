"""In every section that compares models: a difference, a null and too few images, end to end.

The null is true but not trivial: the mirror image of a network on scenes that are as likely as
their mirror images has values of the same distribution, and others on every single photograph.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

import analysis
from analysis.commands.result import Result

PHOTOGRAPHS, FEW, SIDE = 24, 4, 24
TOO_FEW = "too few images to tell (at least 10 photographs)"


def scenes(count: int) -> list[np.ndarray]:
    """Random clouds, as likely as their mirror images."""
    rng = np.random.default_rng(1)
    fields = rng.normal(size=(count, SIDE, SIDE, 3))
    smooth = ndimage.gaussian_filter(fields, (0, 2, 2, 0), mode="wrap")
    return [np.clip(0.5 + 0.1 * field / field.std(), 0, 1) for field in smooth]


class Network(nn.Module):
    """A linear layer of kernels, and their mean: the second convolution is the last one."""

    def __init__(self, kernels: torch.Tensor) -> None:
        super().__init__()
        count = len(kernels)
        self.first = nn.Conv2d(3, count, 3, padding=1, bias=False)
        self.last = nn.Conv2d(count, 3, 1, bias=False)
        weight = torch.zeros(count, 3, 3, 3)
        for place, kernel in enumerate(kernels):  # of one channel each
            weight[place, place % 3] = kernel
        with torch.no_grad():
            self.first.weight.copy_(weight)
            channels = torch.arange(count) % 3 == torch.arange(3)[:, None]
            self.last.weight.copy_(3 / count * channels.float()[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x))


def kernels() -> torch.Tensor:
    """Six kernels of mean 1 that are no mirror images of themselves, three of them sharp."""
    drawn = torch.rand(6, 3, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    drawn[:, 1, 1] += 1
    drawn[:, :, 0] += 0.1
    return drawn / drawn.sum((1, 2), keepdim=True)


def networks() -> dict[str, nn.Module]:
    """A network, its mirror image, and one that blurs."""
    own = kernels()
    flat = torch.full_like(own, 1 / 9)
    return {"own": Network(own), "mirrored": Network(own.flip(-1)), "blur": Network(flat)}


COMMON: dict[str, Any] = {"crop": SIDE, "limit": PHOTOGRAPHS, "progress": False}
BESIDE: dict[str, Any] = {"noises": ["gaussian:40"], "controls": False}

SECTIONS: dict[str, tuple[Callable[..., Result], dict[str, Any]]] = {
    "srga": (analysis.srga.score_models, BESIDE),
    "distributions": (analysis.distributions.measure_distances, BESIDE),
    "degradation": (
        analysis.degradation.measure_clusters,
        {"noises": ["gaussian:15", "speckle:0.05"], "controls": False, "pool": 0}
        | {"layers": ["input:last"]},
    ),
    "sensitivity": (analysis.sensitivity.measure_sensitivity, {"noises": ["gaussian:40"]}),
    "attribution": (
        analysis.attribution.attribute,
        {"noises": ["gaussian:40"], "side": 8, "blur": 1.5, "steps": 2},
    ),
}


def differences(result: Result) -> list[str]:
    """The sentences on differences between the models."""
    return [text for text in result.sentences() if re.search("`blur` [-/] `own` is", text)]


def verdict(text: str, model: str) -> str:
    """What is said of the difference between a model and the first one."""
    (found,) = re.findall(rf"`{model}` [-/] `own` is [^\[]*\[[^\]]*\] \(([a-z ]+)\)", text)
    return str(found)


@pytest.mark.parametrize("name", SECTIONS)
def test_differences_between_models(name: str) -> None:
    function, how = SECTIONS[name]
    text = differences(function(networks(), images=scenes(PHOTOGRAPHS), **COMMON, **how))[0]
    assert (verdict(text, "blur"), verdict(text, "mirrored")) == ("shown", "no effect shown")
    few = differences(function(networks(), images=scenes(FEW), **COMMON, **how))
    assert few and all(text.endswith(f": {TOO_FEW}.") for text in few)


class Bent(Network):
    """A network whose Jacobian depends on the image: contrast is compressed."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(3 * (self.first(x) - 0.5)))


def test_linear() -> None:
    models = {"own": Bent(kernels()), "mirrored": Bent(kernels().flip(-1))}
    models["blur"] = Bent(torch.full_like(kernels(), 1 / 9))
    how = COMMON | {"noises": ["gaussian:40"], "crop": 8, "levels": "15"}
    text = differences(analysis.linear.local_map(models, images=scenes(PHOTOGRAPHS), **how))[0]
    assert (verdict(text, "blur"), verdict(text, "mirrored")) == ("shown", "no effect shown")
    few = differences(analysis.linear.local_map(models, images=scenes(FEW), **how))
    assert few and all(text.endswith(f": {TOO_FEW}.") for text in few)


def test_error() -> None:
    how: dict[str, Any] = {"noises": ["gaussian:40", "speckle:0.05"], "draws": 2}
    function = analysis.error.decompose
    text = function(networks(), images=scenes(PHOTOGRAPHS), **COMMON, **how).sentences()
    (mirrored,) = (t for t in text if t.startswith("Averaged over") and "`mirrored` - `own`" in t)
    assert mirrored.endswith(": not shown.")
    (blur,) = (t for t in text if t.startswith("Averaged over") and "`blur` - `own`" in t)
    assert "due to lost detail (shown)" in blur and "due to leaked noise (shown)" in blur
    text = function(networks(), images=scenes(FEW), **COMMON, **how).sentences()
    assert all(t.endswith(f": {TOO_FEW}.") for t in text if t.startswith("Averaged over"))


class Brighter(nn.Module):
    """Adds a constant."""

    def __init__(self, levels: float) -> None:
        super().__init__()
        self.levels = levels
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.levels / 255


def test_brightness() -> None:
    models, how = {"own": Brighter(0), "bright": Brighter(3)}, {"noises": ["gaussian:15"]}
    function = analysis.brightness.measure_brightness
    null, shown = function(models, images=scenes(PHOTOGRAPHS), **COMMON, **how).sentences()[:2]
    assert null.startswith("`own`") and "levels: not shown;" in null
    assert shown.startswith("`bright`") and "outputs are shown to be too bright, by 2.9" in shown
    for text in function(models, images=scenes(FEW), **COMMON, **how).sentences()[:2]:
        assert f"levels: {TOO_FEW}; single" in text and "shown" not in text


@pytest.mark.parametrize(
    "other, word", [("blur", "is shown to be better"), ("mirrored", "not shown")]
)
def test_generalization(other: str, word: str) -> None:
    models = {name: networks()[name] for name in ("own", other)}
    how: dict[str, Any] = COMMON | {"noises": ["gaussian:40"], "lpips": False, "references": False}
    function = analysis.generalization.benchmark
    text = " ".join(function(models, images=scenes(PHOTOGRAPHS), **how).sentences())
    assert word in text
    assert ("is shown to be better" in text) != ("not shown" in text)
    few = " ".join(function(models, images=scenes(FEW), **how).sentences())
    assert f"]: {TOO_FEW}." in few and "shown" not in few
