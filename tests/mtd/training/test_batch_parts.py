"""Parts of a batch where memory does not suffice."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

import mtd
from mtd.training import config as training_config
from mtd.training import run as training_run
from mtd.training.batch_parts import BatchParts
from mtd.training.reading import Reading
from mtd.training.trainer import Trainer
from mtd.utils.device import is_out_of_memory
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput
from tests.helpers.processes import two_processes
from tests.helpers.training import SMALL, make

EXACT = (
    "run.precision='float64'",
    "run.steps=5",
    "run.batch_size=8",
    "network.drop_path=0.2",
    "optimizer.clip=1.0",
)


def limited(monkeypatch, images, error=None, step=0, kind=Trainer):
    """Memory for so many images at once from a step on, exceeded after some of the work."""
    denoised = Trainer.denoised

    def full(self, noisy, stream):
        output = denoised(self, noisy, stream)
        if self.step >= step and len(noisy) > images:
            raise error or torch.OutOfMemoryError("CUDA out of memory.")
        return output

    monkeypatch.setattr(Trainer, "denoised", full)


def same(path, other):
    one, two = mtd.load(path).state_dict(), mtd.load(other).state_dict()
    assert one.keys() == two.keys()
    return all((one[name] - two[name]).abs().max() < 1e-9 for name in one)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_result_is_that_of_smaller_parts_from_the_start(
    photos, tmp_path, monkeypatch, workers, capsys
):
    small = training_run.train(
        make(photos, *EXACT, "run.accumulate=4"), tmp_path / "small", quiet=True
    )
    limited(monkeypatch, 2, step=3)
    reading = Reading(workers=workers)
    path = training_run.train(make(photos, *EXACT), tmp_path / "run", reading=reading)
    said = [line for line in capsys.readouterr().err.splitlines() if "out of memory" in line]
    assert said == ["out of memory at step 4: from there on in parts of 2 images (accumulate = 4)"]
    assert same(path, small)
    about = mtd.load(path).source["training"]
    assert (about["accumulate"], about["out_of_memory_at"]) == (4, [4, 4])
    assert mtd.load(small).source["training"]["out_of_memory_at"] == []
    rows = (tmp_path / "run/slices.csv").read_text().splitlines()
    row = dict(zip(*(line.split(",") for line in rows), strict=True))
    assert (row["accumulate"], row["out_of_memory"]) == ("4", "2")


def test_memory_that_runs_out_backward_leaves_no_gradient(photos, tmp_path, monkeypatch):
    """The second of two parts fails, when the gradients of the first are there already."""
    four = training_run.train(
        make(photos, *EXACT, "run.accumulate=4"), tmp_path / "four", quiet=True
    )
    backward, calls = torch.Tensor.backward, []

    def full(self, *arguments):
        backward(self, *arguments)
        calls.append(self)
        if len(calls) == 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(torch.Tensor, "backward", full)
    path = training_run.train(
        make(photos, *EXACT, "run.accumulate=2"), tmp_path / "run", quiet=True
    )
    assert same(path, four)
    assert mtd.load(path).source["training"]["out_of_memory_at"] == [2]


def test_a_failed_call_holds_no_memory_when_its_step_is_done_again(photos, tmp_path, monkeypatch):
    denoised, held, alive = Trainer.denoised, [], []

    def full(self, noisy, stream):
        alive.append(sum(one() is not None for one in held))
        activations = torch.zeros(8)
        held.append(weakref.ref(activations))
        output = denoised(self, noisy, stream)
        if len(noisy) > 4:
            frame = [activations]
            frame.append(frame)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return output

    monkeypatch.setattr(Trainer, "denoised", full)
    gc.disable()  # else it might come by in time
    try:
        one = Trainer(make(photos, *EXACT), tmp_path, "cpu", "")
        one.advance()
    finally:
        gc.enable()
    assert one.parts.accumulate == 2 and alive == [0, 0, 0]


def test_a_resumed_run_begins_with_the_smaller_parts(photos, tmp_path, monkeypatch):
    save, sizes = Trainer.save_state, []
    with monkeypatch.context() as patch:
        limited(patch, 4)

        def killed(self):
            save(self)
            raise KeyboardInterrupt

        patch.setattr(Trainer, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(make(photos, *EXACT), tmp_path / "run", quiet=True)
    denoised = Trainer.denoised

    def watched(self, noisy, stream):
        sizes.append(len(noisy))
        return denoised(self, noisy, stream)

    monkeypatch.setattr(Trainer, "denoised", watched)
    path = training_run.train(make(photos, *EXACT), tmp_path / "run", quiet=True, resume=True)
    assert set(sizes) == {4}
    about = mtd.load(path).source["training"]
    assert (about["accumulate"], about["out_of_memory_at"]) == (2, [1])


def test_parts_that_cannot_be_halved(photos, tmp_path, monkeypatch):
    limited(monkeypatch, 0)
    with pytest.raises(
        BadInput, match="step 1, in parts of 1 image, which cannot be halved"
    ) as one:
        training_run.train(make(photos, *EXACT), tmp_path / "run", quiet=True)
    assert "\n" not in str(one.value)
    with pytest.raises(BadInput, match="step 1, in parts of 3 images, which cannot be halved"):
        training_run.train(make(photos, "run.batch_size=6"), tmp_path / "odd", quiet=True)
    sizes = [text for text in SMALL if not text.startswith("network")]
    sizes += ["network.features=4", "network.depth=4", f"data.folders=['{photos}']"]
    with pytest.raises(BadInput, match="batch normalization needs whole batches"):
        training_run.train(training_config.load("dncnn.toml", sizes), tmp_path / "bn", quiet=True)
    parts = BatchParts(64, Ranks(1, 2), 4)
    with pytest.raises(BadInput, match=r"8 images on each of 2 processes: .*run\.accumulate=8"):
        parts.halve(1, whole=False)


def test_an_update_without_memory_is_a_line_and_no_second_update(photos, tmp_path, monkeypatch):
    """Some weights may have changed: the last state is what is left."""
    made, calls = make(photos, *EXACT, "run.save_every=2"), []
    kind = type(Trainer(made, tmp_path, "cpu", "").adam)
    step = kind.step

    def full(self, *given):
        calls.append(self)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return step(self, *given)

    monkeypatch.setattr(kind, "step", full)
    with pytest.raises(BadInput, match=r"step 3, when the weights were updated.*--resume") as error:
        training_run.train(made, tmp_path / "run", quiet=True)
    assert "\n" not in str(error.value) and len(calls) == 3
    assert training_run.train(made, tmp_path / "run", quiet=True, resume=True).exists()


FULL = """
import os
import torch
from mtd import train
from mtd.training.trainer import Trainer
from mtd.utils import cli

