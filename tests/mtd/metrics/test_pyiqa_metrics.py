"""The seam to pyiqa, on a package in its place: what metrics are given, what is known of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mtd.metrics import pyiqa_metrics
from mtd.metrics.pyiqa_metrics import NotRun, load
from mtd.utils.errors import BadInput
from tests.helpers import fake_pyiqa
from tests.helpers.fake_pyiqa import in_place_of_pyiqa


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with in_place_of_pyiqa(tmp_path, monkeypatch) as module:
        yield module


def drawn(channels: int = 3, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    clean = torch.rand(3, channels, side, side, generator=stream)
    return clean + 0.3 * torch.randn(clean.shape, generator=stream), clean


def eight_bits(image: torch.Tensor) -> np.ndarray:
    return np.round(np.clip(image.double().numpy(), 0, 1) * 255) / 255


def states() -> tuple[object, ...]:
    """Of the global random number generators."""
    numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), numpy, torch.get_rng_state().tolist()


def test_a_metric_is_given_8_bit_images_and_gives_a_value_of_each(fake):
    output, clean = drawn()
    metric = load("pyiqa:mae")
    fake.SEEN.clear()
    found = metric.function(output, clean)
    expected = np.abs(eight_bits(output) - eight_bits(clean)).mean((1, 2, 3))
    assert found.dtype == torch.float64 and np.allclose(found, expected, atol=1e-7)
    given, target = fake.SEEN[0]
    assert given.shape == (1, 3, 32, 32) and given.dtype == torch.float32
    assert np.abs(target.numpy()[0] - eight_bits(clean)[0]).max() < 1e-7


def test_images_may_be_clipped_without_rounding(fake):
    output, clean = drawn()
    found = load("pyiqa:mae").function(output, clean, "clip")
    expected = (output.clamp(0, 1) - clean).abs().mean((1, 2, 3))
    assert np.allclose(found, expected, atol=1e-6)
    assert (found - load("pyiqa:mae").function(output, clean)).abs().min() > 1e-6


def test_what_is_known_of_a_metric_is_what_pyiqa_says(fake):
    lower, higher, alone = (load(f"pyiqa:{n}") for n in ("mae", "likeness", "brightness"))
    assert not lower.higher_is_better and higher.higher_is_better
    assert lower.full_reference and not alone.full_reference
    assert (lower.label, lower.digits, higher.digits) == ("MAE (pyiqa)", 4, 2)
    entry = lower.entry
    assert entry["version"] == fake_pyiqa.VERSION and entry["settings"] == {
        "type": "MAE",
        "power": 1,
    }
    assert len(entry["weights"]) == 64 and entry["weights"] == higher.entry["weights"]


def test_a_metric_without_reference_is_given_the_output_alone(fake):
    output, _ = drawn()
    metric = load("pyiqa:brightness")
    fake.SEEN.clear()
    found = metric.function(output, output)
    assert all(target is None for _, target in fake.SEEN)
    assert np.allclose(found, eight_bits(output).mean((1, 2, 3)), atol=1e-6)


def test_a_grey_image_has_its_channel_three_times(fake):
    output, clean = drawn(channels=1)
    metric = load("pyiqa:mae")
    fake.SEEN.clear()
    found = metric.function(output, clean)
    assert fake.SEEN[0][0].shape == (1, 3, 32, 32)
    three = metric.function(output.expand(-1, 3, -1, -1), clean.expand(-1, 3, -1, -1))
    assert torch.equal(found, three)


def test_an_output_that_is_not_finite_has_no_value(fake):
    output, clean = drawn()
    output[1, 0, 0, 0] = torch.nan
    found = load("pyiqa:mae").function(output, clean)
    assert found.isnan().tolist() == [False, True, False]


def test_random_numbers_do_not_depend_on_the_batch_nor_change_others(fake):
    output, clean = drawn()
    metric = load("pyiqa:drawn")
    before = states()
    found = metric.function(output, clean)
    assert len(set(found.tolist())) == 1
    assert metric.function(output[1:2], clean[1:2]).item() == found[1].item()
    assert states() == before


def test_sizes_that_a_metric_cannot_take_are_refused_before_it_is_run(fake):
    large = load("pyiqa:large")
    assert large.refuses(16, 16) == "images of 16 x 16 are too small for it"
    assert large.refuses(24, 24) == ""
    assert large.refuses(8, 501) == "not enough memory for images of 8 x 501"
    assert load("pyiqa:blind").refuses(64, 64)  # the same value for every image
    assert load("pyiqa:brightness").refuses(64, 64) == ""


@pytest.mark.parametrize(
    "name, message",
    [
        ("pyiqa:maee", "did you mean mae"),
        ("pyiqa:fid", "compares sets of images"),
        ("pyiqa:", "known: blind"),
    ],
)
def test_names_that_cannot_be_used(fake, name, message):
    with pytest.raises(BadInput, match=message):
        load(name)


def test_without_weights_it_says_where_they_are(fake, capsys):
    with pytest.raises(NotRun, match=f"weights missing \\({fake_pyiqa.ADDRESS}\\)"):
        load("pyiqa:heavy")
    with pytest.raises(NotRun, match="package a_package_that_nobody_has, which pyiqa needs"):
        load("pyiqa:needy")
    assert capsys.readouterr().out == ""


def test_without_pyiqa_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(pyiqa_metrics, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"not installed; pip install .*\[iqa\]"):
        load("pyiqa:dists")
