"""Arrays and tensors of any number type, in single or double precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor


@contextmanager
def full_precision() -> Iterator[None]:
    """Context, or decorator, in which autocast is off: sums are in the precision of their tensors.

    >>> ones = torch.full((1, 1), 1.001)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     low = ones @ ones
    ...     with full_precision():
    ...         high = ones @ ones
    >>> low.dtype, high.dtype
    (torch.bfloat16, torch.float32)
    """
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


def single(x: Tensor) -> Tensor:
    """In float32 at least."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def as_tensor(values: ArrayLike | Tensor, exact: bool = True) -> Tensor:
    """Any array, of whatever memory order and number type, as a tensor without gradient.

    In float64; unless `exact`, a tensor stays in float32 if it is.
    """
    import numpy as np
    import torch

    if isinstance(values, torch.Tensor):
        return double(values.detach()) if exact else single(values.detach())
    return torch.from_numpy(np.array(values, dtype=np.float64))


def double(x: Tensor) -> Tensor:
    """In float64, on the CPU where the device has none."""
    return (x.cpu() if x.device.type == "mps" else x).to(torch.float64)
