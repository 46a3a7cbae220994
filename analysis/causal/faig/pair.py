"""Two networks of one architecture: a baseline, and the twin that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from analysis.causal.faig.filters import Layer, Parameters, layers
from mtd.networks.compiled import check_not_scripted
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from mtd.networks.base import Denoiser


class Pair(NamedTuple):
    """The two networks of a run.

    Attributes:
        names: of the baseline and of its twin.
        network: the twin, in which all parameters of the path are run, with its masks.
        baseline: θ̄, the baseline's parameters by name.
        twin: θ.
        layers: with filters.
    """

    names: tuple[str, str]
    network: Denoiser
    baseline: Parameters
    twin: Parameters
    layers: list[Layer]


def pair_of(inputs: RunInputs) -> Pair:
    """The two networks of a run, the baseline first.

    Raises:
        BadInput: another number of models, a model without gradients, two architectures, or
            networks that differ in more than their parameters.
    """
    from analysis.commands.inputs import check_networks

    names = list(inputs.models)
    if len(names) != 2:
        given = "none" if not names else ", ".join(names)
        raise BadInput(
            f"{len(names)} models ({given}): expected two of one architecture, the baseline first"
        )
    check_networks(inputs)
    for name, model in inputs.models.items():
        try:
            check_not_scripted(getattr(model, "whole", model))
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
    baseline, twin = inputs.models.values()
    check_alike(names, baseline, twin)
    try:
        found = layers(twin)
    except BadInput as error:
        raise BadInput(f"{names[1]}: {error}") from None
    return Pair((names[0], names[1]), twin, parameters(baseline), parameters(twin), found)


def parameters(model: Denoiser) -> Parameters:
    """The parameters of a network by name, as they are, without gradient."""
    return {name: value.detach() for name, value in model.named_parameters()}


def about(model: Denoiser) -> Mapping[str, Any]:
    """What two networks of one architecture share beside the shapes of their parameters."""
    whole = getattr(model, "whole", None)  # of an external network
    return {
        "classes": (type(model).__name__, model.config.to_dict(), repr(whole) if whole else ""),
        "input formats": model.input_format.to_dict(),
    }


def check_alike(names: list[str], baseline: Denoiser, twin: Denoiser) -> None:
    """Check that a path leads from one network to the other.

    Raises:
        BadInput: it does not: they differ in shapes, in how they are called, or in buffers.
    """
    both = " and ".join(names)
    expected = "expected two networks of one architecture, the baseline first"
    a, b = (dict(model.named_parameters()) for model in (baseline, twin))
    for name in [*a, *b]:
        shapes = [tuple(of[name].shape) if name in of else "absent" for of in (a, b)]
        if shapes[0] != shapes[1]:
            raise BadInput(f"{both}: {name} is {shapes[0]} and {shapes[1]}; {expected}")
    ours, theirs = about(baseline), about(twin)
    for what in ("classes", "input formats"):
        if ours[what] != theirs[what]:
            raise BadInput(f"{both}: different {what}; {expected}")
    held, other = (dict(model.named_buffers()) for model in (baseline, twin))
    unequal = [
        name
        for name in {**held, **other}
        if name not in held or name not in other or not torch.equal(held[name], other[name])
    ]
    if unequal:
        raise BadInput(
            f"{both}: {unequal[0]} differs, which is not a parameter and has no gradient (like the "
            "running means of batch normalization); expected networks that differ in parameters "
            "alone"
        )
    if not all(value.is_floating_point() for value in b.values()):
        raise BadInput(f"{names[1]}: parameters that are not real numbers; {expected}")
