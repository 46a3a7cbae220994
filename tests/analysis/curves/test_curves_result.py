"""The Python functions of training and test curves: settings, frames, plots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.commands.settings import REFERENCE, UNSEEN
from analysis.curves import CurvesResult, evaluate_checkpoints, read_curves
from analysis.curves.command import ANALYSIS
from analysis.curves.figures import smoothed
from analysis.curves.log_readers import Log
from analysis.curves.run_sources import RunSources
from analysis.curves.settings import NOISES, CurvesSettings
from analysis.plotting import captions
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.utils.errors import BadInput
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.training_logs import own

TESTS = (
    "100,gaussian:15,30\n100,isp,25\n100,poisson:3,21\n"
    "200,gaussian:15,32\n200,isp,22\n200,poisson:3,20\n"
)
FEW = {"crop": 16, "limit": 2, "progress": False}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    own(tmp_path / "one", TESTS, noise="gaussian:15")
    own(tmp_path / "two")
    return tmp_path


def axes():
    return Figure().subplots()


def saved(folder: Path, *steps: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for step in steps:
        place, weights = folder / f"snapshot-{step}.pth", tiny_network(step).state_dict()
        about = {"noise": "gaussian:15"}
        checkpoint_file.save(place, weights, network=TINY, mask=MaskPolicy(), training=about)
    return folder


def test_default_noises_are_the_shared_ones():
    assert NOISES[0] == REFERENCE and set(NOISES) - {REFERENCE, "gaussian:50"} < set(UNSEEN)
    names = [spec.partition(":")[0] for spec in NOISES]
    assert names == ["gaussian", "gaussian", "poisson", "salt_pepper", "speckle"]


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"smooth": 1}, "smooth 1: expected a number from 0 to below 1"),
        ({"smooth": -0.1}, "smooth -0.1: expected a number from 0 to below 1"),
        ({"noises": []}, r"noises \(\): give at least one"),
        ({"in_distribution": 15}, "in_distribution 15: expected several of: a text"),
        ({"attention_mask": "no"}, "attention_mask 'no': expected auto, on or off"),
        ({"smoth": 0.5}, "did you mean smooth"),
    ],
)
def test_a_bad_setting_is_one_line(setting, message):
    with pytest.raises(BadInput, match=message) as error:
        CurvesSettings.of(**setting)
    assert "\n" not in str(error.value)


def test_curves_of_logs(logs, tmp_path):
    result = read_curves([logs / "one", logs / "two"])
    assert isinstance(result, CurvesResult) and result.trained == {
        "one": ("gaussian:15",),
        "two": (),
    }
    assert repr(result) == "<CurvesResult of one, two: 14 values>"
    row = result.summary.set_index("run").loc["one"]
    assert (row.best_out_step, row.best_out_psnr, row.overfitting_gap) == (100, 23.0, 2.0)
    assert any("`one` 2.00 dB" in sentence for sentence in result.sentences())
    assert "one  Gaussian σ = 15, trained on" in result.text() and list(result.figures()) == [
        "curves"
    ]
    assert not list(tmp_path.glob("runs"))
    again = CurvesResult.read(ANALYSIS, result.save(tmp_path / "out"))
    assert again.text() == result.text() and again.trained == result.trained


def test_one_run_and_runs_with_names_of_their_own(logs):
    assert list(read_curves(logs / "one").trained) == ["one"]
    named = read_curves({"mine": logs / "one", "theirs": str(logs / "two")})
    assert list(named.trained) == ["mine", "theirs"]
    assert RunSources.of({"a": "x"}, {"a": "y", "b": "z"}).label == "a-b"


def test_another_noise_may_count_as_trained_on(logs):
    result = read_curves([logs / "one"], in_distribution="isp", smooth=0)
    assert result.trained == {"one": ("isp",)} and result.manifest["smooth"] == 0
    with pytest.raises(BadInput, match="did you mean isp"):
        read_curves([logs / "one"], in_distribution="ips")


def test_the_plot_of_the_loss(logs):
    result, ax = read_curves([logs / "one", logs / "two"], smooth=0.5), axes()
    assert result.plot_loss(ax) is ax
    logged, smooth, *others = ax.lines
    assert list(logged.get_xdata()) == [100, 200] and list(logged.get_ydata()) == [0.5, 0.25]
    assert np.array_equal(smooth.get_ydata(), smoothed([0.5, 0.25], 0.5)) and len(others) == 2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert len(result.plot_loss(axes(), smooth=0).lines) == 2
    assert result.plot_loss().figure is not ax.figure
    with pytest.raises(BadInput, match="below 1"):
        result.plot_loss(axes(), smooth=1)


def test_the_plot_of_psnr(logs):
    result, ax = read_curves([logs / "one", logs / "two"]), axes()
    assert result.plot_psnr("gaussian:15", ax) is ax
    curve, ring = ax.lines
    assert list(curve.get_ydata()) == [30, 32] and list(ring.get_xdata()) == [200]
    means, ring = result.plot_psnr(ax=axes()).lines
    assert list(means.get_ydata()) == [23, 21] and list(ring.get_xdata()) == [100]
    with pytest.raises(BadInput, match="did you mean isp"):
        result.plot_psnr("ips")
    with pytest.raises(BadInput, match="no run has test curves"):
        read_curves([logs / "two"]).plot_psnr()


def test_checkpoints_with_and_without_logs(logs):
    folder = saved(logs / "one", 5, 10)
    image = np.random.default_rng(0).integers(0, 255, (16, 32, 3), np.uint8)
    noises = ["gaussian:15", "poisson:3"]
    alone = evaluate_checkpoints([folder], images=image, noises=noises, **FEW)
    rows = alone.curves[["run", "source", "noise", "step"]].to_numpy().tolist()
    assert rows == [["one", "checkpoints", noise, step] for noise in noises for step in (5, 10)]
    assert alone.trained == {"one": ("gaussian:15",)} and list(alone.summary.last_step) == [10]
    logged = evaluate_checkpoints(folder, runs=folder, images=image, noises=noises, **FEW)
    assert set(logged.curves.source) == {"log", "validation", "checkpoints"}
    kept = logged.curves[logged.curves.source == "checkpoints"]
    assert kept.value.tolist() == alone.curves.value.tolist()
    curve, _ = logged.plot_psnr("gaussian:15", axes()).lines
    assert list(curve.get_xdata()) == [5, 10]
    with pytest.raises(BadInput, match="no run has logged a loss"):
        alone.plot_loss()


def test_what_cannot_be_evaluated(logs):
    with pytest.raises(BadInput, match="nothing to draw"):
        evaluate_checkpoints([])
    with pytest.raises(BadInput, match="no folder of checkpoints to evaluate"):
        evaluate_checkpoints([], runs=[logs / "one"])
    with pytest.raises(BadInput, match="two: no checkpoints in it"):
        evaluate_checkpoints(logs / "two")
    with pytest.raises(BadInput, match="no setting 'noise'"):
        evaluate_checkpoints(saved(logs / "s", 1), noise=["isp"])
    with pytest.raises(BadInput, match="--in-distribution ips: noise 'ips'"):
        evaluate_checkpoints(logs / "s", in_distribution="ips", **FEW)


@pytest.mark.parametrize("given", [None, [None], {"a": None}, 5])
def test_what_is_no_path_is_one_line(logs, given):
    for call in (read_curves, evaluate_checkpoints):
        with pytest.raises(BadInput, match="expected the path of a log or folder") as error:
            call(given)
        assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="expected the path"):
        evaluate_checkpoints(saved(logs / "s", 1), runs=given)


def test_paths_may_come_one_at_a_time(logs):
    assert list(read_curves(logs / name for name in ("one", "two")).trained) == ["one", "two"]


def test_whole_images_of_several_sizes(logs):
    rng = np.random.default_rng(0)
    sizes = ((16, 32), (24, 16), (16, 32))
    images = [rng.integers(0, 255, (*size, 3), np.uint8) for size in sizes]
    given = {"noises": ["gaussian:15"], "crop": None, "progress": False}
    folder = saved(logs / "s", 5)
    whole = evaluate_checkpoints(folder, images=images, **given).curves.value[0]
    each = [
        evaluate_checkpoints(folder, images=[image], **given).curves.value[0] for image in images
    ]
    assert whole == pytest.approx(np.mean(each), abs=1e-3)


def test_captions_say_what_logged_test_curves_are_means_over():
    pair = Path("mtd/pretrained")
    result = read_curves([pair / "baseline", pair / "masked"])
    assert result.manifest["test_crops"] == dict.fromkeys(result.trained, "16 crops of 64 x 64")
    drawn = result.figures(style="paper")["curves"]
    assert "mean over 16 crops of 64 x 64." in captions.caption(drawn, result.manifest, "")


@pytest.mark.parametrize(
    "recipe",
    [{}, *({"validation": v} for v in (1, {"crops": "16", "crop": 64}, {"crops": 16, "crop": 0}))],
)
def test_of_other_recipes_nothing_is_said(recipe):
    assert Log([], recipe, {}).test_crops == ""
