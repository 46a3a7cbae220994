"""CKA from Gram matrices, from features, and by an oracle written without the package."""

from __future__ import annotations

import math

import numpy as np
import torch

from analysis.cka.features import Features
from analysis.cka.hsic import gram
from analysis.cka.hsic_from_features import from_features
from analysis.cka.hsic_from_grams import from_grams
from analysis.cka.hsic_sums import HSIC


def by_grams(sides, formula="unbiased", cluster=1, photographs=(), **options) -> HSIC:
    """Photographs are given by their crops, of `cluster` samples each."""
    grams = torch.stack([gram(side.reshape(len(side), -1)) for side in sides])
    members = [samples(crops, cluster) for crops in photographs]
    if "across" in options:
        options["across"] = tuple(samples(crops, cluster) for crops in options["across"])
    return from_grams(grams, formula=formula, photographs=members, **options)


def samples(crops, cluster: int) -> torch.Tensor:
    """Indices of the samples of crops."""
    first = torch.as_tensor(crops, dtype=torch.int64)[:, None] * cluster
    return (first + torch.arange(cluster)).flatten()


def by_features(sides, formula="unbiased", cluster=1, **options) -> HSIC:
    whole = torch.cat([side.reshape(len(side), -1) for side in sides], dim=1)
    whole = whole.view(len(whole) // cluster, cluster, -1)
    widths = [side[0].numel() for side in sides]
    cut = len(whole) // 3
    parts = [lambda: whole[:cut], lambda: whole[cut:]]
    features = Features(parts, [cut, len(whole) - cut])
    return from_features(features, widths, formula=formula, **options)


def cka_of(sums: HSIC) -> torch.Tensor:
    """CKA of every representation with every other."""
    return sums.block(0).value


def hsic_of(sums: HSIC) -> torch.Tensor:
    """HSIC of every representation with every other."""
    return sums.cells.block(sums.main.value(), 0)


def oracle(x: np.ndarray, y: np.ndarray, estimator: str = "unbiased") -> float:
    """CKA in float64 by Song's formula (or HSIC by centering matrices) on centred features."""
    x, y = (a.astype(np.float64).reshape(len(a), -1) for a in (x, y))
    x, y = x - x.mean(0), y - y.mean(0)
    n = len(x)

    def hsic(a, b):
        k, ell = a @ a.T, b @ b.T
        if estimator == "biased":
            h = np.eye(n) - 1 / n
            return np.trace(k @ h @ ell @ h) / (n - 1) ** 2
        np.fill_diagonal(k, 0)
        np.fill_diagonal(ell, 0)
        terms = np.trace(k @ ell) + k.sum() * ell.sum() / ((n - 1) * (n - 2))
        return (terms - 2 / (n - 2) * (k.sum(0) @ ell.sum(0))) / (n * (n - 3))

    return hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))
