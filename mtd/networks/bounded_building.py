"""Networks that other packages build of a file's shapes: their tensors are counted before memory.

A few numbers in the names and shapes of a file can stand for a network of any size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mtd.utils.errors import BadInput

MAKERS = frozenset(
    ("empty", "empty_strided", "zeros", "ones", "full", "rand", "randn", "eye", "randperm")
)
"""Operators whose first argument is a size."""

TIMES, FREE = 8, 2**26
"""Numbers that may be made for each number of a file, and beside these."""

CALLS = 300
"""Operators that may be called for each tensor of a file."""

LAYERS = 1000
"""Layers that a file with few tensors may name."""


class BoundedBuilding(TorchDispatchMode):
    """Context in which operators are counted, and sizes before they are made.

    Args:
        weights: the state dict that a network is built for.

    Raises:
        BadInput: what is built is much larger than the weights.

    >>> import torch
    >>> with BoundedBuilding({"a": torch.ones(3)}):
    ...     torch.zeros(2**16, 2**16)
    Traceback (most recent call last):
    mtd.utils.errors.BadInput: a network much larger than its weights, of 3 numbers
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = sum(value.numel() for value in weights.values())
        self.numbers = TIMES * self.held + FREE
        self.calls = CALLS * (len(weights) + LAYERS)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.calls -= 1
        name = func.overloadpacket.__name__
        size = args[0] if name in MAKERS and args else ()
        if name == "arange":
            ends = [one for one in args[:2] if isinstance(one, int | float)]
            size = (int(max(map(abs, ends), default=0)),)
        size = size if isinstance(size, list | tuple) else (size,)
        if name in MAKERS or name == "arange":
            self.numbers -= math.prod(one for one in size if isinstance(one, int))
        if self.numbers < 0 or self.calls < 0:
            raise BadInput(f"a network much larger than its weights, of {self.held:,} numbers")
        return func(*args, **(kwargs or {}))


def names_too_many_layers(weights: Mapping[str, Tensor]) -> bool:
    """Whether the numbers in the names of tensors are far above the number of tensors."""
    most = LAYERS + 4 * len(weights)
    pieces = {piece for name in weights for piece in name.split(".") if piece.isdecimal()}
    return any(len(piece) > len(str(most)) or int(piece) > most for piece in pieces)
