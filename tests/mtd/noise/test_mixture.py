"""The mixture: its law on grey, its levels, and its strength on photographs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import mixture
from mtd.noise.mixture import LEVELS, Mixture
from mtd.noise.specs import parse
from mtd.utils.errors import BadInput
from tests.helpers.noises import add_keyed
from tests.helpers.paths import data_folder

KINDS = ("speckle", "poisson", "spatial", "gaussian", "salt_pepper")


def variances(level: int, grey: float) -> np.ndarray:
    """What each of the first four components adds to the variance on a constant grey."""
    v, alpha, s, sigma, _ = (component.level for component in LEVELS[level])
    return np.array(
        [grey**2 * v, alpha**2 * grey / 256, (s / 3 / 255) ** 2, (sigma / 255) ** 2], np.float64
    )


def law(level: int, grey: float) -> tuple[float, float]:
    """Mean and variance inside a constant image, before clipping."""
    density = LEVELS[level][-1].level
    before = variances(level, grey).sum()
    mean = grey * (1 - density) + density / 2
    return mean, (1 - density) * (before + grey**2) + density / 2 - mean**2


@pytest.mark.parametrize("grey", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("level", sorted(LEVELS))
def test_mean_and_variance_are_those_of_the_components_together(level, grey):
    clean = torch.full((1, 3, 384, 384), grey, dtype=torch.float64)
    stream = torch.Generator().manual_seed(1)
    noisy = parse(f"mixture:{level}")(clean, generator=stream, quantize=False)
    inside = noisy[..., 1:-1, 1:-1].numpy()
    mean, variance = law(level, grey)
    # five standard errors; the spatial part counts as if it had its variance before the mean
    spread = variance + 8 * variances(level, grey)[2]
    assert abs(inside.mean() - mean) < 5 * math.sqrt(spread / inside.size)
    fourth = ((inside - mean) ** 4).mean()
    correlated = (19 / 9) ** 2 * variances(level, grey)[2] ** 2 * 2
    error = math.sqrt((fourth - variance**2 + correlated) / inside.size)
    assert abs(inside.var() - variance) < 5 * error
    assert error < 0.02 * variance  # else the test would say little


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_every_component_is_there_and_none_is_most_of_it(level):
    assert tuple(component.name for component in Mixture(level).components) == KINDS
    for grey in (0.25, 0.5, 0.75):
        density = LEVELS[level][-1].level
        impulses = density / 2 * (grey**2 + (1 - grey) ** 2)
        parts = np.append(variances(level, grey), impulses)
        shares = parts / parts.sum()
        assert shares.min() > 0.04 and shares.max() < 0.5


def test_every_component_grows_with_the_level():
    table = np.array([[component.level for component in LEVELS[n]] for n in sorted(LEVELS)])
    assert sorted(LEVELS) == [1, 2, 3, 4, 5]
    assert (np.diff(table, axis=0) > 0).all()


def test_levels_are_multiples_of_the_first():
    first = np.array([component.level for component in LEVELS[1]])
    assert first.tolist() == [0.01, 1, 20, 8, 0.005]
    for n, components in LEVELS.items():
        alpha, others = (n + 3) / 4, (n + 1) / 2
        expected = first * [others, alpha, others, others, others]
        found = [component.level for component in components]
        assert found == pytest.approx(list(expected), rel=1e-12)


def test_components_are_neither_clipped_nor_rounded_one_by_one():
    clean = torch.full((1, 3, 64, 64), 0.95, dtype=torch.float64)
    made = parse("mixture:5")
    raw = made(clean, generator=torch.Generator().manual_seed(2), quantize=False)
    assert raw.max() > 1.1
    once = made(clean, generator=torch.Generator().manual_seed(2))
    assert torch.equal(once, (raw.clamp(0, 1) * 255).round() / 255)


@pytest.mark.parametrize("level", ["0", "6", "1.5", "-1", "nan", "inf"])
def test_levels_are_whole_numbers_from_1_to_5(level):
    with pytest.raises(BadInput, match="level must be 1, 2, 3, 4 or 5"):
        parse(f"mixture:{level}")


@pytest.mark.parametrize("spec", ["mixture", "mixture:x", "mixture:"])
def test_a_mixture_needs_a_level(spec):
    with pytest.raises(BadInput, match="expected mixture:LEVEL, LEVEL being the level, 1 to 5"):
        parse(spec)


def test_it_says_whose_it_is():
    assert "own preset" in mixture.OURS and "paper" in mixture.OURS


def test_levels_are_in_order_on_the_bundled_photographs():
    crop = data_crops.crops(photographs.photographs(), 128, 1)[0]
    clean = data_crops.to_tensor([crop.pixels])
    noisy = [add_keyed(parse(f"mixture:{n}"), clean, [crop.digest]) for n in sorted(LEVELS)]
    errors = [float((each - clean).square().mean()) for each in noisy]
    assert errors == sorted(errors)


@pytest.mark.slow
def test_noisy_psnr_on_kodak24_is_the_one_stated():
    """The table of `Mixture`; the exact noise depends on torch's generator, the level hardly."""
    stated = {1: 21.73, 2: 19.49, 3: 17.81, 4: 16.46, 5: 15.35}
    crops = data_crops.whole(photographs.photographs(data_folder("kodak24")))
    for level, expected in stated.items():
        values = []
        for crop in crops:
            clean = data_crops.to_tensor([crop.pixels])
            noisy = add_keyed(parse(f"mixture:{level}"), clean, [crop.digest])
            values.append(-10 * math.log10(float((noisy - clean).square().mean())))
        assert abs(np.mean(values) - expected) < 0.02
