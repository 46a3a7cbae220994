"""The passes of filter attribution: gradients along the path first, then reverted filters.

A unit of work is a crop under a noise. Photographs are cut into two halves: filters that are
reverted on the photographs of one half are chosen by those of the other half alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.causal.faig.attribution import Example, attribute, error
from analysis.causal.faig.filters import by_filter, count, exchanged
from analysis.causal.faig.pair import Pair, pair_of
from analysis.commands import units
from analysis.engine import forward as engine_forward
from analysis.engine.observer import Batch, View
from mtd.utils import seeds

if TYPE_CHECKING:
    from analysis.causal.faig.settings import FaigSettings
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder

ATTRIBUTION, CHANGE, RANDOM = "attribution", "weight change", "random"
"""By what reverted filters are chosen: F(x_A) − F(x_B), Σ |θ̄ − θ|, or at random."""

HALVES = 2

Array = NDArray[np.float64]
Unit = tuple[str, int]
"""Noise and the number of the crop."""


class Choice(NamedTuple):
    """A choice of filters.

    Attributes:
        selection: `ATTRIBUTION`, `CHANGE` or `RANDOM`.
        percent: of all filters.
        noise: A, of `ATTRIBUTION`; else empty.
        draw: of `RANDOM`, from 0.
    """

    selection: str
    percent: float
    noise: str = ""
    draw: int = 0


class Results(NamedTuple):
    """All that the tables are made of.

    Attributes:
        pair: the networks.
        signed: by noise, (crops, filters), see `attribution.Attribution`.
        absolute: by noise, (crops, filters).
        others: by noise, (crops, other parameters).
        others_absolute: by noise, (crops, other parameters).
        path: by noise, (crops, K + 2).
        as_used: by noise, (crops,) the error of the baseline with its own masks.
        reverted: by noise and choice, (crops,) the error of the twin with chosen filters of the
            baseline; none where filters are not reverted.
        change: (filters,) Σ |θ̄ − θ|.
    """

    pair: Pair
    signed: Mapping[str, Array]
    absolute: Mapping[str, Array]
    others: Mapping[str, Array]
    others_absolute: Mapping[str, Array]
    path: Mapping[str, Array]
    as_used: Mapping[str, Array]
    reverted: Mapping[str, Mapping[Choice, Array]]
    change: Array


def number_of(percent: float, filters: int) -> int:
    """How many filters a percentage is, one at least.

    >>> number_of(1, 2955), number_of(1, 10), number_of(100, 10)
    (30, 1, 10)
    """
    return max(1, round(percent / 100 * filters))


def half_of(photographs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(crops,) the half of each crop: photographs in turn."""
    return photographs % HALVES


def change_of(pair: Pair) -> Tensor:
    """(filters,) Σ |θ̄ − θ| over each filter, in float64."""
    weights = {
        layer.weight: (
            pair.baseline[layer.weight].double() - pair.twin[layer.weight].double()
        ).abs()
        for layer in pair.layers
    }
    return by_filter(weights, pair.layers).cpu()


def example(inputs: RunInputs, name: str, noise: str, i: int) -> Example:
    """A crop under a noise, as a network of the run is given it."""
    of = next(one for one in inputs.noises if one.spec == noise)
    how = inputs.forward
    noisy = engine_forward.make_noisy_batch(of, Batch(0, [inputs.crops[i]]), how)
    level = engine_forward.noise_level(inputs.models[name], noisy)
    return Example(
        noisy.noisy,
        noisy.target.to(noisy.noisy.device),
        engine_forward.mask_keys(noisy, how)[0],
        engine_forward.input_mask(noisy, how),
        None if level is None else level.to(noisy.noisy.device),
    )


def choices(noise: str, specs: Sequence[str], settings: FaigSettings) -> list[Choice]:
    """What is reverted under a noise: filters of this noise; under the reference, of every other.

    Args:
        noise: under which errors are measured.
        specs: all noises, the reference first.
        settings: of the run.
    """
    chosen_for = specs[1:] if noise == specs[0] else [noise]
    found = []
    for percent in settings.percent:
        found += [Choice(ATTRIBUTION, percent, spec) for spec in chosen_for]
        found += [Choice(CHANGE, percent)]
        found += [Choice(RANDOM, percent, draw=draw) for draw in range(settings.random)]
    return found


class Orders(NamedTuple):
    """The orders in which filters are chosen, each (filters,), the first ones first.

    Attributes:
        attribution: by noise and half that is measured.
        change: by weight change.
        random: by draw.
    """

    attribution: Mapping[tuple[str, int], Tensor]
    change: Tensor
    random: Sequence[Tensor]

    def chosen(self, choice: Choice, half: int) -> Tensor:
        """(filters,) boolean, the filters of a choice on the photographs of a half."""
        if choice.selection == ATTRIBUTION:
            order = self.attribution[choice.noise, half]
        else:
            order = self.change if choice.selection == CHANGE else self.random[choice.draw]
        found = torch.zeros(len(order), dtype=torch.bool)
        found[order[: number_of(choice.percent, len(order))]] = True
        return found

    def digest(self) -> str:
        """SHA-256 of all orders."""
        every = [*self.attribution.values(), self.change, *self.random]
        return hashlib.sha256(b"".join(order.numpy().tobytes() for order in every)).hexdigest()


