"""What an architecture is: a name, hyper-parameters, and how its checkpoints are recognised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor

if TYPE_CHECKING:
    from mtd.denoiser import Denoiser

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of a network; each architecture has a dataclass of its own.

    Attributes:
        in_chans: image channels.
    """

    in_chans: int = 3

    def check(self) -> None:
        """Refuse what cannot be built.

        Raises:
            BadInput: sizes that do not fit together, or are out of range.
        """

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration that `to_dict` wrote."""
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry.

    Attributes:
        name: as in its paper.
        anchor: a key that every network of this kind has exactly once; what stands before it in a
            file, such as `module.`, is a prefix of all keys.
        config: class of its hyper-parameters, all with defaults.
        build: a network with fresh weights, from hyper-parameters.
        detect: hyper-parameters from the keys and shapes of a state dict; None if it is of another
            kind; `BadInput`, without the file's name, for one that is alike but cannot be run.
        keys: keys by which an incomplete or foreign state dict is likened to this kind.
        about: one line: what it is, and its paper.
        assumes: what tensors do not tell, and is taken for granted.
    """

    name: str
    anchor: str
    config: type[Config]
    build: Callable[[Any], Denoiser]
    detect: Callable[[Weights], Config | None]
    keys: tuple[str, ...]
    about: str
    assumes: str = ""
