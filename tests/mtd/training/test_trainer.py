"""Training: recipes, pairs, the loop, resuming, and what the command refuses."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import mtd
from mtd import train
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.metrics.psnr_ssim import psnr
from mtd.networks import registry
from mtd.networks.swinir import drop_channels
from mtd.networks.window_attention import WindowAttention
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.training import config as training_config
from mtd.training import run as training_run
from mtd.training import trainer
from mtd.training.config import CONFIGS
from mtd.training.logs import Log
from mtd.training.pairs import TrainingPairs
from mtd.utils.counter_random import BatchStream
from mtd.utils.errors import BadInput
from tests.helpers.processes import Forked, environment, forked, two_processes
from tests.helpers.training import SMALL, make, weights_of


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_bundled_recipes_are_valid_and_their_baseline_has_no_mask(path):
    masked = training_config.load(path.name)
    plain = training_config.load(path.name, baseline=True)
    if path.stem in ("paper", "reference", "small"):
        assert masked.mask.masks_input and masked.mask.attention_percent
    assert not plain.mask.masks_input and not plain.mask.attention_percent
    assert plain.network == masked.network


PEERS = ("dncnn", "ridnet", "rnan", "restormer", "swinir", "dropout", "ffdnet")


@pytest.mark.parametrize("name", ["paper", *PEERS])
def test_paper_recipe_is_the_papers(name):
    paper = training_config.load(f"{name}.toml")
    assert (paper.run.steps, paper.run.batch_size, paper.data.crop) == (200_000, 64, 64)
    assert (paper.optimizer.learning_rate, paper.optimizer.betas) == (1e-4, (0.9, 0.99))
    assert paper.optimizer.milestones == (100_000, 150_000) and paper.optimizer.gamma == 0.5
    assert paper.data.noise == "gaussian:15"
    assert training_config.load("reference.toml", baseline=True).run.batch_size == 16


@pytest.mark.parametrize(
    "name, weights",
    [
        *(("dncnn", 559_363), ("ridnet", 1_499_515), ("rnan", 8_959_555)),
        *(("restormer", 26_111_668), ("swinir", 11_504_163), ("dropout", 824_118)),
        ("ffdnet", 852_108),
    ],
)
def test_peers_are_the_published_networks(name, weights):
    with torch.device("meta"):
        network = registry.build(training_config.load(f"{name}.toml").network)
    assert sum(p.numel() for p in network.parameters()) == weights


TINY_PEERS = {
    "dncnn": ["network.features=4", "network.depth=4"],
    "ridnet": ["network.features=4", "network.blocks=1", "network.reduction=2"],
    "rnan": ["network.features=4", "network.groups=1", "network.inner=2"],
    "restormer": ["network.dim=4", "network.num_blocks=[1,1,1,1]", "network.refinement_blocks=1"],
    "swinir": ["network.embed_dim=8", "network.depths=[2]", "network.num_heads=[2]"],
    "dropout": ["network.embed_dim=8", "network.depths=[2]", "network.num_heads=[2]"],
    "ffdnet": ["network.features=4", "network.depth=3"],
}


@pytest.mark.parametrize("name", PEERS)
def test_peers_train_resume_and_load(photos, tmp_path, monkeypatch, name):
    sizes = [*TINY_PEERS[name], *(text for text in SMALL if not text.startswith("network"))]
    few = ("run.steps=4", "run.save_every=2")
    given = training_config.load(f"{name}.toml", [f"data.folders=['{photos}']", *sizes, *few])
    path = training_run.train(given, tmp_path / "whole", quiet=True)
    told = {"sigma": 15} if name == "ffdnet" else {}
    network = mtd.load(path, **told)
    assert network.config == given.network and network.source["recognised"] == "its own metadata"
    save = trainer.Trainer.save_state

    def killed(self):
        save(self)
        if self.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(given, tmp_path / "cut", quiet=True)
    training_run.train(given, tmp_path / "cut", quiet=True, resume=True)
    for key, value in mtd.load(tmp_path / "cut/model.pth", **told).state_dict().items():
        assert torch.equal(value, network.state_dict()[key]), key


def stream(total: int) -> BatchStream:
    return BatchStream.of(0, 0, total)


def test_output_dropout_leaves_out_channels_in_training_only(photos):
    given = make(photos, "network.output_dropout=0.5", baseline=True)
    network = registry.build(given.network)
    x = torch.rand(2, 3, 16, 16)
    seen: list[torch.Tensor] = []
    network.conv_last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for mode in (True, False):
        network.train(mode)(x, stream=stream(2))
    left_out, whole = (features.abs().sum((2, 3)) == 0 for features in seen)
    assert 0 < left_out.sum() < left_out.numel() and not whole.any()
    kept = ~left_out
    assert torch.allclose(seen[0][kept], 2 * seen[1][kept], rtol=1e-5)
    draws = drop_channels(torch.ones(200, 50, 1, 1), 0.3, stream(200))
    assert float(draws.mean()) == pytest.approx(1, abs=0.02)
    assert float((draws == 0).float().mean()) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    "change, message",
    [
        ("network.architecture='DnCN'", "did you mean DnCNN"),
        ("network.output_dropout=1.0", "output_dropout 1.0: from 0 below 1"),
        ("run.stps=3", "did you mean steps"),
        ("rn.steps=3", "did you mean run"),
        ("steps=3", "expected section.name"),
        ("run.steps", "expected section.name=value"),
        ("run.steps='3'", "expected a whole number"),
        ("run.compile=1", "expected true or false"),
        ("run.steps=0", r"\[run\] steps = 0: expected 1 or more"),
        ("optimizer.betas=0.9", "expected a list"),
        ("optimizer.betas=[0.9]", "two numbers"),
        ("optimizer.learning_rate=-1", "learning_rate = -1: expected a number above 0"),
        ("network.num_heads=[5, 5]", "does not divide"),
        ("network.depths=[4]", "for every group"),
        ("network.in_chans=1", "RGB"),
        ("mask.fill=learnable", "mask_token"),
        ("mask.fill=grey", "known: pixel, zero, learnable"),
        ("mask.input_percent=[90, 80]", "low <= high"),
        ("data.noise=gausian:15", "did you mean gaussian"),
        ("data.crop=4", "at least the window"),
        ("data.folders=[3]", "expected text in quotes"),
        ("mask.input_percent=[75]", r"\[low, high\]"),
        ("mask.input_percent=[]", r"\[low, high\]"),
        ("mask.attention_percent=0.75", "expected a whole number"),
        ("network.window_size=0", "1 or more"),
        ("network.mlp_hidden=-1", "1 or more"),
        ("network.drop_path=1.5", "from 0 below 1"),
        ("optimizer.learning_rate=nan", "expected a number"),
        ("optimizer.gamma=-1.0", "gamma = -1: expected a number above 0"),
        ("optimizer.ema=1", "ema = 1: expected a number from 0, below 1"),
        ("optimizer.milestones=[0]", "expected steps from 1 on"),
        ("data.page=-1", "expected a number from 1, or 0 for none"),
        ("run.attention='spda'", "did you mean sdpa"),
        ("run.attention='fast'", "known: auto, sdpa, matmul, flex"),
    ],
)
def test_impossible_recipes(change, message):
    with pytest.raises(BadInput, match=message):
        training_config.load("small.toml", [change])


def test_attention_is_chosen_for_networks_that_have_windows(photos):
    recipe = make(photos)
    assert "attention" not in recipe.to_dict()["run"]  # older runs can be resumed
    recipe = make(photos, "run.attention='sdpa'")
    assert recipe.to_dict()["run"]["attention"] == "sdpa"
    network = trainer.Trainer(recipe, photos, "cpu", "").network
    layers = [part for part in network.modules() if isinstance(part, WindowAttention)]
    assert layers and {layer.path for layer in layers} == {"sdpa"}
    with pytest.raises(BadInput, match=r"\[run\] attention = 'sdpa': a DnCNN has no window"):
        training_config.load("dncnn.toml", ["run.attention='sdpa'"])
    with pytest.raises(BadInput, match="no gradients on the CPU"):
        trainer.Trainer(make(photos, "run.attention='flex'"), photos, "cpu", "")


def test_recipe_file_errors(tmp_path):
    with pytest.raises(BadInput, match=r"did you mean small\.toml"):
        training_config.load("smal.toml")
    (tmp_path / "a.toml").write_text("x = [")
    with pytest.raises(BadInput, match="not TOML"):
        training_config.load(str(tmp_path / "a.toml"))
    with pytest.raises(BadInput, match="is a folder"):
        training_config.load(str(tmp_path))
    for text in ("run = 3", "[[run]]", "baseline = 3"):
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(BadInput, match="not a section"):
            training_config.load(str(tmp_path / "a.toml"))
    (tmp_path / "a.toml").write_text('[baseline]\n"run.stps" = 3')
    with pytest.raises(BadInput, match="did you mean steps"):
        training_config.load(str(tmp_path / "a.toml"))


def test_pairs_depend_on_seed_and_position_only(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15", seed=1)
    assert pairs.too_small == ["small.png"]
    noisy, clean = pairs.batch(12, 4)
    assert noisy.shape == clean.shape == (4, 3, 16, 16)
    assert noisy.min() >= 0 and noisy.max() <= 1
    again = TrainingPairs([str(photos)], 16, "gaussian:15", seed=1, cache_mb=0)
    assert torch.equal(again.pair(14)[0], noisy[2:3])
    other = TrainingPairs([str(photos)], 16, "gaussian:15", seed=2)
    assert not torch.equal(other.pair(14)[0], noisy[2:3])


def test_every_epoch_visits_every_photograph_once(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15")
    assert sorted(pairs.order(0)) == sorted(pairs.order(7)) == list(range(4))
    assert any(pairs.order(0) != pairs.order(epoch) for epoch in range(1, 5))


def test_training_noise_has_the_stated_level_and_is_not_rounded(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15", clip=False)
    difference = torch.cat([noisy - clean for noisy, clean in (pairs.pair(i) for i in range(300))])
    assert abs(difference.std() * 255 - 15) < 0.1
    assert not torch.equal(difference.mul(255).round(), difference.mul(255))


def test_crops_take_all_eight_orientations(tmp_path):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[2, 5] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    pairs = TrainingPairs([str(tmp_path)], 16, "gaussian:0")
    seen = {tuple(pairs.pair(i)[1][0, 0].nonzero()[0].tolist()) for i in range(100)}
    assert seen == {(y, x) for a, b in [(2, 5), (5, 2)] for y in (a, 15 - a) for x in (b, 15 - b)}


def weights(folder: Path) -> bytes:
    return (folder / "model.pth").read_bytes()


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


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves_the_state(photos, tmp_path, monkeypatch, sent):
    plan = make(photos)
    training_run.train(plan, tmp_path / "whole", quiet=True)
    backward = torch.Tensor.backward

    def interrupted(self, *arguments):
        interrupted.count += 1
        if interrupted.count == 5:  # in the middle of the step after step 4
            os.kill(os.getpid(), sent)
        return backward(self, *arguments)

    interrupted.count = 0
    monkeypatch.setattr(torch.Tensor, "backward", interrupted)
    handler = signal.getsignal(sent)
    with pytest.raises(KeyboardInterrupt, match="stopped at step 5"):
        training_run.train(plan, tmp_path / "run", quiet=True)
    assert signal.getsignal(sent) is handler
    assert list(pd.read_csv(tmp_path / "run/slices.csv").step_to) == [5]
    assert (tmp_path / "run/average.pth").is_file()
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["step"] == 5
    training_run.train(plan, tmp_path / "run", quiet=True, resume=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    assert list(pd.read_csv(tmp_path / "run/slices.csv").step_from) == [0, 5]


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


def test_a_damaged_photograph_is_found_before_training(photos):
    whole = (photos / "0.png").read_bytes()
    (photos / "z.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"z\.png: damaged"):
        TrainingPairs([str(photos)], 16, "gaussian:15")


def test_first_step_is_adam_on_l1(photos, tmp_path):
    """Against a step written out in float64: m, v, bias correction, learning rate."""
    plan = make(photos, "optimizer.ema=0.0", "run.steps=1", baseline=True)
    run = trainer.Trainer(plan, tmp_path, "cpu", "")
    before = [p.detach().double().clone() for p in run.parameters]
    noisy, clean = run.pairs.batch(0, 2)
    loss = (run.network(noisy) - clean).abs().mean()
    gradients = torch.autograd.grad(loss, run.parameters)
    run.advance()
    for old, gradient, new in zip(before, gradients, run.average, strict=True):
        g = gradient.double()
        step = 1e-3 * g / (g.abs() + 1e-8)  # after bias correction, m = g and sqrt(v) = |g|
        assert torch.allclose(new.double(), old - step, atol=1e-7)


def test_learning_rate_falls_at_the_milestones(photos, tmp_path):
    plan = make(photos, "optimizer.milestones=[3, 5]", "optimizer.gamma=0.1")
    run = trainer.Trainer(plan, tmp_path, "cpu", "")
    assert [round(run.learning_rate(step) * 1e6) for step in range(7)] == [1000] * 3 + [100] * 2 + [
        10
    ] * 2


def test_training_learns(tmp_path):
    ramp = np.linspace(0, 255, 24)[:, None] * np.ones((1, 24))
    picture = np.stack([ramp, ramp.T, 255 - ramp], axis=-1).astype(np.uint8)
    (tmp_path / "smooth").mkdir()
    Image.fromarray(picture).save(tmp_path / "smooth" / "a.png")
    steps = ("run.steps=80", "run.log_every=20", "optimizer.learning_rate=5e-3")
    training_run.train(
        make(tmp_path / "smooth", *steps, baseline=True), tmp_path / "run", quiet=True
    )
    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "run/log.csv").open())]
    assert losses[-1] < 0.7 * losses[0]


def test_nan_stops_the_run(photos, tmp_path):
    with pytest.raises(BadInput, match="NaN"):
        training_run.train(
            make(photos, "optimizer.learning_rate=1e30"), tmp_path / "run", quiet=True
        )


def test_command_trains_and_records_where_the_model_comes_from(photos, tmp_path):
    changes = [part for change in SMALL for part in ("--set", change)]
    done = forked("-m", "mtd.train", "small.toml", "--data", "photos", *changes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "runs/train-small/model.pth\n"
    assert "skipped, smaller than 16 x 16: small.png" in done.stderr
    model = mtd.load(tmp_path / "runs/train-small/model.pth")
    about = model.source["training"]
    assert about["command"].startswith("python -m mtd.train small.toml --data photos")
    assert (about["steps"], about["images"], about["data"]) == (8, 4, ["photos"])
    held = json.loads((tmp_path / "runs/train-small/recipe.json").read_text())
    assert held["run"]["batch_size"] == 2
    assert len(list((tmp_path / "runs/train-small").glob("snapshot-*.pth"))) == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["absent.toml"], "no such file"),
        (["small.toml"], "made by mtd.pack, with --data"),
        (["x" * 300], "too long"),
        (["small.toml", "--data", "bob's photos"], "bob's photos: no such folder"),
        (["small.toml", "--data", "absent"], "no such folder"),
        (["small.toml", "--data", "photos", "--device", "cuda:9"], "device 'cuda:9'"),
        (["small.toml", "--data", "photos", "--set", "data.crop=64"], "smaller than the crop"),
        (
            [
                "small.toml",
                "--data",
                "photos",
                "--set",
                "data.crop=16",
                "--output-dir",
                "photos/0.png",
            ],
            "written",
        ),
        (["small.toml", "--date", "photos"], "unrecognized arguments"),
        (
            ["small.toml", "--data", "packed.zip", "--set", "data.crop=8"],
            "error: packed.zip/photos/z.png: damaged",
        ),
        (
            ["small.toml", "--data", "packed.zip", "--set", "data.crop=8"],
            "; --skip-bad trains without such files",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    photos, tmp_path, monkeypatch, in_process, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("packed.zip", "w") as archive:
        archive.writestr("photos/z.png", (photos / "0.png").read_bytes()[:200])
    code, out, err = in_process(train.main, *arguments)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_network_that_is_told_the_noise_level_trains_on_it(photos, tmp_path):
    path = tmp_path / "ffdnet.toml"
    path.write_text(
        f'[network]\narchitecture = "FFDNet"\nfeatures = 4\ndepth = 3\n'
        f"[data]\nfolders = ['{photos}']\ncrop = 16\n[run]\nsteps = 2\nbatch_size = 2\n"
    )
    model = mtd.load(
        training_run.train(training_config.load(str(path)), tmp_path / "run"), sigma=15
    )
    assert model.source["architecture"] == "FFDNet" and model.input_format.sigma == 15
    with pytest.raises(BadInput, match="noise-conditional, expected gaussian:LEVEL"):
        training_config.load(str(path), ["data.noise='poisson:3'"])


WATCHED = (
    *("run.precision='float64'", "run.steps=20", "run.batch_size=4", "network.drop_path=0.2"),
    *("network.output_dropout=0.2", "validation.every=10", "validation.crops=2"),
    *("validation.crop=16", "validation.noises=['gaussian:15','poisson:3']"),
)


@pytest.mark.parametrize("how", ["accumulated", "two processes"])
def test_parts_of_a_batch_and_processes_change_nothing(photos, tmp_path, how):
    one = training_run.train(make(photos, *WATCHED), tmp_path / "one", quiet=True)
    if how == "accumulated":
        other = training_run.train(
            make(photos, *WATCHED, "run.accumulate=2"), tmp_path / "other", quiet=True
        )
    else:
        changes = [part for change in (*SMALL, *WATCHED) for part in ("--set", change)]
        done = two_processes(
            *("-m", "mtd.train", "small.toml", "--data", str(photos), *changes),
            *("--output-dir", "other", "--quiet"),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "other/model.pth\n"
        other = tmp_path / "other/model.pth"
    found = weights_of(other)
    for name, value in weights_of(one).items():
        assert (value - found[name]).abs().max() < 1e-6, name
    logs = [pd.read_csv(path.parent / "log.csv").loss for path in (one, other)]
    assert np.allclose(*logs, rtol=1e-5)
    shown = [pd.read_csv(path.parent / "validation.csv") for path in (one, other)]
    assert list(shown[0].step) == [10, 10, 20, 20] and set(shown[0].noise) == {
        *("gaussian:15", "poisson:3")
    }
    assert np.allclose(shown[0].psnr, shown[1].psnr, atol=1e-4)
    assert (one.parent / "validation/000020.png").is_file()
    assert any((one.parent / "events").iterdir())


@pytest.mark.parametrize(
    "spec", ["isp", "mixture:2", "poisson:3", "speckle:0.04", "spatial:60", "salt_pepper:0.02"]
)
def test_every_noise_can_be_trained_on(photos, tmp_path, spec):
    given = make(photos, f'data.noise="{spec}"', "run.steps=1")
    assert training_run.train(given, tmp_path / "run", quiet=True).is_file()


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


def test_a_batch_that_cannot_be_shared_out_is_refused(photos, tmp_path):
    with pytest.raises(BadInput, match="batch_size = 2: expected a multiple of 4, for 1 process"):
        training_run.train(make(photos, "run.accumulate=4"), tmp_path / "run", quiet=True)


def test_validation_is_the_networks_psnr_as_it_denoises(photos, tmp_path):
    path = training_run.train(make(photos, *WATCHED), tmp_path / "run", quiet=True)
    frame = pd.read_csv(tmp_path / "run/validation.csv")
    network = mtd.load(path).double()
    crops = data_crops.crops(photographs.photographs(), 16, 2)
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    for spec in ("gaussian:15", "poisson:3"):
        noisy, target = noise_base.pair_keyed(noise_specs.parse(spec), clean, keys, quantize=True)
        with torch.no_grad():
            expected = float(psnr(network(noisy.double(), keys).float(), target).mean())
        found = frame[(frame.step == 20) & (frame.noise == spec)].psnr.item()
        assert found == pytest.approx(expected, abs=1e-3)


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


def version(path: Path) -> int | None:
    """Which of the files of a name that replace one another it is."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def test_killed_at_any_moment_it_ends_with_the_same_weights(photos, tmp_path):
    changes = (*SMALL, "run.steps=30", "run.save_every=1", "validation.every=10")
    changes = (*changes, "validation.crops=1", "validation.crop=16")
    arguments = [part for change in changes for part in ("--set", change)]
    command = ["-m", "mtd.train", "small.toml", "--data", str(photos), *arguments]
    command += ["--output-dir", "run", "--quiet", "--resume"]
    same = environment() | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    dice, kills, state = random.Random(0), 0, tmp_path / "run/state.pt"
    while kills < 4:
        process = Forked(*command, cwd=tmp_path, variables=same)
        saves, seen = dice.randint(2, 5), version(state)  # each of the 30 steps is saved
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


