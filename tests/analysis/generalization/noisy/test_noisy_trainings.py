"""Several trainings as one model on noisy pictures, against runs of single networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
from analysis.generalization.noisy.inputs import BLUR
from analysis.generalization.noisy.observer import average
from analysis.generalization.noisy.tables import DIFFERENCE, of_pairs
from tests.helpers.networks import save_tiny, save_trainings

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
NAMES = ["base (b1)", "base (b2)", "base (b3)"]


def run(models: Any) -> Any:
    return analysis.generalization.noisy_pictures(models, PICTURES, progress=False)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """One run with the trainings of a model, and one with each of them as a model."""
    folder: Path = tmp_path_factory.mktemp("noisy")
    pattern = save_trainings(folder, 3)
    other = save_tiny(folder / "other.pth", seed=7)
    files = {f"base (b{k})": folder / f"b{k}" / "model.pth" for k in (1, 2, 3)}
    return run({"base": pattern, "other": other}), run({**files, "other": other})


def test_means_are_those_of_single_networks(both):
    together, apart = both
    expected = apart.means.set_index(["model", "quantity"])["mean"]
    rows = together.means[(together.means.model == "base") & (together.means.model_b == "")]
    assert len(rows) == 5
    for row in rows.itertuples():
        values = np.array([expected[name, row.quantity] for name in NAMES])
        assert row.mean == pytest.approx(values.mean(), abs=1e-10)
        ends = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
        assert (row.low_trainings, row.high_trainings) == pytest.approx(ends, abs=1e-9)
        half = np.hypot(row.mean - row.low_photographs, row.mean - row.low_trainings)
        assert row.mean - row.low == pytest.approx(half, abs=1e-9) and row.trainings == 3


def test_tables_of_single_trainings_are_those_of_single_networks(both):
    together, apart = both
    found = together.frames["means_by_training"]
    expected = apart.means[apart.means.model.isin(NAMES) & (apart.means.model_b == "")]
    assert list(dict.fromkeys(found.training)) == NAMES
    for name in NAMES:
        own, other = found[found.training == name], expected[expected.model == name]
        for column in ("quantity", "mean", "low", "high", "floor"):
            assert own[column].to_list() == pytest.approx(other[column].to_list(), nan_ok=True) or (
                own[column].to_list() == other[column].to_list()
            )
    assert "means_by_training" not in apart.frames and "training" not in apart.no_reference


def test_differences_are_over_pairs_of_trainings(both):
    together, apart = both
    between = apart.means[apart.means.quantity == DIFFERENCE].set_index(["model", "model_b"])
    rows = together.means[together.means.quantity == DIFFERENCE].set_index(["model", "model_b"])
    within = [
        between["mean"][a, b]
        for a, b in ((0, 1), (0, 2), (1, 2))
        for a, b in [(NAMES[a], NAMES[b])]
    ]
    assert rows["mean"]["base", "base"] == pytest.approx(np.mean(within), abs=1e-10)
    for other in ("other", BLUR):
        values = [between["mean"][name, other] for name in NAMES]
        row = rows.loc[("base", other)]
        assert row["mean"] == pytest.approx(np.mean(values), abs=1e-10)
        ends = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        if other == BLUR:
            assert (row.low_trainings, row.high_trainings) == pytest.approx(ends, abs=1e-9)
        else:  # of a single training
            assert np.isnan(row.low_trainings) and row.low == row.low_photographs
    assert "between two trainings of `base`" in " ".join(together.sentences())


def test_the_trainings_of_two_models_have_their_means_over_the_other():
    index = pd.MultiIndex.from_product([["a1", "a2", "a3"], ["b1", "b2"]])
    a, b = of_pairs(pd.Series([1.0, 2, 3, 4, 5, 6], index))
    assert a.tolist() == [1.5, 3.5, 5.5] and b.tolist() == [3.0, 4.0]


def test_every_training_has_its_outputs_and_the_first_is_shown(both):
    together, apart = both
    for name in (*NAMES, "other"):
        found, expected = (r.output(name, "image 1") for r in (together, apart))
        assert np.array_equal(found, expected)
    assert set(together.strips.training) == {"base (b1)", "other", "noisy input"}
    assert "dashes: single trainings" in together.figures()["no_reference"].get_suptitle()


def test_every_model_counts_the_same_in_the_stand_in_whatever_its_trainings():
    images = [np.full((1, 1, 3), value, dtype=np.uint8) for value in (10, 20, 60)]
    assert (average([images[:2], images[2:]]) == round((15 + 60) / 2)).all()
