"""A batch that is too large for the device's memory is trained in parts, and that is recorded."""

from __future__ import annotations

import gc

import pytest
import torch

import mtd
from mtd.training import run
from mtd.training.trainer import Trainer
from tests.helpers.weights import alike

pytestmark = pytest.mark.gpu


def peak(recipe, device, folder) -> int:
    """The most memory that PyTorch holds in two steps, in bytes."""
    clean_up()
    torch.cuda.reset_peak_memory_stats()
    one = Trainer(recipe, folder, device, "")
    for _ in range(2):
        float(one.advance())
    del one
    return torch.cuda.max_memory_reserved()


def clean_up() -> None:
    gc.collect()
    torch.cuda.empty_cache()


@pytest.fixture
def scarce(device, recipe, tmp_path, monkeypatch):
    """Memory suffices for half a batch, but not for a whole one."""
    if device == "cpu":
        forward = Trainer.denoised

        def lacking(self, noisy, *rest):
            if len(noisy) > 2:
                raise torch.OutOfMemoryError("out of memory, says the test")
            return forward(self, noisy, *rest)

        monkeypatch.setattr(Trainer, "denoised", lacking)
        yield
        return
    half, whole = (peak(recipe(f"run.accumulate={n}"), device, tmp_path) for n in (2, 1))
    assert whole > 1.3 * half
    clean_up()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((half + 0.7 * (whole - half)) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_batch_too_large_is_halved(device, recipe, tmp_path, scarce):
    steps = ("run.steps=3", "run.save_every=2")
    path = run.train(recipe(*steps), tmp_path / "whole", device=device, quiet=True)
    record = mtd.load(path).source["training"]
    assert record["accumulate"] == 2 and record["out_of_memory_at"] == [1]
    halves = run.train(
        recipe(*steps, "run.accumulate=2"), tmp_path / "halves", device=device, quiet=True
    )
    found, expected = (mtd.load(one).state_dict() for one in (path, halves))
    assert alike(found, expected, exact=device == "cpu")
