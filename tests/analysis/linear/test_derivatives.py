"""Jacobians and what they say, against the oracles: a mean, a shift, networks without biases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from analysis import linear
from analysis.linear import measures
from analysis.linear.derivatives import COPIES, Linearized, NoGradient, call_of, frozen
from analysis.linear.equivariance import CHANGES, relative_error
from analysis.linear.places import places
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.window_attention import WindowAttention
from mtd.utils.errors import BadInput
from tests.helpers.networks import tiny_network

SIDE = 8
N = 3 * SIDE**2


class CircularMean(nn.Module):
    """The mean over 3 x 3 pixels of each channel, circular borders."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        return sum(torch.roll(x, shift, (2, 3)) for shift in shifts) / 9


class Shift(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.roll(x, 1, 3)


def image(side: int = SIDE, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))


def matrix_of(model: nn.Module, y: torch.Tensor) -> torch.Tensor:
    with frozen(model):
        return Linearized(call_of(model, copies=True), y).matrix()


def dncnn(bias: bool) -> DnCNN:
    network = DnCNN(DnCNNConfig(features=6, depth=4, bias=bias)).eval()
    network.initialize(torch.Generator().manual_seed(0))
    return network


def test_the_circular_mean():
    y = image()
    j = matrix_of(CircularMean(), y)
    of = measures.spectrum(j)
    assert float(j.trace()) == pytest.approx(3 * 64 / 9, rel=1e-5)
    assert float(of.values.square().sum()) == pytest.approx(3 * 64 / 9, rel=1e-5)
    kernel = np.zeros((SIDE, SIDE))
    for i in (-1, 0, 1):
        for k in (-1, 0, 1):
            kernel[i, k] = 1 / 9
    response = np.sort(np.abs(np.fft.fft2(kernel)).ravel())[::-1]
    assert of.values.numpy() == pytest.approx(np.repeat(response, 3), abs=2e-7)
    assert float(of.values[0]) == pytest.approx(1)
    assert measures.asymmetry(j) == 0
    assert measures.row_sums(j.double().sum(1)) == pytest.approx((1, 0), abs=1e-6)
    assert measures.affine_rest(j @ y.flatten(), CircularMean()(y[None])[0]) < 1e-6
    filters = j.view(3, SIDE, SIDE, 3, SIDE, SIDE)[:, 3, 4]
    assert measures.radius(measures.energy(filters), (3, 4), 0.95) == pytest.approx(math.sqrt(2))
    # five of nine pixels are within distance 1
    assert measures.radius(measures.energy(filters), (3, 4), 0.5) == 1


def test_a_shift_is_as_asymmetric_as_can_be():
    j = matrix_of(Shift(), image())
    assert measures.asymmetry(j) == pytest.approx(math.sqrt(2))
    assert measures.spectrum(j).values.numpy() == pytest.approx(np.ones(N))
    assert float(j.trace()) == 0


def test_directions_and_shares_are_those_of_a_decomposition():
    y = image()
    j = matrix_of(dncnn(True), y)
    _, s, v = np.linalg.svd(j.double().numpy())
    of = measures.spectrum(j)
    assert of.values.numpy() == pytest.approx(s, abs=1e-7 * s[0])
    share = np.square(v[:20] @ y.double().numpy().ravel()).sum() / y.double().square().sum()
    assert measures.leading_share(of, 20, y) == pytest.approx(float(share), rel=1e-6)
    assert measures.leading_share(of, N, y) == pytest.approx(1)


@pytest.mark.parametrize("memory", [2**31, 1])
def test_rows_are_finite_differences_of_a_transformer(memory):
    network, y = tiny_network().double(), image().double()
    with frozen(network):
        line = Linearized(call_of(network, "key", copies=True), y, memory)
        j = line.matrix()
    assert line.copies == (COPIES if memory > 1 else 1)
    assert all(parameter.requires_grad for parameter in network.parameters())
    step, columns = 1e-6, [0, 77, N - 1]
    for column in columns:
        moved = torch.zeros(N, dtype=torch.float64)
        moved[column] = step
        with torch.no_grad():
            pair = torch.stack([y + moved.view_as(y), y - moved.view_as(y)])
            up, down = call_of(network, "key")(pair)
        slope = (up - down).flatten() / (2 * step)
        assert j[:, column].numpy() == pytest.approx(slope.numpy(), abs=1e-7)


