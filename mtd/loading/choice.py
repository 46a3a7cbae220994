"""Which of several sets of weights in a file is the network's: an average, or what is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from mtd.loading.tensor_names import (
    belongs_to_training,
    is_average,
    is_training,
    parting,
    words,
)
from mtd.loading.weight_sets import Part, StateDict, WeightSet, joined, left_over, parts
from mtd.networks.base import Denoiser
from mtd.utils.errors import BadInput, nearest
from mtd.utils.messages import plural

TOP = "."
"""The key of weights that are the whole contents of a file."""

OWN_CLASS = "with a class of your own: --model package.module:factory --checkpoint FILE"


Recognized = tuple[Denoiser, dict[str, Any]]
"""A network with its weights, and how it was recognized."""


@dataclass(frozen=True)
class Claim:
    """A part of a file that an architecture or a module recognizes as its weights.

    Attributes:
        name: of the architecture.
        part: the weights.
        make: from the weights to the network that has them, and how it was recognized.
        complete: whether it has all tensors of the network, and no others.
        shared: address of the part that has what an average lacks, such as running means.
    """

    name: str
    part: Part
    make: Callable[[Part], Recognized] = field(compare=False)
    complete: bool = True
    shared: str = ""

    @property
    def address(self) -> str:
        """Of the weights, as `--weights` takes it."""
        return self.part.address or TOP

    @property
    def of_training(self) -> bool:
        """Whether the names that lead to it say that it is another network of a training."""
        return _of_training(self.part.address)


def within(sets: Sequence[WeightSet], key: str) -> list[WeightSet]:
    """What a key of `--weights` names: a set, or the tensors of one under a prefix.

    Raises:
        BadInput: nothing has this key.
    """
    if key in ("", TOP):
        return list(sets)
    found = []
    for one in sets:
        kept = {n: v for n, v in one.tensors.items() if _below(joined(one.place, n), key)}
        if kept:
            found.append(replace(one, tensors=kept))
    if not found:
        raise BadInput(f"--weights {key}: nothing there; {nearest(key, addresses(sets))}")
    return found


def addresses(sets: Sequence[WeightSet]) -> dict[str, int]:
    """The places of weights in a file as `--weights` takes them, and the number of tensors.

    A set that holds branches of training is listed by its branches; values that training keeps of
    itself, such as its history, are not listed.
    """
    found: dict[str, int] = {}
    for one in sets:
        if _of_training(one.place):
            continue
        branches = {name.partition(".")[0]: 0 for name in one.tensors if "." in name}
        if any(map(belongs_to_training, branches)):
            for branch in branches:
                held = sum(name.startswith(f"{branch}.") for name in one.tensors)
                found[joined(one.place, branch)] = held
        elif one.count:
            found[one.place or TOP] = one.count
    return found


def choose(claims: Sequence[Claim], key: str) -> Claim:
    """The claim to use: of a network and its average the average.

    Raises:
        BadInput: several networks, or several sets of weights that no rule tells apart.
    """
    claims = [c for c in claims if c.complete] or claims
    named = [c for c in claims if key and inside(c.part, key)]
    main = named or [c for c in claims if not c.of_training] or list(claims)
    if len(main) == 1:
        return main[0]
    whole = max(main, key=lambda c: len(c.part.weights))
    if not all(c.name == whole.name and _fits(c.part, whole.part) for c in main):
        listed = ", ".join(f"a {c.name} in {c.address}" for c in main[:4])
        raise BadInput(f"holds several networks, {listed}: {_ways(main)}")
    shared = set.intersection(*(set(words(c.part.address)) for c in main))
    averaged = [c for c in main if is_average(_apart(c.part.address, shared))]
    raw = [c for c in main if c not in averaged]
    if len(averaged) == 1 and _are_same(raw):
        return _completed(averaged[0], whole)
    if _are_same(main):
        return (averaged or main)[0]
    raise BadInput(f"holds several sets of weights of a {whole.name}: {_ways(main)}")


def _fits(part: Part, whole: Part) -> bool:
    return part.shapes.items() <= whole.shapes.items()


def _completed(average: Claim, whole: Claim) -> Claim:
    """An average with the buffers that it leaves out."""
    if len(average.part.weights) == len(whole.part.weights):
        return average
    weights = {**whole.part.weights, **average.part.weights}
    return replace(average, part=replace(average.part, weights=weights), shared=whole.address)


def _of_training(address: str) -> bool:
    pieces = address.split(".")
    return any(map(is_training, pieces)) and not any(map(is_average, pieces))


def _below(address: str, key: str) -> bool:
    return f"{address}.".startswith(f"{key}.")


def inside(part: Part, key: str) -> bool:
    """Whether a key of `--weights` leads to a part, or to what it is in."""
    return not part.address if key == TOP else _below(part.address, key)


def _apart(address: str, shared: set[str]) -> str:
    return " ".join(word for word in words(address) if word not in shared)


def _ways(claims: Sequence[Claim]) -> str:
    return " or ".join(f"--weights {c.address}" for c in claims[:6])


def _are_same(claims: Sequence[Claim]) -> bool:
    """Whether claims, if any, have equal weights."""
    sets = [c.part.weights for c in claims]
    try:
        return all(
            one.keys() == sets[0].keys() and torch.equal(value, sets[0][name])
            for one in sets[1:]
            for name, value in one.items()
        )
    except NotImplementedError:  # sparse tensors, those without values, some types
        return False


def average_of(
    raw: Claim, module: nn.Module, sets: Sequence[WeightSet], claims: Sequence[Claim], key: str
) -> Claim:
    """The average of a network whose names are others, or that leaves out buffers; else the raw.

    Names may be the parameters', with or without dots, or their order in a list; what is averaged
    are all parameters, and everything else is the network's own.

    Args:
        raw: the network's own weights.
        module: the network, for the names of its parameters.
        sets: of the file.
        claims: all sets of weights that are recognized.
        key: of `--weights`, which may name an average or the raw weights; else empty.

    Raises:
        BadInput: several averages, or one that does not fit.
    """
    if key and inside(raw.part, key):
        return raw
    found, lost = list[Claim](), list[Part]()
    known = {(c.part.place, c.part.prefix) for c in claims if c.complete}
    for part in _averages(raw.part, sets, key):
        if (part.place, part.prefix) in known:
            continue
        match = _matched(raw.part, module, part)
        if match is not None:
            found.append(replace(raw, part=match, shared=raw.address))
        else:
            lost.append(part)
    if len(found) > 1:
        raise BadInput(f"holds several averages of a {raw.name}: {_ways([*found, raw])}")
    if not found and lost and not key:
        raise BadInput(
            f"an average in {lost[0].address} ({plural(len(lost[0].weights), 'tensor')}) that does "
            f"not fit the {raw.name} in {raw.address}: --weights {raw.address} takes the latter"
        )
    return found[0] if found else raw


def _averages(raw: Part, sets: Sequence[WeightSet], key: str) -> Iterator[Part]:
    """The outermost parts with weights that are an average by name, or that the key names."""
    used = {raw.prefix + name for name in raw.tensors}
    for one in sets:
        done = list[str]()
        for part in parts(one):
            away = parting(part.address, raw.address)
            if one.place == raw.place:  # deeper names are those of layers
                away = away[:1]
                if all(part.prefix + name in used for name in part.weights):
                    continue
            named = part.address == key if key else any(map(is_average, away))
            if not named or any(part.prefix.startswith(prefix) for prefix in done):
                continue
            if any(v.ndim and v.is_floating_point() for v in part.weights.values()):
                done.append(part.prefix)
                yield part


def _matched(raw: Part, module: nn.Module, average: Part) -> Part | None:
    """The raw part with the parameters of an average; None if they are not its."""
    named = dict(module.named_parameters(remove_duplicate=False))
    if not named.keys() <= raw.weights.keys():
        return None
    shapes = {name: tuple(value.shape) for name, value in named.items()}
    weights = list(average.weights.values())
    found: Mapping[str, Any] | None = None
    if [tuple(value.shape) for value in weights] == list(shapes.values()) and all(
        name.isdigit() for name in average.weights
    ):
        found = dict(zip(shapes, weights, strict=True))
    for part in parts(WeightSet(average.place, average.weights)) if found is None else ():
        found = found or _renamed(raw.prefix, part.weights, shapes)
    if found is None:
        return None
    return Part(average.place, average.prefix, {**raw.weights, **found}, raw.counts)


def _renamed(
    prefix: str, average: StateDict, shapes: Mapping[str, tuple[int, ...]]
) -> StateDict | None:
    """The tensors of an average by the names of parameters."""
    pieces = prefix.rstrip(".").split(".")
    tails = [joined(*pieces[at:]) for at in range(len(pieces) + 1)]
    for tail in tails:
        for dot in (".", "", "_"):
            names = {name: joined(tail, name).replace(".", dot) for name in shapes}
            if len(set(names.values())) == len(names) and all(
                theirs in average and tuple(average[theirs].shape) == shapes[name]
                for name, theirs in names.items()
            ):
                return {name: average[theirs] for name, theirs in names.items()}
    return None


def check_rest(chosen: Claim, claims: Sequence[Claim], sets: Sequence[WeightSet]) -> None:
    """Check that a file holds no other weights than a network, its copies and those of training.

    Raises:
        BadInput: it does; the network may be a part of another one.
    """
    copies = {
        (c.part.place, c.part.prefix + n) for c in claims if c.complete for n in c.part.weights
    }
    name, part = chosen.name, chosen.part
    alone = f"to use it alone: --weights {part.address}; " if part.address else ""
    for one in sets:
        here = one.place == part.place
        if not here and any(map(belongs_to_training, parting(one.place, part.place))):
            continue
        every = left_over(one, part.prefix, part) if here else left_over(one)
        others = [other for other in every if (one.place, other) not in copies]
        if others:
            at = "" if here else f" in {one.place or 'its top'}"
            raise BadInput(
                f"holds a {name} and {plural(len(others), 'other tensor')}{at} "
                f"({', '.join(others[:3])}, …), as if it were a part of another network; "
                f"{alone}{OWN_CLASS}"
            )
