"""What a file holds beside the weights of a network: copies, what training keeps, or a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mtd.loading.choice import OWN_CLASS, Claim, is_beside_g, is_of_training
from mtd.loading.tensor_names import (
    AVERAGED,
    after_shared,
    is_count,
    is_training,
    is_weight,
    of_training,
    telling,
    words,
)
from mtd.loading.weight_sets import Part, WeightSet, joined
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural


@dataclass
class Remainder:
    """What a file holds beside the weights of a network.

    Attributes:
        training: addresses of weights that belong to training, and the numbers of tensors.
        values: names of vectors and numbers beside the network that are no weights.
        others: names of all other tensors, by the place of their set.
    """

    training: dict[str, int] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=dict)


def remainder(used: Claim, claims: Sequence[Claim], sets: Sequence[WeightSet]) -> Remainder:
    """Everything in some sets that is neither a network's, nor a copy or average of it.

    Args:
        used: the network's own weights.
        claims: all sets of weights that are recognized.
        sets: of the file.
    """
    part, found = used.part, Remainder()
    copies = {
        (c.part.place, c.part.prefix + n)
        for c in claims
        if c.complete and not is_of_training(c.part.address, claims)
        for n in c.part.weights
    }
    for one in sets:
        for name, branch, inside in beside(one, part):
            is_vector = one.place != part.place and not is_weight(name, one.tensors[name])
            lone = branch == name  # a tensor that no keys lead to
            if (one.place, name) in copies or (is_copy(branch, part) and not lone):
                continue
            if is_vector:
                found.values.append(joined(one.place, name))
            elif _is_training(_address(one, name, branch, part), branch, inside, claims):
                address = _address(one, name, branch, part)
                found.training[address] = found.training.get(address, 0) + 1
            else:
                found.others.setdefault(one.place, []).append(name)
    return found


def _address(one: WeightSet, name: str, branch: str, part: Part) -> str:
    """The keys and names that lead to a branch."""
    pieces = joined(one.place, name).split(".")
    away = after_shared(".".join(pieces), part.address)
    return joined(*pieces[: len(pieces) - len(away)], branch)


def _is_training(address: str, branch: str, inside: bool, claims: Sequence[Claim]) -> bool:
    if inside:
        return is_training(branch, inside=True)
    return of_training(branch) or is_beside_g(address, claims)


def beside(one: WeightSet, part: Part) -> Iterator[tuple[str, str, bool]]:
    """What a set holds beside a part, without counts.

    Yields:
        The name of a tensor; the keys or names that lead to it but not to the part; and whether it
        stands among the part's own names.
    """
    here, tensors = one.place == part.place, part.tensors
    away = after_shared(one.place, part.address)
    for name, value in one.tensors.items():
        inside = here and name.startswith(part.prefix)
        if is_count(name, value) or (inside and name.removeprefix(part.prefix) in tensors):
            continue
        branch = after_shared(joined(one.place, name), part.address)[:1] if here else away
        yield name, ".".join(branch or name.split(".")[:1]), inside


def is_copy(branch: str, part: Part) -> bool:
    """Whether what leads to weights says that they are a part's average, or kept beside it."""
    named = not AVERAGED.isdisjoint(words(branch)) and not of_training(branch)
    return named and telling(branch) <= telling(part.address)


def check(used: Claim, rest: Remainder) -> None:
    """Check that a file holds no other weights than a network, its copies and those of training.

    Raises:
        BadInput: it does; the network may be a part of another one.
    """
    address = used.part.address
    alone = f"to use it alone: --weights {address}; " if address else ""
    for place, others in rest.others.items():
        at = "" if place == used.part.place else f" in {place or 'its top'}"
        raise BadInput(
            f"holds a {used.name} and {plural(len(others), 'other tensor')}{at} "
            f"({', '.join(others[:3])}, …), as if it were a part of another network; "
            f"{alone}{OWN_CLASS}"
        )
