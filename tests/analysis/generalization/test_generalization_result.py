"""`analysis.generalization.benchmark`: models and images from Python, frames, plots, saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import analysis
from analysis.generalization.command import ANALYSIS
from analysis.generalization.result import GeneralizationResult
from analysis.text.noise_labels import NOISY
from mtd import metrics
from mtd.data import crops as data_crops
from mtd.metrics import psnr_ssim, registry
from mtd.noise import parse
from mtd.noise.base import pair_keyed
from mtd.utils.errors import BadInput
from tests.helpers.networks import tiny_network


class Blur(nn.Module):
    """A network of a user's own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(x, 3, 1, 1)


IMAGES = [np.random.default_rng(i).integers(0, 256, (40, 36, 3), dtype=np.uint8) for i in range(3)]
NOISES = ["gaussian:15", "poisson:2", "poisson:3.5"]


@pytest.fixture(scope="module")
def result() -> GeneralizationResult:
    torch.set_num_threads(2)
    models = {"blur": Blur(), "tiny": tiny_network(0)}
    return analysis.generalization.benchmark(
        models,
        images=IMAGES,
        noises=NOISES,
        in_distribution=["gaussian:15"],
        lpips=False,
        progress=False,
    )


def test_values_are_the_metrics_of_the_outputs(result):
    rows = result.results.query("model == 'blur' and noise == 'poisson:2' and metric == 'psnr'")
    beside = {"classical:blur:0.9", "classical:median:3", "filter:blur", "filter:tiny"}
    assert len(rows) == 3 and set(result.results.model) == {"blur", "tiny", NOISY, *beside}
    for row, pixels in zip(rows.itertuples(), IMAGES, strict=True):
        clean = data_crops.to_tensor([pixels])
        noisy, _ = pair_keyed(parse("poisson:2"), clean, [row.sha256], seed=0)
        assert row.value == pytest.approx(float(psnr_ssim.psnr(Blur()(noisy), clean)), abs=1e-3)
    scores = result.scores.query("metric == 'psnr'").set_index("model")
    drop = scores.in_distribution - scores.out_of_distribution
    pd.testing.assert_series_equal(scores.ood_drop, drop, check_names=False)
    assert result.manifest["images"] == ["image 0", "image 1", "image 2"]


def test_plots_show_the_tables(result):
    axes = result.plot_levels()
    curves = {line.get_label(): line for line in axes.lines}
    noises = result.noises.query("metric == 'psnr' and kind == 'poisson'")
    for model in ("blur", "tiny", NOISY):
        rows = noises[noises.model == model]
        assert list(curves[model].get_xdata()) == [2, 3.5]
        assert np.array_equal(curves[model].get_ydata(), rows["mean"])
    assert "PSNR (dB)" in axes.get_ylabel() and axes.get_title() == "Poisson"
    single = result.plot_levels(kind="gaussian", metric="ssim")
    assert [tick.get_text() for tick in single.get_xticklabels()] == [
        "Gaussian, σ = 15\n(trained on)"
    ]
    ranks = result.plot_ranks()
    assert np.asarray(ranks.images[0].get_array()).shape == (2, 3)
    assert result.plot_ranks(ax=ranks) is ranks
    for call, message in (
        (lambda: result.plot_levels(metric="mse"), "metric 'mse'"),
        (lambda: result.plot_levels(kind="poison"), "did you mean poisson"),
    ):
        with pytest.raises(BadInput, match=message):
            call()


def test_a_saved_result_is_the_run_of_the_command(result, tmp_path: Path):
    folder = result.save(tmp_path / "run")
    again = GeneralizationResult.read(ANALYSIS, folder)
    for name, frame in result.frames.items():
        both = (again.frames[name], frame)
        read, computed = (table.to_csv(index=False, na_rep="nan") for table in both)
        assert read == computed
    assert again.attachments == result.attachments
    assert sorted(again.figures()) == sorted(result.figures())
    names = {path.name for path in folder.iterdir()}
    assert {"levels_psnr.png", "ranks.png", "strip_poisson_3.5.png", "strips.safetensors"} <= names
    assert result.sentences() and result.text() in (folder / "summary.txt").read_text()


def test_one_model_has_no_ranks():
    alone = analysis.generalization.benchmark(
        Blur(), images=IMAGES[:1], noises=NOISES[:1], lpips=False, progress=False
    )
    with pytest.raises(BadInput, match="one model: ranks need two"):
        alone.plot_ranks()
    assert "ranks" not in alone.figures()
    assert "1 photograph is too few for intervals" in alone.text()
    more = analysis.generalization.benchmark(
        Blur(), images=IMAGES, noises=NOISES[:1], lpips=False, progress=False
    )
    assert "With 3 photographs they are rough" in " ".join(more.text().split())


def test_a_metric_of_another_package_is_one_like_the_others(monkeypatch):
    def mae(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output.double() - target.double()).abs().mean((1, 2, 3)).mul(255)

    own = metrics.Metric("mae", "mean absolute error", "8-bit levels", False, 2, mae)
    monkeypatch.setattr(registry, "metrics", lambda: {**metrics.metrics(), "mae": own})
    result = analysis.generalization.benchmark(
        [Blur(), tiny_network(0)], images=IMAGES, noises=NOISES, lpips=False, progress=False
    )
    assert set(result.scores.metric) == {"psnr", "ssim", "mae"}
    row = result.results.query("metric == 'mae' and model == 'Blur' and noise == 'poisson:2'").iloc[
        0
    ]
    clean = data_crops.to_tensor([IMAGES[0]])
    noisy, _ = pair_keyed(parse("poisson:2"), clean, [row.sha256], seed=0)
    assert row.value == pytest.approx(float(mae(Blur()(noisy), clean)), abs=1e-6)
    assert "mean absolute error (8-bit levels), lower is better" in result.text()
    assert "levels_mae" in result.figures()


def test_models_of_unknown_training_are_ordered_by_the_mean_over_all_noises():
    models = {"blur": Blur(), "tiny": tiny_network(0)}
    found = analysis.generalization.benchmark(
        models, images=IMAGES, noises=NOISES, lpips=False, progress=False
    )
    board = found.leaderboard()
    psnr = found.scores.query("metric == 'psnr'").set_index("model")["mean"]
    assert list(board.model)[:2] == list(psnr[["blur", "tiny"]].sort_values(ascending=False).index)
    assert board["all noises"].notna().all() and set(board["worst noise"]) == {"–"}
    assert board[["in distribution", "out of distribution", "PSNR drop"]].isna().all(axis=None)
    assert not any("trained on" in str(name) for name in found.means())
    assert set(found.tests.noise) == {*NOISES, "all noises"}
    joint = found.tests.query("metric == 'psnr' and noise == 'all noises'").iloc[0]
    difference = psnr[joint.model_a] - psnr[joint.model_b]
    assert joint.difference == pytest.approx(difference, abs=1e-9)
    said = " ".join(found.sentences())
    assert (
        "over all noises: " in said and "What `blur` and `tiny` were trained on is unknown" in said
    )
    assert "unseen noise." not in said and found.figures()
