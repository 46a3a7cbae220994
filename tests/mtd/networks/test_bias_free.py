"""The bias-free networks: their published definition, homogeneity, and files as published."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mtd
from mtd.networks import registry
from mtd.networks.bf_densenet import BFDenseNet, BFDenseNetConfig
from mtd.networks.bf_dncnn import BFDnCNN, BFDnCNNConfig
from mtd.networks.bf_recurrent_cnn import BFRecurrentCNN, BFRecurrentCNNConfig
from mtd.networks.bf_unet import BFUNet, BFUNetConfig
from mtd.networks.bias_free import BiasFreeBatchNorm2d
from mtd.networks.config import Config
from mtd.utils.counter_random import STAGES, BatchStream
from mtd.utils.errors import BadInput
from tests.helpers.architectures import tiny
from tests.helpers.plain_convolution import convolved, relu, transposed

SMALL: dict[str, Config] = {
    "BFDnCNN": BFDnCNNConfig(features=5, depth=5),
    "BFRecurrentCNN": BFRecurrentCNNConfig(features=5, hidden=2),
    "BFUNet": BFUNetConfig(features=3),
    "BFDenseNet": BFDenseNetConfig(features=5, hidden=3, stages=3),
}
ALL = pytest.mark.parametrize("name", SMALL)
BIAS = pytest.mark.parametrize("bias", [False, True])


def dncnn(x, w, last):
    out = relu(convolved(x, *w("first_layer")))
    for i in range(3):
        out = convolved(out, *w(f"hidden_layer_list.{i}"))
        scale, shift = w(f"bn_layer_list.{i}")
        mean = w.state[f"bn_layer_list.{i}.running_mean"]
        variance = w.state[f"bn_layer_list.{i}.running_var"]
        if w.bias:
            out = (out - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
            out = out * scale[:, None, None] + shift[:, None, None]
        else:
            out = out * (scale / (np.sqrt(variance) + 1e-5))[:, None, None]
        out = relu(out)
    return x - convolved(out, *w("last_layer"))


def stage(x, w, name, hidden):
    out = relu(convolved(x, *w(f"{name}.first_layer")))
    for i in range(hidden):
        out = relu(convolved(out, *w(f"{name}.hidden_layer_list.{i}")))
    return convolved(out, *w(f"{name}.last_layer"))


def recurrent(x, w, last=4):
    out = x
    for _ in range(last):
        out = stage(np.concatenate([x, out]), w, "cnn", 2)
    return out


def densenet(x, w, last):
    out = stage(x, w, "cnn_list.0", 3)
    for i in (1, 2):
        out = stage(np.concatenate([x, out]), w, f"cnn_list.{i}", 3)
    return out


def unet(x, w, last):
    height, width = x.shape[1:]
    x = np.pad(x, ((0, 0), (0, height % 2), (0, width % 2)))
    full = relu(convolved(relu(convolved(x, *w("conv1"))), *w("conv2")))
    half = relu(convolved(full, *w("conv3"), stride=2))
    half = relu(convolved(half, *w("conv4")))
    half = relu(convolved(half, *w("conv5"), dilation=2))
    half = relu(convolved(half, *w("conv6"), dilation=4))
    up = relu(transposed(half, *w("conv7")))
    out = relu(convolved(np.concatenate([up, full]), *w("conv8")))
    return convolved(out, *w("conv9"))[:, :height, :width]


PLAIN = {
    "BFDnCNN": dncnn,
    "BFRecurrentCNN": recurrent,
    "BFUNet": unet,
    "BFDenseNet": densenet,
}


class Plain:
    """Weight and bias of a layer of a network in float64."""

    def __init__(self, network) -> None:
        self.state = {k: v.double().numpy() for k, v in network.state_dict().items()}
        self.bias = network.config.bias

    def __call__(self, name):
        return self.state[f"{name}.weight"], self.state.get(f"{name}.bias")


def made(name: str, bias: bool):
    network = tiny(name, config=replace(SMALL[name], bias=bias))  # type: ignore[call-arg]
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.3, 2.0)
    return network


X = torch.rand(2, 1, 13, 18, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@BIAS
@ALL
def test_output_is_that_of_the_published_definition(name, bias):
    network = made(name, bias)
    expected = np.stack([PLAIN[name](x, Plain(network), 4) for x in X.numpy()])
    with torch.no_grad():
        assert np.abs(network.double()(X).numpy() - expected).max() < 1e-12
        assert np.abs(network.float()(X.float()).numpy() - expected).max() < 1e-5


@ALL
def test_without_biases_the_output_scales_with_the_input(name):
    """f(a x) = a f(x) for every a > 0; with biases it does not."""
    with torch.no_grad():
        for factor in (1e-3, 0.2, 7.0, 300.0):
            plain, biased = (made(name, bias).double() for bias in (False, True))
            expected = factor * plain(X)
            assert (plain(factor * X) - expected).abs().max() < 1e-12 * factor
            assert (biased(factor * X) - factor * biased(X)).abs().max() > 1e-3 * factor


def test_the_output_of_a_bias_free_network_is_its_jacobian_times_the_input():
    network, x = made("BFDnCNN", False).double(), X[:1, :, :5, :6]
    jacobian = torch.func.jacrev(network)(x).view(30, 30)
    assert torch.allclose(jacobian @ x.flatten(), network(x).flatten(), atol=1e-12)


def test_batch_normalization_without_biases_in_training():
    """Against the usual one of features without mean, and its running variance."""
    norm, usual = BiasFreeBatchNorm2d(4).double(), nn.BatchNorm2d(4, eps=1e-12).double()
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        made_ = norm(x)
        usual(x)
    assert torch.allclose(norm.running_var, usual.running_var)
    assert torch.allclose(made_, x / (x.var((0, 2, 3), keepdim=True).sqrt() + 1e-5))
    assert int(norm.num_batches_tracked) == 3 and not norm.running_mean.any()
    x.requires_grad_()
    assert torch.autograd.gradcheck(norm, x)


def test_training_of_a_recurrent_network_draws_stages_for_each_image():
    network = made("BFRecurrentCNN", True).double().train()
    x = X[:1].expand(8, -1, -1, -1)
    stream = BatchStream.of(3, 0, 8)
    drawn = stream.integers(1, 4, STAGES, 0, 1, 1, 1).flatten().tolist()
    assert set(drawn) == {1, 2, 3, 4}
    with torch.no_grad():
        out = network(x, stream=stream).numpy()
        part = network(x[5:], stream=BatchStream.of(3, 5, 3)).numpy()
        whole = network(x).numpy()
    for image, last in zip(out, drawn, strict=True):
        expected = recurrent(X[0].numpy(), Plain(network), last)
        assert np.abs(image - expected).max() < 1e-12
    assert np.array_equal(part, out[5:])
    assert np.abs(whole[0] - recurrent(X[0].numpy(), Plain(network))).max() < 1e-12


PUBLISHED = {
    "BFDnCNN": (BFDnCNN, 9 * (2 * 64 + 18 * 64**2) + 18 * 2 * 64),
    "BFRecurrentCNN": (BFRecurrentCNN, 186_048),
    "BFUNet": (BFUNet, 233_024),
    "BFDenseNet": (BFDenseNet, 9 * (64 + 2 * 6 * 64 + 6 * 64 + 20 * 64**2 + 3 * 5 * 64 + 64)),
}


@ALL
def test_the_published_sizes(name):
    """Counted by layers, of the networks that the authors' options give by default."""
    kind, weights = PUBLISHED[name]
    with torch.device("meta"):
        assert sum(p.numel() for p in kind().parameters()) == weights


