"""Histograms on the fixed grid against the full samples they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import jensenshannon

import mtd
from analysis.distributions import observer as distributions_observer
from analysis.distributions.observer import FeatureHistograms
from analysis.distributions.tables import numbers
from analysis.engine.hooks import Activations
from analysis.engine.observer import View, Watch
from analysis.engine.run import batches, compute_result, run_batches
from analysis.stats import histograms
from analysis.stats.generalized_gaussian import fit_ggd
from analysis.stats.histograms import (
    BINS,
    bins_of,
    count,
    edges,
    jensen_shannon,
    pooled,
    shares,
    wasserstein,
)
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.distributed import Ranks
from mtd.utils.errors import BadInput
from tests.helpers.divergences import direct_js
from tests.helpers.thread_ranks import in_threads


def made(*images):
    values = [torch.as_tensor(np.asarray(image, dtype=np.float64)) for image in images]
    parts = [count(value[None]) for value in values]
    return pooled(*(torch.cat(side) for side in zip(*parts, strict=True)))


SAMPLES = {
    "shifted": lambda r: (r.normal(size=20000), 0.1 + 1.1 * r.normal(size=20000)),
    "tails": lambda r: (r.standard_t(3, size=20000), r.laplace(size=30000)),
    "tiny": lambda r: (1e-4 * r.normal(size=20000), 1.5e-4 * r.normal(size=20000)),
    "large": lambda r: (3e4 * r.normal(size=20000), 2e4 * r.normal(size=20000)),
    "rectified": lambda r: (r.normal(size=20000).clip(0), (r.normal(size=20000) - 0.2).clip(0)),
    "apart": lambda r: (r.normal(size=20000), 10 + r.normal(size=20000)),
    "same": lambda r: (r.normal(size=20000), r.normal(size=20000)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_distances_are_those_of_the_full_samples(name):
    a, b = SAMPLES[name](np.random.default_rng(0))
    left, right = made(a), made(b)
    expected = stats.wasserstein_distance(a, b)
    assert wasserstein(left, right) == pytest.approx(expected, abs=1e-3 * a.std())
    for bins in (32, 256):
        found = jensen_shannon(left, right, shares(left, bins))
        assert found == pytest.approx(direct_js(a, b, bins), abs=1e-3)
    assert wasserstein(left, left) == 0 and jensen_shannon(left, left, shares(left, 256)) == 0


@pytest.mark.parametrize("scale", [2, 1.1, 1.01])
def test_the_divergence_is_the_square_of_scipys_distance(scale):
    a = np.random.default_rng(0).normal(size=20000)
    left, right = made(a), made(scale * a)
    starts = shares(left, 256)
    p, q = (np.add.reduceat(side.counts, starts) for side in (left, right))
    expected = jensenshannon(p, q, 2) ** 2
    assert jensen_shannon(left, right, starts) == pytest.approx(expected, rel=1e-12)


def test_everything_but_the_shape_of_real_features_and_that_too():
    network = mtd.load("baseline.pth")
    crops = data_crops.crops(photographs.photographs(), 32, 4)
    clean = data_crops.to_tensor([crop.pixels for crop in crops])
    held = []
    for spec in ("gaussian:15", "poisson:3.5"):
        noisy, _ = noise_base.pair_keyed(
            noise_specs.parse(spec), clean, [crop.digest for crop in crops]
        )
        with torch.no_grad(), Activations(network, "input:conv_last") as seen:
            network(noisy)
        held.append(seen["input:conv_last"])
    a, b = (pooled(*count(side)) for side in held)
    x, y = (side.double().flatten().numpy() for side in held)
    found = numbers(a, b, shares(a, 256))
    w1 = stats.wasserstein_distance(x, y)
    assert found[0] == pytest.approx(w1, abs=1e-4 * x.std())
    assert found[1] == pytest.approx(w1 / x.std(), abs=1e-4)
    assert found[2] == pytest.approx(direct_js(x, y, 256), abs=1e-3) and found[2] > 1e-3
    expected = [y.mean(), y.std(), stats.skew(y), stats.kurtosis(y)]
    assert found[3:7] == pytest.approx(expected, rel=1e-9)
    sigma, shape = fit_ggd(y - y.mean(), "root")
    assert found[4] == pytest.approx(sigma, rel=1e-9) and found[7] == pytest.approx(shape, abs=1e-4)


def test_counts_are_numpys_on_every_type():
    values = np.random.default_rng(1).normal(size=(3, 4, 50)) * 10.0 ** np.arange(-7, -3)[:, None]
    values[0, 0, :3] = 0, -0.0, 1e-30
    for dtype in (torch.float32, torch.float64):
        given = torch.from_numpy(values).to(dtype)
        counts, sums = count(given)
        for image, row, powers in zip(given.double().numpy(), counts.numpy(), sums, strict=True):
            assert np.array_equal(row, np.histogram(image, edges())[0])
            assert powers.numpy() == pytest.approx([np.sum(image**k) for k in (1, 2, 3, 4)])
    assert counts.dtype == torch.int32 and counts.shape == (3, BINS)


def test_every_edge_is_in_the_bin_that_it_begins():
    inner = edges()[1:-1]
    for dtype in (np.float32, np.float64):
        below, at, above = (
            np.nextafter(inner.astype(dtype), dtype(to)) if to is not None else inner.astype(dtype)
            for to in (-np.inf, None, np.inf)
        )
        for values, first in ((below, 0), (at, 1), (above, 1)):
            found = bins_of(torch.from_numpy(values)).numpy()
            assert np.array_equal(found, np.arange(BINS - 1) + first)


def test_half_precision_is_counted_as_the_numbers_that_it_holds():
    values = torch.randn(2, 500, generator=torch.Generator().manual_seed(0)).half()
    assert torch.equal(count(values)[0], count(values.double())[0])


def test_the_grid_is_symmetric_and_fine():
    bounds = edges()
    assert np.array_equal(bounds, -bounds[::-1]) and (np.diff(bounds) > 0).all()
    assert np.array_equal(bounds, bounds.astype(np.float32)) and bounds[-1] == 1e6
    large = bounds[bounds > 1e-4]
    assert (np.diff(large) / large[:-1]).max() < 0.0035


def test_what_varies_by_less_than_a_bin_has_no_distances():
    r = np.random.default_rng(4)
    x = r.normal(size=20000)
    for y in (0.05 + x, 0.3 + r.normal(size=20000), 2 + x, 1.05 * x):
        for mean in (100, 200, 250, 280):  # at 290 a bin is 1 wide
            a, b = made(mean + x), made(mean + y)
            assert not a.lacking and not b.lacking
            expected = stats.wasserstein_distance(x, y)
            assert histograms.wasserstein(a, b) == pytest.approx(expected, abs=0.01)
    assert "features have a standard deviation below a bin" in made(10000 + x).lacking


def test_density_and_quantiles_are_numpys():
    x = np.random.default_rng(2).gamma(2, size=50000)
    held, bounds = made(x[:20000], x[20000:]), np.linspace(0.1, 6, 41)
    expected = np.histogram(x, bounds)[0] / np.diff(bounds) / len(x)
    assert held.density(bounds) == pytest.approx(expected, abs=2e-3)
    for share in (0.01, 0.5, 0.999):
        assert held.quantile(share) == pytest.approx(np.quantile(x, share), rel=4e-3)
    assert made([2.0] * 5).quantile(0.01) == pytest.approx(2, rel=4e-3)


def test_an_image_can_be_taken_out():
    r = np.random.default_rng(3)
    parts = [r.normal(i, 1 + i, size=100 + i) for i in range(4)]
    held = [count(torch.tensor(part[None])) for part in parts]
    counts, sums = (torch.cat(side) for side in zip(*held, strict=True))
    found = histograms.without(pooled(counts, sums), counts[1], sums[1])
    expected = made(parts[0], parts[2], parts[3])
    assert np.array_equal(found.counts, expected.counts)
    assert found.moments() == pytest.approx(expected.moments(), rel=1e-10)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6, -2e7])
def test_an_image_with_a_value_that_has_no_bin_has_no_counts(bad):
    counts, sums = count(torch.tensor([[0.0, bad], [1.0, 2.0]]))
    assert counts.sum(1).tolist() == [0, 2] and sums[1].tolist() == [3, 5, 9, 17]
    assert sums[0].isnan().all()
    assert pooled(counts, sums).lacking == "features are not finite, or beyond ±1e+06"
    assert pooled(counts[1:], sums[1:]).lacking == ""


def test_features_that_do_not_vary_have_no_shape():
    held = made([3.0] * 10)
    assert held.lacking == "features do not vary by more than a bin of their histogram"
    assert made([3.0, 4.0]).lacking == ""
    assert np.isnan(numbers(held, held, shares(held, 256))[-1])


class Doubled(torch.nn.Module):
    """A layer that fires twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.last = torch.nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.last(self.inner(x) + self.inner(2 * x))


