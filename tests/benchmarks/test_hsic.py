"""HSIC of 24 layers by 24 layers over 64 images, and of positions: `--benchmark-only`."""

from __future__ import annotations

import pytest
import torch

from analysis.cka import hsic
from analysis.cka.hsic_from_features import from_features


@pytest.mark.parametrize("leave_out", [False, True])
def test_images(benchmark, leave_out):
    layers = [torch.randn(64, 32 * 32 * 32) for _ in range(24)]

    def matrix() -> None:
        grams = torch.stack([hsic.gram(layer) for layer in layers])
        hsic.from_grams(grams, leave_out=leave_out).cka()

    benchmark.pedantic(matrix, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("leave_out", [False, True])
def test_positions(benchmark, leave_out):
    batches = [torch.randn(16, 64, 48 * 60) for _ in range(4)]
    loads = [lambda z=z: z for z in batches]

    def matrix() -> None:
        from_features(loads, 48 * [60], leave_out=leave_out).cka()

    benchmark.pedantic(matrix, rounds=3, warmup_rounds=1)
