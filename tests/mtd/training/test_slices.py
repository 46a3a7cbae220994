"""Training in slices: time limits, the table at the end of each, and the command."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mtd
from mtd import train
from mtd.networks.window_attention import fastest
from mtd.training import config as training_config
from mtd.training import run as training_run
from mtd.training import slices
from mtd.training.slices import OutOfTime, Slice, TimeLimit
from mtd.training.trainer import Trainer
from mtd.training.validation import Validator
from tests.helpers import step_clock
from tests.helpers.processes import forked, two_processes
from tests.helpers.step_clock import StepClock
from tests.helpers.training import SMALL, make, weights_of

VALIDATED = (
    *("validation.every=4", "validation.crops=2", "validation.crop=16"),
    "validation.noises=['gaussian:15','poisson:3.5']",
)


def cut(plan, folder, clock, seconds, **options):
    """Slices until the run is finished: the steps at which they end."""
    ends = []
    while True:
        limit = clock.limit(seconds)
        try:
            training_run.train(plan, folder, quiet=True, resume=True, limit=limit, **options)
            return ends
        except OutOfTime as stop:
            ends.append(int(str(stop).split()[3]))
        assert limit.left >= 0 and len(ends) < 20


def test_slices_are_bit_for_bit_the_uninterrupted_run(photos, tmp_path, monkeypatch):
    plan = make(photos, "network.drop_path=0.2", "optimizer.ema=0.9", *VALIDATED)
    whole = training_run.train(plan, tmp_path / "whole", quiet=True)
    clock = StepClock(step=10, validation=4, saving=1, probe=1)
    with monkeypatch.context() as patch:
        clock.install(patch.setattr)
        ends = cut(plan, tmp_path / "cut", clock, 60)
    assert ends == sorted(set(ends)) and len(ends) > 1
    assert (tmp_path / "cut/model.pth").read_bytes() == whole.read_bytes()
    for name in ("snapshot-000004.pth", "validation.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (whole.parent / name).read_bytes(), name
    assert not (tmp_path / "cut/average.pth").exists()
    table = pd.read_csv(tmp_path / "cut/slices.csv")
    assert list(table.step_to) == [*ends, 8] and list(table.step_from) == [0, *ends]
    assert set(table.ms_median) == set(table.ms_p95) == {10_000.0}
    shown = pd.read_csv(tmp_path / "cut/validation.csv")
    last = shown[(shown.step == 8) & (shown.noise == "poisson:3.5")].psnr.item()
    assert table["psnr poisson:3.5"].iloc[-1] == pytest.approx(last, abs=1e-4)


def test_a_slice_leaves_its_averaged_weights_and_their_psnr(photos, tmp_path, monkeypatch):
    clock = StepClock(step=10)
    plan = make(photos, "optimizer.ema=0.9", *VALIDATED)
    with monkeypatch.context() as patch:
        clock.install(patch.setattr)
        with pytest.raises(OutOfTime, match="stopped at step 3 of 8 after 30 s; the same command"):
            training_run.train(plan, tmp_path / "run", quiet=True, limit=clock.limit(40))
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    network = mtd.load(tmp_path / "run/average.pth")
    assert state["step"] == network.source["training"]["steps"] == 3
    for ours, held in zip(network.parameters(), state["average"], strict=True):
        assert torch.equal(ours, held)
    row = pd.read_csv(tmp_path / "run/slices.csv").iloc[0]
    noises = ("gaussian:15", "poisson:3.5")
    validator = Validator((), noises, 2, 16, 0)
    for spec, (psnr, _) in validator.run(network).items():
        assert row[f"psnr {spec}"] == pytest.approx(float(psnr.mean()), abs=1e-3)
        noisy, clean, _ = validator.pairs[spec]
        mse = ((noisy.double() - clean.double()) ** 2).flatten(1).mean(1)
        assert row[f"noisy {spec}"] == pytest.approx(float((-10 * mse.log10()).mean()), abs=1e-3)
    assert (row.accumulate, row.out_of_memory, row.torch) == (1, 0, torch.__version__)
    assert row.attention == fastest("cpu", gradient=True, compiled=False)


@pytest.mark.parametrize("name, change", [("dncnn", ""), ("small", "run.attention=sdpa")])
def test_a_row_says_how_attention_was_computed(photos, tmp_path, name, change):
    tiny = ["network.features=4", "network.depth=4"] if name == "dncnn" else SMALL[:4]
    plan = training_config.load(
        f"{name}.toml",
        [*tiny, *SMALL[4:], "run.steps=1", *filter(None, [change])],
        folders=[str(photos)],
    )
    training_run.train(plan, tmp_path / "run", quiet=True)
    row = pd.read_csv(tmp_path / "run/slices.csv", keep_default_na=False).iloc[0]
    assert row.attention == ("sdpa" if change else "none")


def test_too_little_time_for_a_step_saves_all_the_same(photos, tmp_path, monkeypatch):
    clock = StepClock(step=10)
    clock.install(monkeypatch.setattr)
    plan = make(photos)
    for seconds in (1.0, 50.0):
        with pytest.raises(OutOfTime) as stop:
            training_run.train(
                plan, tmp_path, quiet=True, resume=seconds > 1, limit=clock.limit(seconds)
            )
    assert "step 4 of 8 after 40 s;" in str(stop.value)
    with pytest.raises(
        OutOfTime, match="step 4 of 8 after 0 s, too little for another step; the same"
    ):
        # a first step took 10 s before, on the same device
        training_run.train(plan, tmp_path, quiet=True, resume=True, limit=clock.limit(10))
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 4
    assert list(pd.read_csv(tmp_path / "slices.csv").step_to) == [4]
    finished = training_run.train(plan, tmp_path, quiet=True, resume=True)
    whole = training_run.train(plan, tmp_path / "whole", quiet=True)
    assert finished.read_bytes() == whole.read_bytes()


def test_the_end_comes_before_the_time_is_up_and_not_much_before(
    photos, tmp_path, monkeypatch, idle_steps
):
    """Kept free: 1.25 (step + 3 saving + validation) + 2 s, of which the end takes a part."""
    clock = StepClock(step=1, validation=7, saving=3, probe=2)  # four crops in all, so 8 s
    clock.install(monkeypatch.setattr)
    plan = make(photos, *VALIDATED, "run.steps=100", "run.save_every=100", "validation.every=100")
    with pytest.raises(OutOfTime) as stop:
        training_run.train(plan, tmp_path / "run", quiet=True, limit=clock.limit(70))
    # with the 7 s of measuring, 70 - 24.5 s is passed at step 39; the end takes 13 s
    assert str(stop.value).startswith("stopped at step 39 of 100 after 59 s")
    # a validation that the recipe asks for at that step would need 8 s more
    plan = make(photos, *VALIDATED, "run.steps=39", "run.save_every=100", "validation.every=100")
    with pytest.raises(OutOfTime, match="step 38 of 39 after"):
        training_run.train(plan, tmp_path / "last", quiet=True, limit=clock.limit(70))


def test_a_validation_that_takes_too_long_is_left_out_at_the_end(
    photos, tmp_path, monkeypatch, capsys, idle_steps
):
    """More than a quarter of the time."""
    clock = StepClock(step=1, validation=20, probe=5)
    clock.install(monkeypatch.setattr)
    plan = make(photos, *VALIDATED, "run.steps=100", "run.save_every=100", "validation.every=100")
    with pytest.raises(OutOfTime, match="stopped at step 47 of 100 after 57 s"):
        training_run.train(plan, tmp_path, limit=clock.limit(60))
    assert "not measured: a validation takes too long" in capsys.readouterr().err
    row = pd.read_csv(tmp_path / "slices.csv").iloc[0]
    assert np.isnan(row["psnr poisson:3.5"]) and row["noisy poisson:3.5"] > 0
    with pytest.raises(OutOfTime, match="stopped at step "):
        training_run.train(plan, tmp_path, quiet=True, resume=True, limit=clock.limit(100))
    rows = pd.read_csv(tmp_path / "slices.csv")
    assert list(rows["psnr poisson:3.5"].isna()) == [True, False]


@pytest.fixture
def idle_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that only count, where a test is about the clock alone."""

    def advance(run: Trainer) -> torch.Tensor:
        run.step += 1
        return torch.ones(())

    monkeypatch.setattr(Trainer, "advance", advance)


