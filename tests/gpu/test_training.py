"""Training on the device: precision, compilation, resuming, one distributed process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from mtd.training import run, state
from mtd.training.config import Recipe
from mtd.training.trainer import Trainer
from tests.helpers.compilers import needs_a_compiler
from tests.helpers.weights import alike

pytestmark = pytest.mark.gpu

Make = Callable[..., Recipe]


def trainer(recipe: Recipe, device: str, folder: Path) -> Trainer:
    return Trainer(recipe, folder, device, "")


def step(one: Trainer) -> tuple[float, Tensor]:
    """Loss and gradient of the next step, (weights,) float64 on the CPU."""
    loss = float(one.advance())
    return loss, torch.cat([p.grad.double().cpu().flatten() for p in one.parameters])


def distance(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    return float((found - expected).norm() / expected.norm())


def farthest(one: Trainer, found: Tensor, expected: Tensor) -> float:
    """The largest distance of a parameter's gradient, however small it is beside the others.

    Only where its norm is less than a thousandth of that of all it is relative to that thousandth,
    since gradients of biases of keys are nothing but rounding.
    """
    sizes, least = [p.numel() for p in one.parameters], 1e-3 * float(expected.norm())
    pairs = zip(found.split(sizes), expected.split(sizes), strict=True)
    return max(float((a - b).norm()) / max(float(b.norm()), least) for a, b in pairs)


@pytest.mark.parametrize("baseline", [False, True])
def test_a_step_is_that_of_the_cpu_in_float64(device, recipe, tmp_path, baseline):
    few = ["run.batch_size=4"]
    found = step(trainer(recipe(*few, baseline=baseline), device, tmp_path))
    exact = recipe(*few, "run.precision='float64'", baseline=baseline)
    expected = step(trainer(exact, "cpu", tmp_path))
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert distance(found[1], expected[1]) < 1e-3  # the sign of an error near 0 may differ


def test_bf16_is_near_float32(device, recipe, tmp_path):
    precise, quick = (
        trainer(recipe(f"run.precision='{kind}'"), device, tmp_path / kind)
        for kind in ("float32", "bf16")
    )
    expected, found = step(precise), step(quick)
    assert found[0] == pytest.approx(expected[0], rel=0.01) and found[0] != expected[0]
    assert distance(found[1], expected[1]) < 0.1
    count = 40 if device == "cuda" else 8
    curves = [[float(one.advance()) for _ in range(count)] for one in (precise, quick)]
    ends = [sum(losses[-count // 4 :]) / (count // 4) for losses in curves]
    assert ends[1] == pytest.approx(ends[0], rel=0.05)
    assert all(end < first[0] for end, first in zip(ends, (expected, found), strict=True))


@needs_a_compiler
@pytest.mark.slow
@pytest.mark.parametrize("precision, mode", [("float32", "default"), ("bf16", "reduce-overhead")])
def test_a_compiled_step_is_the_eager_one(device, recipe, tmp_path, precision, mode):
    """With CUDA graphs, too; slow on the CPU, where a compiler of C++ works for minutes."""
    if device == "cpu" and precision != "float32":
        pytest.skip("one precision is enough on the CPU")
    heads = 6 if device == "cuda" else 2
    small = ["network.depths=[2]", f"network.num_heads=[{heads}]", f"run.precision='{precision}'"]
    compile_it = ["run.compile=true", f"run.compile_mode='{mode}'"]
    eager, compiled = (
        trainer(recipe(*small, *changes), device, tmp_path / name)
        for name, changes in (("eager", []), ("compiled", compile_it))
    )
    close = {"float32": (1e-5, 1e-3, 0.01), "bf16": (0.01, 0.1, 0.2)}[precision]
    for _ in range(5):  # the first record what the others replay
        expected, found = step(eager), step(compiled)
        assert found[0] == pytest.approx(expected[0], rel=close[0])
        assert distance(found[1], expected[1]) < close[1]
        assert farthest(eager, found[1], expected[1]) < close[2]
        compiled.network.load_state_dict(eager.network.state_dict())


def test_a_resumed_run_is_one_that_was_not_interrupted(device, recipe, tmp_path, monkeypatch):
    """Bit for bit on the CPU; a GPU adds up in any order."""
    given = recipe(
        "run.steps=6",
        "run.save_every=3",
        "run.log_every=1",
        "optimizer.ema=0.9",
        "optimizer.clip=1.0",
    )
    whole = run.train(given, tmp_path / "whole", device=device, quiet=True)
    save = Trainer.save_state

    def killed(self):
        save(self)
        if self.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "save_state", killed)
        run.train(given, tmp_path / "cut", device=device, quiet=True)
    resumed = run.train(given, tmp_path / "cut", device=device, quiet=True, resume=True)
    states = [
        torch.load(path.parent / state.STATE, weights_only=True, map_location="cpu")
        for path in (whole, resumed)
    ]
    assert states[0]["step"] == states[1]["step"] == 6
    assert alike(states[1]["network"], states[0]["network"], exact=device == "cpu")
    losses = [pd.read_csv(path.parent / "log.csv").loss for path in (whole, resumed)]
    assert np.allclose(*losses, rtol=1e-4) and len(losses[0]) == 6


def test_a_state_goes_on_on_the_cpu(device, recipe, tmp_path):
    given = recipe("run.steps=4", "run.save_every=2", "run.batch_size=4")
    first = trainer(given, device, tmp_path / "gpu")
    float(first.advance())
    (tmp_path / "gpu").mkdir()
    first.save_state()
    shutil.copytree(tmp_path / "gpu", tmp_path / "cpu")
    second = trainer(given, "cpu", tmp_path / "cpu")
    second.resume()
    expected, found = step(first), step(second)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert distance(found[1], expected[1]) < 1e-3


@pytest.fixture
def one_process(device, tmp_path):
    """A process group of one, as torchrun would start it on this device."""
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_one_distributed_process_trains_as_one_alone(device, recipe, tmp_path, one_process):
    total = torch.arange(3.0, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    assert total.tolist() == [0, 1, 2]
    gathered = [None]
    dist.all_gather_object(gathered, {"rank": 0})
    assert gathered == [{"rank": 0}]
    given = recipe("run.accumulate=2")
    alone, distributed = (trainer(given, device, tmp_path / name) for name in "ab")
    distributed.forward = nn.parallel.DistributedDataParallel(
        distributed.network, broadcast_buffers=False
    )
    before = {key: value.clone() for key, value in alone.network.state_dict().items()}
    for _ in range(3):
        expected, found = step(alone), step(distributed)
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
        assert distance(found[1], expected[1]) < 1e-3
    found, expected = distributed.network.state_dict(), alone.network.state_dict()
    assert alike(found, expected, exact=False) and not alike(found, before, exact=False)
