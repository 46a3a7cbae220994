"""Figures: the artists hold the table's numbers, with labels and one scale."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cka import figures as cka_figures
from analysis.plotting.figure_style import COLUMN, PAPER, TEXT, using
from tests.helpers.cka_tables import cka_table


def test_curves_over_depth_are_labelled_by_their_own_layers():
    """Also where the deeper model comes first."""
    deep = [f"layers.{g}.residual_group.blocks.0" for g in range(4)]
    rows = [("a", "x", "y", layer, i, 0.5, 0.4, 0.6) for i, layer in enumerate(deep)]
    rows += [("b", "x", "y", layer, i, 0.7, 0.6, 0.8) for i, layer in enumerate(deep[:2])]
    columns = ["model", "noise_a", "noise_b", "layer", "index", "cka", "low", "high"]
    figure = cka_figures.depth(pd.DataFrame(rows, columns=columns))
    assert figure is not None
    axes = figure.axes[0]
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels == ["block 0.0", "block 1.0", "block 2.0", "block 3.0"]
    assert [len(line.get_xdata()) for line in axes.lines] == [4, 2]
    assert cka_figures.depth(pd.DataFrame(columns=columns)) is None


def test_no_panel_of_curves_is_cut_off():
    """Also where the values of a later panel are higher than those of the first."""
    rows = [("a", "x", noise, "conv_first", 0, v, v, v) for noise, v in (("y", 0.2), ("z", 0.9))]
    columns = ["model", "noise_a", "noise_b", "layer", "index", "cka", "low", "high"]
    figure = cka_figures.depth(pd.DataFrame(rows, columns=columns))
    assert figure is not None
    for axes in figure.axes[:2]:
        low, high = axes.get_ylim()
        assert low < 0.2 and 0.9 < high <= cka_figures.HIGHEST


def test_figures_show_the_table():
    matrix = np.linspace(-0.25, 1, 81).reshape(9, 9)
    crossed = cka_table(matrix, ("a", "gaussian:15"), ("a", "poisson:3"))
    models = cka_table(matrix.T, ("a", "gaussian:15"), ("b", "gaussian:15"))
    frame = pd.concat([crossed, models]).sample(frac=1, random_state=0)  # order must not matter
    for figure, values, names in (
        (
            cka_figures.heatmap(frame, "cross_noise"),
            matrix,
            ("under Poisson α = 3", "under Gaussian σ = 15"),
        ),
        (cka_figures.heatmap(frame, "cross_model"), matrix.T, ("of b", "of a")),
    ):
        assert figure is not None
        axes = figure.axes[0]
        image = axes.images[0]
        assert np.allclose(image.get_array(), values)
        assert image.get_clim() == (-0.3, 1.0)
        assert [t.get_text() for t in axes.get_xticklabels()][:3] == [
            "conv_first",
            "block 0.0",
            "block 0.1",
        ]
        assert (axes.get_xlabel(), axes.get_ylabel()) == tuple(f"layer {name}" for name in names)
        assert not axes.yaxis_inverted()
    assert cka_figures.heatmap(models, "cross_noise") is None
    assert cka_figures.heatmap(crossed, "cross_model") is None


def test_a_matrix_of_many_layers_is_as_wide_as_a_column_in_print():
    models = cka_table(np.eye(28), ("a", "gaussian:15"), ("b", "gaussian:15"))
    with using(PAPER):
        figure = cka_figures.heatmap(models, "cross_model")
    assert figure is not None and figure.get_size_inches()[0] == COLUMN


def test_noises_of_a_model_are_in_a_row_in_print_and_share_their_names():
    noises = ["poisson:3", "speckle:0.04", "spatial:60", "mixture:4"]
    pairs = [((model, "gaussian:15"), (model, noise)) for model in "ab" for noise in noises]
    frame = pd.concat([cka_table(np.eye(9), *pair) for pair in pairs])
    with using(PAPER):
        figure = cka_figures.heatmap(frame, "cross_noise")
    assert figure is not None
    panels = figure.axes[:8]
    assert [axes.get_title() for axes in panels] == [*"aaaabbbb"]
    screen = cka_figures.heatmap(frame, "cross_noise")
    assert screen is not None and screen.axes[0].get_title() == "a, Poisson α = 3"
    assert [bool(axes.get_xlabel()) for axes in panels] == [False] * 4 + [True] * 4
    assert [bool(axes.get_ylabel()) for axes in panels] == 2 * [True, False, False, False]
    width, height = figure.get_size_inches()
    assert width == TEXT and height < 0.7 * width
