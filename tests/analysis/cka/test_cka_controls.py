"""Ceilings, floors and untrained networks against their definitions, computed without the sums."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from analysis.cka import functional
from analysis.cka.cells import deranged
from analysis.cka.command import ANALYSIS
from analysis.cka.other_measures import mutual_knn, procrustes, rsa
from analysis.commands.command import run_arguments
from analysis.engine.cache import ActivationCache
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from tests.helpers.control_runs import Samples, draw_photographs, rows_of, unbiased_hsic
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import MASKED, TINY, tiny_network
from tests.helpers.processes import two_processes
from tests.helpers.run_folders import contents

CONFIG = SwinIRConfig(**(TINY.to_dict() | {"depths": (4, 4)}))
"""Of eight blocks, so that the last quarter is two of them."""

PHOTOGRAPHS, CROPS, POSITIONS, SEED = 12, 24, 12, 3
NOISES = ("gaussian:15", "poisson:3.5")
BLOCKS = [f"layers.{g}.residual_group.blocks.{b}" for g in (0, 1) for b in range(4)]
LAST = BLOCKS[-2:]
OPTIONS = ("--images", "photos", "--crop", "16", "--seed", str(SEED), "--quiet")
POSITIONED = (
    *OPTIONS,
    "--limit",
    str(CROPS),
    "--positions",
    str(POSITIONS),
    "--layers",
    "**.blocks.*",
)

View = tuple[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints, and photographs of which each gives two crops."""
    place = tmp_path_factory.mktemp("controls")
    for seed, (name, policy) in enumerate({"plain": MaskPolicy(), "hidden": MASKED}.items()):
        weights = tiny_network(seed, CONFIG).state_dict()
        checkpoint_file.save(place / f"{name}.pth", weights, network=CONFIG, mask=policy)
    draw_photographs(place / "photos", PHOTOGRAPHS)
    return place


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def run(name: str, *arguments: str) -> Path:
    return run_arguments(ANALYSIS, [*arguments, "--output-dir", name], "test")


@pytest.fixture(scope="module")
def path(folder: Path) -> Path:
    """The run that most tests read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        leave_unrendered(patch)
        return folder / run("run", "plain.pth", "hidden.pth", *POSITIONED, "--untrained", "2")


@pytest.fixture(scope="module")
def samples(folder: Path) -> Samples:
    found = Samples(folder, CROPS, POSITIONS, SEED)
    assert sorted(map(found.names.count, set(found.names))) == [2] * PHOTOGRAPHS
    return found


def cka_of(samples: Samples, a: View, b: View, layer: str, crops: Iterable[int]) -> float:
    kept = list(crops)
    return functional.cka(*(rows_of(samples.of(*view, layer), kept) for view in (a, b)))


def ceiling_of(samples: Samples, a: View, b: View, layer: str, crops: Iterable[int]) -> float:
    """√(CKA(A, A@1) · CKA(B, B@1))."""
    kept = list(crops)
    draws = [
        cka_of(samples, (model, noise), (model, f"{noise}@1"), layer, kept)
        for model, noise in (a, b)
    ]
    return math.sqrt(draws[0] * draws[1])


def floor_of(samples: Samples, a: View, b: View, layer: str, crops: Iterable[int]) -> float:
    """HSIC of samples beside those of another photograph, over √ of those with themselves."""
    kept = set(crops)
    pairs = [
        (int(i), int(j))
        for i, j in zip(*deranged(samples.names), strict=True)
        if {int(i), int(j)} <= kept
    ]
    sides = [samples.of(*view, layer) for view in (a, b)]
    x, y = (
        rows_of(side, chosen) for side, chosen in zip(sides, zip(*pairs, strict=True), strict=True)
    )
    own = [rows_of(side, sorted(kept)) for side in sides]

    def hsic(one: np.ndarray, other: np.ndarray) -> float:
        total, weight = unbiased_hsic(one @ one.T, other @ other.T)
        return total / weight

    return hsic(x, y) / math.sqrt(hsic(own[0], own[0]) * hsic(own[1], own[1]))


def without(samples: Samples, value: Callable[[list[int]], float]) -> np.ndarray:
    """A value with each photograph left out in turn."""
    names = list(dict.fromkeys(samples.names))
    kept = [[i for i, of in enumerate(samples.names) if of != name] for name in names]
    return np.array([value(crops) for crops in kept])


def half_width(values: np.ndarray) -> float:
    """Half the jackknife's 95% interval, from the values without each photograph."""
    count = len(values)
    error = math.sqrt((count - 1) / count * np.square(values - values.mean()).sum())
    return float(stats.t.ppf(0.975, count - 1)) * error


