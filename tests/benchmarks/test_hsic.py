"""HSIC of 24 layers by 24 layers over 64 images: `--benchmark-only`."""

from __future__ import annotations

import pytest
import torch

from analysis.hsic import FeatureSums, GramSums


@pytest.mark.parametrize("batch", [64, 16])
def test_images(benchmark, batch):
    layers = [torch.randn(64, 32 * 32 * 32) for _ in range(24)]

    def matrix() -> None:
        sums = GramSums("unbiased")
        for start in range(0, 64, batch):
            sums.update([layer[start : start + batch] for layer in layers])
        sums.cka()

    benchmark.pedantic(matrix, rounds=3, warmup_rounds=1)


def test_positions(benchmark):
    layers = [torch.randn(4096, 60) for _ in range(48)]

    def matrix() -> None:
        sums = FeatureSums("unbiased")
        for start in range(0, 4096, 1024):
            sums.update([layer[start : start + 1024] for layer in layers])
        sums.cka()

    benchmark.pedantic(matrix, rounds=3, warmup_rounds=1)
