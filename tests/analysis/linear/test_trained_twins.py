"""Twins without and with biases, trained on weak noise: only one generalizes to strong noise.

Mohan et al., ICLR 2020. Whatever holds of the network without biases must fail for its twin.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.linear import local_map
from analysis.linear.equivariance import relative_error
from analysis.linear.result import LinearResult
from mtd.data.photographs import photographs
from mtd.networks.dncnn import DnCNN, DnCNNConfig

RANGE = 10
"""Largest level of the training, in 8-bit levels."""

SIDE, BATCH = 24, 8
HOW = {"noises": [f"gaussian:{RANGE}", "gaussian:50"], "crop": 16, "limit": 4, "quantize": False}


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


def trained(bias: bool, steps: int) -> DnCNN:
    """A small DnCNN after some steps on patches of the bundled photographs, both twins alike."""
    stream = torch.Generator().manual_seed(0)
    network = DnCNN(DnCNNConfig(features=16, depth=5, bias=bias)).train()
    network.initialize(stream)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    images = [torch.from_numpy(np.array(p.load())).permute(2, 0, 1) / 255 for p in photographs()]
    corners = np.random.default_rng(0)
    for _ in range(steps):
        clean = []
        for _ in range(BATCH):
            whole = images[corners.integers(len(images))]
            top, left = (corners.integers(size - SIDE) for size in whole.shape[1:])
            clean.append(whole[:, top : top + SIDE, left : left + SIDE])
        x = torch.stack(clean)
        level = torch.rand(BATCH, 1, 1, 1, generator=stream) * RANGE / 255
        output = network(x + level * torch.randn(x.shape, generator=stream))
        optimizer.zero_grad()
        (output - x).square().mean().backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@cache
def result(steps: int) -> LinearResult:
    networks = {"bias-free": trained(False, steps), "biased": trained(True, steps)}
    return local_map(networks, levels="10,50,100", progress=False, **HOW)


def scale_errors(found: LinearResult, model: str) -> pd.Series:
    """The larger error under a change of contrast, by noise."""
    frame = found.equivariance
    own = frame[(frame.model == model) & frame.change.str.startswith("contrast")]
    return own.groupby("noise").error.max()


def test_the_scale_error_grows_outside_the_range_of_the_training_with_biases_alone():
    found = result(300)
    inside, outside = HOW["noises"]
    free, biased = scale_errors(found, "bias-free"), scale_errors(found, "biased")
    assert (free < 1e-5).all()
    assert biased[inside] > 1e-3 and biased[outside] > 1.5 * biased[inside]
    rest = found.linear.set_index(["model", "noise"]).affine_rest
    assert (rest["bias-free"] < 1e-5).all()
    assert rest["biased", outside] > 1.3 * rest["biased", inside] > 1e-3
    y = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for bias in (False, True):  # 0.7, as scaling by powers of 2 is exact
        network = trained(bias, 20)
        with torch.no_grad():
            error = relative_error(network(0.7 * y), 0.7 * network(y))
        assert (error > 1e-4) if bias else (error < 1e-6)
    # both have learned: the output is better than the noisy input at the level of the training
    at = found.levels.set_index(["model", "sigma"])
    for model in ("bias-free", "biased"):
        assert at.psnr[model, RANGE] > at.input_psnr[model, RANGE] + 0.5


@pytest.mark.slow
def test_the_psnr_of_the_twin_with_biases_falls_behind_outside_the_range_of_the_training():
    at = result(1200).levels.set_index(["model", "sigma"])
    gain = at.psnr - at.input_psnr
    assert gain["bias-free", 100] > 1.5 and gain["biased", RANGE] > 1
    share = gain["biased"] / gain["bias-free"]
    assert share[100] < 0.7 * share[RANGE]
