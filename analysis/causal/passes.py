"""The passes of causal tracing: estimates first, then exact patches, then ablations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from analysis.causal import branches as causal_branches
from analysis.causal import patching, screening, traced
from analysis.causal.ablation import ablations
from analysis.causal.traced import Results
from analysis.causal.units import Unit, Units
from analysis.engine import run as engine_run
from analysis.engine.observer import View

if TYPE_CHECKING:
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder

PIXELS = 2**14
"""Pixels that go through a network together: features of all branches are held in memory."""


def collect(job: AnalysisJob, folder: RunFolder | None = None) -> Results:
    """All numbers of a run; called in every process.

    Args:
        job: planned.
        folder: keeps finished units until the run is finished; None for memory.
    """
    inputs, settings = job.inputs, job.settings
    found = {
        name: causal_branches.find(model, settings.kinds, settings.groups)
        for name, model in inputs.models.items()
    }
    size = settings.batch_size or max(1, PIXELS // settings.crop**2)
    units = Units(job, found, engine_run.batches(inputs.crops, size), folder)
    others = units.under(inputs.specs[1:])
    screened = units.collect("estimate", others, lambda unit: estimate(units, unit), lambda _: None)
    chosen = screening.choose(screened, inputs, settings)

    def of(unit: Unit) -> dict[int, str]:
        return chosen[View(unit[0], unit[1])]

    patched = units.collect("patch", others, lambda unit: exact(units, unit, list(of(unit))), of)
    views = {
        view: traced.together(screened[view], patched[view], chosen[view]) for view in screened
    }
    return Results(found, views, ablations(units, chosen) if settings.ablation else {})


def estimate(units: Units, unit: Unit) -> dict[str, Tensor]:
    """Errors of both runs, estimates of all branches, and which branches are the same in both."""
    model, branches = units.network(unit)
    here, there = units.given(unit, unit[1]), units.given(unit, units.inputs.specs[0])
    a, b = (patching.record(model, given, branches) for given in (there, here))
    same = [
        all(
            torch.equal(branch.part(x), branch.part(y))
            for x, y in zip(a.values[spot], b.values[spot], strict=True)
        )
        for branch in branches
        for spot in [(branch.path, branch.side)]
    ]
    return {
        "reference": there.errors(a.output).cpu(),
        "error": here.errors(b.output).cpu(),
        "estimates": patching.estimates(model, here, branches, a.values),
        "unchanged": torch.tensor(same),
        "depth": patching.depths(b, branches),
    }


def exact(units: Units, unit: Unit, chosen: Sequence[int]) -> dict[str, Tensor]:
    """Errors with chosen branches patched, one by one, and with all of a kind at once."""
    model, branches = units.network(unit)
    here, there = units.given(unit, unit[1]), units.given(unit, units.inputs.specs[0])
    a = patching.record(model, there, branches)
    b = patching.record(model, here, branches, around=True)
    errors, cuts = [], []
    for i in chosen:
        output = patching.patched(model, here, [branches[i]], a.values, b)
        errors.append(here.errors(output).cpu())
        cuts.append(is_whole(output - a.output, here.noisy - there.noisy))
    found = {
        "errors": torch.stack(errors) if errors else torch.empty(0, len(here.noisy)),
        "cuts": torch.tensor(cuts, dtype=torch.bool),
    }
    for kind, numbers in causal_branches.groups(branches).items():
        own = [branches[i] for i in numbers]
        output = patching.patched(model, here, own, a.values, b)
        found[f"together/{kind}"] = here.errors(output).cpu()
        cut = is_whole(output - a.output, here.noisy - there.noisy)
        found[f"cut/{kind}"] = torch.tensor([cut])
    return found


def is_whole(to_reference: Tensor, inputs: Tensor) -> bool:
    """Whether a patched run returns what run A does, or differs from it as the inputs do.

    Then the branch is a cut through the network, or through all of it but a skip from input to
    output.

    Args:
        to_reference: (B, C, H, W), output of the patched run minus that of run A.
        inputs: noisy images of run B minus those of run A.
    """
    size = float(inputs.abs().max())
    rest = min(float(to_reference.abs().max()), float((to_reference - inputs).abs().max()))
    return rest <= 1e-4 * size
