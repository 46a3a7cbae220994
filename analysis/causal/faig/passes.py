"""The passes of filter attribution: gradients along the path first, then reverted filters.

A unit of work is a crop under a noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.causal.faig.attribution import attribute, error
from analysis.causal.faig.choices import Choice, Orders, change_of, choices, half_of, orders
from analysis.causal.faig.filters import exchanged
from analysis.causal.faig.pair import Pair, pair_of
from analysis.commands import units
from analysis.engine.forward import make_noisy_batch
from analysis.engine.network_input import NetworkInput
from analysis.engine.observer import Batch, View

if TYPE_CHECKING:
    from analysis.causal.faig.settings import FaigSettings
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder

Array = NDArray[np.float64]
Unit = tuple[str, int]
"""Noise and the number of the crop."""


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


def example(inputs: RunInputs, name: str, noise: str, i: int) -> NetworkInput:
    """A crop under a noise, as a network of the run is given it."""
    of = next(one for one in inputs.noises if one.spec == noise)
    noisy = make_noisy_batch(of, Batch(0, [inputs.crops[i]]), inputs.forward)
    return NetworkInput.of(inputs.models[name], noisy, inputs.forward)


def collect(job: AnalysisJob, folder: RunFolder | None = None) -> Results:
    """All numbers of a run; called in every process.

    Args:
        job: planned.
        folder: keeps finished units until the run is finished; None for memory.
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

        found = units.collect(job, entries, key, make, folder, name=name)
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