def test_two_processes_count_what_one_counts():
    torch.manual_seed(0)
    models = {"m": Doubled()}
    groups = batches(data_crops.crops(photographs.photographs(), 16, 7), 2)
    noises = [noise_specs.parse("gaussian:15"), noise_specs.parse("poisson:3")]

    def observed(ranks: Ranks) -> FeatureHistograms:
        observer = FeatureHistograms({"m": ["inner", "input:last"]})
        list(run_batches(models, noises, groups, [Watch(observer)], ranks=ranks))
        return observer

    whole = compute_result(observed(Ranks()))
    parts = [observed(Ranks(rank, 2)) for rank in range(2)]
    first, second = in_threads(lambda ranks: compute_result(parts[ranks.rank], ranks))
    assert list(whole) == list(first) == list(second) == [View("m", n.spec) for n in noises]
    for view in whole:
        a, b = (distributions_observer.layers(result[view]) for result in (whole, second))
        assert list(a) == list(b) == ["inner", "inner#2", "input:last"]
        for layer in a:
            assert a[layer].counts.shape == (7, BINS) and int(a[layer].counts[0].sum()) == 4 * 256
            assert torch.equal(a[layer].counts, b[layer].counts)
            assert torch.equal(a[layer].sums, b[layer].sums)


def test_layers_without_features_for_each_crop_are_refused():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Flatten(0, 1))
    model.append(torch.nn.Unflatten(0, (-1, 3)))
    groups = batches(data_crops.crops(photographs.photographs(), 16, 2), 2)
    observer = FeatureHistograms({"m": ["1"]})
    with pytest.raises(BadInput, match="'1' gives 6 for 2 crops"):
        next(
            run_batches({"m": model}, [noise_specs.parse("gaussian:15")], groups, [Watch(observer)])
        )