EVERY = range(CROPS)
PAIRS: list[tuple[View, View]] = [
    (("plain", NOISES[0]), ("hidden", NOISES[0])),
    (("plain", NOISES[0]), ("plain", NOISES[1])),
    (("hidden", NOISES[0]), ("hidden", NOISES[1])),
]


def test_the_ceiling_is_the_same_noise_drawn_again(path, samples):
    frame = pd.read_csv(path / "depth.csv").set_index(["model", "layer"])
    for model in ("plain", "hidden"):
        views = (model, NOISES[0]), (model, NOISES[1])
        for layer in (BLOCKS[0], *LAST):
            expected = ceiling_of(samples, *views, layer, EVERY)
            assert frame.ceiling[model, layer] == pytest.approx(expected, abs=1e-5)
            assert frame.cka[model, layer] == pytest.approx(
                cka_of(samples, *views, layer, EVERY), abs=1e-5
            )


def test_the_floor_is_of_other_photographs(path, samples):
    frame = pd.read_csv(path / "depth.csv").set_index(["model", "layer"])
    for model in ("plain", "hidden"):
        views = (model, NOISES[0]), (model, NOISES[1])
        for layer in (BLOCKS[0], *LAST):
            expected = floor_of(samples, *views, layer, EVERY)
            assert frame.floor[model, layer] == pytest.approx(expected, abs=1e-5)
    assert frame.floor.abs().max() < 0.3 < frame.cka.min()


def test_untrained_networks_are_drawn_with_the_seeds_that_follow_the_runs_own(path, samples):
    """One under both noises; of two models, two under the same noise."""
    depth = pd.read_csv(path / "depth.csv").set_index(["model", "layer"])
    for model in ("plain", "hidden"):
        drawn = [
            cka_of(
                samples, *((f"untrained {i} of {model}", noise) for noise in NOISES), LAST[1], EVERY
            )
            for i in (1, 2)
        ]
        row = depth.loc[model, LAST[1]]
        assert row.untrained == pytest.approx(np.mean(drawn), abs=1e-5)
        assert row.untrained_sd == pytest.approx(np.std(drawn, ddof=1), abs=1e-5)
    quarter = pd.read_csv(path / "last_quarter.csv").iloc[0]
    views = [("untrained 1 of plain", NOISES[0]), ("untrained 2 of hidden", NOISES[0])]
    expected = np.mean([cka_of(samples, *views, layer, EVERY) for layer in LAST])
    assert quarter.untrained == pytest.approx(expected, abs=1e-5)
    assert math.isnan(quarter.untrained_sd)  # one pair


def test_normalized_only_where_ceiling_and_floor_differ(path, samples):
    """By an interval over photographs that are really left out."""
    frame = pd.read_csv(path / "depth.csv").set_index(["model", "layer"])
    for model, layer in (("plain", LAST[0]), ("hidden", LAST[1])):
        views = (model, NOISES[0]), (model, NOISES[1])
        gaps = without(
            samples,
            lambda kept, views=views, layer=layer: (
                ceiling_of(samples, *views, layer, kept) - floor_of(samples, *views, layer, kept)
            ),
        )
        row = frame.loc[model, layer]
        gap = row.ceiling - row.floor
        if abs(gap) > half_width(gaps):
            assert row.normalised == pytest.approx((row.cka - row.floor) / gap, abs=1e-9)
        else:
            assert math.isnan(row.normalised)
    assert frame.normalised.notna().any()


def test_gaps_have_the_intervals_of_photographs_left_out(path, samples):
    """And of the spread of the untrained networks."""
    row = (
        pd.read_csv(path / "last_quarter.csv")
        .set_index(["model_a", "model_b"])
        .loc["plain", "plain"]
    )
    views = ("plain", NOISES[0]), ("plain", NOISES[1])

    def mean(of: Callable[..., float], *views: View, crops: Iterable[int] = EVERY) -> float:
        return float(np.mean([of(samples, *views, layer, crops) for layer in LAST]))

    below = without(
        samples,
        lambda kept: mean(ceiling_of, *views, crops=kept) - mean(cka_of, *views, crops=kept),
    )
    value, half = mean(ceiling_of, *views) - mean(cka_of, *views), half_width(below)
    found = (row.below_ceiling, row.below_ceiling_low, row.below_ceiling_high)
    assert found == pytest.approx((value, value - half, value + half), abs=1e-4)

    untrained = [[(f"untrained {i} of plain", noise) for noise in NOISES] for i in (1, 2)]

    def above(kept: Iterable[int]) -> float:
        crops = list(kept)
        drawn = [mean(cka_of, *one, crops=crops) for one in untrained]
        return mean(cka_of, *views, crops=crops) - float(np.mean(drawn))

    drawn = [mean(cka_of, *one) for one in untrained]
    part = float(stats.t.ppf(0.975, 1)) * np.std(drawn, ddof=1) / math.sqrt(2)
    value, half = above(EVERY), math.hypot(half_width(without(samples, above)), part)
    found = (row.above_untrained, row.above_untrained_low, row.above_untrained_high)
    assert found == pytest.approx((value, value - half, value + half), abs=1e-4)


