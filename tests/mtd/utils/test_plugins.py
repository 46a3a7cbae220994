"""Noises and metrics of other packages: entry points of the groups `mtd.noises`, `mtd.metrics`."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import torch

from analysis.text import noise_labels
from analysis.text.noise_names import noise_label
from mtd.metrics import METRICS, Metric, metrics
from mtd.metrics import registry as metric_registry
from mtd.noise import Noise, kinds, parse
from mtd.noise import specs as noise_specs
from mtd.noise.base import Levelled
from mtd.utils import plugins
from mtd.utils.errors import BadInput

Install = Callable[..., None]


@dataclass(frozen=True)
class Stripes(Levelled):
    """Every second row is brighter."""

    name = "stripes"
    meaning = "height of the stripes"
    level_unit = "height"
    level_falls = True

    def sample(self, clean, generator):
        noisy = clean.clone()
        noisy[..., ::2, :] += self.level
        return noisy


def mae(output, target):
    return (output.double() - target.double()).abs().mean((1, 2, 3))


MAE = Metric("mae", "mean absolute error", "of white", False, 3, mae)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes it look as if another package had an entry point."""
    kinds.cache_clear()
    metrics.cache_clear()

    def install(group: str, value: Any, attribute: str = "ENTRY") -> None:
        module = types.ModuleType("theirs")
        module.ENTRY = value  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "theirs", module)
        point = EntryPoint("toy", f"theirs:{attribute}", group)
        monkeypatch.setattr(plugins, "of_group", lambda group: [point] * (group == point.group))
        kinds.cache_clear()
        metrics.cache_clear()

    yield install
    kinds.cache_clear()
    metrics.cache_clear()


def test_a_noise_of_another_package(installed: Install) -> None:
    installed(noise_specs.GROUP, Stripes)
    noise = parse("stripes:0.25")
    assert noise == Stripes(0.25) and noise.spec == "stripes:0.25"
    clean, stream = torch.zeros(1, 3, 4, 4), torch.Generator()
    assert noise(clean, generator=stream, quantize=False)[0, 0, :, 0].tolist() == [0.25, 0, 0.25, 0]
    assert list(kinds()) == [kind.name for kind in (*noise_specs.BUILT_IN, Stripes)]
    with pytest.raises(BadInput, match="did you mean stripes"):
        parse("stripe:1")
    labels = noise_labels
    assert labels.kind_label("stripes") == "stripes" and labels.level_unit("stripes") == "height"
    assert noise_label("stripes:0.25@1") == "stripes, height 0.25 (another draw)"
    assert labels.level_falls("stripes") and not labels.level_falls("gaussian")


def test_facts_of_noises() -> None:
    assert {kind.name: (kind.label, kind.level_unit) for kind in noise_specs.BUILT_IN} == {
        "gaussian": ("Gaussian", "σ (8-bit levels)"),
        "spatial": ("spatially correlated Gaussian", "σ before the 3 × 3 mean (8-bit levels)"),
        "speckle": ("speckle", "variance"),
        "poisson": ("Poisson", "α"),
        "mixture": ("mixture", "level"),
        "salt_pepper": ("salt and pepper", "density"),
        "isp": ("camera pipeline (isp)", "level"),
    }
    assert not any(kind.level_falls for kind in noise_specs.BUILT_IN)
    assert [kind.name for kind in noise_specs.BUILT_IN if kind.note] == ["mixture"]
    assert noise_labels.kind_label("monte_carlo") == "Monte Carlo rendering"
    assert noise_labels.level_falls("monte_carlo")
    assert noise_labels.kind_label("polyu") == "polyu"
    assert noise_labels.level_unit("polyu") == "level"


class Nameless(Noise):
    """A noise that is not complete."""


class Named:
    """No noise, although it has a name."""

    name = "named"


@pytest.mark.parametrize("value", [3, Stripes(1), Nameless, Named, Levelled, str])
def test_noises_that_cannot_be_used(installed: Install, value: Any) -> None:
    installed(noise_specs.GROUP, value)
    with pytest.raises(BadInput, match=r"entry point toy \(theirs:ENTRY\): not a concrete sub"):
        kinds()


def test_other_packages_are_imported_only_where_no_noise_of_this_one_has_the_name(
    installed: Install,
) -> None:
    installed(noise_specs.GROUP, Stripes, "absent")
    assert parse("gaussian:15").level == 15 and parse("gaussian:=poisson:3").name == "gaussian"
    with pytest.raises(BadInput, match=r"entry point toy \(theirs:absent\): module"):
        parse("stripes:15")


def test_noises_that_are_absent_or_take_a_name(installed: Install) -> None:
    installed(noise_specs.GROUP, Stripes, "absent")
    with pytest.raises(BadInput, match=r"entry point toy \(theirs:absent\): module"):
        kinds()
    installed(noise_specs.GROUP, type("Theirs", (Stripes,), {"name": "poisson"}))
    with pytest.raises(BadInput, match="two kinds of noise are named poisson"):
        kinds()


def test_a_name_that_no_specification_could_hold(installed: Install) -> None:
    installed(noise_specs.GROUP, type("Theirs", (Stripes,), {"name": "a:b"}))
    with pytest.raises(BadInput, match="not a concrete subclass"):
        kinds()


def test_a_metric_of_another_package(installed: Install) -> None:
    own = ["psnr", "ssim", "lpips", "lpips_bgr"]
    assert list(METRICS) == own
    installed(metric_registry.GROUP, MAE)
    assert list(METRICS) == [*own, "mae"] and len(METRICS) == 5
    metric = METRICS["mae"]
    assert (metric.label, metric.unit, metric.higher_is_better) == (MAE.label, "of white", False)
    values = metric.function(torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5))
    assert values.dtype == torch.float64 and values.tolist() == [0.5, 0.5]


def test_metrics_that_cannot_be_used(installed: Install) -> None:
    installed(metric_registry.GROUP, mae)
    with pytest.raises(BadInput, match=r"entry point toy \(theirs:ENTRY\): not a Metric"):
        METRICS["psnr"]
    installed(metric_registry.GROUP, replace(MAE, name="ssim"))
    with pytest.raises(BadInput, match="two metrics are named ssim"):
        list(METRICS)
