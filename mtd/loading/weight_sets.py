"""The weights in the contents of a checkpoint file, wherever they are, and parts of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mtd.loading.tensor_names import (
    PARALLEL,
    is_average,
    is_count,
    is_training,
    of_training,
    without_insertions,
)
from mtd.tensor_files.stand_ins import MANY, Unread, opened
from mtd.tensor_files.unpickling import DEEPEST

PICKLED = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
"""The first bytes of pickles."""

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
        """Whether a tensor is more than one number, and not the state of a random generator."""
        return any(
            v.ndim > 0 and (v.dtype, v.ndim) != (torch.uint8, 1) for v in self.tensors.values()
        )

    def without_parallel(self) -> WeightSet:
        """The same without `module` anywhere in names, which parallel parts of a network have."""
        plain = without_insertions(self.tensors, PARALLEL)
        return replace(self, tensors={plain[name]: v for name, v in self.tensors.items()})


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
        """The same without branches that are an average, or unmistakably of a training."""
        kept = {
            name: value
            for name, value in self.weights.items()
            if "." not in name or not _is_beside(name.partition(".")[0])
        }
        return Part(self.place, self.prefix, kept, self.counts)


def _is_beside(branch: str) -> bool:
    return is_training(branch, inside=True) or is_average(branch)


def joined(*names: str) -> str:
    """Names with dots between them, without the empty ones."""
    return ".".join(filter(None, names))


def find(content: Any) -> list[WeightSet]:
    """All sets of tensors in the contents of a file, outermost first.

    States of optimizers are left out; mappings with nothing but single numbers and states of random
    number generators as well, unless there is nothing else.
    """
    found = list[WeightSet]()
    for place, each in _walk(content, (), ()):
        items = dict(enumerate(each)) if isinstance(each, list) else each
        listed = isinstance(each, list)
        tensors = {
            str(k): v for k, v in items.items() if isinstance(v, Tensor) and (listed or _is_text(k))
        }
        if tensors and (not listed or len(tensors) == len(items)):
            names = without_insertions(tensors)
            named = {names[name]: value for name, value in tensors.items()}
            found.append(WeightSet(place, named, listed))
    named_sets = [each for each in found if not each.listed]
    good = [each for each in named_sets if each.has_weights] or named_sets
    return good + [each for each in found if each.listed and each.has_weights]


def optimizers(content: Any) -> list[str]:
    """Places of the states of optimizers in the contents of a file."""
    return [place for place, each in _walk(content, (), ()) if _is_optimizer(each)]


def unread(content: Any) -> dict[str, str]:
    """Places of the objects in a file that held weights and were not read, and their classes.

    Optimizers, which hold the weights that they change, and what belongs to training are left out.
    """
    found = {}
    for place, each in _walk(content, (), ()):
        items = enumerate(each) if isinstance(each, list) else each.items()
        for key, value in items:
            kind = _unread_kind(str(key), value)
            if kind:
                found[joined(place, str(key))] = kind
    return {place: kind for place, kind in found.items() if not of_training(place)}


def _unread_kind(name: str, value: Any) -> str:
    """What holds weights that are not read; empty for all else."""
    if isinstance(value, list) and name.endswith(".weight"):
        return "a list of numbers"
    if isinstance(value, bytes | bytearray) and len(value) > MANY:
        return "a file within the file" if value[:2] in (b"PK", *PICKLED) else ""
    value = opened(value)
    is_unread = isinstance(value, Unread) and ".optim" not in value.kind
    return value.kind if is_unread and value.held_weights(name) else ""


def _is_text(key: Any) -> bool:
    return isinstance(key, str)


def _is_optimizer(content: Any) -> bool:
    return isinstance(content, Mapping) and "param_groups" in content


def _walk(
    content: Any, place: tuple[str, ...], within: tuple[int, ...]
) -> Iterator[tuple[str, Any]]:
    """Every mapping and list in some contents, and the keys that lead to it."""
    within, ahead = (*within, id(content)), within
    content = list(content) if isinstance(content, tuple) else opened(content)
    if not isinstance(content, Mapping | list) or len(place) > DEEPEST or within[-1] in ahead:
        return
    is_optimizer = _is_optimizer(content)
    yield ".".join(place), {"param_groups": None} if is_optimizer else content
    items = enumerate(content) if isinstance(content, list) else content.items()
    for key, value in () if is_optimizer else items:
        yield from _walk(value, (*place, str(key)), within)


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
