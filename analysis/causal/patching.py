"""A run of a network with features of another run in place of its own, and estimates of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from analysis.causal.branches import Branch
from analysis.engine import recorded_run
from analysis.engine.network_input import WHITE, NetworkInput
from analysis.engine.recorded_run import RecordedRun, Replacement, Spot
from analysis.stats.arrays import double
from mtd.utils.errors import BadInput

Values = Mapping[Spot, Sequence[Tensor]]
"""Recorded values, call by call."""


def spots_of(branches: Sequence[Branch]) -> list[Spot]:
    """The values that branches are parts of, each once."""
    return list(dict.fromkeys((branch.path, branch.side) for branch in branches))


def record(
    model: nn.Module, given: NetworkInput, branches: Sequence[Branch], around: bool = False
) -> RecordedRun:
    """A run, with the values of its branches; see `recorded_run.record`.

    Raises:
        BadInput: a layer that is not called, or returns no tensor.
    """
    run = recorded_run.record(model, given, spots_of(branches), around)
    for path, side in spots_of(branches):
        if kind := run.refused.get((path, side)):
            raise BadInput(
                f"layer {path!r} has a {kind} as {side}, expected a tensor: choose other --branches"
            )
    return run


def depths(run: RecordedRun, branches: Sequence[Branch]) -> Tensor:
    """(branches,), the place of each in the order in which they are computed."""
    order = sorted(range(len(branches)), key=lambda i: run.starts[branches[i].path])
    depth = torch.empty(len(branches), dtype=torch.int64)
    depth[order] = torch.arange(len(branches))
    return depth


def patched(
    model: nn.Module,
    given: NetworkInput,
    branches: Sequence[Branch],
    values: Values,
    base: RecordedRun | None = None,
) -> Tensor:
    """The output of a run in which branches have given values; see `recorded_run.run_with`.

    Args:
        model: the network.
        given: what goes in.
        branches: that are replaced together.
        values: recorded by `record`, or made like these.
        base: the same run without patches; None computes all again.

    Raises:
        BadInput: a layer that is not called as often as in the recorded run.
    """
    of: dict[Spot, list[Branch]] = {}
    for branch in branches:
        of.setdefault((branch.path, branch.side), []).append(branch)
    replacements = {spot: replacement(own, values[spot]) for spot, own in of.items()}
    return recorded_run.run_with(model, given, replacements, base)


def replacement(branches: Sequence[Branch], values: Sequence[Tensor]) -> Replacement:
    """What replaces the value that branches are parts of, or the whole of."""
    if any(branch.start is None for branch in branches):
        return Replacement(values)

    def put(own: Tensor, value: Tensor) -> Tensor:
        for branch in branches:
            own = branch.put(own, value)
        return own

    return Replacement(values, put)


def estimates(
    model: nn.Module, given: NetworkInput, branches: Sequence[Branch], values: Values
) -> Tensor:
    """Attribution patching: what patching would change in the error, to first order.

    L_B←A − L_B ≈ Σ (h_A − h_B) · ∂L_B/∂h over a branch's features h, for all branches in one
    backward pass.

    Args:
        model: the network.
        given: of run B.
        branches: of the network.
        values: of run A, see `record`.

    Returns:
        (branches, B) in squared 8-bit levels, below 0 where patching would lower the error; 0 where
        the error does not depend on a branch, NaN where features are not grouped by image.

    Reference: Nanda, *Attribution Patching: Activation Patching at Industrial Scale*, 2023; Syed,
    Rager and Conmy, *Attribution Patching Outperforms Automated Circuit Discovery*, arXiv
    2310.10348.
    """
    kept, slopes = gradients(model, given, spots_of(branches))
    images = len(given.noisy)
    rows = []
    for branch in branches:
        spot = (branch.path, branch.side)
        total = torch.zeros(images, dtype=torch.float64)
        for own, slope, other in zip(kept[spot], slopes[spot], values[spot], strict=True):
            if len(own) % images:
                total += torch.nan
            elif slope is not None:
                change = double(branch.part(other - own)) * double(branch.part(slope))
                total += change.reshape(images, -1).sum(1).cpu()
        rows.append(total)
    return torch.stack(rows)


def gradients(
    model: nn.Module, given: NetworkInput, spots: Sequence[Spot]
) -> tuple[dict[Spot, list[Tensor]], dict[Spot, list[Tensor | None]]]:
    """Values h at some spots, and ∂L/∂h of each image's error L, call by call.

    The gradient is None where the error does not depend on a value.
    """
    kept: dict[Spot, list[Tensor]] = {}

    def keep(spot: Spot, value: Tensor) -> Tensor:
        kept.setdefault(spot, []).append(value)
        return value.clone()  # which a later layer may change in place

    with torch.enable_grad(), recorded_run.hooked(model) as stack:
        recorded_run.watch(model, spots, keep, stack)
        output = given.run(model, given.noisy.clone().requires_grad_())
        loss = (WHITE * (output - given.target)).square().mean((1, 2, 3)).sum()
        needed = [value for calls in kept.values() for value in calls if value.requires_grad]
        found = torch.autograd.grad(loss, needed, allow_unused=True) if needed else ()
    slope_of = {id(value): slope for value, slope in zip(needed, found, strict=True)}
    slopes = {spot: [slope_of.get(id(value)) for value in calls] for spot, calls in kept.items()}
    return {spot: [value.detach() for value in calls] for spot, calls in kept.items()}, slopes
