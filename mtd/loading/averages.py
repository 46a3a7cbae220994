"""The average of a network's weights in forms that no architecture recognizes by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from mtd.loading.choice import Claim, inside, is_averaged, ways
from mtd.loading.tensor_names import after_shared, is_average, of_training, telling
from mtd.loading.weight_sets import Part, StateDict, WeightSet, joined, parts
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

Shapes = Mapping[str, tuple[int, ...]]


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
    known = [c.part for c in claims if c.complete]
    parameters = _Parameters.of(module, raw.part, sets)
    for part in _averages(raw.part, sets, key):
        if any(c.place == part.place and c.prefix.startswith(part.prefix) for c in known):
            continue
        match = parameters and parameters.found_in(part, raw.part)
        if match:
            others = raw.part.weights.keys() - match
            counts = {n: v for n, v in raw.part.counts.items() if n not in match}
            made = Part(part.place, part.prefix, {**raw.part.weights, **match}, counts)
            found.append(replace(raw, part=made, shared=raw.address if others else ""))
        else:
            lost.append(part)
    if len(found) > 1 or (found and is_averaged(raw, claims) and not key):
        raise BadInput(f"holds several averages of a {raw.name}: {ways([*found, raw])}")
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
            away = after_shared(part.address, raw.address)
            if one.place == raw.place:  # deeper names are those of layers
                away = away[:1]
                if all(part.prefix + name in used for name in part.weights):
                    continue
            named = part.address == key if key else is_average_of(".".join(away), raw.address)
            if not named or any(part.prefix.startswith(prefix) for prefix in done):
                continue
            if any(value.ndim for value in part.weights.values()):
                done.append(part.prefix)
                yield part


def is_average_of(name: str, address: str) -> bool:
    """Whether a name says that weights are the average of those at an address."""
    return is_average(name) and not of_training(name) and telling(name) <= telling(address)


@dataclass(frozen=True)
class _Parameters:
    """The parameters of a network in a file.

    Attributes:
        shapes: by name, in the network's order.
        order: the same names in the order of the network's own weights in the file.
        aliases: other names of the same parameters.
    """

    shapes: Shapes
    order: Sequence[str]
    aliases: Mapping[str, str]

    @classmethod
    def of(cls, module: nn.Module, raw: Part, sets: Sequence[WeightSet]) -> _Parameters | None:
        """Those of a network whose own weights are known; None if some are not in the file."""
        every = dict(module.named_parameters(remove_duplicate=False))
        if not every.keys() <= raw.tensors.keys():
            return None
        first = {id(value): name for name, value in module.named_parameters()}
        shapes = {name: tuple(every[name].shape) for name in first.values()}
        aliases = {name: first[id(value)] for name, value in every.items() if name not in shapes}
        whole = next(one for one in sets if one.place == raw.place)
        order = [n.removeprefix(raw.prefix) for n in whole.tensors if n.startswith(raw.prefix)]
        return cls(shapes, [name for name in order if name in shapes], aliases)

    def found_in(self, average: Part, raw: Part) -> StateDict | None:
        """The tensors of an average by the names of parameters; None if they are not theirs."""
        found: StateDict | None = None
        if all(name.isdigit() for name in average.tensors):
            found = self._listed(average)
        for part in parts(WeightSet(average.place, average.tensors)) if found is None else ():
            found = found or _renamed(raw.prefix, part.tensors, self.shapes)
        if found is None:
            return None
        return found | {name: found[first] for name, first in self.aliases.items()}

    def _listed(self, average: Part) -> StateDict | None:
        """Those of a list, in the order in which the file has the network's own weights.

        Raises:
            BadInput: the order of the network is another one, and shapes fit both.
        """
        values = [average.tensors[name] for name in sorted(average.tensors, key=int)]
        shapes = [tuple(value.shape) for value in values]
        orders = [
            order
            for order in (list(self.order), list(self.shapes))
            if [self.shapes[name] for name in order] == shapes
        ]
        if not orders:
            return None
        if orders[0] != orders[-1]:
            one, other = next((a, b) for a, b in zip(*orders, strict=True) if a != b)
            raise BadInput(
                f"the average in {average.address} is a list, which may be in the order of the "
                f"file ({one} before {other}) or of the network (the reverse): --weights takes "
                "other weights"
            )
        return dict(zip(orders[0], values, strict=True))


def _renamed(prefix: str, average: StateDict, shapes: Shapes) -> StateDict | None:
    """The tensors of an average by the names of parameters."""
    if len(average) < len(shapes):
        return None
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
