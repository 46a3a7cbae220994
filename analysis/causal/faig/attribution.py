"""Filter attribution integrated gradients: which filters make a network better than its baseline.

With θ̄ the parameters of the baseline, θ those of its twin, θ(α) = θ̄ + α (θ − θ̄) the straight path
between them, L the mean squared error of an image x under a noise, and g = ∫ ∂L(θ(α))/∂θ dα from 0
to 1, the attribution of each parameter is (θ̄ − θ) g. Over all parameters of the network these sum
to L(θ̄) − L(θ), by which the twin is better. The integral is taken by Gauss-Legendre quadrature at K
points, see `points_of`, where the published code has K equal steps. Above 0: on the way from the
baseline to the twin this parameter lowered the error.

The published measure of a filter takes absolute values: F(x) = Σ |(θ̄ − θ) g| over its weights, and
of these the difference F(x_A) − F(x_B) of one image under two noises, A, whose removal filters are
looked for, and B.

Reference: Xie et al., *Finding Discriminative Filters for Specific Degradations in Blind
Super-Resolution*, NeurIPS 2021 (arXiv 2108.01070).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from analysis.causal.faig.filters import Layer, Parameters, by_filter, others
from analysis.engine.network_input import NetworkInput
from analysis.stats.arrays import double, full_precision
from mtd.networks.compiled import eager
from mtd.utils.device import exact


class _Error(nn.Module):
    """The error of a network as a module, so that parameters can be exchanged for a call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, given: NetworkInput) -> Tensor:
        return given.errors(given.run(self.network)).mean()


def error(network: nn.Module, given: NetworkInput, parameters: Parameters) -> Tensor:
    """The mean squared error of a network with other parameters than its own.

    Its own parameters stay as they are. In squared 8-bit levels, a float64 scalar.

    Args:
        network: in evaluation mode.
        given: the image under a noise, and what is expected of the network.
        parameters: all of them, by name.
    """
    named = {f"network.{name}": value for name, value in parameters.items()}
    with ExitStack() as stack:
        stack.enter_context(full_precision())  # whatever the caller's autocast is
        stack.enter_context(eager(network))
        found: Tensor = functional_call(_Error(network), named, (given,))
    return found


class Attribution(NamedTuple):
    """What the error of an image owes to filters, in squared 8-bit levels, in float64.

    Attributes:
        signed: (filters,) Σ (θ̄ − θ) g over each filter.
        absolute: (filters,) Σ |(θ̄ − θ) g|.
        others: (parameters outside filters,) as `signed`, a sum for each parameter by name.
        others_absolute: as `absolute`.
        path: (K + 2,) the error with the baseline's parameters, at the K points, and with the
            twin's.
    """

    signed: Tensor
    absolute: Tensor
    others: Tensor
    others_absolute: Tensor
    path: Tensor

    @property
    def rest(self) -> float:
        """Σ of all signed attributions − (L(θ̄) − L(θ)): the error of the sum over steps."""
        return float(self.signed.sum() + self.others.sum() - (self.path[0] - self.path[-1]))


def points_of(steps: int) -> tuple[list[float], list[float]]:
    """The K points α_k of Gauss-Legendre quadrature from 0 to 1, and their weights, of sum 1.

    ∫ g(α) dα ≈ Σ w_k g(α_k), exact for polynomials up to degree 2 K − 1.

    Args:
        steps: K, 1 or more.

    >>> points, weights = points_of(2)
    >>> [round(point, 4) for point in points], weights
    ([0.2113, 0.7887], [0.5, 0.5])
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points / 2 + 0.5).tolist(), (weights / 2).tolist()


def attribute(
    network: nn.Module,
    given: NetworkInput,
    baseline: Parameters,
    twin: Parameters,
    of: Sequence[Layer],
    steps: int,
) -> Attribution:
    """Integrated gradients of the error over the path from a baseline's parameters to a twin's.

    The network, its masks and the image are the same along the whole path; its own parameters have
    no part in it and stay as they are.

    Args:
        network: that runs with the parameters of the path, in evaluation mode.
        given: the image under a noise, and what is expected of the network.
        baseline: θ̄, by name.
        twin: θ, by name.
        of: the layers with filters.
        steps: K.

    Returns:
        In squared 8-bit levels; NaN where the error changes but has no gradient, as of outputs
        under `torch.no_grad`.

    Reference: Xie et al. 2021, with Gauss-Legendre points in place of K equal steps.
    """
    moved = [name for name in twin if not torch.equal(baseline[name], twin[name])]
    sums = {
        name: torch.zeros(twin[name].shape, dtype=torch.float64, device=exact(twin[name].device))
        for name in twin
    }
    errors, smooth = [], False
    for alpha, share in zip(*points_of(steps), strict=True):
        points = {name: torch.lerp(baseline[name], twin[name], alpha) for name in moved}
        leaves = [point.requires_grad_() for point in points.values()]
        with torch.enable_grad():
            value = error(network, given, {**twin, **points})
            slopes: Sequence[Tensor | None] = [None] * len(leaves)
            if value.requires_grad:
                smooth = True
                slopes = torch.autograd.grad(value, leaves, allow_unused=True)
        errors.append(float(value.detach()))
        for name, slope in zip(moved, slopes, strict=True):
            if slope is not None:
                sums[name] += share * double(slope)
    with torch.no_grad():
        ends = [float(error(network, given, parameters)) for parameters in (baseline, twin)]
    if not smooth and ends[0] != ends[1]:
        sums = {name: value * math.nan for name, value in sums.items()}
    parts = {name: (double(baseline[name]) - double(twin[name])) * sums[name] for name in twin}
    sizes = {name: part.abs() for name, part in parts.items()}
    rest = others(twin, of)
    return Attribution(
        by_filter(parts, of).cpu(),
        by_filter(sizes, of).cpu(),
        totals(parts, rest),
        totals(sizes, rest),
        torch.tensor([ends[0], *errors, ends[1]], dtype=torch.float64),
    )


def totals(values: Parameters, names: Sequence[str]) -> Tensor:
    """(names,) the sum over each parameter, on the CPU."""
    return torch.tensor([float(values[name].sum()) for name in names], dtype=torch.float64)
