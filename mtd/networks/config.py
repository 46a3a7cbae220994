"""The base class of hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor

from mtd.utils import typed_values

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of a network; each architecture has a dataclass of its own.

    Attributes:
        in_chans: image channels.
    """

    in_chans: int = 3

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes that do not fit together, or are out of range.
        """

    @property
    def layers(self) -> int:
        """How many layers, or blocks of them, the network is built of, if a number here says so."""
        return 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The hyper-parameters that `to_dict` wrote.

        Raises:
            BadInput: an unknown name, or a value of another type.

        >>> Config.from_dict(Config(in_chans=1).to_dict())
        Config(in_chans=1)
        """
        return typed_values.build(cls, values, "network")
