"""The recipe of the full-size pair, what a state of it takes, and compiled training."""

from __future__ import annotations

import pytest
import torch

from mtd.training import config as training_config
from mtd.training import run as training_run
from mtd.training.trainer import Trainer
from mtd.utils.errors import BadInput
from tests.helpers.training import make

WEIGHTS = 824_118


def test_recipe_is_the_papers_network_on_a_short_schedule():
    full, paper = (training_config.load(f"{name}.toml") for name in ("full", "paper"))
    assert full.network == paper.network and full.mask == paper.mask
    plain = training_config.load("full.toml", baseline=True)
    assert not plain.mask.masks_input and not plain.mask.attention_percent
    assert (plain.data, plain.optimizer, plain.run) == (full.data, full.optimizer, full.run)
    assert (full.data.crop, full.data.noise, full.run.batch_size) == (64, "gaussian:15", 64)
    given = full.optimizer
    assert (given.optimizer, given.weight_decay, given.betas) == ("adamw", 0, (0.9, 0.99))
    assert (given.schedule, given.warmup, given.learning_rate) == ("cosine", 1000, 8e-4)
    assert (given.final_learning_rate, given.ema, given.clip) == (1e-6, 0.999, 1)
    assert (full.run.steps, full.run.precision, full.run.compile) == (200_000, "bf16", True)
    assert full.data.on_device
    assert full.validation.every == 5000 and full.validation.noises == (
        *("gaussian:15", "poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02"),
    )


def test_a_state_is_weights_average_and_moments_in_float32_and_little_else(photos, tmp_path):
    """13.2 MB: four float32 numbers for each of 824,118 weights, and less than 4% beside them."""
    changes = ("data.crop=16", "run.batch_size=1", "run.compile=false", "validation.every=0")
    plan = training_config.load("full.toml", [f"data.folders=['{photos}']", *changes])
    trainer = Trainer(plan, tmp_path, "cpu", "")
    trainer.advance()
    trainer.save_state()
    size = (tmp_path / "state.pt").stat().st_size
    assert WEIGHTS * 4 * 4 < size < 1.04 * WEIGHTS * 4 * 4
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    moments = [state["adam"]["state"][i][name] for i in range(len(state["average"])) for name in M]
    for tensors in (state["network"].values(), state["average"], moments):
        assert all(tensor.dtype == torch.float32 for tensor in tensors)
    assert sum(tensor.numel() for tensor in state["network"].values()) == WEIGHTS
    assert sum(tensor.numel() for tensor in moments) == 2 * WEIGHTS
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in trainer.parameters)


M = ("exp_avg", "exp_avg_sq")


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune"])
def test_compile_mode_reaches_the_compiler_and_each_step_is_marked(
    photos, tmp_path, monkeypatch, mode
):
    """One mark a step, before its first part: later ones must not overwrite gradients."""
    seen: list[object] = []
    denoised = Trainer.denoised

    def watched(self, noisy, stream):
        seen.append(len(noisy))
        return denoised(self, noisy, stream)

    def compiled(network, *, mode):
        seen.append(mode)
        return network

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: seen.append("step"))
    monkeypatch.setattr(Trainer, "denoised", watched)
    changes = ("run.compile=true", f"run.compile_mode='{mode}'", "run.steps=2", "run.accumulate=2")
    plan = make(photos, *changes)
    training_run.train(plan, tmp_path, quiet=True)
    assert seen == [mode, "step", 1, 1, "step", 1, 1]
    assert plan.to_dict()["run"].get("compile_mode") == (None if mode == "default" else mode)


def test_compiled_again_after_a_lack_of_memory(photos, tmp_path, monkeypatch):
    modes, resets = [], []

    def compiled(network, *, mode):
        modes.append(mode)
        return network

    denoised = Trainer.denoised

    def full(self, noisy, stream):
        if len(noisy) > 1:
            raise torch.OutOfMemoryError
        return denoised(self, noisy, stream)

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(len(modes)))
    monkeypatch.setattr(Trainer, "denoised", full)
    training_run.train(make(photos, "run.compile=true", "run.steps=2"), tmp_path, quiet=True)
    assert (modes, resets) == (["default", "default"], [1])


def test_compile_modes_that_make_no_sense():
    with pytest.raises(BadInput, match=r"compile_mode = 'max-autotune': it has no effect"):
        training_config.load("small.toml", ["run.compile_mode=max-autotune"])
    with pytest.raises(BadInput, match="did you mean max-autotune"):
        training_config.load("small.toml", ["run.compile=true", "run.compile_mode=max-auto"])