if os.environ["RANK"] == os.environ["FULL"]:
    def full(self, noisy, stream):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    Trainer.denoised = full
cli.run(train.main)
"""


@pytest.mark.parametrize("full", ["0", "1"])
def test_of_several_processes_all_end_with_a_line_each(photos, tmp_path, monkeypatch, full):
    monkeypatch.setenv("FULL", full)
    (tmp_path / "full.py").write_text(FULL)
    changes = [part for change in (*SMALL, "run.batch_size=8") for part in ("--set", change)]
    given = ("full.py", "small.toml", "--data", str(photos), *changes, "--quiet")
    done = two_processes(*given, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert (
        "parts of 4 images on each of 2 processes: start anew with --set run.accumulate=2"
        in done.stderr
    )
    assert "another process ended before its work was done" in done.stderr


def test_other_errors_stay_errors(photos, tmp_path, monkeypatch):
    limited(monkeypatch, 1, error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        training_run.train(make(photos), tmp_path / "run", quiet=True)


def test_what_a_lack_of_memory_is():
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**50)
    assert is_out_of_memory(real.value) and is_out_of_memory(torch.OutOfMemoryError("x"))
    wrapped = RuntimeError("the compiler failed")
    assert not is_out_of_memory(wrapped) and not is_out_of_memory(None)
    wrapped.__cause__ = torch.OutOfMemoryError("x")
    assert is_out_of_memory(wrapped)


def test_parts_cover_a_batch_whatever_their_number():
    for processes, accumulate in ((1, 1), (2, 2), (4, 1), (1, 8)):
        own = [BatchParts(16, Ranks(rank, processes), accumulate) for rank in range(processes)]
        found = [
            parts.first(part) + image
            for parts in own
            for part in range(accumulate)
            for image in range(parts.size)
        ]
        assert found == list(range(16))
    with pytest.raises(
        BadInput, match="batch_size = 6: expected a multiple of 4, for 1 process with 4 parts"
    ):
        BatchParts(6, SINGLE_PROCESS, 4)
