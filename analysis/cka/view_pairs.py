"""The pairs of views of a run that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, get_args

from analysis.engine.observer import View
from analysis.text.terminal import plural
from mtd.utils.errors import BadInput, nearest

Pairs = Literal["reference", "cross-model", "cross-noise", "self", "all"]
Pair = tuple[View, View]


def kind(pair: Pair) -> str:
    """What a pair differs in: `cross_model`, `cross_noise`, `cross_both` or `self`."""
    (model_a, noise_a), (model_b, noise_b) = pair
    if model_a == model_b:
        return "self" if noise_a == noise_b else "cross_noise"
    return "cross_model" if noise_a == noise_b else "cross_both"


def choose(models: Sequence[str], noises: Sequence[str], which: Pairs = "reference") -> list[Pair]:
    """The pairs of views that `--compare` names, in the order of models and noises.

    `reference`: every two models under the first noise; then each model under the first noise
    against itself under every other. `cross-model`: every two models, under each noise.
    `cross-noise`: every two noises, within each model. `self`: each view with itself. `all`: every
    two views, and each with itself.

    Raises:
        BadInput: an unknown name, or one without a pair in this run.
    """
    if not noises:
        raise BadInput("no noise: give one at least, such as gaussian:15")
    views = [View(model, noise) for model in models for noise in noises]
    every = [(a, b) for i, a in enumerate(views) for b in views[i:]]
    if which == "reference":
        first = noises[0]
        pairs = [p for p in every if kind(p) == "cross_model" and p[0].noise == first]
        pairs += [p for p in every if kind(p) == "cross_noise" and p[0].noise == first]
    elif which in get_args(Pairs):
        pairs = [p for p in every if which in ("all", kind(p).replace("_", "-"))]
    else:
        raise BadInput(f"compare {which!r}: {nearest(str(which), get_args(Pairs))}")
    if not pairs:
        raise BadInput(
            f"{plural(len(models), 'model')} under {plural(len(noises), 'noise')}, --compare "
            f"{which}: nothing to compare; give a second model, or a second --noise"
        )
    return pairs


def of_networks(
    pairs: Sequence[Pair], trainings: Mapping[str, Sequence[str]]
) -> dict[Pair, list[Pair]]:
    """The pairs of networks that a pair of models stands for.

    Of one model, each training with itself; of two, the first training of one with the first of the
    other, and so on, so that the values are independent, those of the longer list left over; a
    single network with each training.

    Args:
        pairs: of views of models.
        trainings: the networks of each model.

    >>> pair = (View("a", "gaussian:15"), View("b", "gaussian:15"))
    >>> found = of_networks([pair], {"a": ("a1", "a2"), "b": ("b1", "b2", "b3")})
    >>> [(first.model, second.model) for first, second in found[pair]]
    [('a1', 'b1'), ('a2', 'b2')]
    """
    found = {}
    for a, b in pairs:
        sides = trainings[a.model], trainings[b.model]
        single = min(map(len, sides)) == 1 and a.model != b.model
        names = product(*sides) if single else zip(*sides, strict=False)
        found[a, b] = [(View(one, a.noise), View(two, b.noise)) for one, two in names]
    return found


def over_training(models: Mapping[str, Sequence[str]], noises: Sequence[str]) -> list[Pair]:
    """The pairs of a training's snapshots: each under two noises, and each with the last.

    Args:
        models: snapshots by run, in the order of their steps.
        noises: the reference first.

    Returns:
        Each model under the reference against itself under every other noise; then each but the
        last of its run under the reference against the last.
    """
    first, *others = noises
    own = [
        (View(model, first), View(model, noise))
        for snapshots in models.values()
        for model in snapshots
        for noise in others
    ]
    last = [
        (View(model, first), View(snapshots[-1], first))
        for snapshots in models.values()
        for model in snapshots[:-1]
    ]
    return [*own, *last]
