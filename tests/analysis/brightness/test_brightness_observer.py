"""Brightness of outputs: against explicit sums in Python, numpy and scipy, and what cannot be."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor, nn

from analysis.brightness import observer as brightness_observer
from analysis.brightness import tables as brightness_tables
from analysis.brightness.observer import Brightness, BrightnessHistograms, count, fit, numbers
from analysis.engine import run as engine_run
from analysis.engine.forward import ForwardSettings
from analysis.engine.observer import Batch, View, Watch
from analysis.stats import jackknife
from analysis.text.noise_labels import NOISY
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.metrics import psnr_ssim
from mtd.networks.base import Unchanged
from mtd.noise.base import pair_keyed
from mtd.noise.specs import parse
from mtd.utils.distributed import Ranks
from tests.helpers.networks import tiny_network
from tests.helpers.thread_ranks import in_threads


def crops(number: int, side: int = 24) -> list[Crop]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (number, side, side, 3), dtype=np.uint8)
    return [Crop(f"{i}.png", 0, 0, part) for i, part in enumerate(pixels)]


MODELS: dict[str, nn.Module] = {"a": tiny_network(0), NOISY: Unchanged()}
CROPS = crops(5)
NOISES = [parse(text) for text in ("gaussian:25", "isp", "poisson:3")]


def groups(*sizes: int) -> list[Batch]:
    ends = np.cumsum((0, *sizes))
    return [Batch(i, CROPS[a:b]) for i, (a, b) in enumerate(itertools.pairwise(ends))]


def observed(*sizes: int, ranks: Ranks | None = None) -> BrightnessHistograms:
    observer, settings = BrightnessHistograms(list(MODELS)), ForwardSettings(seed=5)
    watches = [Watch(observer)]
    for _ in engine_run.run_batches(
        MODELS, NOISES, groups(*sizes), watches, settings, ranks=ranks or Ranks()
    ):
        pass
    return observer


def stored(image: Tensor) -> np.ndarray:
    """(H, W, C) 8-bit pixels of an image in [0, 1], (C, H, W), by numpy."""
    return np.rint(np.clip(image.numpy(), 0, 1) * np.float32(255)).astype(int).transpose(1, 2, 0)


def luma(pixels: np.ndarray) -> np.ndarray:
    """Brightness pixel by pixel, in Python's whole numbers, halves up."""
    flat = pixels.reshape(-1, 3).tolist()
    return np.array([(2 * (299 * r + 587 * g + 114 * b) + 1000) // 2000 for r, g, b in flat])


def histogram(levels: np.ndarray) -> np.ndarray:
    return np.histogram(levels, bins=np.arange(257) - 0.5)[0]


def by_hand(output: Tensor, target: Tensor) -> list[float]:
    """`fit` of one image, (C, H, W), by numpy's polynomials."""
    y, x = (np.clip(image.double().numpy(), 0, 1).ravel() * 255 for image in (output, target))
    slope, offset = np.polyfit(y, x, 1)
    errors = [float(np.mean((z - x) ** 2)) for z in (y, slope * y + offset)]
    return [*errors, float(slope), float(offset)]


def random(seed: int, number: int = 4, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Outputs, some of them out of range, and clean images."""
    stream = torch.Generator().manual_seed(seed)
    clean = torch.randint(0, 256, (number, channels, 12, 9), generator=stream) / 255
    noise = torch.randn(clean.shape, generator=stream)
    return 0.8 * clean + 0.15 + 0.1 * noise, clean


def test_brightness_is_bt601_of_every_grey_and_of_halves():
    greys = torch.arange(256.0).view(1, 1, 16, 16)
    assert torch.equal(brightness_observer.brightness(greys), greys[:, 0].long())
    rgb = greys.repeat(1, 3, 1, 1)
    assert torch.equal(brightness_observer.brightness(rgb), greys[:, 0].long())
    halves = [
        (r, g, b)
        for r, g, b in itertools.product(range(40), repeat=3)
        if (299 * r + 587 * g + 114 * b) % 1000 == 500
    ]
    assert halves
    levels = torch.tensor(halves, dtype=torch.float64).T.reshape(1, 3, 1, -1)
    expected = [(299 * r + 587 * g + 114 * b) // 1000 + 1 for r, g, b in halves]
    assert brightness_observer.brightness(levels).flatten().tolist() == expected
    with pytest.raises(ValueError, match="2 channels"):
        brightness_observer.brightness(torch.zeros(1, 2, 4, 4))


def test_brightness_is_nearly_that_of_pillow():
    pixels = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    levels = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    ours = brightness_observer.brightness(levels)[0].numpy()
    theirs = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
    assert abs(ours - theirs).max() <= 1 and (ours != theirs).mean() < 1e-3  # its weights are /2¹⁶
    assert np.array_equal(ours.ravel(), luma(pixels))


def test_counts_are_histograms_of_each_image():
    output, _ = random(0)
    found = count(psnr_ssim.levels(output))
    assert found.dtype == torch.int64 and found.shape == (4, 256)
    for image, counts in zip(output, found, strict=True):
        assert np.array_equal(counts, histogram(luma(stored(image))))
    grey = output[:, :1]
    for image, counts in zip(grey, count(psnr_ssim.levels(grey)), strict=True):
        assert np.array_equal(counts, histogram(stored(image)))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_match_is_the_line_of_least_squares(channels):
    output, clean = random(1, channels=channels)
    found = fit(output, clean)
    assert found.dtype == torch.float64 and found.shape == (4, 4)
    for y, x, values in zip(output, clean, found, strict=True):
        assert values.tolist() == pytest.approx(by_hand(y, x), rel=1e-9)
    assert (found[:, 1] <= found[:, 0]).all()
    inside = output.clamp(0, 1)
    plain = psnr_ssim.psnr(inside, clean, quantize=False)
    assert brightness_tables.psnr(found[:, 0].numpy()) == pytest.approx(plain.numpy(), rel=1e-9)
    with pytest.raises(ValueError, match="of shapes"):
        fit(output, clean[:1])


def test_numbers_are_those_of_scipy():
    output, clean = random(2)
    counts = [count(psnr_ssim.levels(image)).numpy() for image in (output, clean)]
    found = np.stack(numbers(*counts), 1)
    whole = numbers(*(side.sum(0) for side in counts))
    places = np.arange(256)
    sides = [*zip(*counts, strict=True), [side.sum(0) for side in counts]]
    for values, (p, q) in zip([*found, np.array(whole)], sides, strict=True):
        x, y = (np.repeat(places, side) for side in (p, q))
        assert values[0] == pytest.approx(x.mean() - y.mean(), rel=1e-12)
        distance = stats.wasserstein_distance(places, places, p, q)
        assert values[1] == pytest.approx(distance, rel=1e-9) and values[1] >= abs(values[0])
        total = sum(max(0, a / p.sum() - b / q.sum()) for a, b in zip(p, q, strict=True))
        assert values[2] == pytest.approx(total, rel=1e-9)


def test_an_image_that_is_lighter_by_ten_levels():
    clean = torch.arange(20, 220).view(1, 1, 10, 20).repeat(1, 3, 1, 1) / 255
    counts = [count(psnr_ssim.levels(image))[0].numpy() for image in (clean + 10 / 255, clean)]
    assert numbers(*counts) == pytest.approx((10, 10, 10 / 200))
    error, matched, slope, offset = fit(clean + 10 / 255, clean)[0].tolist()
    assert error == pytest.approx(100, rel=1e-5) and matched < 1e-8
    assert slope == pytest.approx(1, abs=1e-6) and offset == pytest.approx(-10, abs=1e-4)


def test_a_constant_output_is_matched_by_the_mean():
    _, clean = random(3, number=1)
    error, matched, slope, offset = fit(torch.full_like(clean, 0.3), clean)[0].tolist()
    x = clean.double().numpy() * 255
    assert slope == 0 and offset == pytest.approx(x.mean(), rel=1e-12)
    assert matched == pytest.approx(x.var(), rel=1e-12)
    assert error == pytest.approx(np.square(x - 0.3 * 255).mean(), rel=1e-6)


def test_equal_images_have_no_limit_and_nothing_to_gain():
    _, clean = random(4)
    found = fit(clean, clean)
    assert found.tolist() == 4 * [[0, 0, 1, 0]]
    counts = count(psnr_ssim.levels(clean)).numpy()
    assert not np.any(numbers(counts, counts))
    assert np.isposinf(brightness_tables.psnr(found[:, 0].numpy())).all()
    nothing, some = np.zeros(2), np.array([4.0, 1.0])
    assert brightness_tables.matching(nothing, nothing) == 0
    assert brightness_tables.matching(some, some / 10) == pytest.approx(10)
    assert brightness_tables.matching(np.array([0, 10.0]), np.array([0, 1.0])) == pytest.approx(5)
    # an image that becomes the clean one is left out, unless there is no other
    assert brightness_tables.matching(some, np.array([0, 0.1])) == pytest.approx(10)
    assert brightness_tables.matching(some, nothing) == math.inf
    assert math.isnan(brightness_tables.matching(np.array([math.nan, 1]), some))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_not_finite_is_said(bad):
    output, clean = random(5)
    output[1, 0, 3, 3] = bad
    counts = [count(psnr_ssim.levels(image)).numpy() for image in (output, clean)]
    assert counts[0].sum(1).tolist() == [108, 107, 108, 108]
    found = np.stack(numbers(*counts), 1)
    assert np.isnan(found[1]).all() and np.isfinite(found[[0, 2, 3]]).all()
    fitted = fit(output, clean)
    assert fitted[1].isnan().all() and fitted[[0, 2, 3]].isfinite().all()
    row = brightness_tables.row([Brightness(*counts, fitted.numpy())], np.arange(4))
    assert all(math.isnan(value) for value in row.values())


def test_intervals_leave_out_photographs():
    output, clean = random(6, number=7)
    counts = [count(psnr_ssim.levels(image)).numpy() for image in (output, clean)]
    held, draws = Brightness(*counts, fit(output, clean).numpy()), np.array([0, 0, 1, 2, 2, 2, 3])
    row = brightness_tables.row([held], draws)
    without = []
    for draw in range(4):
        p, q = (side[draws != draw].sum(0) for side in counts)
        places = np.arange(256)
        shift = np.average(places, weights=p) - np.average(places, weights=q)
        without.append([shift, stats.wasserstein_distance(places, places, p, q)])
    value = np.array([row["shift"], row["distance"]])
    low, high = jackknife.interval(value, np.array(without))
    assert [row["shift_low"], row["distance_low"]] == pytest.approx(low.tolist(), rel=1e-9)
    assert [row["shift_high"], row["distance_high"]] == pytest.approx(high.tolist(), rel=1e-9)
    assert row["matching"] == pytest.approx(row["psnr_matched"] - row["psnr"], rel=1e-12)
    few = brightness_tables.row([held], np.array([0, 0, 0, 1, 1, 1, 1]))
    assert math.isnan(few["shift_low"]) and few["shift"] == row["shift"]


def test_what_is_kept_is_of_outputs_and_targets():
    found = observed(3, 2).compute()
    assert list(found) == [View(model, noise.spec) for noise in NOISES for model in MODELS]
    clean = data_crops.to_tensor([crop.pixels for crop in CROPS])
    keys = [crop.digest for crop in CROPS]
    for noise in NOISES:
        noisy, target = pair_keyed(noise, clean, keys, seed=5)
        view = found[View(NOISY, noise.spec)]
        for i in range(5):
            assert np.array_equal(view.output[i], histogram(luma(stored(noisy[i]))))
            assert np.array_equal(view.clean[i], histogram(luma(stored(target[i]))))
            assert view.fit[i] == pytest.approx(by_hand(noisy[i], target[i]), rel=1e-9)
        with torch.no_grad():
            output = MODELS["a"](noisy, keys)
        view = found[View("a", noise.spec)]
        for i in range(5):
            assert view.fit[i] == pytest.approx(by_hand(output[i], target[i]), rel=1e-4)
    # isp changes the right answer too
    changed, same = found[View(NOISY, "isp")].clean, found[View(NOISY, "gaussian:25")].clean
    assert not np.array_equal(changed, same)


def test_neither_batches_nor_parts_decide_anything():
    whole = observed(5).compute()
    for view, held in observed(1, 3, 1).compute().items():
        assert np.array_equal(held.clean, whole[view].clean)
        moved = np.abs(held.output - whole[view].output).sum(1)
        assert (moved <= 4).all()  # a rounding at a half may differ
        assert held.fit == pytest.approx(whole[view].fit, rel=1e-4)
    one = observed(1, 3, 1).compute()
    # one after the other, since they share the networks
    parts = [observed(1, 3, 1, ranks=Ranks(rank, 2)) for rank in range(2)]
    assert [sorted(part.activations) for part in parts] == [[0, 2], [1]]
    for result in in_threads(lambda ranks: engine_run.compute_result(parts[ranks.rank], ranks)):
        assert list(result) == list(one)
        for view, brightness in result.items():
            for side, other in zip(brightness, one[view], strict=True):
                assert np.array_equal(side, other)


def test_an_observer_of_nothing_finds_nothing():
    assert BrightnessHistograms([]).compute() == {}
