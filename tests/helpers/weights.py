"""Weights of two trainings that should be the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def alike(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], exact: bool) -> bool:
    """Whether weights are the same, bit for bit if `exact`, else but for rounding.

    Adam moves a weight by the learning rate whose gradient is nothing but rounding, such as a bias
    of the keys, which no output depends on. So 1% of the weights may differ by more than 1e-5.
    """
    assert list(found) == list(expected)
    a, b = (
        torch.cat([value.double().cpu().flatten() for value in one.values()])
        for one in (found, expected)
    )
    if exact:
        return torch.equal(a, b)
    return float(((a - b).abs() > 1e-5).double().mean()) < 0.01
