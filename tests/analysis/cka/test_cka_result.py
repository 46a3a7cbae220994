"""The plots of a result: pairs of views in either order, and what a run does not compare."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import analysis
from analysis.cka.command import ANALYSIS
from analysis.cka.result import CKAResult
from mtd.utils.errors import BadInput

NOISES = ["gaussian:15", "poisson:3.5"]


def compared(noises: list[str]) -> CKAResult:
    torch.manual_seed(0)
    models = {
        name: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
        for name in "ab"
    }
    images = list(np.random.default_rng(0).random((6, 24, 24, 3)))
    return analysis.cka.compare(models, images=images, noises=noises, crop=24, progress=False)


@pytest.fixture(scope="module")
def result() -> CKAResult:
    return compared(NOISES)


def axes():
    return Figure().subplots()


def test_a_pair_is_drawn_in_whichever_order_it_is_named(result):
    drawn = [
        result.plot_matrix(axes(), models=models, noises=noises).images[0].get_array()
        for models, noises in (
            (("a", "b"), "gaussian:15"),
            (("b", "a"), "gaussian:15"),
            ("a", ("gaussian:15", "poisson:3.5")),
            ("a", ("poisson:3.5", "gaussian:15")),
        )
    ]
    assert np.array_equal(drawn[0], drawn[1]) and np.array_equal(drawn[2], drawn[3])
    assert not np.array_equal(drawn[0], drawn[2])
    curves = [
        [line.get_ydata().tolist() for line in result.plot_depth(axes(), noises=pair).lines]
        for pair in (("gaussian:15", "poisson:3.5"), ("poisson:3.5", "gaussian:15"))
    ]
    # of two models the curve, its ceiling, its floor, and untrained networks
    assert curves[0] == curves[1] and len(curves[0]) == 2 * 4


def test_what_the_run_does_not_hold(result):
    with pytest.raises(BadInput, match="model 'c': known: a, b"):
        result.plot_matrix(models=("a", "c"))
    with pytest.raises(BadInput, match="noise 'poisson:3': did you mean"):
        result.plot_depth(noises=("gaussian:15", "poisson:3"))
    one = compared(NOISES[:1])
    assert one.plot_matrix(axes()).images
    with pytest.raises(BadInput, match="compares no layer with itself under two noises"):
        one.plot_depth()


def test_a_run_of_an_earlier_version_is_to_be_run_again(result, tmp_path):
    """Its intervals left out crops."""
    path = result.save(tmp_path / "run")
    again = CKAResult.read(ANALYSIS, path)
    assert again.last_quarter.equals(pd.read_csv(path / "last_quarter.csv"))
    older = again.last_quarter.drop(columns="photographs")
    older.to_csv(path / "last_quarter.csv", index=False)
    with pytest.raises(
        BadInput, match=r"last_quarter\.csv: .* earlier version.*; run the analysis"
    ):
        CKAResult.read(ANALYSIS, path)