def test_the_last_quarters_controls_are_means_of_the_cells(path):
    cells = pd.read_csv(path / "controls.csv")
    quarters = pd.read_csv(path / "last_quarter.csv")
    assert len(quarters) == len(PAIRS)
    for (a, b), row in zip(PAIRS, quarters.itertuples(), strict=True):
        ceilings, floors, untrained = [], [], []
        for layer in LAST:
            draws = [
                value(cells, "ceiling", view, (view[0], f"{view[1]}@1"), layer) for view in (a, b)
            ]
            ceilings.append(math.sqrt(draws[0] * draws[1]))
            floors.append(value(cells, "floor", a, b, layer))
            untrained.append(
                [value(cells, "untrained", *pair, layer) for pair in untrained_views(a, b)]
            )
        assert row.ceiling == pytest.approx(np.mean(ceilings))
        assert row.floor == pytest.approx(np.mean(floors))
        assert row.untrained == pytest.approx(np.mean(untrained))
        spread = np.std(np.mean(untrained, axis=0), ddof=1) if a[0] == b[0] else math.nan
        assert row.untrained_sd == pytest.approx(spread, nan_ok=True)


def untrained_views(a: View, b: View) -> list[tuple[View, View]]:
    names = {model: [f"untrained {i} of {model}" for i in (1, 2)] for model in (a[0], b[0])}
    if a[0] == b[0]:
        return [((name, a[1]), (name, b[1])) for name in names[a[0]]]
    return [((names[a[0]][i], a[1]), (names[b[0]][j], b[1])) for i, j in combinations((0, 1), 2)]


def value(cells: pd.DataFrame, control: str, a: View, b: View, layer: str) -> float:
    """The only cell of a control."""
    chosen = cells[
        (cells.control == control)
        & (cells.layer_a == layer)
        & (cells.layer_b == layer)
        & (cells.model_a == a[0])
        & (cells.noise_a == a[1])
        & (cells.model_b == b[0])
        & (cells.noise_b == b[1])
    ]
    (row,) = chosen.itertuples()
    return float(row.cka)


def test_controls_csv_holds_every_cell_and_its_interval(path, samples):
    cells = pd.read_csv(path / "controls.csv")
    columns = ["control", "model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b"]
    assert list(cells) == [*columns, "cka", "low", "high"]
    expected = set()
    for a, b in PAIRS:
        draws = {("ceiling", *view, view[0], f"{view[1]}@1") for view in (a, b)}
        nulls = {("untrained", *one, *other) for one, other in untrained_views(a, b)}
        expected |= draws | nulls | {("floor", *a, *b)}
    found = [(r.control, r.model_a, r.noise_a, r.model_b, r.noise_b) for r in cells.itertuples()]
    assert set(found) == expected and len(cells) == len(expected) * len(BLOCKS)
    assert (cells.layer_a == cells.layer_b).all() and not cells.duplicated(columns).any()
    row = cells[(cells.control == "floor") & (cells.layer_a == LAST[0])].iloc[1]
    views = (row.model_a, row.noise_a), (row.model_b, row.noise_b)
    half = half_width(without(samples, lambda kept: floor_of(samples, *views, LAST[0], kept)))
    assert (row.low, row.high) == pytest.approx((row.cka - half, row.cka + half), abs=1e-4)


def tables(path: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(path).items() if name.endswith(".csv")}


def test_values_are_the_same_without_controls(path):
    bare = run("bare", "plain.pth", "hidden.pth", *POSITIONED, "--no-controls")
    with_controls, without_them = tables(path), tables(bare)
    assert set(with_controls) - set(without_them) == {"controls.csv"}
    for name in ("cka.csv", "layers.csv", "difference.csv", "influence.csv"):
        assert with_controls[name] == without_them[name]
    depth = pd.read_csv(bare / "depth.csv")
    assert depth.ceiling.isna().all() and depth.untrained.isna().all()
    assert "ceiling" not in (bare / "summary.txt").read_text()


def test_two_processes_write_the_same_tables(path, folder):
    arguments = ("plain.pth", "hidden.pth", *POSITIONED, "--untrained", "2")
    done = two_processes("-m", "analysis.cka", *arguments, "--output-dir", "two", cwd=folder)
    assert done.returncode == 0, done.stderr
    one, two = tables(path), tables(folder / "two")
    assert set(one) == set(two)
    for name in one:
        frames = [pd.read_csv(place / name) for place in (path, folder / "two")]
        pd.testing.assert_frame_equal(*frames, rtol=1e-9, atol=1e-9)


