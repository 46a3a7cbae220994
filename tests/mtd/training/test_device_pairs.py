"""Training pairs on the device: the crops of other runs, noise of whole batches, and training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mtd.loading import checkpoint_file
from mtd.training import config as training_config
from mtd.training import device_pairs, trainer
from mtd.training import run as training_run
from mtd.training.device_pairs import DevicePairs
from mtd.training.pairs import TrainingPairs
from mtd.training.reading import Reading
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput
from tests.helpers.processes import two_processes
from tests.helpers.training import SMALL, make, weights_of

CPU = torch.device("cpu")
ON = "data.on_device=true"


def on_device(photos: Path, noise: str = "gaussian:15", batch: int = 8, **given) -> DevicePairs:
    return DevicePairs([str(photos)], 16, noise, CPU, batch, quiet=True, **given)


def test_clean_crops_are_those_of_other_runs_bit_for_bit(photos):
    pairs = on_device(photos, "gaussian:0", batch=40, seed=3)
    plain = TrainingPairs([str(photos)], 16, "gaussian:0", seed=3)
    assert pairs.digest == plain.digest and pairs.too_small == plain.too_small
    views = {(cut.turns, cut.reflected) for cut, _ in map(pairs.cut, range(120))}
    assert views == set(device_pairs.VIEWS)
    for first in (0, 40, 80):
        expected = plain.batch(first, 40)[1]
        noisy, clean = pairs.batch(first, 40)
        assert torch.equal(clean, expected) and torch.equal(noisy, expected)
        assert clean.dtype == torch.float32 and clean.is_contiguous()
        assert torch.equal(pairs.clean(first + 3, 7), expected[3:10])


def test_photographs_are_in_one_tensor(photos):
    pairs = on_device(photos)
    whole = torch.cat([torch.tensor(p.load()).view(-1, 3) for p in pairs.photographs])
    assert pairs.pixels.dtype == torch.uint8 and torch.equal(pairs.pixels, whole)


@pytest.mark.parametrize("noise", ["gaussian:15", "poisson:3", "salt_pepper:0.1", "isp"])
def test_noise_of_a_step_does_not_depend_on_how_its_batch_is_divided(photos, noise):
    noisy, target = on_device(photos, noise).batch(16, 8)
    for size in (1, 2, 4):
        pairs = on_device(photos, noise)
        parts = [pairs.batch(first, size) for first in range(16, 24, size)]
        assert torch.equal(torch.cat([one for one, _ in parts]), noisy)
        assert torch.equal(torch.cat([other for _, other in parts]), target)
    last = on_device(photos, noise).batch(20, 4)  # the part of the second of two processes
    assert torch.equal(last[0], noisy[4:]) and torch.equal(last[1], target[4:])
    with pytest.raises(ValueError, match="several steps"):
        on_device(photos).batch(20, 8)


def test_noise_has_the_stated_level_and_depends_on_seed_and_step_only(photos):
    def noise(step: int, **given) -> Tensor:
        noisy, clean = on_device(photos, batch=64, clip=False, **given).batch(64 * step, 64)
        return noisy - clean

    drawn = torch.cat([noise(0), noise(1)])
    # the standard error of the mean of n values is σ/√n, that of their deviation σ/√(2n)
    error = 15 / 255 / drawn.numel() ** 0.5
    assert abs(float(drawn.mean())) < 4 * error and abs(float(drawn.std()) - 15 / 255) < 4 * error
    assert torch.equal(noise(1), drawn[64:]) and drawn.unique().numel() > 0.5 * drawn.numel()
    assert float((noise(0, seed=1) - drawn[:64]).abs().mean()) > 0.05
    correlation = torch.corrcoef(torch.stack([drawn[:64].flatten(), drawn[64:].flatten()]))[0, 1]
    assert abs(float(correlation)) < 4 / (drawn.numel() / 2) ** 0.5
    noisy, _ = on_device(photos, batch=64).batch(0, 64)
    assert noisy.min() == 0 and noisy.max() == 1


def test_more_photographs_than_memory_and_ways_of_reading_that_do_not_fit(photos, monkeypatch):
    def refused(*changes: str, **reading) -> str:
        given = make(photos, ON, *changes)
        with pytest.raises(BadInput) as raised:
            trainer.Trainer(given, photos, "cpu", "", reading=Reading(quiet=True, **reading))
        assert "\n" not in str(raised.value)
        return str(raised.value)

    assert refused(workers=2).startswith("--workers 2: ")
    assert refused(store=Path("decoded")).startswith("--store decoded: ")
    total = sum(3 * p.height * p.width for p in on_device(photos).photographs)
    monkeypatch.setattr(device_pairs.devices, "memory", lambda _: total)
    on_device(photos)
    monkeypatch.setattr(device_pairs.devices, "memory", lambda _: total - 1)
    assert f"need {total / 1e9:.4g} GB" in refused()
    (photos / "torn.png").write_bytes((photos / "0.png").read_bytes()[:200])
    monkeypatch.undo()
    assert "torn.png" in refused()
    pairs = on_device(photos, skip_bad=True)
    assert len(pairs.photographs) == 4 and len(pairs.bad) == 1


def test_older_recipes_stay_what_they_are(photos):
    assert "on_device" not in make(photos).to_dict()["data"]
    assert make(photos, ON).to_dict()["data"]["on_device"] is True
    with pytest.raises(BadInput, match="expected true or false"):
        training_config.load("small.toml", ["data.on_device=1"])


def step(photos: Path, parts: int = 1, ranks: Ranks = SINGLE_PROCESS) -> list[Tensor]:
    """The loss of the second step, and its gradients, in float64."""
    changes = ("run.batch_size=4", "run.precision='float64'", f"run.accumulate={parts}")
    one = trainer.Trainer(make(photos, ON, *changes), photos, "cpu", "", ranks)
    one.step = 1
    return [one.advance(), *(p.grad.clone() for p in one.parameters if p.grad is not None)]


def test_neither_accumulation_nor_processes_change_a_step(photos, monkeypatch):
    monkeypatch.setattr(trainer.Trainer, "_forward", lambda self: self.network)  # no exchange
    whole = step(photos)
    both = [step(photos, ranks=Ranks(rank, 2)) for rank in range(2)]
    mean = [(first + second) / 2 for first, second in zip(*both, strict=True)]
    assert len(whole) > 10
    for other in (step(photos, 2), step(photos, 4), mean):
        for value, expected in zip(other, whole, strict=True):
            # pixels and losses are in float32
            assert torch.allclose(value.double(), expected.double(), rtol=1e-6, atol=1e-9)
    assert float((both[0][0] - both[1][0]).abs()) > 1e-4


@pytest.mark.slow
def test_two_processes_train_the_network_of_one(photos, tmp_path):
    changes = ("run.batch_size=4", "run.steps=3", ON, "run.precision='float64'")
    given = [f"data.folders=['{photos}']", *SMALL, *changes]
    settings = [text for change in given for text in ("--set", change)]
    done = two_processes(
        "-m", "mtd.train", "small.toml", *settings, "--output-dir", "two", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    one = training_run.train(make(photos, *changes), tmp_path / "one", quiet=True)
    alone, both = weights_of(one), weights_of(tmp_path / "two/model.pth")
    for name, value in alone.items():
        assert torch.allclose(value, both[name], rtol=1e-9, atol=1e-12), name


def killed_at(step: int):
    save = trainer.Trainer.save_state

    def kill(self: trainer.Trainer) -> None:
        save(self)
        if self.step == step:
            raise KeyboardInterrupt

    return kill


def test_a_resumed_run_is_the_uninterrupted_one_and_says_where_noise_was_drawn(
    photos, tmp_path, monkeypatch, capsys
):
    five = (ON, "run.steps=5")
    whole = weights_of(training_run.train(make(photos, *five), tmp_path / "whole", quiet=True))
    plain = weights_of(training_run.train(make(photos, five[1]), tmp_path / "plain", quiet=True))
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "save_state", killed_at(3))
        with pytest.raises(KeyboardInterrupt):
            training_run.train(make(photos, *five), tmp_path / "cut", quiet=True)
    capsys.readouterr()
    path = training_run.train(make(photos, *five), tmp_path / "cut", resume=True)
    assert "noise drawn on cpu, one stream for each step" in capsys.readouterr().err
    assert all(torch.equal(value, whole[name]) for name, value in weights_of(path).items())
    assert not all(torch.equal(value, whole[name]) for name, value in plain.items())
    for name, stream in (("cut", "step"), ("plain", "crop")):
        training = checkpoint_file.read(tmp_path / name / "model.pth").metadata["training"]
        assert training["noise_stream"] == f"cpu, one stream for each {stream}"


def test_a_run_that_goes_on_on_another_device_names_both(photos, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "save_state", killed_at(3))
        with pytest.raises(KeyboardInterrupt):
            training_run.train(make(photos, ON), tmp_path / "run", quiet=True)
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)
    assert state["noise_streams"] == ["cpu, one stream for each step"]
    torch.save(
        state | {"noise_streams": ["cuda, one stream for each step"]}, tmp_path / "run/state.pt"
    )
    path = training_run.train(make(photos, ON), tmp_path / "run", resume=True, quiet=True)
    assert checkpoint_file.read(path).metadata["training"]["noise_stream"] == (
        "cuda, one stream for each step; cpu, one stream for each step"
    )