class Hands:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def read(current: Slice, clock: Hands, *steps: tuple[int, float]) -> None:
    for count, seconds in steps:
        clock.now += seconds
        current.read(current.step + count)


def test_step_times_leave_out_the_first_fifty_steps_and_other_work():
    clock = Hands()
    current = Slice(100, TimeLimit(math.inf, 0, clock))
    read(current, clock, (10, 60.0), *[(10, 0.5)] * 4)
    with current.apart("saving"):
        clock.now += 1000
    counted = [(10, 0.3), (5, 0.1), (10, 0.2), (10, 0.9)]
    read(current, clock, *counted)
    times, left_out = current.step_times()
    expected = [seconds * 1000 / n for n, seconds in counted for _ in range(n)]
    assert left_out == 50 and np.allclose(times, expected)
    row = current.row({})
    assert float(row["ms_median"]) == pytest.approx(np.median(expected))
    assert float(row["ms_p95"]) == pytest.approx(np.percentile(expected, 95))
    assert (row["step_from"], row["step_to"], row["seconds_first"]) == (100, 185, "60.000")
    table = current.table(1000, 64, "gaussian:15", {})
    assert "185 of 1,000; 85 in 1063.5 s" in table
    assert "(35 steps, the first 50 left out; timed in groups of up to 10)" in table
    assert f"{64 * 35 / 1.5:,.1f}" in table