def test_a_resumed_run_writes_the_same_tables(path, monkeypatch):
    original, stored = ActivationCache.put, []

    def stop(self: ActivationCache, *given: object) -> object:
        if len(stored) == 9:
            raise KeyboardInterrupt
        stored.append(given)
        return original(self, *given)  # type: ignore[arg-type]

    arguments = ("plain.pth", "hidden.pth", *POSITIONED, "--untrained", "2")
    with monkeypatch.context() as patch:
        patch.setattr(ActivationCache, "put", stop)
        with pytest.raises(KeyboardInterrupt):
            run("resumed", *arguments)
    assert tables(run("resumed", *arguments, "--resume")) == tables(path)


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
    assert math.isnan(row.normalised)  # without intervals


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


def test_crops_of_one_photograph_have_no_floor(folder):
    (folder / "single").mkdir()
    shutil.copy(folder / "photos/00.png", folder / "single")
    options = ("--images", "single", "--crop", "8", "--limit", "8", "--quiet", "--untrained", "1")
    for unit in ("position", "image"):
        path = run(f"one {unit}", "plain.pth", *options, "--unit", unit, "--permutations", "0")
        for name in ("depth.csv", "last_quarter.csv"):
            frame = pd.read_csv(path / name)
            assert frame.floor.isna().all() and frame.normalised.isna().all()
            assert frame.ceiling.notna().all() and frame.untrained.notna().all()
        text = " ".join((path / "summary.txt").read_text().split())
        assert "floor" not in text and "ceiling" in text
        assert "1 photograph is too few for intervals" in text
        assert "too few images to tell (at least 10 photographs)" in text


@pytest.mark.parametrize("count", [2, 3])
def test_with_fewer_than_three_photographs_nothing_is_normalized(folder, count):
    place = folder / f"photos of {count}"
    draw_photographs(place, count)
    options = ("--images", str(place), "--crop", "16", "--positions", "16", "--quiet")
    path = run(f"of {count}", "plain.pth", *options, "--limit", str(2 * count), "--untrained", "1")
    frame = pd.read_csv(path / "depth.csv")
    assert frame.ceiling.notna().all() and frame.floor.notna().all()
    if count == 2:
        assert frame.normalised.isna().all() and frame.low.isna().all()
    else:
        assert frame.low.notna().all()


def summary(path: Path) -> str:
    return " ".join((path / "summary.txt").read_text().split())


def test_of_two_untrained_networks_no_difference_is_shown(folder):
    for name, seed in (("first", 11), ("second", 12)):
        network = SwinIR(CONFIG)
        network.initialize(torch.Generator().manual_seed(seed))
        checkpoint_file.save(
            folder / f"{name}.pth", network.state_dict(), network=CONFIG, mask=MaskPolicy()
        )
    path = run("untrained", "first.pth", "second.pth", *POSITIONED)
    text = summary(path)
    table = pd.read_csv(path / "quarter_difference.csv").iloc[0]
    assert abs(table.difference) < 0.05
    assert ": shown" not in text and "(shown" not in text and "is shown to be" not in text
    assert text.count("not shown to exceed 0.05") >= 2
    quarter = pd.read_csv(path / "last_quarter.csv")
    own = quarter[quarter.model_a == quarter.model_b]
    assert (own.above_untrained.abs() < 0.05).all()


def test_a_network_and_its_copy_are_not_compared(folder):
    shutil.copy(folder / "plain.pth", folder / "copy.pth")
    path = run("copied", "plain.pth", "copy.pth", *POSITIONED, "--untrained", "2")
    text = summary(path)
    assert "plain and copy hold the same weights." in text
    for word in ("In this mean", "Over depth", "Between models", "best match"):
        assert word not in text
    quarter = pd.read_csv(path / "last_quarter.csv").set_index(["model_a", "model_b"])
    assert quarter.cka["plain", "copy"] == pytest.approx(1, abs=1e-9)
    alike = quarter.loc[[("plain", "plain"), ("copy", "copy")]]
    for column in ("cka", "ceiling", "floor", "untrained"):
        assert alike[column].nunique() == 1
    # the ceiling of a network and its copy under one noise is that of the network with itself
    cells = pd.read_csv(path / "controls.csv")
    draws = [
        value(cells, "ceiling", ("plain", NOISES[0]), ("plain", f"{NOISES[0]}@1"), la)
        for la in LAST
    ]
    assert quarter.ceiling["plain", "copy"] == pytest.approx(np.mean(draws))
