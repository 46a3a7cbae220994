"""Ceilings, floors and untrained networks against their definitions, computed without the sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from analysis.cka import functional
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.swinir_layers import SwinIRConfig
from tests.helpers.control_runs import (
    BLOCKS,
    CONFIG,
    EVERY,
    LAST,
    NOISES,
    POSITIONED,
    View,
    ceiling_of,
    cka_of,
    floor_of,
    half_width,
    rows_of,
    run,
    summary,
    value,
    without,
)
from tests.helpers.networks import tiny_network

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


def test_models_of_different_depth(folder, samples):
    """Each layer of one last quarter against each of the other."""
    deeper = SwinIRConfig(**(CONFIG.to_dict() | {"depths": (4, 8)}))
    weights = tiny_network(5, deeper).state_dict()
    checkpoint_file.save(folder / "deeper.pth", weights, network=deeper, mask=MaskPolicy())
    options = (*POSITIONED, "--compare", "cross-model", "--noise", NOISES[0], "--untrained", "2")
    path = run("depths", "plain.pth", "deeper.pth", *options)
    (row,) = pd.read_csv(path / "last_quarter.csv").itertuples()
    views = ("plain", NOISES[0]), ("deeper", NOISES[0])
    layers = LAST, [f"layers.1.residual_group.blocks.{b}" for b in (5, 6, 7)]
    assert row.pairs == "all"
    draws = [
        [cka_of(samples, view, (view[0], f"{view[1]}@1"), layer, EVERY) for layer in of]
        for view, of in zip(views, layers, strict=True)
    ]
    both = list(product(*layers))
    assert row.ceiling == pytest.approx(np.sqrt(np.outer(*draws)).mean(), abs=1e-5)
    floors = [floor_of(samples, *views, first, EVERY, second) for first, second in both]
    assert row.floor == pytest.approx(np.mean(floors), abs=1e-5)
    networks = "untrained 1 of plain", "untrained 2 of deeper"
    untrained = [
        functional.cka(
            *(
                rows_of(samples.of(name, NOISES[0], layer), EVERY)
                for name, layer in zip(networks, pair, strict=True)
            )
        )
        for pair in both
    ]
    assert row.untrained == pytest.approx(np.mean(untrained), abs=1e-5)
    cells = pd.read_csv(path / "controls.csv")
    counts = cells.groupby("control").size().to_dict()
    assert counts == {"ceiling": 2 + 3, "floor": 6, "untrained": 6}


def test_recorded_noise_has_a_floor_and_no_ceiling(folder, path):
    noisy = folder / "noisy"
    noisy.mkdir()
    for file in (folder / "photos").iterdir():
        pixels = np.asarray(Image.open(file)).astype(float)
        stream = np.random.default_rng(len(file.name) + pixels.sum().astype(int))
        worse = (pixels + stream.normal(0, 20, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(worse).save(noisy / file.name)
    options = (*POSITIONED, "--noise", NOISES[0], "--noise", "folder:noisy", "--untrained", "2")
    recorded = run("recorded", "plain.pth", *options)
    frame = pd.read_csv(recorded / "depth.csv")
    assert frame.ceiling.isna().all() and frame.normalised.isna().all()
    assert frame.floor.notna().all() and frame.untrained.notna().all()
    cells = pd.read_csv(recorded / "controls.csv")
    draws = cells[cells.control == "ceiling"]
    assert set(draws.noise_b) == {f"{NOISES[0]}@1"} and len(draws) == len(BLOCKS)
    before = pd.read_csv(path / "controls.csv")
    of = (before.control == "ceiling") & (before.noise_a == NOISES[0]) & (before.model_a == "plain")
    known = before[of].set_index("layer_a").cka.to_dict()
    assert draws.set_index("layer_a").cka.to_dict() == pytest.approx(known, abs=1e-9)
    text = summary(recorded)
    assert "drawn again" not in text and "that of untrained networks" in text