def test_step_times_of_a_short_slice_leave_out_its_first_reading():
    clock = Hands()
    current = Slice(0, TimeLimit(math.inf, 0, clock))
    read(current, clock, (10, 60.0))
    assert current.step_times()[0].tolist() == [6000.0] * 10
    read(current, clock, (10, 1.0), (3, 0.6))
    times, left_out = current.step_times()
    assert left_out == 10 and np.allclose(times, [100.0] * 10 + [200.0] * 3)


def test_the_first_reading_counts_until_there_is_another():
    clock = Hands()
    current = Slice(0, TimeLimit(200, 0, clock), first=158)
    assert not current.over(False)
    assert Slice(0, TimeLimit(200, 0, clock), first=159).over(False)  # 1.25 · 159 + 2 > 200
    read(current, clock, (10, 100.0))
    assert current.over(False)  # another one would not fit
    read(current, clock, (10, 1.0))
    assert not current.over(False)
    clock.now = 196.8
    assert current.over(False)  # 3.2 s are left, 1.25 · 1 + 2 = 3.25 s kept free


def command(photos: Path, *changes: str) -> list[str]:
    given = [part for change in (*SMALL, *changes) for part in ("--set", change)]
    return ["small.toml", "--data", str(photos), *given, "--output-dir", "run"]


def close(path: Path, plan) -> bool:
    """Whether a model is that of an uninterrupted run, up to the number of threads."""
    expected = weights_of(training_run.train(plan, path.parents[1] / "whole", quiet=True))
    found = weights_of(path)
    return all((found[name] - value).abs().max() < 1e-5 for name, value in expected.items())


def test_command_says_where_it_stopped_and_prints_the_table(photos, tmp_path):
    arguments = command(photos, *VALIDATED)
    done = forked(step_clock.__file__, *arguments, "--seconds", "350.5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    line = "stopped at step 3 of 8 after 300 s; the same command with --resume continues\n"
    assert done.stdout == line
    assert "steps       3 of 8; 3 in 300.0 s" in done.stderr
    assert "gaussian:15, trained on" in done.stderr and "images/s    0.0" in done.stderr
    done = forked(step_clock.__file__, *arguments, "--seconds", "900", "--resume", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "run/model.pth\n"), done.stderr
    assert close(tmp_path / "run/model.pth", make(photos, *VALIDATED))


def test_two_processes_stop_at_the_same_step(photos, tmp_path):
    """Rank 0 decides, when both look; the clock of the other stands still."""
    changes = ("run.steps=25", "run.log_every=25", "run.save_every=25")
    arguments = (*command(photos, *changes), "--quiet")
    done = two_processes(step_clock.__file__, *arguments, "--seconds", "2300", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stopped at step 18 of 25 after 1800 s")
    rest = two_processes(step_clock.__file__, *arguments, "--resume", cwd=tmp_path)
    assert (rest.returncode, rest.stdout) == (0, "run/model.pth\n"), rest.stderr
    assert close(tmp_path / "run/model.pth", make(photos, *changes))


def test_the_time_of_a_sweep_is_that_of_the_command(photos, tmp_path, monkeypatch, in_process):
    (tmp_path / "sweep.toml").write_text('base = "small.toml"\n[grid]\n"run.seed" = [0, 1, 2]\n')
    clock = StepClock()
    clock.install(monkeypatch.setattr)
    monkeypatch.setattr(train, "STARTED", 0.0)
    monkeypatch.setattr(slices, "TimeLimit", lambda *given: TimeLimit(*given, clock))
    monkeypatch.chdir(tmp_path)
    arguments = ["sweep.toml", *command(photos)[1:]]
    code, out, _ = in_process(train.main, *arguments, "--seconds", "1200")
    assert code == 0
    first, second = out.splitlines()
    assert first == "run/seed=0/model.pth" and second.startswith(
        "stopped at step 3 of 8 after 1100"
    )
    assert not (tmp_path / "run/seed=2").exists()

    def long(recipe, folder, **options):
        clock.now += 300
        return folder / "model.pth"

    clock.now = 0
    monkeypatch.setattr(training_run, "train", long)
    code, out, _ = in_process(train.main, *arguments, "--seconds", "500", "--resume")
    assert code == 0 and len(out.splitlines()) == 3
    assert out.splitlines()[2] == (
        "stopped before cell 3 of 3: seed=2, after 600 s; the same command with --resume continues"
    )


@pytest.mark.parametrize("given", ["0", "-3", "nan", "inf", "soon"])
def test_seconds_are_above_zero(given, in_process):
    code, _, err = in_process(train.main, "small.toml", "--seconds", given)
    assert code == 2 and "seconds above 0" in err and len(err.splitlines()) == 1
