"""CKA from Gram matrices, from features, and by an oracle written without the package."""

from __future__ import annotations

import math

import numpy as np
import torch

from analysis.cka.hsic import HSIC, from_grams, gram
from analysis.cka.hsic_from_features import from_features


def by_grams(sides, formula="unbiased", **options) -> HSIC:
    grams = torch.stack([gram(side.reshape(len(side), -1)) for side in sides])
    return from_grams(grams, formula=formula, **options)


def by_features(sides, formula="unbiased", cluster=1, **options) -> HSIC:
    whole = torch.cat([side.reshape(len(side), -1) for side in sides], dim=1)
    whole = whole.view(len(whole) // cluster, cluster, -1)
    widths = [side[0].numel() for side in sides]
    cut = len(whole) // 3
    parts = [lambda: whole[:cut], lambda: whole[cut:]]
    return from_features(parts, widths, formula=formula, **options)


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