def test_a_bad_loss_says_where_and_leaves_the_last_good_state(photos, tmp_path, monkeypatch):
    original = trainer.Trainer.loss

    def loss(self, first):
        return original(self, first) * (float("nan") if self.step == 5 else 1)

    monkeypatch.setattr(trainer.Trainer, "loss", loss)
    with pytest.raises(BadInput, match=r"step 6 are NaN .*crops 10 to 11 of seed 0.*last good"):
        training_run.train(make(photos), tmp_path / "run", quiet=True)
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    assert state["step"] == 3


def test_bf16_trains_close_to_float32(photos, tmp_path):
    plan = [make(photos, f"run.precision='{how}'", baseline=True) for how in ("float32", "bf16")]
    paths = [training_run.train(one, tmp_path / one.run.precision, quiet=True) for one in plan]
    losses = [pd.read_csv(path.parent / "log.csv").loss for path in paths]
    assert np.allclose(*losses, rtol=0.03) and not np.array_equal(*losses)
    assert all(v.dtype == torch.float32 for v in weights_of(paths[1]).values())


def test_batch_normalisation_needs_whole_batches(photos, tmp_path):
    sizes = [*TINY_PEERS["dncnn"], *(text for text in SMALL if not text.startswith("network"))]
    changes = [f"data.folders=['{photos}']", *sizes, "run.accumulate=2"]
    with pytest.raises(BadInput, match="batch normalization of a DnCNN needs whole batches"):
        training_run.train(
            training_config.load("dncnn.toml", changes), tmp_path / "run", quiet=True
        )


