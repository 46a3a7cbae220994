"""An architecture: its name, hyper-parameters, and how its checkpoints are recognized."""

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
        anchor: a key that every network of this architecture has exactly once; what precedes it in
            a file, such as `module.`, is a prefix of all keys.
        config: class of its hyper-parameters, all with defaults.
        build: from hyper-parameters to a network with random weights.
        detect: from the keys and shapes of a state dict to hyper-parameters; None for another
            architecture; `BadInput`, without the file's name, for one that cannot be run.
        keys: keys that are typical of the architecture.
        about: one line: what it is, and its paper.
        assumes: what does not follow from the tensors and is assumed; a text, or a function of the
            state dict.
    """

    name: str
    anchor: str
    config: type[Config]
    build: Callable[[Any], Denoiser]
    detect: Callable[[Weights], Config | None]
    keys: tuple[str, ...]
    about: str
    assumes: str | Callable[[Weights], str] = ""

    def assumed(self, weights: Weights) -> str:
        """What is assumed of a state dict of this architecture; empty if nothing."""
        return self.assumes if isinstance(self.assumes, str) else self.assumes(weights)
