"""HSIC of 24 layers by 24 layers over 64 images, and of positions: `--benchmark-only`."""

from __future__ import annotations

import pytest
import torch

from analysis.cka import hsic
from analysis.cka.features import Features
from analysis.cka.hsic_from_features import from_features
from analysis.cka.hsic_from_grams import from_grams


@pytest.mark.parametrize("leave_out", [False, True])
def test_images(benchmark, leave_out):
    layers = [torch.randn(64, 32 * 32 * 32) for _ in range(24)]

    def matrix() -> None:
        grams = torch.stack([hsic.gram(layer) for layer in layers])
        photographs = list(torch.arange(64)[:, None]) if leave_out else []
        from_grams(grams, photographs=photographs).block(0)

    benchmark.pedantic(matrix, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("leave_out", [False, True])
def test_positions(benchmark, leave_out):
    batches = [torch.randn(16, 64, 48 * 60) for _ in range(4)]
    features = Features([lambda z=z: z for z in batches], [16] * 4)
    photographs = [range(64)[i : i + 4] for i in range(0, 64, 4)] if leave_out else []

    def matrix() -> None:
        from_features(features, 48 * [60], photographs=photographs).block(0)

    benchmark.pedantic(matrix, rounds=3, warmup_rounds=1)
