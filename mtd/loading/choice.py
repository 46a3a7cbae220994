"""Which of several sets of weights in a file is the network's: an average, or what is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

import torch

from mtd.loading.tensor_names import is_average, is_weight, of_training, telling
from mtd.loading.weight_sets import Part, StateDict, WeightSet, joined
from mtd.networks.base import Denoiser
from mtd.utils.errors import BadInput, nearest

TOP = "."
"""The key of weights that are the whole contents of a file."""

LIGHTNING_RAW = "current_model_state"
"""Where Lightning keeps the raw weights beside the averaged state dict."""

OWN_CLASS = (
    "with a class of your own: --model package.module:factory, and, in analyses, --checkpoint FILE "
    "instead of FILE"
)


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

    A set that holds averages, or branches of training, is listed by its branches.
    """
    found: dict[str, int] = {}
    for one in sets:
        shared, branches = _branches(one)
        plain = [b for b in branches if not (of_training(b) or is_average(b))]
        if len(plain) == len(branches):
            branches = {"": one.tensors}
        elif len(plain) > 1 and shared:
            layers = [branches.pop(branch) for branch in plain]
            branches = {shared: {k: v for each in layers for k, v in each.items()}, **branches}
        for branch, held in branches.items():
            if any(is_weight(name, value) for name, value in held.items()):
                count = len(held) if branch else one.count
                found[joined(one.place, branch) or TOP] = count
    return found


def _branches(one: WeightSet) -> tuple[str, dict[str, StateDict]]:
    """What all names of a set begin with, and its tensors by the part that follows."""
    pieces = [name.split(".")[:-1] for name in one.tensors]
    shared = sum(1 for _ in takewhile(lambda each: len(set(each)) == 1, zip(*pieces, strict=False)))
    branches: dict[str, StateDict] = {}
    for held, name in zip(pieces, one.tensors, strict=True):
        branch = ".".join(held[: shared + 1])
        branches.setdefault(branch, {})[name] = one.tensors[name]
    return ".".join(pieces[0][:shared]), branches


def choose(claims: Sequence[Claim], key: str) -> Claim:
    """The claim to use: of a network and its average the average.

    Raises:
        BadInput: several networks, several sets of weights that no rule tells apart, or none but
            those of training.
    """
    claims = [c for c in claims if c.complete] or claims
    named = [c for c in claims if key and inside(c.part, key)]
    main = named or [c for c in claims if not is_of_training(c.part.address, claims)]
    if not main:
        raise BadInput(
            f"no network known here but a {claims[0].name} in {claims[0].address}, by its name a "
            f"network of the training: --weights {claims[0].address} takes it; {OWN_CLASS}"
        )
    if len(main) == 1:
        return main[0]
    whole = max(main, key=lambda c: len(c.part.weights))
    if not all(c.name == whole.name and _fits(c.part, whole.part) for c in main):
        listed = ", ".join(f"a {c.name} in {c.address}" for c in main[:4])
        raise BadInput(f"holds several networks, {listed}: {ways(main)}")
    averaged = [c for c in main if is_averaged(c, claims)]
    raw = [c for c in main if c not in averaged]
    owned = any(telling(averaged[0].address) <= telling(c.address) for c in raw) if averaged else 0
    if owned and _are_same(averaged) and _are_same(raw):
        return _completed(averaged[0], whole)
    if _are_same(main):
        return (averaged or main)[0]
    raise BadInput(f"holds several sets of weights of a {whole.name}: {ways(main)}")


def is_of_training(address: str, claims: Sequence[Claim]) -> bool:
    """Whether the names that lead to weights say that it is another network of a training."""
    return of_training(address) or is_beside_g(address, claims)


def is_beside_g(address: str, claims: Sequence[Claim]) -> bool:
    """Whether weights are under a key `d` beside one like `g`, as those of a discriminator."""
    pieces, others = address.split("."), [c.part.address.split(".") for c in claims]
    return any(
        piece == "d" and other[:at] == pieces[:at] and "g" in telling(".".join(other[at : at + 1]))
        for at, piece in enumerate(pieces)
        for other in others
    )


def is_averaged(claim: Claim, claims: Sequence[Claim]) -> bool:
    """Whether weights are an average: by their name, or since the raw ones are kept apart.

    Lightning keeps the average of its `WeightAveraging` as the state dict.
    """
    apart = any(c.part.place == LIGHTNING_RAW for c in claims)
    return is_average(claim.part.address) or (apart and claim.part.place == "state_dict")


def _fits(part: Part, whole: Part) -> bool:
    return part.shapes.items() <= whole.shapes.items()


def _completed(average: Claim, whole: Claim) -> Claim:
    """An average with the buffers that it leaves out."""
    if len(average.part.weights) == len(whole.part.weights):
        return average
    weights = {**whole.part.weights, **average.part.weights}
    return replace(average, part=replace(average.part, weights=weights), shared=whole.address)


def _below(address: str, key: str) -> bool:
    return f"{address}.".startswith(f"{key}.")


def inside(part: Part, key: str) -> bool:
    """Whether a key of `--weights` leads to a part, or to what it is in."""
    return not part.address if key == TOP else _below(part.address, key)


def ways(claims: Sequence[Claim]) -> str:
    """The options that take one of several sets of weights."""
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
