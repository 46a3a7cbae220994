"""The numbers of a map: of a whole Jacobian, or by products of vectors with it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from analysis.linear import measures
from analysis.linear.derivatives import Linearized
from analysis.linear.randomized import OVERSAMPLING, ROUNDS, Leading, leading
from analysis.linear.settings import LinearSettings
from mtd.inference.forward import GIB

SUMS = ("row_sum", "row_sum_sd")

Found = tuple[dict[str, float], dict[str, Tensor]]
"""Numbers of a map, and tensors: singular values and their errors."""


def of_matrix(matrix: Tensor, y: Tensor, clean: Tensor, output: Tensor) -> Found:
    """Numbers of a whole Jacobian, and all its singular values.

    Args:
        matrix: J, (N, N).
        y: (C, H, W), the noisy crop.
        clean: the same shape.
        output: f(y).

    Returns:
        Numbers by their columns of linear.csv; see `analysis.linear.measures` for the formulas.
        NaN where J is not finite.
    """
    n = len(matrix)
    if not torch.isfinite(matrix).all():
        return {"trace": math.nan}, {}
    spectrum = measures.spectrum(matrix)
    dimension = float(spectrum.values.square().sum())
    numbers = {
        "trace": float(matrix.double().trace()) / n,
        "effective_dimension": dimension,
        "asymmetry": measures.asymmetry(matrix),
        "affine_rest": measures.affine_rest(matrix @ y.flatten(), output),
        **dict(zip(SUMS, measures.row_sums(matrix.double().sum(1)), strict=True)),
        **shares(spectrum, dimension, y, clean),
        "singular_error": 0.0,
    }
    errors = torch.zeros_like(spectrum.values)
    return numbers, {"singular": spectrum.values.cpu(), "singular_errors": errors.cpu()}


def shares(
    spectrum: measures.Spectrum, dimension: float, y: Tensor, clean: Tensor
) -> dict[str, float]:
    """The largest singular value, and shares of image and noise in leading input directions.

    There are as many directions as the effective dimension, rounded, or as are known.

    Args:
        spectrum: all or the leading singular values and vectors.
        dimension: Σs² of all singular values.
        y: (C, H, W), the noisy crop.
        clean: the same shape; its share is that of the crop without the mean of each channel.
    """
    count = max(1, min(len(spectrum.values), round(dimension)))
    return {
        "largest": float(spectrum.values[0]),
        "image_share": measures.leading_share(spectrum, count, measures.without_mean(clean)),
        "noise_share": measures.leading_share(spectrum, count, y - clean),
        "chance_share": count / y.numel(),
        "directions": count,
    }


def by_products(
    line: Linearized, y: Tensor, clean: Tensor, stream: torch.Generator, settings: LinearSettings
) -> Found:
    """Numbers of a Jacobian by products with vectors: random ones, y, and one of ones.

    Without products J v only trace and norm.

    Args:
        line: the network at the noisy crop.
        y: (C, H, W), the noisy crop.
        clean: the same shape.
        stream: of the random vectors.
        settings: number of random vectors and of singular values, memory.
    """
    shape, n = line.output.shape, line.output.numel()
    z = measures.signs(settings.probes, shape, stream).to(line.output)
    back = line.vjp(z)
    trace, norm = measures.hutchinson(z, back)
    numbers = {
        "trace": trace.value / n,
        "trace_error": trace.error / n,
        "effective_dimension": norm.value,
        "dimension_error": norm.error,
    }
    if not settings.rank:
        return numbers, {"transposed": torch.tensor(True)}
    if not line.both:
        return numbers, {"both": torch.tensor(False)}
    asymmetry = measures.estimated_asymmetry(line.jvp(z), back)
    image, ones = line.jvp(torch.stack([y, torch.ones_like(y)]))
    numbers |= {
        "asymmetry": asymmetry.value,
        "asymmetry_error": asymmetry.error,
        "affine_rest": measures.affine_rest(image, line.output),
        **dict(zip(SUMS, measures.row_sums(ones), strict=True)),
    }
    each = 4 * 8 * n * (settings.rank + OVERSAMPLING)  # three blocks of a round, and their SVD
    rounds = max(1, min(ROUNDS, int(settings.memory * GIB / each)))
    found = leading_of(line, settings.rank, stream, rounds)
    spectrum = measures.Spectrum(found.values, found.vectors)
    numbers |= shares(spectrum, norm.value, y.cpu(), clean.cpu())
    numbers["singular_error"] = float(found.errors.max())
    return numbers, {"singular": found.values, "singular_errors": found.errors}


def leading_of(
    line: Linearized, count: int, stream: torch.Generator, rounds: int = ROUNDS
) -> Leading:
    """The leading singular values of a network at an image; see `randomized.leading`."""
    shape = line.output.shape

    def by(product: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def run(vectors: Tensor) -> Tensor:
            products = product(vectors.T.reshape(-1, *shape).to(line.output))
            return products.flatten(1).T.double().cpu()

        return run

    return leading(by(line.jvp), by(line.vjp), shape.numel(), count, stream, rounds)
