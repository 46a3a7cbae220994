"""What an architecture is: a name, hyper-parameters, and how its checkpoints are recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mtd.networks.config import Config, Weights

if TYPE_CHECKING:
    from mtd.networks.base import Denoiser


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
