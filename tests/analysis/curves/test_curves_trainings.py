"""Several trainings of one run: mean curves and summaries against those of single runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.curves import command, evaluate_checkpoints, read_curves
from analysis.curves.command import ANALYSIS
from analysis.curves.figures import smoothed
from analysis.curves.result import CurvesResult
from analysis.curves.trainings import MEASURED
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.utils.errors import BadInput
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.training_logs import own

NOISES = ("gaussian:15", "poisson:3", "isp")
STEPS = tuple(range(100, 600, 100))
POINT = ["quantity", "noise", "step"]


def training(place: Path, seed: int, steps: tuple[int, ...] = STEPS, noise: str = "gaussian:15"):
    random = np.random.default_rng(seed)
    values = [(step, name, random.normal(25, 2)) for step in steps for name in NOISES]
    tests = "".join(f"{step},{name},{value:.6f}\n" for step, name, value in values)
    losses = "".join(f"{step},{random.uniform(0.1, 0.2):.6f},0.001,20\n" for step in steps)
    return own(place, tests, losses, noise)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2, 10):
        training(tmp_path / "runs" / f"b{seed}", seed)
    training(tmp_path / "runs" / "other", 4)
    return tmp_path


def read(**given: object) -> CurvesResult:
    return read_curves({**given})  # type: ignore[arg-type]


def test_the_mean_curve_and_its_interval(runs):
    result = read(base="runs/b*", other="runs/other")
    alone = [read(base=f"runs/b{seed}").curves.set_index(POINT).value for seed in (1, 2, 10)]
    values = pd.concat(alone, axis=1)
    base = result.curves[result.curves.run == "base"].set_index(POINT)
    assert len(base) == len(values) == len(STEPS) * 5
    mean, half = values.mean(axis=1), stats.t.ppf(0.975, 2) * stats.sem(values, axis=1)
    for name, expected in (("value", mean), ("low", mean - half), ("high", mean + half)):
        assert base[name].to_numpy() == pytest.approx(expected[base.index].to_numpy(), rel=1e-12)
    other = result.curves[result.curves.run == "other"]
    assert other[["low", "high"]].isna().all(axis=None) and set(other.trainings) == {1}
    single = read(other="runs/other").curves
    pd.testing.assert_frame_equal(other[list(single)].reset_index(drop=True), single)


def test_the_summary_has_means_of_single_summaries(runs):
    result = read(base="runs/b*", other="runs/other")
    row = result.summary.set_index("run").loc["base"]
    alone = pd.concat([read(x=f"runs/b{seed}").summary for seed in (1, 2, 10)])
    assert row.trained == "gaussian:15" and row.unseen == 2 and row.trainings == 3
    for name in MEASURED:
        single = alone[name].astype(float)
        assert row[name] == pytest.approx(single.mean(), rel=1e-12)
        half = stats.t.ppf(0.975, 2) * stats.sem(single)
        assert row[f"{name}_low"] == pytest.approx(row[name] - half, rel=1e-9)
        assert row[f"{name}_high"] == pytest.approx(row[name] + half, rel=1e-9)
    assert alone.best_out_psnr.std() > 0.01
    own_rows = result.frames["summary_by_training"]
    assert list(own_rows.training) == ["base (b1)", "base (b2)", "base (b10)"]
    for name in MEASURED:
        assert list(own_rows[name].astype(float)) == list(alone[name].astype(float))
    other = result.summary.set_index("run").loc["other"]
    single = read(other="runs/other").summary.iloc[0]
    assert all(other[name] == single[name] for name in single.index if name != "run")
    assert np.isnan(other.best_out_psnr_low)


def test_curves_are_of_the_steps_that_all_trainings_have(runs):
    training(runs / "runs" / "b2", 2, (100, 200, 300))
    training(runs / "runs" / "b10", 10, (100, 300, 400, 500))
    result = read(base="runs/b*")
    assert set(result.curves.step) == {100, 300}
    single = result.frames["curves_by_training"]
    assert set(single[single.training == "base (b1)"].step) == set(STEPS)
    text = " ".join(result.sentences())
    assert "The trainings of `base` end at different steps, 300 to 500" in text
    # of 5 curves: 5 + 3 + 4 values each, of which 2 of each training are used
    lacking = 5 * (len(STEPS) - 2)
    assert f"{lacking} values of single trainings of `base` are at steps that not all" in text


def test_tests_that_one_training_lacks_count_for_none(runs):
    tests = "".join(f"{step},{name},{20 + step / 100}\n" for step in STEPS for name in NOISES[:2])
    own(runs / "runs" / "b2", tests, noise="gaussian:15")
    result = read(base="runs/b*")
    assert set(result.curves.noise) == {"", *NOISES[:2]} and result.summary.unseen.item() == 1
    for row in result.frames["summary_by_training"].itertuples():
        rows = result.frames["curves_by_training"]
        under = rows[(rows.training == row.training) & (rows.noise == "poisson:3")]
        assert row.best_out_psnr == under.value.max()
    assert any(
        "Not all trainings of `base` were tested under camera pipeline" in t
        for t in result.sentences()
    )


def test_a_resumed_run_is_one_training(runs):
    """It logs steps 300 to 500 twice; the later values count."""
    log = runs / "runs" / "b1" / "log.csv"
    log.write_text(log.read_text() + "".join(f"{step},0.0{step},0.001,20\n" for step in STEPS[2:]))
    result = read(base="runs/b*")
    single = result.frames["curves_by_training"]
    losses = single[(single.training == "base (b1)") & (single.quantity == "loss")]
    assert list(losses.step) == list(STEPS)
    assert list(losses.value[2:]) == [0.03, 0.04, 0.05]
    assert set(single.training) == {"base (b1)", "base (b2)", "base (b10)"}
    assert any("The steps of `base (b1)` go back, to 300" in text for text in result.sentences())


def test_two_trainings_have_a_mean_without_an_interval(runs):
    result = read(base=["runs/b1", "runs/b2"])
    assert result.curves.value.notna().all() and result.curves.low.isna().all()
    assert any("too few for an interval (at least three)" in text for text in result.sentences())
    assert " [" not in result.text()


def test_runs_without_trainings_are_as_they_were(runs):
    result = read(base="runs/b1", other="runs/other")
    assert set(result.frames) == {"curves", "summary"} and "trainings" not in result.manifest
    assert list(result.curves) == ["run", "source", "quantity", "noise", "step", "value"]
    assert "Each run is one training" in result.text()


def test_in_distribution_names_the_run(runs):
    result = read_curves({"base": "runs/b*"}, in_distribution="base=poisson:3")
    assert result.trained == {"base": ("poisson:3",)}
    with pytest.raises(BadInput, match="no run 'bsae'; did you mean base"):
        read_curves({"base": "runs/b*"}, in_distribution="bsae=poisson:3")


def test_unknown_training_has_the_mean_of_each_ones_best(runs):
    for place in (runs / "runs").iterdir():
        (place / "recipe.json").unlink()
    result = read(base="runs/b*")
    rows = result.frames["curves_by_training"]
    best = rows[rows.noise == "isp"].groupby("training").value.max().mean()
    assert f"{best:.2f} dB" in " ".join(result.sentences())


def test_thin_lines_rings_and_bands(runs):
    result = read(base="runs/b*", other="runs/other")
    axes = result.plot_psnr("isp")
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1]
    assert len(thin) == 3 and len(axes.collections) == 1
    values = result.frames["curves_by_training"]
    first = values[(values.training == "base (b1)") & (values.noise == "isp")].value
    assert list(np.asarray(thin[0].get_ydata())) == list(first)
    loss = result.plot_loss(smooth=0.5)
    thin = [line for line in loss.get_lines() if line.get_linewidth() == 0.6]
    (thick,) = (line for line in loss.get_lines() if line.get_label() == "base")
    drawn = np.array([np.asarray(line.get_ydata()) for line in thin])
    mean = result.curves[(result.curves.run == "base") & (result.curves.quantity == "loss")].value
    assert drawn.mean(0) == pytest.approx(np.asarray(thick.get_ydata()))
    assert smoothed(mean, 0.5) == pytest.approx(np.asarray(thick.get_ydata()))
    unseen = result.plot_psnr()
    rings = [line for line in unseen.get_lines() if line.get_markerfacecolor() == "none"]
    assert sorted(line.get_markersize() for line in rings) == [6, 6, 6, 10]
    best = result.frames["summary_by_training"]
    found = {(line.get_xdata()[0], line.get_ydata()[0]) for line in rings}
    assert set(zip(best.best_out_step, best.best_out_psnr, strict=True)) <= found
    assert len(unseen.collections) == 1
    title = result.figures()["curves"].get_suptitle()
    assert "rings: each training's best step" in title and "bands: 95% intervals" in title


@pytest.mark.drawn
def test_the_command(runs, in_process):
    code, out, _ = in_process(command.main, "base=runs/b*", "runs/other", "--output-dir", "out")
    assert code == 0 and "Training and test curves of 2 runs (4 trainings)" in out
    assert {file.name for file in (runs / "out").iterdir()} >= {
        *(f"{name}.csv" for name in ANALYSIS.table_names),
        "curves.png",
    }
    result = CurvesResult.read(ANALYSIS, runs / "out")
    assert result.text() + "\n" == (runs / "out" / "summary.txt").read_text()
    assert list(result.manifest["trainings"]["base"]) == ["base (b1)", "base (b2)", "base (b10)"]


def save(place: Path, seed: int, step: int) -> None:
    place.mkdir(parents=True, exist_ok=True)
    about = {"steps": step, "noise": "gaussian:15"}
    weights = tiny_network(seed).state_dict()
    file = place / f"snapshot-{step:06d}.pth"
    checkpoint_file.save(file, weights, network=TINY, mask=MaskPolicy(), training=about)


def test_checkpoints_of_several_trainings(runs):
    for seed in (1, 2, 10):
        for step in (100, 200):
            save(runs / "runs" / f"b{seed}", seed + step, step)
    given = {"crop": 16, "limit": 2, "progress": False, "noises": ["gaussian:15", "poisson:3"]}
    result = evaluate_checkpoints({"base": "runs/b*"}, runs={"base": "runs/b*"}, **given)
    alone = [evaluate_checkpoints({"base": f"runs/b{seed}"}, **given) for seed in (1, 2, 10)]
    point = ["noise", "step"]
    values = pd.concat([one.curves.set_index(point).value for one in alone], axis=1)
    rows = result.curves[result.curves.source == "checkpoints"].set_index(point)
    assert rows.value.to_numpy() == pytest.approx(values.mean(axis=1)[rows.index].to_numpy())
    assert len(rows) == 4 and rows.low.notna().all()
    best = np.mean([one.summary.best_out_psnr.item() for one in alone])
    assert result.summary.best_out_psnr.item() == pytest.approx(best)
    assert result.summary.last_loss_step.item() == STEPS[-1]


def test_checkpoints_that_are_none_of_one_run(runs):
    given = {"crop": 16, "limit": 2, "progress": False}
    for name, seed, step in (("a1", 1, 100), ("a2", 2, 200)):
        save(runs / name, seed, step)
    with pytest.raises(BadInput, match="no step of which every training of a has a checkpoint"):
        evaluate_checkpoints({"a": ["a1", "a2"]}, **given)
    save(runs / "a3", 1, 100)
    with pytest.raises(BadInput, match=r"a \(a1\) and a \(a3\) hold equal weights"):
        evaluate_checkpoints({"a": ["a1", "a3"]}, **given)
    with pytest.raises(BadInput, match="of other trainings than its logs"):
        evaluate_checkpoints({"a": ["a1", "a3"]}, runs={"a": "runs/b*"}, **given)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["base=runs/c*"], "no file matches; expected the logs or folders of one run's trainings"),
        (["base="], "expected NAME=FILE"),
        (["base=runs/b1", "base=runs/b1/log.csv"], "are of one run; give one of them"),
        (["other=runs/b*", "runs/other"], "two runs are named 'other'"),
        (["base=copies/*"], "base (b1) and base (b2) hold equal values"),
        (["base=late/*"], "begins at step 100 and base (b2) at step 300; a run that was resumed"),
        (["base=apart/*"], "no step that all of its trainings have logged"),
        (["base=noises/*"], "trained on different noises, gaussian:15 (base (b1)) and gaussian:25"),
        (["base=recipes/*"], "the recipes of base (b1) and base (b2) differ (mask)"),
    ],
)
def test_what_are_no_trainings_of_one_run_is_one_line(runs, in_process, arguments, message):
    for place, seeds, steps, noise in (
        ("copies", (1, 1), STEPS, "gaussian:15"),
        ("late", (1, 2), STEPS[2:], "gaussian:15"),
        ("apart", (1, 2), tuple(step + 50 for step in STEPS), "gaussian:15"),
        ("noises", (1, 2), STEPS, "gaussian:25"),
        ("recipes", (1, 2), STEPS, "gaussian:15"),
    ):
        training(runs / place / "b1", seeds[0])
        training(runs / place / "b2", seeds[1], steps, noise)
    for name, percent in (("b1", 0), ("b2", 75)):
        recipe = {"mask": {"attention_percent": percent}, "data": {"noise": "gaussian:15"}}
        (runs / "recipes" / name / "recipe.json").write_text(json.dumps(recipe))
    code, out, err = in_process(command.main, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out
