"""Mean ablation: branches replaced by their channels' means over crops and positions.

The means are those under the same noise, (C,) for a branch of C channels; every position of every
crop gets them, so that what is lost is all that varies, over images and within them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from analysis.causal import patching
from analysis.causal.branches import Branch, channel_axis
from analysis.causal.traced import Ablated, Tensors, joined
from analysis.causal.units import Unit, Units
from analysis.engine.observer import View
from analysis.stats.arrays import double


def ablations(units: Units, chosen: Mapping[View, Mapping[int, str]]) -> dict[View, Ablated]:
    """Errors with branches replaced by their means, under every noise.

    Of a screened network, only branches that are patched under some noise are replaced.
    """
    every = units.under(units.inputs.specs)
    sums = units.collect("mean", every, lambda unit: sums_of(units, unit), lambda _: None)
    means = {view: means_of(parts) for view, parts in sums.items()}
    picked: dict[str, list[int]] = {}
    for view, own in chosen.items():
        picked[view.model] = sorted({*picked.get(view.model, ()), *own})

    def make(unit: Unit) -> dict[str, Tensor]:
        return ablate(units, unit, means[View(unit[0], unit[1])], picked[unit[0]])

    def about(unit: Unit) -> list[Any]:
        own = means[View(unit[0], unit[1])]
        digest = hashlib.sha256(b"".join(own[name].numpy().tobytes() for name in sorted(own)))
        return [digest.hexdigest(), picked[unit[0]]]

    return {
        view: Ablated(
            joined(parts, "error"),
            joined(parts, "without"),
            picked[view.model],
            sums[view][0]["depth"],
        )
        for view, parts in units.collect("ablate", every, make, about).items()
    }


def sums_of(units: Units, unit: Unit) -> dict[str, Tensor]:
    """Sums of each branch's channels over positions and crops, and how many positions."""
    model, branches = units.network(unit)
    run = patching.record(model, units.given(unit, unit[1]), branches)
    found = {}
    for i, branch in enumerate(branches):
        for call, value in enumerate(run.values[branch.path, branch.side]):
            part = double(branch.part(value)).movedim(channel_axis(value), -1)
            rows = part.reshape(-1, part.shape[-1])
            found[f"{i}/{call}"] = torch.cat([rows.sum(0).cpu(), torch.tensor([len(rows)])])
    return {**found, "depth": patching.depths(run, branches)}


def means_of(parts: Sequence[Tensors]) -> dict[str, Tensor]:
    """Means over crops and positions, from the sums of batches."""
    found = {}
    for name in parts[0]:
        if name != "depth":
            total = torch.stack([part[name] for part in parts]).sum(0)
            found[name] = total[:-1] / total[-1]
    return found


def ablate(units: Units, unit: Unit, means: Tensors, chosen: Sequence[int]) -> dict[str, Tensor]:
    """Errors with chosen branches replaced by their channels' means."""
    model, branches = units.network(unit)
    given = units.given(unit, unit[1])
    run = patching.record(model, given, branches, around=True)
    errors = []
    for i in chosen:
        branch = branches[i]
        spot = (branch.path, branch.side)
        values = [
            filled(branch, value, means[f"{i}/{call}"])
            for call, value in enumerate(run.values[spot])
        ]
        output = patching.patched(model, given, [branch], {spot: values}, run)
        errors.append(given.errors(output).cpu())
    return {"error": given.errors(run.output).cpu(), "without": torch.stack(errors)}


def filled(branch: Branch, value: Tensor, mean: Tensor) -> Tensor:
    """A layer's tensor with a branch's channels at their means."""
    changed = value.clone()
    part = branch.part(changed)
    shape = [1] * part.ndim
    shape[channel_axis(value)] = -1
    part.copy_(mean.to(part).view(shape).expand_as(part))
    return changed
