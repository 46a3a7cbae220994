"""The weights in the contents of a checkpoint file, wherever they are, and parts of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from mtd.loading.tensor_names import (
    belongs_to_training,
    is_count,
    parting,
    without_insertions,
)

DEEPEST = 60
"""Levels of a file's contents that are searched."""

StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class WeightSet:
    """The tensors of one mapping in a file.

    Attributes:
        place: keys that lead to it, with dots; empty for the whole contents.
        tensors: by their names in it, without parts that wrappers insert; those of a list have
            their indices as names.
        listed: whether it is a list.
    """

    place: str
    tensors: StateDict
    listed: bool = False

    @cached_property
    def count(self) -> int:
        """Number of tensors that are no counts."""
        return sum(not is_count(name, value) for name, value in self.tensors.items())

    @property
    def has_weights(self) -> bool:
        """Whether a tensor is more than one number, and not of whole numbers."""
        return any(v.ndim > 0 and v.is_floating_point() for v in self.tensors.values())


@dataclass(frozen=True)
class Part:
    """The tensors of a set under one prefix.

    Attributes:
        place: of the set.
        prefix: of the names, with its last dot; empty for the whole set.
        weights: by name without the prefix.
        counts: what was counted, by name without the prefix; no weights.
    """

    place: str
    prefix: str
    weights: StateDict
    counts: StateDict

    @property
    def address(self) -> str:
        """Place and prefix, as `--weights` takes them.

        >>> Part("state_dict", "model.", {}, {}).address
        'state_dict.model'
        """
        return joined(self.place, self.prefix.rstrip("."))

    @property
    def tensors(self) -> StateDict:
        """Weights and counts."""
        return {**self.weights, **self.counts}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each weight."""
        return {name: tuple(value.shape) for name, value in self.weights.items()}

    def without_training(self) -> Part:
        """The same without branches whose name says that they belong to training."""
        kept = {
            name: value
            for name, value in self.weights.items()
            if "." not in name or not belongs_to_training(name.partition(".")[0])
        }
        return Part(self.place, self.prefix, kept, self.counts)


def joined(*names: str) -> str:
    """Names with dots between them, without the empty ones."""
    return ".".join(filter(None, names))


def find(content: Any) -> list[WeightSet]:
    """All sets of tensors in the contents of a file, outermost first.

    States of optimizers are left out; mappings without a tensor of more than one real number as
    well, unless there is nothing else.
    """
    found = list(_sets(content, (), ()))
    named = [each for each in found if not each.listed]
    good = [each for each in named if each.has_weights] or named
    return good + [each for each in found if each.listed and each.has_weights]


def _sets(content: Any, place: tuple[str, ...], within: tuple[int, ...]) -> Iterator[WeightSet]:
    if len(place) > DEEPEST or id(content) in within or isinstance(content, Tensor):
        return
    if isinstance(content, Mapping):
        if "param_groups" in content:  # of an optimizer
            return
        items = {str(key): value for key, value in content.items()}
        tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
        if tensors:
            names = without_insertions(tensors)
            yield WeightSet(".".join(place), {names[k]: v for k, v in tensors.items()})
    elif isinstance(content, list | tuple):
        items = {str(index): value for index, value in enumerate(content)}
        if items and all(isinstance(value, Tensor) for value in content):
            yield WeightSet(".".join(place), items, listed=True)
    else:
        return
    for key, value in items.items():
        yield from _sets(value, (*place, key), (*within, id(content)))


def parts(one: WeightSet) -> Iterator[Part]:
    """The parts of a set under every prefix, the whole first, shorter prefixes before longer."""
    under: dict[str, StateDict] = {"": {}}
    for name, value in one.tensors.items():
        pieces = name.split(".")
        for depth in range(len(pieces)):
            prefix = "".join(f"{piece}." for piece in pieces[:depth])
            under.setdefault(prefix, {})[".".join(pieces[depth:])] = value
    for prefix in sorted(under, key=lambda prefix: prefix.count(".")):
        tensors = under[prefix]
        counts = {name: value for name, value in tensors.items() if is_count(name, value)}
        weights = {name: value for name, value in tensors.items() if name not in counts}
        if weights:
            yield Part(one.place, prefix, weights, counts)


def left_over(one: WeightSet, prefix: str = "", part: Part | None = None) -> Iterator[str]:
    """Names of a set's tensors that are neither a part's nor counts, nor belong to training.

    Args:
        one: the set.
        prefix: names that part from it at a word of training belong to training.
        part: what is used of the set.
    """
    tensors = part.tensors if part else {}
    for name, value in one.tensors.items():
        if part and name.startswith(part.prefix) and name.removeprefix(part.prefix) in tensors:
            continue
        branch = "".join(parting(name, prefix)[:1])
        if not belongs_to_training(branch) and not is_count(name, value):
            yield name