def test_weights_that_are_not_finite_are_never_saved(photos, tmp_path, monkeypatch):
    original = trainer.Trainer.advance

    def advance(self):
        loss = original(self)
        if self.step == 6:  # a gradient that overflowed: the loss was finite still
            self.parameters[0].data[0] = float("inf")
        return loss

    monkeypatch.setattr(trainer.Trainer, "advance", advance)
    with pytest.raises(BadInput, match=r"step 6 are NaN or infinite .*last good"):
        training_run.train(make(photos), tmp_path / "run", quiet=True)
    assert torch.load(tmp_path / "run/state.pt", weights_only=True)["step"] == 3


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


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Failed to find C compiler. Please specify via CC\nmore", BadInput),
        ("sizes do not match", RuntimeError),
    ],
)
def test_a_machine_without_a_compiler_is_told_in_one_line(
    photos, tmp_path, monkeypatch, text, expected
):
    def fails(*_, **__):
        raise RuntimeError(text)

    monkeypatch.setattr(torch, "compile", lambda network, **_: fails)
    with pytest.raises(expected) as raised:
        training_run.train(make(photos, "run.compile=true"), tmp_path, quiet=True)
    if expected is BadInput:
        assert "(Failed to find C compiler. Please specify via CC); " in str(raised.value)
        assert str(raised.value).endswith("or set compile = false") and "\n" not in str(
            raised.value
        )
