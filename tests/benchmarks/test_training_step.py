"""Training steps: `pytest tests/benchmarks/test_training_step.py -s` prints ratios of one run.

The first asks what masks cost; the others need a GPU and ask how fast a step is there, which share
of the GPU's matrix rate that is, and what masks cost that are drawn on the host, as in the
published code. The last asks whether reading photographs holds training up.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mtd.masking import DrawnMasks, draw_input_mask
from mtd.networks.swinir import SwinIR
from mtd.training import prefetch
from mtd.training.pairs import TrainingPairs
from mtd.utils.counter_random import BatchStream

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def seconds(work: Callable[[], object], rounds: int, warm: int = 1) -> float:
    """Median time of some work."""
    found = []
    for number in range(warm + rounds):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if number >= warm:
            found.append(time.perf_counter() - start)
    return statistics.median(found)


class Step:
    """A training step of the full-size network."""

    def __init__(
        self,
        batch: int,
        device: str = "cpu",
        masks: str = "device",
        bf16: bool = False,
        compiled: bool = False,
        channels_last: bool = False,
    ) -> None:
        self.number = 0
        network = SwinIR()
        network.initialize(torch.Generator().manual_seed(0))
        self.network = network.to(device).train()
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.forward = torch.compile(self.network) if compiled else self.network
        self.adam = torch.optim.Adam(self.network.parameters(), fused=device != "cpu")
        self.x = torch.rand(batch, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(device)
        if channels_last:
            self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.masks, self.bf16, self.device = masks, bf16, device

    def __call__(self) -> None:
        batch = len(self.x)
        self.number += 1
        stream = BatchStream.of(self.number, 0, batch, self.device)
        kept = masks = None
        if self.masks == "device":
            kept, masks = draw_input_mask(64, 64, (75, 85), stream), DrawnMasks(75, stream)
        elif self.masks == "host":
            drawn = np.random.choice([0, 1], size=(batch, 1, 64, 64), p=[0.8, 0.2])  # noqa: NPY002
            kept = torch.from_numpy(drawn).to(self.device).bool()
            masks = self.drawn_on_the_host
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            output = self.forward(self.x, input_mask=kept, masks=masks)
        self.adam.zero_grad()
        F.l1_loss(output.float(), self.x).backward()
        self.adam.step()

    def drawn_on_the_host(self, block: int, batch: int, windows: int, tokens: int) -> torch.Tensor:
        """As the published code: every token of a block at once, one by one with p = 0.25."""
        size, p = (batch, windows, tokens), [0.75, 0.25]
        kept = torch.from_numpy(np.random.choice([0, 1], size=size, p=p))  # noqa: NPY002
        return kept.to(self.device).bool()


def test_masks_cost_little_on_the_cpu():
    """At batch 2: at 64 a step's activations take tens of gigabytes."""
    steps = {masks: Step(2, masks=masks) for masks in ("none", "device")}
    times = {masks: [] for masks in steps}
    for _ in range(12):  # in turn, since another program may come in between
        for masks, step in steps.items():
            start = time.process_time()
            step()
            times[masks].append(time.process_time() - start)
    ratio = min(times["device"]) / min(times["none"])
    print(f"\nCPU time, batch 2: masks on / off {ratio:.3f} (shortest of 12 in turn)")
    assert ratio <= 1.05


@CUDA
def test_a_step_on_the_gpu():
    from torch.utils.flop_counter import FlopCounterMode

    counter = Step(64, "cuda", bf16=True)
    with FlopCounterMode(display=False) as flops:
        counter()
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    rate = 2 * 8192**3 / seconds(lambda: a @ a, 10, 3)
    print(f"\nbf16 matrix rate {rate / 1e12:.0f} TFLOP/s")
    for name, how in {
        "float32": {},
        "bf16": {"bf16": True},
        "bf16, channels last": {"bf16": True, "channels_last": True},
        "bf16, compiled": {"bf16": True, "compiled": True},
        "bf16, no masks": {"bf16": True, "masks": "none"},
    }.items():
        took = seconds(Step(64, "cuda", **how), 10, 3)  # type: ignore[arg-type]
        share = flops.get_total_flops() / took / rate
        print(f"{name}: {1 / took:.1f} steps/s, {share:.1%} of the matrix rate")


@CUDA
def test_masks_drawn_on_the_host_cost_more():
    device = seconds(Step(64, "cuda", bf16=True), 10, 3)
    host = seconds(Step(64, "cuda", masks="host", bf16=True), 3)
    print(f"\nmasks on the host / on the device {host / device:.1f}")
    assert host / device >= 3


def test_reading_does_not_hold_training_up(tmp_path: Path):
    stream = np.random.default_rng(0)
    for i in range(16):
        pixels = stream.integers(0, 255, (512, 768, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size, count = (64, 100) if device == "cuda" else (8, 6)
    step = Step(size, device, bf16=device == "cuda")
    alone = size / seconds(step, 3)
    print(f"\ntraining alone {alone:.0f} images/s")
    for name, how in {
        "decoded each time": {"cache_mb": 0},
        "store": {"store": tmp_path / "s"},
    }.items():
        pairs = TrainingPairs([str(tmp_path)], 64, "gaussian:15", **how)  # type: ignore[arg-type]
        for workers in (0, 1):
            firsts = list(range(0, size * count, size))
            start = time.perf_counter()
            for _ in prefetch.batches(pairs, firsts, size, workers):
                pass
            read = size * count / (time.perf_counter() - start)
            start = time.perf_counter()
            for noisy, _ in prefetch.batches(pairs, firsts, size, workers):
                step.x = noisy.to(device)
                step()
            both = size * count / (time.perf_counter() - start)
            print(f"{name}, {workers} workers: reading {read:.0f}, training {both:.0f} images/s")
            if workers and name == "store":
                assert read > 2 * alone
                assert device == "cpu" or both >= 0.8 * alone  # a CPU's cores do both
