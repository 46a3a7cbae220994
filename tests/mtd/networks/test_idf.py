"""IDF: the published definition in plain NumPy, files as published, and training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mtd
from mtd.networks.idf import DEVIATION, IDF, MEAN, IDFConfig, detect
from mtd.utils.counter_random import MIXING, BatchStream
from mtd.utils.errors import BadInput
from tests.helpers.architectures import tiny
from tests.helpers.plain_convolution import convolved, relu

CONFIG = IDFConfig(features=5, iterations=4)
X = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def power(x):
    return x / (np.sqrt((x**2).mean()) + 1e-4)


def iteration(x, residual, w, dilated, exponent):
    """One image, pixel by pixel."""
    height, width = x.shape[1:]
    gap = 2 if dilated else 1
    pads = ((0, 0), (gap, gap), (gap, gap))
    padded = np.pad(x, pads, mode="reflect") if dilated else np.pad(x, pads)
    alike, patches = np.zeros((9, height, width)), np.zeros((3, 9, height, width))
    for i in range(height):
        for j in range(width):
            window = padded[:, i : i + 2 * gap + 1 : gap, j : j + 2 * gap + 1 : gap].reshape(3, 9)
            patches[:, :, i, j] = window
            colors = (window - window.mean(0)) / (window.std(0, ddof=1) + 1e-4)
            alike[:, i, j] = colors.T @ colors[:, 4]
    features = relu(convolved(power(x), w["block.feature_extractor.0.weight"]))
    features = relu(convolved(features, w["block.feature_extractor.2.weight"]))
    if residual is not None:
        moments = np.r_[residual.mean((1, 2)), residual.std((1, 2), ddof=1)]
        moments = power(w["block.gca.conv.weight"][..., 0, 0] @ moments)
        hidden = relu(w["block.gca.attention.0.weight"][..., 0, 0] @ moments)
        factors = 1 / (1 + np.exp(-w["block.gca.attention.2.weight"][..., 0, 0] @ hidden))
        features = features * factors[:, None, None]
    together = power(np.concatenate([features, alike]))
    filters = np.abs(convolved(together, w["block.kernel_predictor.weight"])) ** exponent
    filters = filters / (filters.sum(0) + 1e-4)
    return (patches * filters).sum(1)


def plain(x, w, iterations=4, exponent=3.0, shares=None):
    deviation = np.array(DEVIATION)[:, None, None]
    mean = np.array(MEAN)[:, None, None]
    y, residual = (x - mean) * 0.5 / deviation, None
    for i in range(iterations):
        out = iteration(y, residual, w, i % 2 == 0, exponent)
        if shares is not None:
            out = shares[i] * y + (1 - shares[i]) * out
        y, residual = out, y - out
    return y * deviation / 0.5 + mean


def made(config=CONFIG):
    network = tiny("IDF", config=config).double()
    network.scale, network.shift = (  # exact, as in the plain computation
        torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)
        for values in (0.5 / np.array(DEVIATION), -0.5 * np.array(MEAN) / np.array(DEVIATION))
    )
    return network, {k: v.numpy() for k, v in network.state_dict().items()}


@pytest.mark.parametrize("config", [CONFIG, IDFConfig(features=4, iterations=1, exponent=2.0)])
def test_output_is_that_of_the_published_definition(config):
    network, weights = made(config)
    expected = [plain(x, weights, config.iterations, config.exponent) for x in X.numpy()]
    with torch.no_grad():
        assert np.abs(network(X).numpy() - np.stack(expected)).max() < 1e-11
        single = tiny("IDF", config=config)
        assert np.abs(single(X.float()).numpy() - np.stack(expected)).max() < 1e-4


def test_training_mixes_each_iteration_with_its_input():
    network, weights = made()
    network.train()
    stream = BatchStream.of(7, 0, 2)
    shares = torch.stack([stream.uniform(MIXING, i, 1, 1, 1) for i in range(4)]).double()
    expected = [plain(x, weights, shares=shares[:, n, 0].numpy()) for n, x in enumerate(X.numpy())]
    out = network(X, stream=stream)
    assert np.abs(out.detach().numpy() - np.stack(expected)).max() < 1e-11
    out.sum().backward()
    assert all(value.grad.isfinite().all() for value in network.parameters())


def test_the_gradient_is_that_of_the_output():
    """In training it leaves out that of the correlation, as the authors' does."""
    network, _ = made(IDFConfig(features=3, iterations=2))
    x = X[:1, :, :4, :4].clone().requires_grad_()
    assert torch.autograd.gradcheck(network, x, atol=1e-6)
    for image in (torch.zeros_like(x), torch.full_like(x, 0.5)):  # without any deviation
        image.requires_grad_()
        network(image).sum().backward()
        assert image.grad.isfinite().all()


class Settings:
    """Stands for the objects of omegaconf that the published files hold."""

    def __init__(self) -> None:
        self.content = {"norm": {"raw_mean": list(MEAN)}, "parent": None}


@pytest.mark.parametrize("compiled", ["", "_orig_mod."])
def test_files_as_published_load(tmp_path, compiled):
    """A checkpoint of Lightning, the network under `model.`, with settings and an optimizer."""
    network = tiny("IDF", config=IDFConfig())
    state = {f"model.{compiled}{key}": value for key, value in network.state_dict().items()}
    content = {
        "epoch": 3,
        "state_dict": state,
        "optimizer_states": [torch.optim.AdamW(network.parameters()).state_dict()],
        "hyper_parameters": {"denoiser_config": Settings(), "data_config": Settings()},
    }
    torch.save(content, tmp_path / "idf_g_15.ckpt")
    loaded = mtd.load(tmp_path / "idf_g_15.ckpt")
    assert isinstance(loaded, IDF) and loaded.config == IDFConfig()
    assert sum(p.numel() for p in loaded.parameters()) == 49_021
    with torch.no_grad():
        assert torch.equal(loaded(X.float()), network(X.float()))
    assert f"{__name__}.Settings" in loaded.source["left_out"]
    assert "10 iterations, filters of powers of 3" in loaded.source["assumed"]


def test_other_shapes_are_another_network():
    state = dict(tiny("IDF").state_dict())
    assert detect(state) == IDFConfig(features=6)
    for key in state:
        assert detect(state | {key: torch.zeros(2, 2, 3, 3)}) is None


@pytest.mark.parametrize("values", [{"in_chans": 1}, {"iterations": 0}, {"exponent": 0.0}])
def test_sizes_that_cannot_be_are_refused(values):
    with pytest.raises(BadInput, match="expected"):
        IDFConfig(**values).check()
