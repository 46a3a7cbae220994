"""Figures of the benchmark: what is drawn is what the table says."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.generalization import conditions, scoring
from analysis.generalization import figures as generalization_figures
from analysis.plotting.figure_style import MODELS
from analysis.text.noise_labels import NOISY
from tests.helpers.benchmark_tables import RESULTS

FRAME = scoring.noises(conditions.table(RESULTS, "psnr", ["gaussian:15"]))


def test_a_panel_for_each_kind_with_levels_and_one_for_the_rest():
    figure = generalization_figures.curves(FRAME, "psnr")
    assert figure is not None
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Gaussian", "one level"]
    curves = {line.get_label(): line for line in figure.axes[0].lines}
    for model in ("a", "b", NOISY):
        rows = FRAME[(FRAME.model == model) & (FRAME.kind == "gaussian")]
        assert np.array_equal(curves[model].get_ydata(), rows["mean"])
        assert list(curves[model].get_xdata()) == [15, 50]
    bands = figure.axes[0].collections
    low = FRAME[(FRAME.model == "a") & (FRAME.noise == "gaussian:50")].low.iloc[0]
    assert bands[0].get_paths()[0].vertices[:, 1].min() == pytest.approx(low)
    assert figure.axes[0].texts[0].get_text() == "trained on"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", NOISY]
    assert [tick.get_text() for tick in figure.axes[1].get_xticklabels()] == [
        "Poisson, α = 3",
        "camera pipeline",
    ]


def test_noises_of_one_level_have_a_legend_too():
    one = FRAME[FRAME.noise.isin(["gaussian:15", "isp"])]
    figure = generalization_figures.curves(one, "psnr")
    assert figure is not None and len(figure.axes) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", NOISY]
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["Gaussian, σ = 15\n(trained on)", "camera pipeline"]


def test_samples_per_pixel_fall_as_noise_grows():
    figure = generalization_figures.curves(FRAME.assign(kind="monte_carlo"), "psnr")
    assert figure is not None
    left, right = figure.axes[0].get_xlim()
    assert left > right


def test_the_noisy_input_is_grey_in_every_figure():
    assert generalization_figures.style(NOISY, ["a", NOISY])["color"] == "0.45"
    assert generalization_figures.style("b", ["a", "b"])["color"] == MODELS[1]
    many = [str(i) for i in range(25)]
    assert "#7f7f7f" not in {generalization_figures.style(name, many)["color"] for name in many}
    looks = {tuple(generalization_figures.style(name, many).items()) for name in many}
    assert len(looks) == 25


def test_whose_preset_the_mixture_is_stands_in_the_title():
    frame = FRAME.assign(kind="mixture")
    figure = generalization_figures.curves(frame, "psnr")
    assert figure is not None and "this project's own preset" in figure.get_suptitle()


def test_ranks_are_in_the_given_order_and_need_two_models():
    figure = generalization_figures.rank_map(FRAME, ["b", "a"])
    assert figure is not None
    axes = figure.axes[0]
    values = np.asarray(axes.images[0].get_array())
    table = FRAME.pivot(index="model", columns="noise", values="mean_rank")
    noises = ["gaussian:15", "gaussian:50", "poisson:3", "isp"]
    assert np.array_equal(values, table.loc[["b", "a"], noises].to_numpy())
    assert axes.get_xticklabels()[0].get_text() == "Gaussian, σ = 15\n(trained on)"
    gains = FRAME[FRAME.model != NOISY].gain
    assert len(axes.patches) == (gains < 0).sum() > 0
    assert generalization_figures.rank_map(FRAME[FRAME.model != "b"], ["a"]) is None


def test_no_rows_no_figure():
    assert generalization_figures.curves(FRAME, "lpips") is None
