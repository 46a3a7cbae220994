"""Sums of the analyses on the device against float64 sums on the CPU, with and without autocast."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import analysis
from analysis.cka import hsic
from analysis.cka.features import Features
from analysis.cka.hsic_from_features import from_features
from analysis.stats import gram_pca
from mtd.masking import MaskPolicy
from mtd.metrics import psnr_ssim
from tests.helpers.networks import tiny_network

pytestmark = pytest.mark.gpu

WIDTHS = [12, 30, 7]
NOISES = ["gaussian:15", "poisson:3.5"]


def features(device: str) -> Tensor:
    """(images, positions, features) float64, with means that are not 0."""
    images, positions = (64, 256) if device == "cuda" else (6, 8)
    x = torch.randn(images, positions, sum(WIDTHS), generator=torch.Generator().manual_seed(0))
    return x.double() + torch.arange(sum(WIDTHS))


def centered_hsic(x: Tensor) -> Tensor:
    """Biased HSIC of every two representations by its definition, ‖XᵀY‖² / (n − 1)²."""
    rows = x.flatten(0, 1).numpy()
    parts = np.split(rows - rows.mean(0), np.cumsum(WIDTHS)[:-1], axis=1)
    values = [[((a.T @ b) ** 2).sum() for b in parts] for a in parts]
    return torch.tensor(np.array(values) / (len(rows) - 1) ** 2)


def autocast_or_not(device: str, on: bool) -> torch.autocast:
    return torch.autocast(device, torch.bfloat16, enabled=on)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("kind, close", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_hsic_from_features(device, autocast, kind, close):
    x = features(device)
    parts = x.split(3)
    batches = Features([lambda part=part: part.to(kind) for part in parts], [*map(len, parts)])
    with autocast_or_not(device, autocast):
        sums = from_features(batches, WIDTHS, formula="biased", photographs=[[2]], device=device)
    found = sums.cells.block(sums.main.value(), 0)
    assert torch.allclose(found, centered_hsic(x), rtol=close, atol=0)
    without = sums.cells.block(sums.main.left(), 0)[0]
    expected = centered_hsic(torch.cat([x[:2], x[3:]]))
    assert torch.allclose(without, expected, rtol=10 * close, atol=0)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("kind, close", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_gram_matrices_of_whole_images(device, autocast, kind, close):
    x = features(device).flatten(1).to(kind)
    centered = (x.double() - x.double().mean(0)).numpy()
    expected = torch.from_numpy(centered @ centered.T)
    with autocast_or_not(device, autocast):
        found = hsic.gram(x.to(device)).cpu()
    assert torch.allclose(found, expected, rtol=0, atol=close * float(expected.diagonal().max()))


@pytest.mark.parametrize("autocast", [False, True])
def test_gram_matrices_behind_srga(device, autocast):
    x = features(device).flatten(1)
    centered = (x - x.mean(0)).numpy()
    with autocast_or_not(device, autocast):
        found = gram_pca.gram_of(gram_pca.chunks([x.float()], numbers=400), device)
    single = x.float().double().numpy()
    single = single - single.mean(0)
    assert np.allclose(found, single @ single.T, rtol=0, atol=1e-12 * np.square(centered).sum())


@pytest.mark.parametrize("autocast", [False, True])
def test_psnr(device, autocast):
    side = 512 if device == "cuda" else 16
    clean, noisy = torch.rand(2, 2, 3, side, side, generator=torch.Generator().manual_seed(0))
    pixels = [(255 * x.double().clamp(0, 1)).round().numpy() for x in (noisy, clean)]
    mse = np.square(pixels[0] - pixels[1]).mean((1, 2, 3))
    with autocast_or_not(device, autocast):
        found = psnr_ssim.psnr(noisy.to(device), clean.to(device))
    assert np.allclose(found, 10 * np.log10(255**2 / mse), rtol=1e-13)


def toy_networks() -> dict[str, nn.Module]:
    networks: dict[str, nn.Module] = {"plain": tiny_network(0), "masked": tiny_network(1)}
    networks["masked"].inference.policy = MaskPolicy(attention_percent=75)
    return networks


def compared(device: str, crop: int, count: int, **how: str) -> pd.DataFrame:
    images = list(np.random.default_rng(0).random((count, crop, crop, 3)))
    result = analysis.cka.compare(
        toy_networks(),
        images=images,
        noises=NOISES,
        crop=crop,
        layers=["**.blocks.*", "conv_last"],
        device=device,
        progress=False,
        **how,
    )
    keys = ["model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b"]
    return result.cells.set_index(keys)[["cka", "low", "high"]]


@pytest.mark.parametrize("unit", ["position", "image"])
def test_a_comparison_of_networks(device, unit):
    """Against the CPU with another batch size, so that the test says something there, too."""
    crop, count = (64, 32) if device == "cuda" else (16, 5)
    found = compared(device, crop, count, unit=unit)
    other = {"batch_size": 3} if unit == "position" else {}
    expected = compared("cpu", crop, count, unit=unit, **other)
    assert list(found.index) == list(expected.index) and len(found) > 20
    assert np.allclose(found, expected, rtol=0, atol=1e-3 if device == "cuda" else 1e-5)
    assert found.cka.between(-1, 0.99).any()


def test_autocast_around_a_comparison_changes_nothing(device):
    alone = compared(device, 16, 5, unit="image")
    with torch.autocast(device, torch.bfloat16):
        inside = compared(device, 16, 5, unit="image")
    assert np.allclose(alone, inside, rtol=0, atol=1e-6 if device == "cpu" else 1e-5)


def test_autocast_of_the_networks_leaves_their_gram_matrices_in_full_precision(device):
    """A network whose layers are exact in bf16: only its sums could differ."""
    network = nn.Sequential(nn.Identity(), nn.Identity())
    images = [np.random.default_rng(i).random((16, 16, 3)) for i in range(5)]
    cells = [
        analysis.cka.compare(
            {"a": copy.deepcopy(network)},
            images=images,
            noises=NOISES,
            crop=16,
            unit="image",
            layers=["0"],
            compare="all",
            autocast=autocast,
            device=device,
            progress=False,
        ).cells.cka
        for autocast in ("off", "bf16")
    ]
    assert np.allclose(*cells, rtol=0, atol=1e-7)