def descending(values: Tensor) -> Tensor:
    """Places from the largest value to the smallest; of equal ones the first, NaN as 0."""
    return values.nan_to_num(0.0).argsort(descending=True, stable=True)


def orders(
    absolute: Mapping[str, Array], inputs: RunInputs, pair: Pair, settings: FaigSettings
) -> Orders:
    """The orders of filters, those by attribution from the photographs of the other half.

    Args:
        absolute: by noise, (crops, filters).
        inputs: of the run.
        pair: the networks.
        settings: of the run.
    """
    first, *specs = inputs.specs
    half = half_of(inputs.photographs)
    by_attribution = {
        (spec, own): descending(
            torch.from_numpy((absolute[spec] - absolute[first])[half != own].mean(0))
        )
        for spec in specs
        for own in range(HALVES)
    }
    total = count(pair.layers)
    drawn = [
        torch.randperm(total, generator=seeds.generator("reverted at random", settings.seed, draw))
        for draw in range(settings.random)
    ]
    return Orders(by_attribution, descending(change_of(pair)), drawn)


def collect(job: AnalysisJob, folder: RunFolder | None = None, *, quiet: bool = False) -> Results:
    """All numbers of a run; called in every process.

    Args:
        job: planned.
        folder: keeps finished units until the run is finished; None for memory.
        quiet: no bar and no messages.
    """
    inputs, settings = job.inputs, job.settings
    pair = pair_of(inputs)
    entries = [(noise, i) for i in range(len(inputs.crops)) for noise in inputs.specs]

    def gathered(
        name: str, make: Callable[[Unit], dict[str, Tensor]], about: Any
    ) -> dict[str, list[dict[str, Tensor]]]:
        """The tensors of every unit by noise, crop by crop."""

        def key(unit: Unit) -> dict[str, Any]:
            noise, i = unit
            runs = [units.key_of(inputs, View(n, noise), [inputs.crops[i]]) for n in pair.names]
            return {"step": name, "runs": runs, "about": about}

        found = units.collect(job, entries, key, make, folder, quiet=quiet, name=name)
        return {
            noise: [found[noise, i] for i in range(len(inputs.crops))] for noise in inputs.specs
        }

    made = gathered(
        "gradient", lambda unit: gradients(inputs, pair, unit, settings), settings.steps
    )
    by_name = {
        name: {
            noise: np.stack([one[name].numpy() for one in parts]) for noise, parts in made.items()
        }
        for name in ("signed", "absolute", "others", "others_absolute", "path", "as_used")
    }
    errors: dict[str, dict[Choice, Array]] = {}
    if settings.reverting and inputs.photographs.max() > 0:
        order = orders(by_name["absolute"], inputs, pair, settings)
        about = [order.digest(), list(settings.percent)]
        parts = gathered("revert", lambda unit: revert(inputs, pair, unit, order, settings), about)
        for noise in inputs.specs:
            table = np.stack([one["errors"].numpy() for one in parts[noise]])
            of = choices(noise, inputs.specs, settings)
            errors[noise] = {choice: table[:, place] for place, choice in enumerate(of)}
    return Results(pair, **by_name, reverted=errors, change=change_of(pair).numpy())


def gradients(
    inputs: RunInputs, pair: Pair, unit: Unit, settings: FaigSettings
) -> dict[str, Tensor]:
    """The attributions of a crop under a noise, and the error of the baseline as it is used."""
    noise, i = unit
    first, second = pair.names
    of = attribute(
        pair.network,
        example(inputs, second, noise, i),
        pair.baseline,
        pair.twin,
        pair.layers,
        settings.steps,
    )
    with torch.no_grad():
        used = error(inputs.models[first], example(inputs, first, noise, i), pair.baseline)
    return {**of._asdict(), "as_used": used.cpu()}


def revert(
    inputs: RunInputs, pair: Pair, unit: Unit, order: Orders, settings: FaigSettings
) -> dict[str, Tensor]:
    """The error of the twin with chosen filters of the baseline, for every choice."""
    noise, i = unit
    half = int(half_of(inputs.photographs)[i])
    given = example(inputs, pair.names[1], noise, i)
    found = []
    with torch.no_grad():
        for choice in choices(noise, inputs.specs, settings):
            chosen = order.chosen(choice, half)
            mixed = exchanged(pair.twin, pair.baseline, pair.layers, chosen)
            found.append(error(pair.network, given, mixed).cpu())
    return {"errors": torch.stack(found)}