def test_intervals_leave_images_of_one_draw_out_together():
    from analysis.distributions import tables as distributions_tables
    from analysis.distributions.observer import Layer
    from analysis.stats import jackknife

    stream = torch.Generator().manual_seed(0)
    sides = [torch.randn(6, 500, generator=stream) * scale for scale in (1.0, 1.3)]
    draws = np.array([0, 0, 1, 2, 2, 3])
    reference, test = (Layer(*histograms.count(side)) for side in sides)
    found = distributions_tables.row(
        reference, test, distributions_tables.measured(reference, test, draws)
    )
    starts = histograms.shares(reference.pooled(), distributions_tables.SHARES)
    without = []
    for draw in range(4):
        kept = torch.from_numpy(draws != draw)
        parts = [Layer(*histograms.count(side[kept])).pooled() for side in sides]
        without.append(distributions_tables.numbers(*parts, starts))
    value = distributions_tables.numbers(reference.pooled(), test.pooled(), starts)
    low, high = jackknife.interval(value, np.array(without))
    for place, name in enumerate(distributions_tables.NUMBERS):
        assert found[name] == pytest.approx(value[place], rel=1e-12)
        assert found[f"{name}_low"] == pytest.approx(low[place], rel=1e-9, abs=1e-12), name
        assert found[f"{name}_high"] == pytest.approx(high[place], rel=1e-9, abs=1e-12), name
