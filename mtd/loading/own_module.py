"""The weights of a user's own module in a file, found by the module's names and shapes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mtd.loading.choice import Claim, Recognized
from mtd.loading.nearest import unknown
from mtd.loading.tensor_names import without_insertions
from mtd.loading.weight_sets import Part, StateDict, WeightSet, parts
from mtd.networks import external
from mtd.networks.base import Denoiser
from mtd.utils.errors import BadInput


class OwnModule:
    """Recognizes the weights of a user's module.

    Args:
        module: as its factory returns it.
        sigma: whether it is given a noise level.
    """

    def __init__(self, module: nn.Module, sigma: bool) -> None:
        self.module, self.sigma = module, sigma
        state = {k: v for k, v in module.state_dict().items() if isinstance(v, torch.Tensor)}
        plain = without_insertions(state)
        self.names = {plain[name]: name for name in state}
        self.shapes = {plain[name]: tuple(value.shape) for name, value in state.items()}
        self.needed = {plain[n] for n, v in state.items() if not n.endswith("num_batches_tracked")}

    def claim(self, one: WeightSet, part: Part) -> Claim | None:
        """A part that has all tensors of the module, under its names or without a prefix of all."""
        if len(part.weights) + len(part.counts) < len(self.needed):
            return None
        tensors = part.tensors
        for prefix in self._prefixes():
            mine = {name.removeprefix(prefix): name for name in self.needed}
            if mine and all(
                name in tensors and tuple(tensors[name].shape) == self.shapes[full]
                for name, full in mine.items()
            ):
                return self._claim(part, prefix)
        return None

    def _prefixes(self) -> list[str]:
        """Prefixes that all of the module's names have, the empty one first."""
        first = next(iter(self.needed), "").split(".")
        starts = ["".join(f"{piece}." for piece in first[:depth]) for depth in range(len(first))]
        return [start for start in starts if all(n.startswith(start) for n in self.needed)]

    def _claim(self, part: Part, prefix: str) -> Claim:
        mine = {name.removeprefix(prefix): name for name in self.names}
        free = part.without_training().weights
        kept = {n: v for n, v in part.weights.items() if n in free or n in mine}
        return Claim(
            type(self.module).__name__,
            Part(part.place, part.prefix, kept, part.counts),
            lambda chosen: self._make(chosen, mine),
        )

    def _make(self, part: Part, mine: dict[str, str]) -> Recognized:
        names = {name: self.names[full] for name, full in mine.items()}
        weights = {names.get(name, name): value for name, value in part.weights.items()}
        fill(self.module, weights, {names.get(n, n): v for n, v in part.counts.items()})
        module = self.module
        if not isinstance(module, Denoiser):
            module = external.wrap(module, sigma=self.sigma)
        return module, {"architecture": type(self.module).__name__, "recognised": "its factory"}

    def most_similar(self, sets: Sequence[WeightSet]) -> Claim:
        """The part with most of the module's names, for the message about what does not fit."""
        every = [part for one in sets if not one.listed for part in parts(one)]
        if not every:
            raise BadInput(unknown(sets))

        def order(part: Part) -> tuple[int, int, int]:
            same = len(self.names.keys() & part.tensors.keys())
            return same, len(part.weights), part.prefix.count(".")

        return self._claim(max(every, key=order), "")


def fill(module: nn.Module, weights: StateDict, counts: StateDict | None = None) -> None:
    """Load weights strictly, and of the counts those that the module has.

    Raises:
        BadInput: they do not fit, or are complex numbers.
    """
    check_real(weights)
    known = module.state_dict() if counts else {}
    external.fill(module, {**weights, **{n: v for n, v in (counts or {}).items() if n in known}})


def check_real(weights: StateDict) -> None:
    """Check that weights are real numbers.

    Raises:
        BadInput: they are complex.
    """
    odd = [name for name, value in weights.items() if value.is_complex()]
    if odd:
        raise BadInput(f"complex numbers in {odd[0]}; expected real weights")
