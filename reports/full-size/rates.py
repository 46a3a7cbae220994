"""What a device can do at most, and what a training step asks of it."""

from __future__ import annotations

import time
from typing import Any

import torch

from mtd.networks import profile, registry
from mtd.training import config


def seconds_of(work: Any, device: str, rounds: int) -> float:
    """Median time of some work on the device, in seconds."""
    times = []
    for number in range(rounds + 2):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        if number >= 2:
            times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def matrix_rate(device: str) -> float:
    """bf16 matrix rate in FLOP/s, of a product of two random matrices."""
    side = 8192 if device == "cuda" else 256
    a, b = torch.randn(2, side, side, device=device, dtype=torch.bfloat16)
    return 2 * side**3 / seconds_of(lambda: a @ b, device, 10)


def copy_rate(device: str) -> float:
    """Memory bandwidth in bytes/s of a copy, counting bytes read and written."""
    count = 2**32 if device == "cuda" else 2**26
    source = torch.randint(256, (count,), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * count / seconds_of(lambda: target.copy_(source), device, 10)


def step_flops(changes: list[str]) -> float:
    """FLOPs of a training step: 6 for each multiply-add of the forward pass."""
    recipe = config.load("full.toml", changes)
    side, batch = recipe.data.crop, recipe.run.batch_size
    network = registry.build(recipe.network)
    return 6 * profile.macs_per_pixel(network, side) * side**2 * batch