def test_attention_of_copies_is_the_attention_of_each():
    network, y = tiny_network().double(), image().double()
    paths = [layer.path for layer in network.modules() if isinstance(layer, WindowAttention)]
    with frozen(network):
        of = {}
        for copies in (False, True):
            call = call_of(network, "key", copies=copies)
            line = Linearized(call, y, both=True)
            v = torch.rand(2, *y.shape, generator=torch.Generator().manual_seed(1)).double()
            of[copies] = line.output, line.matrix(), line.jvp(v)
    for one, other in zip(of[False], of[True], strict=True):
        assert torch.allclose(one, other, atol=1e-12)
    layers = [layer for layer in network.modules() if isinstance(layer, WindowAttention)]
    assert [layer.path for layer in layers] == paths


def test_a_network_without_biases_is_its_jacobian_and_follows_contrast():
    y, change = image(), CHANGES["contrast x 2"]
    errors, rests = {}, {}
    for bias in (False, True):
        network = dncnn(bias)
        with torch.no_grad():
            output, doubled = network(y[None]), network(change.apply(y[None]))
        rests[bias] = measures.affine_rest(matrix_of(network, y) @ y.flatten(), output[0])
        errors[bias] = relative_error(doubled, change.apply(output))
    assert rests[False] < 1e-5 and errors[False] < 1e-5
    assert rests[True] > 1e-3 and errors[True] > 1e-3


def test_random_vectors_agree_with_the_whole_within_their_standard_error():
    y = image()
    with frozen(network := dncnn(True)):
        line = Linearized(call_of(network, copies=True), y)
        j = line.matrix().double()
        z = measures.signs(400, y.shape, torch.Generator().manual_seed(1))
        trace, norm = measures.hutchinson(z, line.vjp(z))
    assert set(z.unique().tolist()) == {-1.0, 1.0}
    assert abs(trace.value - float(j.trace())) < 4 * trace.error
    assert abs(norm.value - float(j.square().sum())) < 4 * norm.error
    assert 0 < trace.error < 0.05 * N


def test_sure_has_the_expectation_of_the_error_for_gaussian_noise():
    clean, sigma = image(32).double(), 0.1
    j = matrix_of(CircularMean(), image())
    trace = float(j.trace()) / N * clean.numel()
    stream = torch.Generator().manual_seed(0)
    gaps = []
    for _ in range(60):
        noisy = clean + sigma * torch.randn(clean.shape, generator=stream, dtype=torch.float64)
        output = CircularMean()(noisy[None])[0]
        estimate = measures.sure(noisy, output, sigma**2, trace)
        gaps.append(estimate - float((output - clean).square().mean()))
    error = np.std(gaps, ddof=1) / math.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 3 * error
    assert error < 2e-4


def test_the_function_for_one_image():
    y = image()
    expected = matrix_of(dncnn(True), y).numpy()
    assert linear.jacobian(dncnn(True), y) == pytest.approx(expected, abs=1e-6)
    array = y.permute(1, 2, 0).double().numpy()
    assert linear.jacobian(dncnn(True), array) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(BadInput, match=r"image of shape \[8, 8\]"):
        linear.jacobian(dncnn(True), array[..., 0])
    with pytest.raises(BadInput, match="divide by 255"):
        linear.jacobian(dncnn(True), array * 255)
    with pytest.raises(BadInput, match="Silent: its output has no gradient"):
        linear.jacobian(Silent(), y)


class Silent(nn.Module):
    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def test_without_a_gradient_there_is_no_map():
    with pytest.raises(NoGradient, match="its output has no gradient"):
        Linearized(call_of(Silent()), image())


def test_a_network_that_writes_into_its_input():
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mul_(2).relu_()

    j = matrix_of(InPlace(), image())
    assert torch.equal(j, 2 * torch.eye(N))


def test_pixels_on_an_edge_in_texture_and_in_a_flat_part():
    pixels = np.full((32, 32, 3), 100, np.uint8)
    pixels[:, 12:] = 180  # an edge
    rng = np.random.default_rng(0)
    pixels[18:, 16:] = rng.integers(0, 256, (14, 16, 1))
    flat, edge, texture = places(pixels)
    assert (flat.kind, edge.kind, texture.kind) == ("flat", "edge", "texture")
    assert all(8 <= place.top < 24 and 8 <= place.left < 24 for place in (flat, edge, texture))
    assert abs(texture.top - 20) <= 4 and texture.left >= 14
    assert abs(flat.left - 12) > 2 or flat.left == 8
