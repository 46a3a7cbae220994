"""What is said of a CKA comparison: means, controls, differences, influence, null values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.cka import reading as cka_reading
from analysis.cka.reading import sentences, terminal_table
from analysis.text.equal_weights import same_weights
from analysis.text.markdown import plain
from tests.helpers.cka_tables import cka_table, difference_table, means_table, quarter_differences

MODELS = {"models": {"a": {"sha256": "1"}, "b": {"sha256": "2"}}}
AGAINST = (("a", "x"), ("a", "y"))


def text_of(
    frame: pd.DataFrame,
    means: pd.DataFrame | None = None,
    manifest: Mapping[str, Any] = MODELS,
    **tables: pd.DataFrame,
) -> str:
    """The table and all sentences, in one line."""
    frames = {"cka": frame, "last_quarter": means_table(frame) if means is None else means} | tables
    table = terminal_table(frames, manifest)
    return " ".join(f"{table} {plain(' '.join(sentences(frames, manifest)))}".split())


def test_the_last_quarter_and_best_matches():
    matrix = np.full((9, 9), 0.2)
    matrix[8, 8], matrix[7, 7], matrix[7, 2] = 0.9, 0.7, 0.6
    crossed = cka_table(matrix, ("a", "gaussian:15"), ("a", "poisson:3"))
    models = cka_table(matrix, ("a", "gaussian:15"), ("b", "gaussian:15"))
    text = text_of(pd.concat([crossed, models]))
    assert "mean over the last quarter of the blocks" in text and "with 95%" not in text
    assert "a Gaussian σ = 15 against Poisson α = 3 0.500" in text
    assert "a and b Gaussian, σ = 15 0.500" in text
    assert "(block 0.6, block 0.7) among the blocks of b is block 0.7, at 0.900" in text
    assert "best matches of the other blocks of a: 0.200." in text
    assert "is biased" not in text and "This run has no intervals" in text
    assert "ceiling" not in text and "untrained" not in text
    bounded = text_of(models, means_table(models, (0.4, 0.6)))
    assert "0.500 [0.400, 0.600] for a and b under Gaussian σ = 15" in bounded
    text = text_of(models.assign(kernel="rbf", centering="highpass"))
    assert "RBF kernel, local mean removed" in text


CONTROLS = {
    "ceiling": 0.8,
    "floor": 0.1,
    "untrained": 0.45,
    "untrained_sd": 0.03,
    "normalised": 4 / 7,
    "below_ceiling": 0.3,
    "below_ceiling_low": 0.2,
    "below_ceiling_high": 0.4,
    "above_untrained": 0.05,
    "above_untrained_low": -0.1,
    "above_untrained_high": 0.2,
}


def test_controls_stand_beside_the_value():
    frame = cka_table(np.eye(3), *AGAINST)
    means = means_table(frame, (0.4, 0.6)).assign(**CONTROLS)
    text = text_of(frame, means)
    assert "CKA ceiling floor untrained normalized" in text
    assert "0.500 [0.400, 0.600] 0.800 0.100 0.450 ± 0.030 0.571" in text
    beside = "0.500 [0.400, 0.600] in a (ceiling 0.800, floor 0.100, untrained 0.450 ± 0.030)."
    assert beside in text
    drawn = "the same noise drawn again, minus this mean is +0.300 [+0.200, +0.400] in a: shown."
    assert drawn in text
    assert "of untrained networks is +0.050 [-0.100, +0.200] in a: not shown." in text
    without = means.assign(floor=np.nan, untrained_sd=np.nan, normalised=np.nan)
    text = text_of(frame, without)
    assert "in a (ceiling 0.800, untrained 0.450)." in text
    assert "normalized" not in text and "±" not in text


@pytest.mark.parametrize(
    "photographs, least, below, above",
    [
        (24, 0.0, "shown", "not shown"),
        (
            24,
            0.25,
            "not shown to differ by more than 0.25",
            "not shown to differ by more than 0.25",
        ),
        (24, 0.05, "shown to differ by more than 0.05", "not shown to differ by more than 0.05"),
        (9, 0.0, *2 * ["too few images to tell (at least 10 photographs)"]),
        (10, 0.0, "shown", "not shown"),
    ],
)
def test_what_training_and_the_kind_of_noise_change(photographs, least, below, above):
    frame = cka_table(np.eye(3), *AGAINST)
    means = means_table(frame, (0.4, 0.6), photographs=photographs).assign(**CONTROLS)
    text = text_of(frame, means, MODELS | {"least": least})
    assert f"is +0.300 [+0.200, +0.400] in a: {below}." in text
    assert f"is +0.050 [-0.100, +0.200] in a: {above}." in text


@pytest.mark.parametrize("photographs", [0, 24])
def test_without_intervals_there_is_no_verdict(photographs):
    """Nor are there too few images: none were left out."""
    frame = cka_table(np.eye(3), *AGAINST)
    nothing = {name: np.nan for name in CONTROLS if name.endswith(("_low", "_high"))}
    means = means_table(frame, photographs=photographs).assign(**CONTROLS | nothing)
    text = text_of(frame, means, MODELS | {"crops": [{"image": f"{i}"} for i in range(24)]})
    assert "drawn again, minus this mean is +0.300 in a. " in text
    assert "of untrained networks is +0.050 in a. " in text
    verdicts = text.replace("no difference can be shown", "")
    assert "shown" not in verdicts and "too few" not in text
    assert "This run has no intervals: no difference can be shown." in text


def test_a_network_below_untrained_ones_is_said_to_be():
    frame = cka_table(np.eye(3), *AGAINST)
    ends = {"above_untrained": -0.3, "above_untrained_low": -0.4, "above_untrained_high": -0.2}
    means = means_table(frame, (0.1, 0.2)).assign(**CONTROLS | ends)
    text = text_of(frame, means)
    assert "minus that of untrained networks is -0.300 [-0.400, -0.200] in a: shown." in text


def test_of_many_models_the_ends_stand_beside_their_controls():
    parts = [cka_table(np.eye(3), (name, "x"), (name, "y")) for name in "abcdef"]
    frame = pd.concat(parts, ignore_index=True)
    below = {name: 0.1 * i for i, name in enumerate("abcdef")}
    means = means_table(frame, (0.4, 0.6)).assign(**CONTROLS)
    means["below_ceiling"] = means.model_a.map(below)
    text = text_of(frame, means, {"models": {}})
    ends = "+0.000 [+0.200, +0.400] in a and +0.500 [+0.200, +0.400] in f: shown."
    assert f"drawn again, minus this mean is {ends}" in text


def test_the_null_values_of_biased_numbers():
    frame = cka_table(np.eye(3), ("a", "gaussian:15"), ("a", "poisson:3"))
    assert "is biased" not in text_of(frame)
    frame["null"] = np.linspace(0.25, 0.5, len(frame))
    assert "independent layers would score 0.250 to 0.500 here, not 0" in text_of(frame)


@pytest.mark.parametrize(
    "bounds, photographs, verdict",
    [
        ((0.1, 0.3), 24, "shown"),
        ((-0.3, -0.1), 24, "shown"),
        ((-0.1, 0.3), 24, "not shown"),
        ((0.1, 0.3), 4, "too few images to tell (at least 10 photographs)"),
        ((np.nan, np.nan), 24, "not shown"),
    ],
)
def test_a_difference_of_two_means_has_a_verdict(bounds, photographs, verdict):
    frame = cka_table(np.eye(3), *AGAINST)
    rows = quarter_differences({("a", "b"): bounds}, photographs)
    text = text_of(frame, quarter_difference=rows)
    assert f": {verdict}." in text.partition("In this mean, b - a is ")[2]
    assert text.count("In this mean") == 1
    other = rows.assign(noise_b="z")  # of noises that the table is not about
    assert "In this mean" not in text_of(frame, quarter_difference=other)


def test_the_smallest_difference_that_matters_decides():
    frame = cka_table(np.eye(3), *AGAINST)
    rows = quarter_differences({("a", "b"): (0.1, 0.3)})
    for least, verdict in {
        0.05: "shown to differ by more than 0.05",
        0.1: "not shown to differ by more than 0.10",
    }.items():
        text = text_of(frame, manifest=MODELS | {"least": least}, quarter_difference=rows)
        assert f"In this mean, b - a is +0.200 [+0.100, +0.300]: {verdict}." in text


def test_of_many_models_only_the_ends_are_compared():
    parts = [cka_table(np.eye(3), (name, "x"), (name, "y")) for name in "abcd"]
    frame = pd.concat(parts, ignore_index=True)
    means = means_table(frame, (0.4, 0.6))
    means["cka"] = [0.3, 0.1, 0.9, 0.5]
    pairs = [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    rows = quarter_differences(dict.fromkeys(pairs, (0.1, 0.3)))
    text = text_of(frame, means, {"models": {}}, quarter_difference=rows)
    assert "In this mean, c - b is +0.200 [+0.100, +0.300]: shown." in text
    curves = difference_table([0.1, 0.1], [0.2, 0.2])
    tables = pd.concat([curves.assign(model_a=a, model_b=b) for a, b in pairs])
    text = text_of(frame, means, {"models": {}}, difference=tables)
    assert text.count("Over depth") == 1 and "at the last block c - b" in text
    assert "were chosen by these same images" in text


def test_where_curves_differ_is_read_from_bands_for_all_layers_at_once():
    """Pointwise intervals without 0 do not count where the band includes it."""
    frame = cka_table(np.eye(3), *AGAINST)
    bounds = ([0.1, 0.1, -0.1, 0.2, 0.3], [0.2, 0.2, 0.1, 0.3, 0.4])
    apart = difference_table(*bounds)
    text = text_of(frame, difference=apart)
    assert (
        "Over depth, x against y: b is shown to be higher at 3 of 4 blocks, the first of them "
        "block 0.0, by intervals that hold for all layers at once" in text
    )
    assert "at the last block b - a is +0.350 [+0.300, +0.400]." in text
    wide = difference_table(*bounds, band=(0.15, 0.15))
    text = text_of(frame, difference=wide)
    assert "b is shown to be higher at 2 of 4 blocks, the first of them block 0.2" in text
    wider = difference_table(*bounds, band=(0.4, 0.4))
    text = text_of(frame, difference=wider)
    assert "no difference is shown at any block" in text
    assert "at the last block b - a is +0.350 [+0.300, +0.400] by its own interval; by" in text
    text = text_of(frame, manifest=MODELS | {"least": 0.25}, difference=apart)
    assert "higher by more than 0.25 at 1 of 4 blocks, block 0.3" in text
    text = text_of(frame, manifest=MODELS | {"least": 0.35}, difference=apart)
    assert "no difference of more than 0.35 is shown at any block" in text


def test_curves_that_cross():
    frame = cka_table(np.eye(3), *AGAINST)
    crossing = difference_table([-0.1, -0.3, 0.2], [0.1, -0.1, 0.4])
    text = text_of(frame, difference=crossing)
    assert "b is shown to be higher at 1 of 2 blocks, block 0.1, and" in text
    assert "and a is shown to be higher at 1 of 2 blocks, block 0.0, by" in text
    below = difference_table([-0.1, -0.3, -0.4], [0.1, -0.1, -0.2])
    text = text_of(frame, difference=below)
    assert "a is shown to be higher at 2 of 2 blocks, the first of them block 0.0, by" in text
    assert "b is shown" not in text


def test_with_few_photographs_or_without_intervals_nothing_is_said_to_differ():
    frame = cka_table(np.eye(3), *AGAINST)
    apart = difference_table([0.1, 0.1, 0.3], [0.2, 0.2, 0.4])
    few = means_table(frame, (0.4, 0.6), photographs=9)
    text = text_of(frame, few, difference=apart)
    assert "is +0.350 [+0.300, +0.400]; in which layers the curves differ: too few images" in text
    none = apart.assign(low=np.nan, high=np.nan, band_low=np.nan, band_high=np.nan)
    text = text_of(frame, means_table(frame, photographs=0), difference=none)
    assert "b - a is +0.350; without intervals no difference can be shown." in text
    missing = none.assign(difference=np.nan)
    text = text_of(frame, means_table(frame, photographs=0), difference=missing)
    assert "at the last block b - a has no value." in text
    assert "shown to be" not in text


@pytest.mark.parametrize(
    "photographs, said",
    [
        (24, "they are about other photographs, not other trainings."),
        (9, "With 9 photographs they are rough: at least 10 are needed."),
        (2, "2 photographs are too few for intervals: at least 3 are needed, 10 for inference."),
        (1, "1 photograph is too few for intervals: at least 3 are needed, 10 for inference."),
    ],
)
def test_what_the_intervals_are_about(photographs, said):
    frame = cka_table(np.eye(3), *AGAINST)
    bounds = (0.4, 0.6) if photographs > 2 else (np.nan, np.nan)
    means = means_table(frame, bounds, photographs=photographs)
    text = text_of(frame, means)
    assert said in text and ("rough" in text) == (photographs == 9)
    assert "an illustration, not inference" not in text
    text = text_of(frame, means, MODELS | {"images": "bundled"})
    assert "The bundled photographs are an illustration, not inference" in text


def test_of_views_against_themselves_alone_the_intervals_are_in_the_cells():
    """Not that the run has none."""
    matrix = np.full((4, 4), 0.5)
    frame = cka_table(matrix, ("a", "x"), ("a", "x")).assign(low=0.4, high=0.6)
    empty = means_table(frame).iloc[:0]
    text = text_of(frame, empty)
    assert "those of single cells are in cka.csv" in text and "no intervals" not in text
    text = text_of(frame.assign(low=np.nan, high=np.nan), empty)
    assert "no intervals" in text or "too few for intervals" in text


def test_a_photograph_with_most_of_the_spread_is_named():
    frame = cka_table(np.eye(3), *AGAINST)
    views = {"model_a": "a", "noise_a": "x", "model_b": "a", "noise_b": "y"}
    share = np.full(40, 0.5 / 39)
    share[7] = 0.5
    table = pd.DataFrame({"photograph": [f"i{k}" for k in range(40)], "share": share})
    table = table.assign(**views)
    text = text_of(frame, influence=table)
    assert "i7, contributes 50% of the variance behind an interval (of a under x" in text
    assert "each of 40 would contribute 2%: see influence.csv" in text
    assert "see influence.csv" not in text_of(frame, influence=table.assign(share=1 / 40))


def test_layers_without_a_value_are_named_with_the_reason():
    frame = cka_table(np.eye(3), *AGAINST)
    layers = pd.DataFrame(
        {"model": "a", "noise": "x", "layer": ["conv_first"], "reason": ["it does not vary"]}
    )
    text = text_of(frame, layers=layers)
    assert "No value for conv_first of a under x: it does not vary." in text


def test_files_with_the_same_weights_are_named_and_not_compared():
    frame = pd.concat(
        [
            cka_table(np.eye(3), *AGAINST),
            cka_table(np.eye(3), ("b", "x"), ("b", "y")),
            cka_table(np.eye(3), ("a", "x"), ("b", "x")),
        ]
    )
    frames = {
        "cka": frame,
        "last_quarter": means_table(frame, (0.4, 0.6)),
        "quarter_difference": quarter_differences({("a", "b"): (0.1, 0.3)}),
        "difference": difference_table([0.1, 0.1], [0.2, 0.2]),
    }
    same: dict[str, dict[str, dict[str, object]]] = {
        "models": {"a": {"sha256": "1"}, "b": {"sha256": "1"}}
    }
    assert same_weights(same) == ["`a` and `b` hold the same weights."]
    said = sentences(frames, same)
    comparisons = ("best match", "Between models", "In this mean", "Over depth")
    assert not any(word in text for text in said for word in comparisons)
    same["models"]["b"]["usage"] = {"sigma": 25.0}  # called in another way: compared
    said = sentences(frames, same)
    assert all(any(word in text for text in said) for word in comparisons)
    assert same_weights(MODELS) == []


@pytest.mark.parametrize(
    "count, photographs, said_",
    [
        (19, 12, "With 19 permutations the tests of `cka.csv` cannot decide: p is 0.05 or more"),
        (20, 12, ""),
        (1000, 9, "9 photographs: no p-values in `cka.csv`; at least 10 are needed"),
        (1000, 10, ""),
        (0, 3, ""),
    ],
)
def test_permutations_need_to_be_enough_and_photographs_too(count, photographs, said_):
    """The least p-value is 1 / (1 + permutations)."""
    crops = [{"image": str(image)} for image in range(photographs)]
    text = " ".join(cka_reading.few_permutations({"permutations": count, "crops": crops}))
    assert text.startswith(said_) and bool(text) == bool(said_)
