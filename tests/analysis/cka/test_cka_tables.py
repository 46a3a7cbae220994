"""Tables of a comparison from made-up values, against numbers worked out apart."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from analysis.cka import tables
from analysis.cka.control_cells import Row
from analysis.cka.controls import CellControl, Series, geometric_mean
from analysis.cka.tables import CONTROLS, GAPS, Block
from analysis.engine.observer import View
from tests.helpers.cka_tables import COLUMNS

Array = np.ndarray

ABOUT = {
    "estimator": "unbiased",
    "unit": "image",
    "samples": 20,
    "crops": 5,
    "kernel": "linear",
    "centering": "global",
}
PHOTOGRAPHS = [f"{i}.png" for i in range(9)]


def names(count: int) -> list[str]:
    """`conv_first`, blocks, `conv_last`."""
    blocks = [f"layers.0.residual_group.blocks.{i}" for i in range(count - 2)]
    return ["conv_first", *blocks, "conv_last"]


def block(
    a: str = "mx",
    b: str = "my",
    shape: tuple[int, int] = (4, 4),
    photographs: int = 5,
    seed: int = 0,
) -> Block:
    """Model m under noise x against model m under noise y, at random."""
    rng = np.random.default_rng(seed)
    views = View(*a), View(*b)
    rows, columns = (
        [Row(view, name, 7) for name in names(count)]
        for view, count in zip(views, shape, strict=True)
    )
    value = rng.uniform(0.2, 0.9, shape)
    without = value + 0.05 * rng.normal(size=(photographs, *shape))
    p = rng.uniform(size=shape)
    return Block(views, rows, columns, value, without, (p, (p + 1) / 2), {})


def with_values(made: Block, value: Array, without: Array) -> Block:
    return replace(made, value=value, without=without)


def series(rng: np.random.Generator, photographs: int = 5) -> Series:
    value = rng.uniform(0.2, 0.9)
    return Series(value, value + 0.02 * rng.normal(size=photographs))


def controlled(made: Block, seed: int = 0, untrained: int = 3) -> Block:
    """The same with controls of every cell, at random."""
    rng = np.random.default_rng(seed)
    found = {
        cell: CellControl(series(rng), series(rng), [series(rng) for _ in range(untrained)])
        for cell in np.ndindex(made.value.shape)
    }
    return replace(made, controls=found)


def half(without: Array, level: float = 0.95) -> Array:
    """Half the width of the interval."""
    n = len(without)
    error = np.sqrt((n - 1) ** 2 / n * without.var(axis=0, ddof=1))
    return t.ppf((1 + level) / 2, n - 1) * error


def test_cells_hold_every_pair_of_layers_in_long_form():
    blocks = [block(), block("mx", "nx", (4, 3), seed=1)]
    frame = tables.cells(blocks, "cka", ABOUT)
    assert ",".join(frame.columns) == COLUMNS
    assert len(frame) == 16 + 12 and frame.index.is_unique
    row = 0
    for made in blocks:
        bound = half(made.without)
        for (i, j), value in np.ndenumerate(made.value):
            found = frame.iloc[row]
            assert tuple(found[tables.VIEWS]) == made.views
            assert (found.index_a, found.index_b) == (i, j)
            assert (found.layer_a, found.layer_b) == (names(4)[i], names(made.value.shape[1])[j])
            numbers = [value, value - bound[i, j], value + bound[i, j]]
            assert found[["cka", "low", "high"]].tolist() == pytest.approx(numbers)
            assert (found.p, found.p_corrected) == (made.p[0][i, j], made.p[1][i, j])
            row += 1
    assert all((frame[name] == value).all() for name, value in ABOUT.items())
    assert "rsa" in tables.cells(blocks, "rsa", ABOUT) and "cka" in frame


def test_depth_is_the_diagonal_of_each_model_between_two_noises():
    blocks = [
        block("mx", "nx", seed=1),
        block("mx", "my", seed=2),
        block("mx", "mx", seed=3),
        block("mx", "ny", seed=4),
        block("nx", "ny", (3, 3), seed=5),
        block("ny", "nz", (3, 4), seed=6),
    ]
    frame = tables.depth(blocks, "rsa")
    columns = ["model", "noise_a", "noise_b", "layer", "index", "rsa", "low", "high"]
    assert list(frame) == [*columns, *CONTROLS]
    assert frame[CONTROLS].isna().all(axis=None)
    labels = frame[["model", "noise_a", "noise_b", "layer", "index"]].to_numpy().tolist()
    expected = [["m", "x", "y", name, i] for i, name in enumerate(names(4))]
    assert labels == expected + [["n", "x", "y", name, i] for i, name in enumerate(names(3))]
    values, bounds = (
        np.concatenate([np.diagonal(part) for part in parts])
        for parts in zip(*((b.value, half(b.without)) for b in (blocks[1], blocks[4])), strict=True)
    )
    assert np.allclose(frame.rsa, values)
    assert np.allclose(frame.low, values - bounds) and np.allclose(frame.high, values + bounds)


def test_difference_is_model_b_minus_model_a_with_the_interval_of_the_difference():
    first, second = block("mx", "my", seed=1), block("nx", "ny", seed=2)
    frame = tables.difference([first, block("mx", "nx", seed=3), second])
    assert (frame[["model_a", "model_b", "noise_a", "noise_b"]] == list("mnxy")).all(axis=None)
    assert frame.layer.tolist() == names(4) and frame["index"].tolist() == [0, 1, 2, 3]
    difference = np.diagonal(second.value) - np.diagonal(first.value)
    bound = np.diagonal(half(second.without - first.without))
    assert np.allclose(frame.difference, difference)
    assert np.allclose(frame.low, difference - bound)
    assert np.allclose(frame.high, difference + bound)


def test_bands_hold_for_all_layers_at_once():
    """Bonferroni: four intervals, each of level 1 - 0.05 / 4."""
    first, second = block("mx", "my", seed=1), block("nx", "ny", seed=2)
    frame = tables.difference([first, second])
    band = np.diagonal(half(second.without - first.without, 1 - 0.05 / 4))
    assert np.allclose(frame.band_low, frame.difference - band)
    assert np.allclose(frame.band_high, frame.difference + band)
    assert (frame.band_low < frame.low).all() and (frame.high < frame.band_high).all()


def test_what_moves_both_models_alike_does_not_widen_the_interval_of_their_difference():
    first = block("mx", "my")
    second = with_values(block("nx", "ny"), first.value + 0.1, first.without + 0.1)
    frame = tables.difference([first, second])
    assert np.ptp(tables.depth([first], "cka")[["low", "high"]].to_numpy(), axis=1).min() > 0.01
    assert np.allclose(frame[["difference", "low", "high"]], 0.1)


def test_difference_takes_models_of_as_many_layers_under_the_same_noises():
    blocks = [
        block("mx", "my"),
        block("mx", "mz"),
        block("nx", "ny"),
        block("ox", "oy"),
        block("nx", "nz", (3, 3)),
        block("oy", "oz"),
    ]
    frame = tables.difference(blocks)
    columns = ["model_a", "model_b", "noise_a", "noise_b"]
    found = frame[columns].drop_duplicates().sum(axis=1).tolist()
    assert found == ["mnxy", "moxy", "noxy"] and len(frame) == 12
    nothing = tables.difference(blocks[:2])
    assert len(nothing) == 0 and list(nothing) == list(frame)


@pytest.mark.parametrize("layers, quarter", [(10, [7, 8]), (4, [2]), (14, [10, 11, 12])])
def test_last_quarter_is_the_mean_over_the_last_quarter_of_the_blocks(layers, quarter):
    """Of 8, 2 and 12 blocks behind the first layer, the last 2, 1 and 3."""
    within = block("mx", "my", (layers, layers), seed=1)
    between = block("mx", "nx", (layers, layers), seed=2)
    frame = last_quarter(within, between)
    columns = ["model_a", "noise_a", "model_b", "noise_b", "pairs", "cka", "low", "high"]
    assert list(frame) == [*columns, "photographs", *CONTROLS, *GAPS]
    assert frame.photographs.tolist() == [5, 5]
    assert frame[[*CONTROLS, *GAPS]].isna().all(axis=None)
    assert frame[tables.VIEWS].to_numpy().tolist() == [list("mxmy"), list("mxnx")]
    assert frame.pairs.tolist() == ["same", "same"]

    def diagonal(values: Array) -> Array:
        return np.mean([values[..., i, i] for i in quarter], axis=0)

    for row, made in enumerate((within, between)):
        value, bound = diagonal(made.value), half(diagonal(made.without))
        expected = [value, value - bound, value + bound]
        assert frame.iloc[row][["cka", "low", "high"]].tolist() == pytest.approx(expected)


def test_last_quarter_of_models_of_different_depth():
    made = block("mx", "nx", (10, 6))
    (found,) = last_quarter(made).itertuples()
    assert found.pairs == "all"
    assert found.cka == pytest.approx((made.value[7, 4] + made.value[8, 4]) / 2)
    bound = float(half((made.without[:, 7, 4] + made.without[:, 8, 4]) / 2))
    assert (found.low, found.high) == pytest.approx((found.cka - bound, found.cka + bound))


def last_quarter(*blocks: Block) -> pd.DataFrame:
    return tables.last_quarter(tables.quarters(blocks), "cka")


def test_the_difference_of_two_models_means_has_an_interval_of_its_own():
    blocks = [block("mx", "my", (10, 10), seed=1), block("nx", "ny", (10, 10), seed=2)]
    others = [block("mx", "nx", (10, 10)), block("nx", "nz", (10, 10))]
    (row,) = tables.quarter_difference(tables.quarters([*blocks, *others])).itertuples(index=False)
    assert row[:4] == ("m", "n", "x", "y") and row.photographs == 5
    first, second = ((b.value, b.without) for b in blocks)
    means = [
        np.mean([part[..., i, i] for i in (7, 8)], axis=0) for part in (*first, *second)
    ]  # value, without of m; value, without of n
    bound = float(half(means[3] - means[1]))
    value = means[2] - means[0]
    assert row[4:7] == pytest.approx((value, value - bound, value + bound))


def test_models_of_different_depth_have_means_that_are_compared():
    blocks = [block("mx", "my", (10, 10)), block("nx", "ny", (6, 6), seed=1)]
    (row,) = tables.quarter_difference(tables.quarters(blocks)).itertuples(index=False)
    own = [b.value for b in blocks]
    assert row.difference == pytest.approx(own[1][4, 4] - (own[0][7, 7] + own[0][8, 8]) / 2)


def test_controls_of_a_layer_stand_beside_its_value():
    made = controlled(block("mx", "my", seed=1), seed=4)
    frame = tables.depth([made], "cka")
    for i, row in enumerate(frame.itertuples()):
        control = made.controls[i, i]
        drawn = [one.value for one in control.untrained]
        assert (row.ceiling, row.floor) == (control.ceiling.value, control.floor.value)
        assert row.untrained == pytest.approx(np.mean(drawn))
        assert row.untrained_sd == pytest.approx(np.std(drawn, ddof=1))
        distance = row.ceiling - row.floor
        bound = half(control.ceiling.without - control.floor.without)
        if distance > bound:
            assert row.normalised == pytest.approx((made.value[i, i] - row.floor) / distance)
        else:
            assert math.isnan(row.normalised)
    assert frame.normalised.isna().any() and frame.normalised.notna().any()


def test_controls_of_a_mean_are_means_of_the_controls():
    """And how far the mean is from them, with intervals that hold for both sides together."""
    made = controlled(block("mx", "my", (10, 10), seed=1), seed=2)
    (row,) = last_quarter(made).itertuples()
    cells = [made.controls[i, i] for i in (7, 8)]
    assert row.ceiling == pytest.approx(np.mean([c.ceiling.value for c in cells]))
    assert row.floor == pytest.approx(np.mean([c.floor.value for c in cells]))
    drawn = np.mean([[one.value for one in c.untrained] for c in cells], axis=0)
    assert row.untrained == pytest.approx(drawn.mean())
    assert row.untrained_sd == pytest.approx(drawn.std(ddof=1))
    mean = made.without[:, [7, 8], [7, 8]].mean(1)
    ceiling = np.mean([c.ceiling.without for c in cells], axis=0)
    below = (row.below_ceiling, row.below_ceiling_low, row.below_ceiling_high)
    bound = float(half(ceiling - mean))
    value = row.ceiling - row.cka
    assert below == pytest.approx((value, value - bound, value + bound))
    untrained = np.mean([[one.without for one in c.untrained] for c in cells], axis=(0, 1))
    # two independent parts: photographs, and the weights of three networks
    bound = math.hypot(half(mean - untrained), t.ppf(0.975, 2) * row.untrained_sd / math.sqrt(3))
    value = row.cka - row.untrained
    above = (row.above_untrained, row.above_untrained_low, row.above_untrained_high)
    assert above == pytest.approx((value, value - bound, value + bound))


def test_one_untrained_network_has_a_mean_and_no_standard_deviation():
    made = controlled(block("mx", "my"), untrained=1)
    frame = tables.depth([made], "cka")
    assert frame.untrained.notna().all() and frame.untrained_sd.isna().all()
    none = tables.depth([controlled(block("mx", "my"), untrained=0)], "cka")
    assert none.untrained.isna().all() and none.ceiling.notna().all()


def test_a_mean_over_cells_some_of_which_have_no_controls_has_none():
    made = controlled(block("mx", "my", (10, 10)))
    del made.controls[8, 8]
    assert last_quarter(made)[[*CONTROLS, *GAPS]].isna().all(axis=None)


def test_without_photographs_left_out_there_are_values_but_no_intervals():
    blocks = [block("mx", "my", photographs=0), block("nx", "ny", photographs=0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = [
            tables.cells(blocks, "cka", ABOUT),
            tables.depth(blocks, "cka"),
            last_quarter(*blocks),
            tables.difference(blocks),
            tables.quarter_difference(tables.quarters(blocks)),
        ]
    for frame in frames:
        assert len(frame) and frame.low.isna().all() and frame.high.isna().all()
        assert frame["difference" if "difference" in frame else "cka"].notna().all()


def influence(value: Array, without: Array) -> pd.DataFrame:
    made = with_values(block(shape=value.shape), value, without)
    return tables.influence([made], PHOTOGRAPHS[: len(without)])


def test_a_photograph_that_dominates():
    """One of n moves cell (1, 2) by −0.4 and nothing else moves: its share is (n − 1)/n."""
    n, value = 5, np.full((3, 4), 0.5)
    without = np.repeat(value[None], n, axis=0)
    without[3, 1, 2] += 0.4
    frame = influence(value, without)
    assert frame.photograph.tolist() == PHOTOGRAPHS[:n]
    assert (frame[tables.VIEWS] == list("mxmy")).all(axis=None)
    others = 1 / (n * (n - 1))
    assert np.allclose(frame.share, [others, others, others, (n - 1) / n, others])
    assert np.allclose(frame.mean_change, [0, 0, 0, -0.4 / 12, 0])
    assert np.allclose(frame.largest_change, [0, 0, 0, -0.4, 0])
    assert (frame.layer_a[3], frame.layer_b[3]) == (names(3)[1], names(4)[2])


def test_photographs_that_count_alike_share_alike():
    value = np.full((3, 3), 0.5)
    without = np.repeat(value[None], 9, axis=0)
    without[range(9), [0, 0, 0, 1, 1, 1, 2, 2, 2], 3 * [0, 1, 2]] -= 0.1
    frame = influence(value, without)
    assert np.allclose(frame.share, 1 / 9)
    assert np.allclose(frame.mean_change, 0.1 / 9) and np.allclose(frame.largest_change, 0.1)
    places = list(zip(frame.layer_a, frame.layer_b, strict=True))
    assert places == [(a, b) for a in names(3) for b in names(3)]


def test_influence_of_random_changes_pair_by_pair():
    blocks = [block("mx", "my", seed=1), block("mx", "nx", (4, 3), seed=2)]
    frame = tables.influence(blocks, PHOTOGRAPHS[:5])
    assert len(frame) == 10
    for k, made in enumerate(blocks):
        part = frame.iloc[5 * k : 5 * k + 5]
        variances = np.square(made.without - made.without.mean(0)).sum((1, 2))
        assert np.allclose(part.share, variances / variances.sum())
        for i, row in enumerate(part.itertuples()):
            change = made.value - made.without[i]
            place = np.unravel_index(np.abs(change).argmax(), change.shape)
            assert row.mean_change == pytest.approx(change.mean())
            assert row.largest_change == pytest.approx(change[place])
            assert row.layer_a == names(4)[place[0]]
            assert row.layer_b == names(made.value.shape[1])[place[1]]


def test_a_layer_without_values_leaves_the_others_of_influence_alone():
    whole = block()
    value, without = whole.value.copy(), whole.without.copy()
    value[2] = without[:, 2] = math.nan
    kept = [0, 1, 3]
    frame, expected = influence(value, without), influence(value[kept], without[:, kept])
    assert np.allclose(frame.share, expected.share)
    assert np.allclose(frame.largest_change, expected.largest_change)
    assert names(4)[2] not in set(frame.layer_a)


def test_mean_change_is_over_the_cells_that_have_a_value():
    value = np.full((3, 3), 0.5)
    without = np.repeat(value[None], 4, axis=0)
    without[1] -= 0.3
    value[0], without[:, 0] = math.nan, math.nan
    assert np.allclose(influence(value, without).mean_change, [0, 0.3, 0, 0])


def test_two_models_under_one_noise_have_no_normalised_value():
    """They are given the same draw, so that the ceiling is no bound."""
    made = controlled(block("mx", "my", seed=1), seed=2)
    same = {at: replace(of, other_noise=False) for at, of in made.controls.items()}
    (row,) = last_quarter(replace(made, controls=same)).itertuples()
    assert math.isnan(row.normalised) and math.isnan(row.below_ceiling)
    assert not math.isnan(row.ceiling) and not math.isnan(row.above_untrained)


def test_there_is_no_ceiling_without_similarity():
    draws = np.array([-0.01, 0.5, -0.2]), np.array([-0.02, 0.5, 0.3])
    assert np.isnan(geometric_mean(*draws)).tolist() == [True, False, True]
    assert geometric_mean(0.5, 0.02) == pytest.approx(0.1)