@pytest.mark.parametrize("zipped", [True, False])
@BIAS
@ALL
def test_files_as_published_load(tmp_path, name, bias, zipped):
    """A list with one state dict, beside options in an `argparse.Namespace` and an optimizer."""
    network = made(name, bias)
    adam = torch.optim.Adam(network.parameters())
    content = {
        "step": 9,
        "score": torch.tensor(30.1),
        "model": [network.state_dict()],
        "optimizer": [adam.state_dict()],
        "scheduler": None,
        "args": argparse.Namespace(model=name, bias=bias, min_noise=0, max_noise=55),
    }
    path = tmp_path / "0-55.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    loaded = mtd.load(path)
    assert loaded.config == network.config and type(loaded) is type(network)
    with torch.no_grad():
        assert torch.equal(loaded(X.float()), network(X.float()))
    assert loaded.source["left_out"] == ["argparse.Namespace", "optimizer.0, of an optimizer"]
    assert loaded.source["container"] == "model.0"


@ALL
def test_other_shapes_are_another_network(name):
    state = dict(made(name, False).state_dict())
    assert registry.detect(state)[1] == SMALL[name]
    for key in state:
        if not key.endswith("tracked"):
            assert registry.detect(state | {key: torch.zeros(2, 2)}) is None
        if not key.endswith("tracked") and "hidden_layer_list" not in key:  # of one that is smaller
            assert registry.detect({k: v for k, v in state.items() if k != key}) is None


@pytest.mark.parametrize(
    "config",
    [
        BFDnCNNConfig(depth=2),
        BFRecurrentCNNConfig(stages=0),
        BFUNetConfig(features=0),
        BFDenseNetConfig(hidden=0),
    ],
)
def test_sizes_below_the_least_are_refused(config):
    with pytest.raises(BadInput, match="expected 1"):
        config.check()


@ALL
def test_a_pixel_depends_on_reach_pixels_to_each_side(name):
    network = made(name, False).double()
    side, furthest = 2 * network.reach + 9, 0
    for middle in (side // 2, side // 2 + 1):
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(1, 1, side, side, dtype=torch.float64, generator=generator)
        with torch.no_grad():
            for value in network.parameters():
                value.abs_()  # so that no ReLU hides a path
        x.requires_grad_()
        network(x)[0, 0, middle, middle].backward()
        furthest = max(furthest, int((x.grad[0, 0].nonzero() - middle).abs().max()))
    assert furthest == network.reach
