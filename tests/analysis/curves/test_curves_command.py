"""`python -m analysis.curves`: numbers by hand, figure, evaluation, what is refused."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mtd
from analysis.commands.parser import output_options, settings_from
from analysis.commands.run_tables import read_tables
from analysis.curves import command, log_readers, reading
from analysis.curves.command import ANALYSIS, run
from analysis.curves.figures import figure, smoothed
from analysis.curves.run_sources import run_names
from analysis.curves.settings import CurvesSettings
from analysis.curves.tables import COLUMNS, summary
from analysis.engine import run as engine_run
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.loading import checkpoint_file
from mtd.loading.snapshots import step_of
from mtd.masking import MaskPolicy
from mtd.metrics import psnr_ssim
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.paths import ROOT
from tests.helpers.processes import two_processes
from tests.helpers.run_folders import contents
from tests.helpers.training_logs import KAIR, own

BUNDLED, SNAPSHOTS = ROOT / "mtd" / "pretrained", ROOT / "reports" / "bundled-pair" / "training"
FEW = ("--crop", "16", "--limit", "3", "--noise", "gaussian:15", "--noise", "poisson:3", "--quiet")
TESTS = {"gaussian:15": (30, 32, 31), "poisson:3": (25, 22, 23), "isp": (21, 20, 24)}


def started(*arguments: object) -> Path:
    options = command.parser().parse_args([str(a) for a in arguments])
    settings = settings_from(CurvesSettings, options)
    return run(options.runs, options.checkpoints, settings, output_options(options, "test"))


def read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    tables = read_tables(path, ANALYSIS.table_names)
    return tables["curves"], tables["summary"]


def curves(tests: dict[str, tuple[float, ...]], name: str = "one") -> pd.DataFrame:
    rows = [
        (name, "validation", "psnr", spec, 100 * (i + 1), float(value))
        for spec, values in tests.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def validation(tests: dict[str, tuple[float, ...]]) -> str:
    rows = curves(tests).sort_values("step", kind="stable")
    return "".join(f"{r.step},{r.noise},{r.value:g}\n" for r in rows.itertuples())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    own(tmp_path / "one", validation(TESTS), noise="gaussian:15")
    own(tmp_path / "two")
    (tmp_path / "saved").mkdir()
    for seed, step in enumerate((5, 10, 20)):
        training = {"steps": step, "noise": "gaussian:50"} if step == 20 else None
        place = tmp_path / "saved" / ("model.pth" if step == 20 else f"{step}_G.pth")
        weights = tiny_network(seed).state_dict()
        checkpoint_file.save(place, weights, network=TINY, mask=MaskPolicy(), training=training)
    return tmp_path


def test_the_summary_is_that_by_hand():
    # unseen means by step: (25 + 21) / 2 = 23, (22 + 20) / 2 = 21, (23 + 24) / 2 = 23.5
    row = summary(curves(TESTS), {"one": ("gaussian:15",)}).iloc[0]
    assert (row.best_in_step, row.best_in_psnr, row.last_in_psnr) == (200, 32, 31)
    assert (row.best_out_step, row.best_out_psnr, row.out_at_best_in) == (300, 23.5, 21)
    assert (row.overfitting_gap, row.final_out_drop, row.last_step) == (2.5, 0, 300)
    assert row.unseen == 2 and math.isnan(row.last_loss)


def test_unseen_means_are_of_steps_where_all_noises_were_tested():
    frame = curves(TESTS)
    gone = frame[(frame.noise != "isp") | (frame.step != 200)]
    row = summary(gone, {"one": ("gaussian:15",)}).iloc[0]
    assert row.best_in_step == 200 and math.isnan(row.out_at_best_in)
    assert math.isnan(row.overfitting_gap) and row.best_out_psnr == 23.5
    ties = summary(curves({"a": (3, 3, 1), "b": (1, 2, 2)}), {"one": ("a",)}).iloc[0]
    assert (ties.best_in_step, ties.best_out_step, ties.overfitting_gap) == (100, 200, 1)


def test_the_last_psnr_is_of_the_step_at_which_it_was_tested():
    frame = curves({"g": (30, 31, 32), "isp": (20, 22)})
    row = summary(frame, {"one": ("g",)}).iloc[0]
    assert (row.last_step, row.last_in_step, row.last_out_step) == (300, 300, 200)
    assert (row.last_in_psnr, row.last_out_psnr, row.final_out_drop) == (32, 22, 0)
    table = reading.terminal_table(
        {"summary": summary(frame, {"one": ("g",)}), "curves": frame}, {}
    )
    inside, outside = table.splitlines()[2:4]
    assert inside.split()[-2:] == ["32.00", "300"] and outside.split()[-3:-1] == ["22.00", "200"]
    only = summary(curves({"g": (30, 31), "isp": (20, 22, 21)}), {"one": ("g",)}).iloc[0]
    assert (only.last_in_step, only.last_out_step, only.last_step) == (200, 300, 300)


def test_a_figure_without_curves_says_so():
    rates = [("one", "log", "learning_rate", "", step, 0.1) for step in (1, 2)]
    drawn = figure(pd.DataFrame(rates, columns=list(COLUMNS)), {"one": ()}, 0.9)
    assert drawn.get_suptitle() == "Neither training loss nor test PSNR was logged"


def test_rings_are_explained_where_there_are_some():
    known = figure(curves(TESTS), {"one": ("gaussian:15",)}, 0.9)
    assert "rings: each run's best step" in known.get_suptitle()
    assert any(len(axes.lines) > 1 for axes in known.axes)
    unknown = figure(curves(TESTS), {"one": None}, 0.9)
    assert "ring" not in unknown.get_suptitle()
    assert {len(axes.lines) for axes in unknown.axes if axes.axison} == {1}


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_smoothing_is_the_stated_average(count):
    values = np.random.default_rng(0).normal(size=count)
    found = smoothed(values, 0.8)
    for t in range(count):
        reach = min(t, count - 1 - t)
        near = range(t - reach, t + reach + 1)
        weights = [0.8 ** abs(i - t) for i in near]
        expected = sum(w * values[i] for w, i in zip(weights, near, strict=True)) / sum(weights)
        assert found[t] == pytest.approx(expected, rel=1e-12)
    assert np.array_equal(smoothed(values, 0.0), values)


def test_a_smoothed_loss_starts_at_the_logged_one_and_does_not_lag_behind_it():
    falling = [0.16, 0.059, 0.055, 0.052, 0.05]
    found = smoothed(falling, 0.9)
    assert found[[0, -1]] == pytest.approx([0.16, 0.05], rel=1e-12)
    one_sided = (0.9 * falling[0] + falling[1]) / 1.9  # 0.107, although its bias is corrected
    assert abs(found[1] - falling[1]) < 0.7 * abs(one_sided - falling[1])
    line = np.linspace(3, 1, 9)
    assert smoothed(line, 0.9) == pytest.approx(line, rel=1e-12)


def test_the_figure_shows_the_noise_trained_on_first_and_the_loss_as_logged():
    losses = [("one", "log", "loss", "", step, 1.0 / step) for step in range(1, 40)]
    frame = pd.concat([pd.DataFrame(losses, columns=list(COLUMNS)), curves(TESTS)])
    drawn = figure(frame, {"one": ("poisson:3",)}, 0.9)
    panels = [axes for axes in drawn.axes if axes.axison]
    assert [axes.get_title() for axes in panels] == [
        "training loss",
        "Poisson, α = 3 (trained on)",
        "Gaussian, σ = 15",
        "camera pipeline",
        "mean over the unseen noises",
    ]
    logged, smooth = panels[0].lines
    assert list(logged.get_ydata()) == [1.0 / step for step in range(1, 40)]
    assert np.array_equal(smooth.get_ydata(), smoothed(logged.get_ydata(), 0.9))
    assert "weights 0.9^distance; faint: as logged" in drawn.get_suptitle()
    means, ring = panels[-1].lines
    assert list(means.get_ydata()) == [25.5, 26, 27.5] and list(ring.get_xdata()) == [300]
    plain = figure(frame, {"one": ("poisson:3",)}, 0.0)
    assert len(plain.axes[0].lines) == 1 and "weights" not in plain.get_suptitle()


@pytest.mark.parametrize("runs, noises", [(1, 1), (2, 4), (8, 8)])
def test_any_number_of_runs_and_noises_is_drawn(runs, noises, tmp_path):
    frames = [curves({f"n{i}": (1, 2) for i in range(noises)}, f"run {r}") for r in range(runs)]
    drawn = figure(pd.concat(frames), {f"run {r}": ("n0",) for r in range(runs)}, 0.9)
    drawn.savefig(tmp_path / "a.png")
    panels = [axes for axes in drawn.axes if axes.axison]
    assert len(panels) == noises + (noises > 2) and len(panels[0].lines) == 2 * runs
    assert [text.get_text() for text in drawn.legends[0].texts] == [f"run {r}" for r in range(runs)]


@pytest.mark.drawn
def test_what_is_written_and_said(folder, capsys):
    (folder / "train.log").write_text(KAIR)
    path = started("one", "two", "train.log", "--output-dir", "out")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "curves.csv", "summary.csv", "curves.png")
    }
    frame, rows = read(path)
    assert list(frame.columns) == list(COLUMNS) and list(rows.run) == ["one", "two", folder.name]
    held = frame[(frame.run == "one") & (frame.noise == "isp")]
    assert held.step.tolist() == [100, 200, 300] and held.value.tolist() == [21, 20, 24]
    assert (frame[frame.quantity == "loss"].noise == "").all()
    out = capsys.readouterr().out
    text = " ".join(out.split())
    assert "Without test curves no best step is known: two;" in text
    assert f"What {folder.name} was trained on is unknown" in text
    kair = [line.split() for line in out.splitlines() if line.startswith(f"{folder.name} ")]
    assert kair[0][1:] == ["test", "30.25", "12,000", "30.25", "12,000"]
    assert kair[1][1:] == ["test", "2", "24.50", "1,000", "24.50", "1,000"]
    assert rows.trained[2] == "unknown" and rows.loc[2, ["unseen", "last_step"]].tolist() == [
        0,
        12000,
    ]
    assert rows.loc[2, ["best_in_psnr", "best_out_psnr", "overfitting_gap"]].isna().all()
    inside, outside, loss = (line for line in out.splitlines() if line.startswith("one "))
    assert inside.split()[1:] == [
        *("Gaussian", "σ", "=", "15,", "trained", "on", "32.00", "200", "31.00", "300"),
    ]
    assert outside.split()[1:] == [
        *("mean", "of", "2", "unseen", "23.50", "300", "21.00", "2.50", "23.50", "300", "0.00"),
    ]
    assert loss.split()[1:] == ["200", "0.25"]


def test_another_curve_may_count_as_trained_on(folder):
    rows = read(started("one", "--in-distribution", "isp"))[1]
    assert rows.trained[0] == "isp" and rows.best_in_step[0] == 300
    assert rows.best_out_psnr[0] == 27.5  # of (30 + 25) / 2, (32 + 22) / 2 and (31 + 23) / 2


def test_each_run_may_have_been_trained_on_other_noises(folder, capsys):
    own(folder / "two", validation({"gaussian:15": (29, 30, 31), "gaussian:50": (24, 25, 23)}))
    own(folder / "three", validation(TESTS | {"gaussian:0": (50, 60, 55)}))
    options = ("--in-distribution", "two=gaussian:0..55", "--in-distribution", "three=poisson:3")
    _, rows = read(started("one", "two", "three", *options))
    assert list(rows.trained) == ["gaussian:15", "gaussian:15, gaussian:50", "poisson:3"]
    assert list(rows.unseen) == [2, 0, 2]  # no noise is neither
    assert list(rows.best_in_psnr) == [32, 27.5, 25] and rows.best_out_psnr[2] == 27.5
    out = " ".join(capsys.readouterr().out.split())
    assert "Gaussian σ = 15, Gaussian σ = 50, trained on" in out
    assert "The unseen noises of the runs differ" in out


def test_events_beside_a_recipe_are_of_its_noise(folder):
    (folder / "one" / "events").mkdir()
    assert log_readers.read(folder / "one").trained == "gaussian:15"
    for place in ("events", "log.csv"):
        assert log_readers.recipe(folder / "one" / place) == {"data": {"noise": "gaussian:15"}}
    assert log_readers.recipe(folder / "two") == {}


def test_a_noise_counts_as_trained_on_in_any_spelling(folder):
    assert read(started("one", "--in-distribution", "poisson:3.0"))[1].trained[0] == "poisson:3"
    rows = read(started("--checkpoints", "saved", *FEW, "--in-distribution", "poisson:3.0"))[1]
    assert rows.trained[0] == "poisson:3"


def test_runs_of_one_name_are_told_apart(folder):
    places = [own(folder / name / "masked") for name in ("a", "b")]
    assert list(run_names(places).values()) == ["a/masked", "b/masked"]
    assert list(read(started(*places))[1].run) == ["a/masked", "b/masked"]


def test_checkpoints_are_those_evaluated_by_hand(folder):
    frame = read(started("two", "--checkpoints", "saved", *FEW))[0]
    assert set(frame.run) == {"two", "saved"} and set(frame.source) == {"log", "checkpoints"}
    found = frame[frame.source == "checkpoints"].set_index(["step", "noise"]).value
    assert list(found.index) == [(s, n) for n in ("gaussian:15", "poisson:3") for s in (5, 10, 20)]
    crops = data_crops.crops(photographs.photographs(), 16, 3)
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    for step, name in ((5, "5_G.pth"), (20, "model.pth")):
        for spec in ("gaussian:15", "poisson:3"):
            noisy, target = noise_base.pair_keyed(noise_specs.parse(spec), clean, keys)
            with torch.no_grad():
                output = mtd.load(f"saved/{name}")(noisy, keys)
            expected = float(psnr_ssim.psnr(output, target).mean())
            assert found[step, spec] == pytest.approx(expected, abs=1e-6)


def test_checkpoints_of_a_run_take_the_place_of_its_logged_tests(folder, capsys):
    for file in (folder / "saved").iterdir():
        file.rename(folder / "one" / file.name)
    weights = tiny_network().state_dict()
    for name in ("5_E.pth", "net_g_latest.pth"):
        checkpoint_file.save(folder / "one" / name, weights, network=TINY, mask=MaskPolicy())
    (folder / "one" / "state.pt").write_bytes(b"for resuming")
    frame, rows = read(started("one", "--checkpoints", "one", *FEW))
    assert set(frame.source) == {"log", "validation", "checkpoints"} and len(rows) == 1
    assert rows.last_step[0] == 20 and rows.unseen[0] == 2 and rows.last_loss[0] == 0.25
    out = " ".join(capsys.readouterr().out.split())
    assert "Evaluated checkpoints are shown in place of the logged test curves of one." in out
    assert "3 checkpoints evaluated on 3 crops of 16 x 16 (bundled)" in out
    assert "illustration, not inference" in " ".join(out.split())
    assert "one/5_E.pth is left out: another file is of step 5." in out
    assert "one/net_g_latest.pth is left out: no step" in out
    assert rows.trained[0] == "" and math.isnan(rows.best_in_psnr[0])  # gaussian:50 was not tested


def test_the_step_of_a_checkpoint():
    names = {
        "5000_G.pth": 5000,
        "snapshot-002500.pth": 2500,
        "x4_iter300_v2.pth": 300,
        "a.pth": None,
    }
    assert {name: step_of(Path(name), {}) for name in names} == names
    assert step_of(Path("snapshot-10.pth"), {"steps": 7}) == 7


@pytest.mark.drawn
def test_an_interrupted_evaluation_ends_with_the_same_files(folder, monkeypatch):
    given = ("one", "--checkpoints", "saved", *FEW, "--batch-size", "2")
    whole = contents(started(*given, "--output-dir", "whole"))
    original, calls = engine_run.run_network, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(engine_run, "run_network", interrupted)
    with pytest.raises(KeyboardInterrupt, match="--resume to continue"):
        started(*given, "--output-dir", "cut")
    assert contents(started(*given, "--output-dir", "cut", "--resume")) == whole
    done = two_processes("-m", "analysis.curves", *given, "--output-dir", "two-of-them", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert contents(folder / "two-of-them") == whole


def test_the_bundled_pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = [tmp_path / "baseline", tmp_path / "masked"]
    for place in places:  # as the run left them: logs and snapshots in one folder
        place.mkdir()
        for file in (*(BUNDLED / place.name).iterdir(), *(SNAPSHOTS / place.name).iterdir()):
            shutil.copy(file, place)
    frame, rows = read(started(*places, "--checkpoints", *places, *FEW))
    assert list(rows.run) == ["baseline", "masked"] and list(rows.last_step) == [14250, 14250]
    assert list(rows.last_loss) == [0.0161939, 0.0311433] and set(rows.last_loss_step) == {19000}
    assert len(frame[frame.quantity == "loss"]) == 380
    assert frame[frame.quantity == "psnr"].value.between(10, 45).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "nothing to draw: give RUN"),
        (["nowhere"], "no such file or folder"),
        (["saved"], "no log in it"),
        (["one", "one/log.csv"], "are of one run; give one of them"),
        (["one", "--in-distribution", "ips"], "did you mean isp"),
        (["one", "--smooth", "1"], "expected a number from 0 to below 1"),
        (["one", "--noise", "isp"], "--noise: it is for evaluation"),
        (["one", "--no-quantize"], "--no-quantize: it is for evaluation"),
        (["one", "--crop", "4"], "expected a whole number from 8 up"),
        (["--checkpoints", "two"], "no checkpoints in it"),
        (["--checkpoints", "nowhere"], "no such folder"),
        (["--checkpoints", "saved", "--noise", "gausian:15"], "did you mean gaussian"),
        (["one", "two", "--in-distribution", "too=isp"], "no run 'too'; did you mean two"),
        (["one", "two", "--in-distribution", "gaussian:5..isp"], "two levels of one kind"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, *arguments, "--quiet")
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out
    assert not Path("runs").exists()
