"""Ceilings and floors of whole images, other measures, kernels and minibatches, by definition."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist, pdist

from analysis.cka.cells import deranged
from analysis.cka.feature_measures import (
    mean_cosine,
    mean_squared_cca,
    pwcca,
    soft_matching,
    svcca,
)
from analysis.cka.other_measures import mutual_knn, procrustes, rsa
from tests.helpers.control_runs import (
    CROPS,
    EVERY,
    LAST,
    NOISES,
    OPTIONS,
    POSITIONS,
    SEED,
    Samples,
    half_width,
    rows_of,
    run,
    unbiased_hsic,
    without,
)

FEW = (
    *(*OPTIONS, "--limit", str(CROPS), "--untrained", "1", "--layers", LAST[0]),
    *("--noise", NOISES[0], "--noise", NOISES[1]),
)


def whole(samples: Samples, noise: str) -> np.ndarray:
    """(crops, features) of whole images."""
    return samples.of("plain", noise, LAST[0])[:, 0]


@pytest.fixture(scope="module")
def images(folder: Path) -> Samples:
    return Samples(folder, CROPS, 0, SEED)


@pytest.mark.parametrize("measure", ["procrustes", "rsa", "knn"])
def test_other_measures_have_ceilings_and_floors(images, measure):
    similar = {"procrustes": procrustes, "rsa": rsa, "knn": mutual_knn}[measure]
    row = depth_row(measure, "--measure", measure)
    x, y = (whole(images, noise) for noise in NOISES)
    again = [whole(images, f"{noise}@1") for noise in NOISES]
    first, second = deranged(images.names)
    assert row[measure] == pytest.approx(similar(x, y), abs=1e-5)
    ceiling = math.sqrt(similar(x, again[0]) * similar(y, again[1]))
    assert row.ceiling == pytest.approx(ceiling, abs=1e-5)
    assert row.floor == pytest.approx(similar(x[first], y[second]), abs=1e-5)
    u, v = (images.of("untrained 1 of plain", noise, LAST[0])[:, 0] for noise in NOISES)
    # of distances that are nearly equal, rounding decides on the ranks
    assert row.untrained == pytest.approx(similar(u, v), abs=1e-5 if measure != "rsa" else 1e-4)

    def of_rest(crops: list[int]) -> float:
        return similar(x[crops], y[crops])

    half = half_width(without(images, of_rest))
    assert (row.low, row.high) == pytest.approx(
        (row[measure] - half, row[measure] + half), abs=1e-4
    )


@pytest.mark.parametrize("measure", ["cosine", "cca", "svcca", "pwcca", "soft_matching"])
def test_measures_of_positions_have_ceilings_and_floors(samples, measure):
    similar = {
        "cosine": mean_cosine,
        "cca": mean_squared_cca,
        "svcca": svcca,
        "pwcca": pwcca,
        "soft_matching": soft_matching,
    }[measure]

    def flat(network: str, noise: str, crops: Sequence[int] = EVERY) -> np.ndarray:
        return rows_of(samples.of(network, noise, LAST[0]), crops)

    row = depth_row(measure, "--measure", measure, "--positions", str(POSITIONS))
    a, b = NOISES
    x, y = (flat("plain", noise) for noise in NOISES)
    first, second = (side.tolist() for side in deranged(samples.names))
    assert row[measure] == pytest.approx(similar(x, y), abs=1e-4)
    draws = [similar(side, flat("plain", f"{noise}@1")) for side, noise in ((x, a), (y, b))]
    assert row.ceiling == pytest.approx(math.sqrt(draws[0] * draws[1]), abs=1e-4)
    floor = similar(flat("plain", a, first), flat("plain", b, second))
    assert row.floor == pytest.approx(floor, abs=1e-4)
    u, v = (flat("untrained 1 of plain", noise) for noise in NOISES)
    assert row.untrained == pytest.approx(similar(u, v), abs=1e-4)
    cells = pd.read_csv(f"{measure}/{measure}.csv")
    assert cells.null.tolist() == pytest.approx([floor], abs=1e-4)

    def of_rest(crops: list[int]) -> float:
        return similar(flat("plain", a, crops), flat("plain", b, crops))

    def floor_of_rest(crops: list[int]) -> float:
        pairs = [(i, j) for i, j in zip(first, second, strict=True) if {i, j} <= set(crops)]
        kept = list(zip(*pairs, strict=True))
        return similar(flat("plain", a, kept[0]), flat("plain", b, kept[1]))

    half = half_width(without(samples, of_rest))
    assert (row.low, row.high) == pytest.approx(
        (row[measure] - half, row[measure] + half), abs=1e-3
    )
    assert (cells.low[0], cells.high[0]) == (row.low, row.high)
    controls = pd.read_csv(f"{measure}/controls.csv").query("control == 'floor'").iloc[0]
    half = half_width(without(samples, floor_of_rest))
    expected = floor - half, floor + half
    assert (controls.low, controls.high) == pytest.approx(expected, abs=1e-3)
    depth = pd.read_csv(f"{measure}/last_quarter.csv").iloc[0]
    assert depth.photographs == 12 and depth.below_ceiling_low < depth.below_ceiling


def depth_row(name: str, *options: str) -> pd.Series:
    path = run(name, "plain.pth", *FEW, *options)
    (row,) = (row for _, row in pd.read_csv(path / "depth.csv").iterrows())
    return row


def rbf_gram(x: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-cdist(x, x, "sqeuclidean") / (2 * sigma**2))


def lower_median(x: np.ndarray) -> float:
    distances = np.sort(pdist(x))
    return float(distances[(len(distances) - 1) // 2])


Kernel = Callable[[np.ndarray], np.ndarray]
Blocks = Sequence[tuple[Sequence[int], Sequence[int]]]


def controls_of(
    samples: Samples, kernels: Callable[[str], Kernel], batches: Blocks, across: Blocks
) -> tuple[float, float, float]:
    """Value, ceiling and floor of the plain network between the noises, from Gram matrices.

    Args:
        samples: of the run.
        kernels: by noise, from samples to their Gram matrix.
        batches: crops whose pairs count, twice.
        across: crops of the first side beside those of the second.
    """

    def total(a: str, b: str, blocks: Blocks) -> float:
        sums = [
            unbiased_hsic(
                kernels(a)(rows_of(samples.of("plain", a, LAST[0]), first)),
                kernels(b)(rows_of(samples.of("plain", b, LAST[0]), second)),
            )
            for first, second in blocks
        ]
        numerators, weights = zip(*sums, strict=True)
        return sum(numerators) / sum(weights)

    def similar(a: str, b: str, blocks: Blocks) -> float:
        return total(a, b, blocks) / math.sqrt(total(a, a, batches) * total(b, b, batches))

    again = [similar(noise, f"{noise}@1", batches) for noise in NOISES]
    return (
        similar(*NOISES, batches),
        math.sqrt(again[0] * again[1]),
        similar(*NOISES, across),
    )


def linear(_: str) -> Kernel:
    return lambda x: x @ x.T


def rbf(samples: Samples, first: Sequence[int]) -> Callable[[str], Kernel]:
    """Of each representation with the median distance of its samples in the first batch."""
    known: dict[str, float] = {}

    def of(noise: str) -> Kernel:
        if noise not in known:
            known[noise] = lower_median(rows_of(samples.of("plain", noise, LAST[0]), first))
        return lambda x: rbf_gram(x, known[noise])

    return of


def half_and_half() -> Blocks:
    return [(range(12), range(12)), (range(12, 24), range(12, 24))]


def check(row: pd.Series, expected: tuple[float, float, float]) -> None:
    assert (row.cka, row.ceiling, row.floor) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_whole_images(images, kernel):
    first, second = (side.tolist() for side in deranged(images.names))
    row = depth_row(f"image {kernel}", "--unit", "image", "--kernel", kernel, "--permutations", "0")
    kernels = linear if kernel == "linear" else rbf(images, EVERY)
    check(row, controls_of(images, kernels, [(EVERY, EVERY)], [(first, second)]))


MINIBATCH = ("--estimator", "minibatch", "--batch-size", "12", "--positions", str(POSITIONS))


def test_minibatches_of_positions(samples):
    """Samples of a batch beside those that they are paired with in the whole set."""
    first, second = (side.numpy() for side in deranged(samples.names))
    across = [(first[first < 12], second[first < 12]), (first[first >= 12], second[first >= 12])]
    row = depth_row("minibatch", *MINIBATCH)
    check(row, controls_of(samples, linear, half_and_half(), across))


def test_photographs_left_out_of_minibatches_are_left_out_on_both_sides(samples):
    """Also where the crop that a sample is put beside lies in another batch."""
    first, second = (side.tolist() for side in deranged(samples.names))
    path = run("left out", "plain.pth", *FEW, *MINIBATCH)

    def floor(kept: list[int]) -> float:
        batches = [[i for i in range(12 * b, 12 * b + 12) if i in kept] for b in (0, 1)]
        pairs = [(i, j) for i, j in zip(first, second, strict=True) if {i, j} <= set(kept)]
        across = [list(zip(*(p for p in pairs if p[0] // 12 == b), strict=True)) for b in (0, 1)]
        return controls_of(samples, linear, [(b, b) for b in batches], across)[2]  # type: ignore[arg-type]

    cells = pd.read_csv(path / "controls.csv")
    (row,) = cells[cells.control == "floor"].itertuples()
    half = half_width(without(samples, floor))
    assert (row.low, row.high) == pytest.approx((row.cka - half, row.cka + half), abs=1e-4)


@pytest.mark.parametrize(
    "unit, kernel", [("image", "linear"), ("image", "rbf"), ("position", "rbf")]
)
def test_minibatches_beside_one_another(images, samples, unit, kernel):
    """From Gram matrices: each batch beside the one half of all batches further on."""
    options = ("--unit", unit, "--kernel", kernel, "--estimator", "minibatch")
    options = (*options, "--batch-size", "12", "--permutations", "0")
    options = (*options, *(("--positions", str(POSITIONS)) if unit == "position" else ()))
    chosen = images if unit == "image" else samples
    across = [(range(12), range(12, 24)), (range(12, 24), range(12))]
    kernels = linear if kernel == "linear" else rbf(chosen, range(12))
    expected = controls_of(chosen, kernels, half_and_half(), across)
    check(depth_row(f"batches {unit} {kernel}", *options), expected)
