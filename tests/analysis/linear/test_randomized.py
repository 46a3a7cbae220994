"""Leading singular values by products with vectors, against a filter's response and full SVDs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from analysis.linear.derivatives import Linearized, NoSecondGradient, call_of, frozen
from analysis.linear.randomized import TOLERANCE, leading
from analysis.linear.summary import leading_of
from tests.analysis.linear.test_derivatives import CircularMean, dncnn, image
from tests.helpers.networks import tiny_network


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_circular_mean_has_the_response_of_its_filter():
    side = 12
    with frozen(network := CircularMean()):
        line = Linearized(call_of(network), image(side).double(), both=True)
        found = leading_of(line, 12, generator())
    kernel = np.zeros((side, side))
    kernel[np.ix_((-1, 0, 1), (-1, 0, 1))] = 1 / 9
    response = np.sort(np.repeat(np.abs(np.fft.fft2(kernel)), 3))[::-1]
    assert found.values.numpy() == pytest.approx(response[:12], abs=0.01)
    assert found.values[:3].numpy() == pytest.approx(1, abs=1e-3)  # a constant in each channel
    assert (found.values.numpy() <= response[:12] + 1e-9).all()
    # the three leading directions are those that are constant in each channel
    constant = torch.eye(3, dtype=torch.float64).repeat_interleave(side**2, 0) / side
    assert float((constant.T @ found.vectors[:, :3]).square().sum()) == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("network", [dncnn(True), tiny_network()], ids=["DnCNN", "SwinIR"])
def test_a_networks_values_are_those_of_its_whole_jacobian(network):
    y = image()
    with frozen(network):
        j = Linearized(call_of(network, copies=True), y).matrix().double().numpy()
        line = Linearized(call_of(network, copies=True), y, both=True)
        found = leading_of(line, 8, generator())
        vectors = torch.randn(3, *y.shape, generator=generator(1))
        products = line.jvp(vectors)
    expected = (j @ vectors.double().flatten(1).numpy().T).T
    assert products.flatten(1).numpy() == pytest.approx(expected, abs=1e-5 * np.abs(expected).max())
    s = np.linalg.svd(j, compute_uv=False)
    values, errors = found.values.numpy(), found.errors.numpy()
    assert errors.max() < 0.05 * s[0]
    assert (values <= s[:8] + 1e-5 * s[0]).all()
    assert (np.abs(s[:, None] - values).min(0) <= errors + 1e-5 * s[0]).all()
    assert values == pytest.approx(s[:8], abs=0.02 * s[0])
    # Jᵀ J v = s² v where the error is small
    v = found.vectors[:, 0].numpy()
    assert np.linalg.norm(j @ v) == pytest.approx(s[0], rel=1e-3)


def test_the_error_is_a_bound_where_values_are_close():
    matrix = torch.randn(300, 300, generator=generator(), dtype=torch.float64)
    products = (lambda v: matrix @ v, lambda v: matrix.T @ v)
    s = torch.linalg.svdvals(matrix)
    found = leading(*products, 300, 10, generator(1), rounds=2)
    assert float(found.errors.max()) > TOLERANCE * float(s[0])  # these rounds are not enough
    assert ((s[:, None] - found.values).abs().min(0).values <= found.errors).all()
    more = leading(*products, 300, 10, generator(1))
    assert more.values.numpy() == pytest.approx(s[:10].numpy(), rel=0.01)
    whole = leading(*products, 300, 300, generator(1))
    assert whole.values.numpy() == pytest.approx(s.numpy(), abs=1e-11)
    small = leading(lambda v: 0 * v, lambda v: 0 * v, 5, 3, generator())
    assert not small.values.any() and not small.errors.any()


def test_a_matrix_of_low_rank():
    left, right = torch.linalg.qr(torch.randn(2, 50, 4, generator=generator()).double()).Q
    matrix = left * torch.tensor([4.0, 3, 2, 1]) @ right.T
    found = leading(lambda v: matrix @ v, lambda v: matrix.T @ v, 50, 6, generator())
    assert found.values.numpy() == pytest.approx([4, 3, 2, 1, 0, 0], abs=1e-9)
    assert found.errors.numpy() == pytest.approx(0, abs=1e-9)


def test_fused_attention_has_products_in_both_directions():
    class Fused(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = x.flatten(2).mT
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).mT.view_as(x)

    y = image()
    with frozen(network := Fused()):
        line = Linearized(call_of(network), y, both=True)
        j, v = line.matrix(), torch.rand(2, *y.shape, generator=generator())
        assert torch.allclose(line.jvp(v).flatten(1), v.flatten(1) @ j.T, atol=1e-5)


def test_a_gradient_that_cannot_be_differentiated():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return 2 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(_, slope):
            return 2 * slope

    class Network(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Once.apply(x)

    with pytest.raises(NoSecondGradient, match="cannot be differentiated"):
        Linearized(call_of(Network()), image(), both=True)
    with frozen(network := Network()):
        assert float(Linearized(call_of(network), image()).matrix().trace()) == 2 * image().numel()


def test_a_constant_output_has_no_gradient_and_a_linear_one_no_second_derivative():
    class Half(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.5 * x

    line = Linearized(call_of(Half()), image(), both=True)
    v = torch.rand(3, *image().shape, generator=generator())
    assert torch.equal(line.jvp(v), 0.5 * v)

    class Still(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.round() - (x - x.round())

    line = Linearized(call_of(Still()), image(), both=True)
    assert not line.jvp(v).any() and not line.vjp(v).any()
