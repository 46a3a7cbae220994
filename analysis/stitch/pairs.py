"""What is stitched to what: networks under noises, and their layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Literal, NamedTuple

from analysis.engine.layers import blocks, choose, is_output
from analysis.engine.observer import View
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from mtd.networks.base import Denoiser

Kind = Literal["noises", "models"]


class Stitched(NamedTuple):
    """A sender and a receiver, networks under noises.

    Attributes:
        sender: gives its features.
        receiver: gets them through the stitch, and computes the rest on its own input.
        permuted: whether the stitch is fitted to the sender's features of other photographs.
    """

    sender: View
    receiver: View
    permuted: bool = False


class Pair(NamedTuple):
    """A row's sender and receiver: models under noises."""

    kind: Kind
    sender: View
    receiver: View


def pairs(models: Sequence[str], noises: Sequence[str]) -> list[Pair]:
    """The pairs of a run: each model across noises, then every two models under each noise.

    Across noises one of both is the reference, the first noise.
    """
    reference, *others = noises
    found = [
        Pair("noises", View(model, a), View(model, b))
        for other in others
        for a, b in ((other, reference), (reference, other))
        for model in models
    ]
    for noise in noises:
        found += [
            Pair("models", View(a, noise), View(b, noise)) for a, b in permutations(models, 2)
        ]
    return found


def networks(pair: Pair, trainings: Mapping[str, Sequence[str]]) -> list[tuple[View, View]]:
    """The pairs of networks of a pair of models: the first trainings of both, the second, …

    No training is in two pairs, so that costs of pairs are independent: of models with m and n
    trainings, the first min(m, n) of each are stitched. A single network is stitched to every
    training of the other model; the spread over these pairs is that of the other's trainings, and
    says nothing about other trainings of the single network.

    >>> both = networks(
    ...     Pair("models", View("a", "x"), View("b", "x")), {"a": ["1", "2", "3"], "b": ["4", "5"]}
    ... )
    >>> [(sender.model, receiver.model) for sender, receiver in both]
    [('1', '4'), ('2', '5')]
    """
    senders, receivers = trainings[pair.sender.model], trainings[pair.receiver.model]
    numbers = len(senders), len(receivers)
    return [
        (
            View(senders[i % len(senders)], pair.sender.noise),
            View(receivers[i % len(receivers)], pair.receiver.noise),
        )
        for i in range(max(numbers) if 1 in numbers else min(numbers))
    ]


def chosen_layers(
    models: Mapping[str, Denoiser], patterns: Sequence[str] | None
) -> dict[str, list[str]]:
    """Layers of each network, in the order of its definition.

    Args:
        models: by name.
        patterns: see `choose`; none for the default layers but those that hold the output.

    Raises:
        BadInput: a pattern that matches nothing, or a network without such layers.
    """
    found = {}
    for name, model in models.items():
        try:
            layers = choose(model, list(patterns) if patterns else None)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
        if not patterns:
            outputs, whole = model.layer_roles().outputs, set(blocks(layers))
            layers = [one for one in layers if one in whole or not is_output(one, outputs)]
        if not layers:
            raise BadInput(f"{name}: no layer before its output; name layers with --layers")
        found[name] = layers
    return found


def partners(sender: Sequence[str], receiver: Sequence[str]) -> dict[str, str]:
    """The sender's layer for each of the receiver's: of the same name, or of the same depth.

    Networks with the same layers are paired by name; others by relative depth, from 0 for the
    first layer to 1 for the last.

    >>> partners(["a", "b", "c"], ["x", "y"])
    {'x': 'a', 'y': 'c'}
    """
    if list(sender) == list(receiver):
        return {name: name for name in receiver}
    last = max(1, len(receiver) - 1)
    return {name: sender[round(i / last * (len(sender) - 1))] for i, name in enumerate(receiver)}


def units(inputs: RunInputs) -> list[Stitched]:
    """Everything that is stitched in a run: all networks of its pairs, then their controls."""
    trainings = inputs.trainings
    found = [
        Stitched(sender, receiver)
        for pair in pairs(list(trainings), inputs.specs)
        for sender, receiver in networks(pair, trainings)
    ]
    receivers = dict.fromkeys(unit.receiver for unit in found)
    for receiver in receivers if inputs.controls is not None else ():
        found += [ceiling for ceiling in [ceiling_of(inputs, receiver)] if ceiling]
        found.append(Stitched(receiver, receiver, permuted=True))
    return list(dict.fromkeys(found))


def ceiling_of(inputs: RunInputs, receiver: View) -> Stitched | None:
    """A receiver stitched to itself under another draw of its noise; None of noise without one."""
    assert inputs.controls is not None
    other = inputs.controls.controls.other_draw(receiver)
    return None if other is None else Stitched(other, receiver)
