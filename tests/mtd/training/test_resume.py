"""Runs that are interrupted, killed or damaged, and go on."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from mtd.training import run as training_run
from mtd.training import trainer
from mtd.training.logs import Log
from mtd.utils.errors import BadInput
from tests.helpers.processes import Forked, environment
from tests.helpers.training import SMALL, WATCHED, make, weights_of


def weights(folder: Path) -> bytes:
    return (folder / "model.pth").read_bytes()


def version(path: Path) -> int | None:
    """Which of the files of a name that replace one another it is."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("baseline", [False, True])
def test_interrupted_and_resumed_is_bit_for_bit_the_same(photos, tmp_path, monkeypatch, baseline):
    plan = make(photos, "network.drop_path=0.2", baseline=baseline)
    training_run.train(plan, tmp_path / "whole", quiet=True)

    advance = trainer.Trainer.advance

    def killed(self):
        if self.step == 5:  # after the state of step 3, with a row of the log too many
            raise RuntimeError("killed")
        return advance(self)

    monkeypatch.setattr(trainer.Trainer, "advance", killed)
    with pytest.raises(RuntimeError, match="killed"):
        training_run.train(plan, tmp_path / "parts", quiet=True)
    monkeypatch.setattr(trainer.Trainer, "advance", advance)
    torch.manual_seed(99)
    training_run.train(plan, tmp_path / "parts", quiet=True, resume=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    for name in ("snapshot-000002.pth", "snapshot-000004.pth", "snapshot-000006.pth"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = [list(csv.DictReader((tmp_path / run / "log.csv").open())) for run in ("parts", "whole")]
    assert [row["step"] for row in rows[0]] == ["2", "4", "6", "8"]
    # the row that spans the interruption averages fewer steps; every other one is the same
    assert [row["loss"] for row in rows[0]][2:] == [row["loss"] for row in rows[1]][2:]


def test_a_signal_finishes_the_step_and_saves_the_state(photos, tmp_path, monkeypatch):
    plan = make(photos)
    training_run.train(plan, tmp_path / "whole", quiet=True)
    backward = torch.Tensor.backward
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run, calls = tmp_path / sent.name, itertools.count(1)

        def interrupted(self, *arguments, sent=sent, calls=calls):
            if next(calls) == 5:  # in the middle of the step after step 4
                os.kill(os.getpid(), sent)
            return backward(self, *arguments)

        monkeypatch.setattr(torch.Tensor, "backward", interrupted)
        handler = signal.getsignal(sent)
        with pytest.raises(KeyboardInterrupt, match="stopped at step 5"):
            training_run.train(plan, run, quiet=True)
        assert signal.getsignal(sent) is handler
        assert list(pd.read_csv(run / "slices.csv").step_to) == [5]
        assert (run / "average.pth").is_file()
        assert torch.load(run / "state.pt", weights_only=True)["step"] == 5
        training_run.train(plan, run, quiet=True, resume=True)
        assert weights(run) == weights(tmp_path / "whole")
        assert list(pd.read_csv(run / "slices.csv").step_from) == [0, 5]


def test_a_signal_in_the_last_step_changes_nothing(photos, tmp_path, monkeypatch):
    plan = make(photos)
    advance = trainer.Trainer.advance

    def interrupted(self):
        if self.step == plan.run.steps - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return advance(self)

    monkeypatch.setattr(trainer.Trainer, "advance", interrupted)
    assert training_run.train(plan, tmp_path / "run", quiet=True).name == "model.pth"


def test_folder_rules(photos, tmp_path):
    plan = make(photos)
    training_run.train(plan, tmp_path / "run", quiet=True)
    with pytest.raises(BadInput, match="add --resume"):
        training_run.train(plan, tmp_path / "run", quiet=True)
    for change, message in (
        ("run.seed=1", r"another recipe \(run.seed is 0 there and 1 here\)"),
        ("optimizer.clip=1", r"another recipe \(optimizer.clip is the default there and 1.0 here"),
    ):
        with pytest.raises(BadInput, match=message):
            training_run.train(make(photos, change), tmp_path / "run", quiet=True, resume=True)
    before = weights(tmp_path / "run")
    recipe = (tmp_path / "run/recipe.json").read_bytes()
    (tmp_path / "run/recipe.json").write_bytes(recipe[:99])
    with pytest.raises(BadInput, match=r"recipe\.json is missing or damaged: restore that file"):
        training_run.train(plan, tmp_path / "run", quiet=True, resume=True)
    (tmp_path / "run/recipe.json").write_bytes(recipe)
    training_run.train(plan, tmp_path / "run", quiet=True, resume=True)
    assert weights(tmp_path / "run") == before
    (photos / "3.png").write_bytes((photos / "0.png").read_bytes())
    with pytest.raises(BadInput, match="begun with other photographs"):
        training_run.train(plan, tmp_path / "run", quiet=True, resume=True)
    (photos / "3.png").unlink()
    state = tmp_path / "run" / "state.pt"
    longer = torch.load(state) | {"step": 9}
    torch.save(longer, state)
    with pytest.raises(BadInput, match="does not belong"):
        training_run.train(plan, tmp_path / "run", quiet=True, resume=True)
    torn = state.read_bytes()[:1000]
    state.unlink()
    state.with_name("state.previous.pt").unlink()
    with pytest.raises(BadInput, match=r"no state\.pt to resume"):
        training_run.train(plan, tmp_path / "run", quiet=True, resume=True)
    assert weights(tmp_path / "run") == before
    state.write_bytes(torn)
    with pytest.raises(BadInput, match="cannot resume"):
        training_run.train(plan, tmp_path / "run", quiet=True, resume=True)


@pytest.mark.parametrize(
    "changes, continues",
    [
        ({}, False),
        ({"baseline": True}, True),
        ({"changes": ["network.drop_path=0.1"], "baseline": True}, False),
        ({"changes": ["network.output_dropout=0.1"], "baseline": True}, False),
    ],
)
def test_a_state_from_before_the_masks_changed(photos, tmp_path, changes, continues):
    plan = make(
        photos, "run.steps=1", *changes.get("changes", []), baseline=changes.get("baseline", False)
    )
    training_run.train(plan, tmp_path, quiet=True)
    before, path = weights(tmp_path), tmp_path / "state.pt"
    state = torch.load(path, weights_only=True)
    assert state.pop("streams") == 2
    torch.save(state, path)
    if continues:
        training_run.train(plan, tmp_path, quiet=True, resume=True)
    else:
        with pytest.raises(BadInput, match="saved by a version of mtd that draws other masks"):
            training_run.train(plan, tmp_path, quiet=True, resume=True)
    assert weights(tmp_path) == before


def test_the_optimizer_of_a_state_from_another_device_is_that_of_this_one(photos, tmp_path):
    """A GPU's is fused, which the CPU's is not."""
    plan = make(photos, "run.steps=1", "optimizer.weight_decay=0.1", "optimizer.optimizer='adamw'")
    training_run.train(plan, tmp_path, quiet=True)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    state["adam"]["param_groups"][0] |= {"fused": True, "foreach": False}
    torch.save(state, tmp_path / "state.pt")
    fresh = trainer.Trainer(plan, tmp_path, "cpu", "")
    own = dict(fresh.adam.param_groups[0])
    assert fresh.resume() == "" and fresh.step == 1
    assert fresh.adam.param_groups[0] == own and own["fused"] is None
    assert own["weight_decay"] == 0.1
    step, saved = fresh.adam.state[own["params"][0]], state["adam"]["state"][0]
    assert all(torch.equal(step[name], saved[name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_a_start_that_failed_blocks_nothing(photos, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "advance", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            training_run.train(make(photos, "run.seed=1"), tmp_path / "run", quiet=True)
    training_run.train(make(photos), tmp_path / "run", quiet=True)
    assert json.loads((tmp_path / "run/recipe.json").read_text())["run"]["seed"] == 0


def test_log_with_a_torn_last_row_is_taken_up(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,loss,learning_rate,images_per_second\n2,0.1,0.001,9\n4,0.1,0.001,9\n6,0")
    Log(tmp_path).start(6)
    assert path.read_text().splitlines()[1:] == ["2,0.1,0.001,9", "4,0.1,0.001,9"]


def test_events_of_the_step_that_is_resumed_at_are_kept(photos, tmp_path, monkeypatch):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    save = trainer.Trainer.save_state

    def killed(self):
        save(self)
        raise KeyboardInterrupt

    given = make(photos, *WATCHED, "run.save_every=10")
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(given, tmp_path / "run", quiet=True)
    training_run.train(given, tmp_path / "run", resume=True, quiet=True)
    held = accumulator.EventAccumulator(str(tmp_path / "run/events")).Reload()
    for name, table in (("psnr", "validation.csv"), ("loss", "log.csv")):
        steps = sorted(set(pd.read_csv(tmp_path / "run" / table).step))
        tags = [tag for tag in held.Tags()["scalars"] if name in tag]
        assert tags and all([e.step for e in held.Scalars(tag)] == steps for tag in tags), name


def test_a_state_cut_in_half_is_noticed_and_the_one_before_is_used(photos, tmp_path, capsys):
    plan = make(photos)
    expected = weights_of(training_run.train(plan, tmp_path / "whole", quiet=True))
    training_run.train(plan, tmp_path / "cut", quiet=True)
    state = tmp_path / "cut/state.pt"
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    path = training_run.train(plan, tmp_path / "cut", resume=True)
    assert "damaged" in (said := capsys.readouterr().err) and "state.previous.pt" in said
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(path).items())
    state.unlink()
    training_run.train(plan, tmp_path / "cut", quiet=True, resume=True)
    for name in ("state.pt", "state.previous.pt"):
        (tmp_path / "cut" / name).write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"cannot resume: .*state\.pt.*state\.previous\.pt"):
        training_run.train(plan, tmp_path / "cut", quiet=True, resume=True)


def test_killed_at_any_moment_it_ends_with_the_same_weights(photos, tmp_path):
    changes = (*SMALL, "run.steps=20", "run.save_every=1", "validation.every=10")
    changes = (*changes, "validation.crops=1", "validation.crop=16")
    arguments = [part for change in changes for part in ("--set", change)]
    command = ["-m", "mtd.train", "small.toml", "--data", str(photos), *arguments]
    command += ["--output-dir", "run", "--quiet", "--resume"]
    same = environment() | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    dice, kills, state = random.Random(0), 0, tmp_path / "run/state.pt"
    while kills < 3:
        process = Forked(*command, cwd=tmp_path, variables=same)
        saves, seen = dice.randint(2, 5), version(state)  # each of the 20 steps is saved
        while process.running() and saves:
            time.sleep(0.002)
            if (now := version(state)) not in (seen, None):
                saves, seen = saves - 1, now
        time.sleep(0.02 * dice.random())  # anywhere in a step
        if process.running():
            process.kill()
            kills += 1
        else:  # ended before it was killed: from the start again
            assert process.wait() == 0, process.done().stderr
            shutil.rmtree(tmp_path / "run")
    last = Forked(*command, cwd=tmp_path, variables=same).done()
    assert last.returncode == 0, last.stderr
    plan = make(photos, *changes[len(SMALL) :])
    expected = weights_of(training_run.train(plan, tmp_path / "whole", quiet=True))
    found = weights_of(tmp_path / "run/model.pth")
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    for name in ("validation.csv", "log.csv"):
        frames = [pd.read_csv(tmp_path / run / name) for run in ("run", "whole")]
        steps = [list(frame.step) for frame in frames]
        assert steps[0] == steps[1]


def test_why_a_state_cannot_be_used(photos, tmp_path):
    """In a few words each, not in those of PyTorch on the options of torch.load."""
    plan = make(photos)
    path = training_run.train(plan, tmp_path, quiet=True).parent / "state.pt"
    saved = torch.load(path, weights_only=True)
    del saved["step"]
    torch.save(saved, path)
    (tmp_path / "state.previous.pt").write_text("text")
    with pytest.raises(BadInput) as raised:
        training_run.train(plan, tmp_path, quiet=True, resume=True)
    assert str(raised.value) == (
        f"cannot resume: {path}: damaged, or no state of this run ('step' is missing); "
        f"{tmp_path / 'state.previous.pt'}: damaged, or not a file of PyTorch; "
        "start anew with another --output-dir"
    )
