"""Training: a step, the loop, and what the command refuses."""

from __future__ import annotations

import csv
import json
import zipfile

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
from mtd.utils.counter_random import BatchStream
from mtd.utils.errors import BadInput
from tests.helpers.processes import forked, two_processes
from tests.helpers.training import SMALL, WATCHED, make, weights_of

TINY_PEERS = {
    "dncnn": ["network.features=4", "network.depth=4"],
    "ridnet": ["network.features=4", "network.blocks=1", "network.reduction=2"],
    "rnan": ["network.features=4", "network.groups=1", "network.inner=2"],
    "restormer": ["network.dim=4", "network.num_blocks=[1,1,1,1]", "network.refinement_blocks=1"],
    "swinir": ["network.embed_dim=8", "network.depths=[2]", "network.num_heads=[2]"],
    "dropout": ["network.embed_dim=8", "network.depths=[2]", "network.num_heads=[2]"],
    "ffdnet": ["network.features=4", "network.depth=3"],
    "bf_dncnn": ["network.features=4", "network.depth=3"],
    "bf_recurrent_cnn": ["network.features=4", "network.hidden=1"],
    "bf_unet": ["network.features=4"],
    "bf_densenet": ["network.features=4", "network.hidden=1"],
    "idf": ["network.features=4", "network.iterations=3"],
}


@pytest.mark.parametrize("name", TINY_PEERS)
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
            make(photos, "optimizer.learning_rate=1e15"), tmp_path / "run", quiet=True
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
        (["small.toml"], "made by mtd pack, with --data"),
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
            "photos/0.png is a file",
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
    for noise in ("poisson:3", "gaussian:=poisson:3"):
        with pytest.raises(BadInput, match="noise-conditional, expected gaussian:LEVEL"):
            training_config.load(str(path), [f"data.noise={noise}"])


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


def test_sigma_of_validation_noise_of_matched_strength_is_recorded(photos, tmp_path):
    noises = "validation.noises=['poisson:3', 'gaussian:=poisson:3']"
    given = make(photos, *WATCHED, noises, "run.steps=1")
    training_run.train(given, tmp_path / "run", quiet=True)
    frame = pd.read_csv(tmp_path / "run/matched_noises.csv")
    crops = data_crops.crops(photographs.photographs(), 16, 2)
    noise = noise_specs.parse("gaussian:=poisson:3")
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    made = noise_base.noisy_images(noise, clean, keys, seed=given.run.seed)
    assert list(frame.sha256) == keys and set(frame.noise) == {noise.spec}
    assert list(frame.sigma) == pytest.approx((255 * made.sigma).tolist(), rel=1e-12)
    psnr_of = pd.read_csv(tmp_path / "run/validation.csv").groupby("noise").psnr.first()
    assert set(psnr_of.index) == {"poisson:3", noise.spec}


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
