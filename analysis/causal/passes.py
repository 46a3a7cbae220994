"""The passes of causal tracing: estimates first, then exact patches, then ablations.

A unit of work is a network under a noise on a batch of crops; its tensors hold a number for each
branch and crop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from analysis.causal import branches as causal_branches
from analysis.causal import patching
from analysis.causal.branches import Branch, channel_axis
from analysis.causal.settings import SMALL, TOP, CausalSettings
from analysis.commands import units
from analysis.engine import forward as engine_forward
from analysis.engine import run as engine_run
from analysis.engine.network_input import NetworkInput
from analysis.engine.observer import View
from analysis.engine.recorded_run import ancestors
from mtd.utils import seeds

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import Batch

PIXELS = 2**14
"""Pixels that go through a network together: features of all branches are held in memory."""

ALL = "all"
"""All branches of a network, patched together."""

Tensors = Mapping[str, Tensor]
Unit = tuple[str, str, int]
"""Network, noise and number of the batch."""


class Traced(NamedTuple):
    """What was computed of a network under a noise.

    Attributes:
        reference: (crops,) error under the reference noise, in squared 8-bit levels.
        error: (crops,) error under the noise.
        estimates: (branches, crops) change of the error by attribution patching.
        unchanged: (branches,) whether a branch is the same under both noises.
        depth: (branches,) place in the order in which branches are computed.
        exact: error of the patched run, (crops,), by branch.
        whole: branches that are a cut through the whole network.
        together: error with all branches of a kind patched at once, (crops,), by kind and `ALL`.
        chosen: why a branch was patched: `exact`, or of a screened network `top` or `random`.
    """

    reference: Tensor
    error: Tensor
    estimates: Tensor
    unchanged: Tensor
    depth: Tensor
    exact: Mapping[int, Tensor]
    whole: frozenset[int]
    together: Mapping[str, Tensor]
    chosen: Mapping[int, str]


class Ablated(NamedTuple):
    """What branches do under a noise.

    Attributes:
        error: (crops,) of the network, in squared 8-bit levels.
        without: (branches, crops), of the network with a branch replaced by its mean.
        chosen: the branches' numbers.
        depth: (branches of the network,) place in the order in which branches are computed.
    """

    error: Tensor
    without: Tensor
    chosen: Sequence[int]
    depth: Tensor


class Results(NamedTuple):
    """All that the tables are made of.

    Attributes:
        branches: of each network.
        traced: by network and noise other than the reference.
        ablated: by network and noise; none without ablation.
    """

    branches: Mapping[str, list[Branch]]
    traced: Mapping[View, Traced]
    ablated: Mapping[View, Ablated]


@dataclass(frozen=True)
class Pass:
    """The units of one run.

    Attributes:
        job: planned.
        branches: of each network.
        batches: of the crops.
        folder: keeps finished units; None for memory.
        quiet: no bar and no messages.
    """

    job: AnalysisJob
    branches: Mapping[str, list[Branch]]
    batches: Sequence[Batch]
    folder: RunFolder | None
    quiet: bool

    @property
    def inputs(self) -> RunInputs:
        """The networks, noises and crops."""
        return self.job.inputs

    @property
    def settings(self) -> CausalSettings:
        """The settings of the run."""
        settings: CausalSettings = self.job.settings
        return settings

    def given(self, unit: Unit, noise: str) -> NetworkInput:
        """What a unit's network is given under a noise."""
        network, _, number = unit
        how, batch = self.inputs.forward, self.batches[number]
        of = next(one for one in self.inputs.noises if one.spec == noise)
        noisy = engine_forward.make_noisy_batch(of, batch, how)
        return NetworkInput.of(self.inputs.models[network], noisy, how)

    def collect(
        self,
        name: str,
        units_: Sequence[Unit],
        make: Callable[[Unit], dict[str, Tensor]],
        about: Callable[[Unit], Any],
    ) -> dict[View, list[Tensors]]:
        """The tensors of units by network and noise, batch by batch."""
        first = self.inputs.specs[0]

        def key(unit: Unit) -> dict[str, Any]:
            network, noise, number = unit
            crops = self.batches[number].crops
            under = [units.key_of(self.inputs, View(network, n), crops) for n in (first, noise)]
            names = [list(branch) for branch in self.branches[network]]
            return {"step": name, "runs": under, "branches": names, "about": about(unit)}

        found = units.collect(self.job, units_, key, make, self.folder, quiet=self.quiet, name=name)
        by_view: dict[View, list[Tensors]] = {}
        for (network, noise, _), tensors in found.items():
            by_view.setdefault(View(network, noise), []).append(tensors)
        return by_view

    def units(self, noises: Sequence[str]) -> list[Unit]:
        """All units under some noises."""
        return [
            (network, noise, number)
            for number in range(len(self.batches))
            for noise in noises
            for network in self.inputs.models
        ]

    def estimate(self, unit: Unit) -> dict[str, Tensor]:
        """Errors of both runs, estimates of all branches, and the sums that means are made of."""
        network, noise, _ = unit
        model, branches = self.inputs.models[network], self.branches[network]
        here, there = self.given(unit, noise), self.given(unit, self.inputs.specs[0])
        a, b = (patching.record(model, batch, branches) for batch in (there, here))
        same = [
            all(
                torch.equal(branch.part(x), branch.part(y))
                for x, y in zip(a.values[spot], b.values[spot], strict=True)
            )
            for branch in branches
            for spot in [(branch.path, branch.side)]
        ]
        order = sorted(range(len(branches)), key=lambda i: b.starts[branches[i].path])
        depth = torch.empty(len(branches), dtype=torch.int64)
        depth[order] = torch.arange(len(branches))
        return {
            "reference": there.errors(a.output).cpu(),
            "error": here.errors(b.output).cpu(),
            "estimates": patching.estimates(model, here, branches, a.values),
            "unchanged": torch.tensor(same),
            "depth": depth,
        }

    def exact(self, unit: Unit, chosen: Sequence[int]) -> dict[str, Tensor]:
        """Errors with chosen branches patched, one by one, and with all of a kind at once."""
        network, noise, _ = unit
        model, branches = self.inputs.models[network], self.branches[network]
        here, there = self.given(unit, noise), self.given(unit, self.inputs.specs[0])
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
        for kind, numbers in groups(branches).items():
            own = [branches[i] for i in numbers]
            output = patching.patched(model, here, own, a.values, b)
            found[f"together/{kind}"] = here.errors(output).cpu()
        return found

    def sums(self, unit: Unit) -> dict[str, Tensor]:
        """Sums of each branch's channels over positions and crops, and how many positions."""
        network, noise, _ = unit
        model, branches = self.inputs.models[network], self.branches[network]
        run = patching.record(model, self.given(unit, noise), branches)
        found = {}
        for i, branch in enumerate(branches):
            for call, value in enumerate(run.values[branch.path, branch.side]):
                part = branch.part(value).double().movedim(channel_axis(value), -1)
                rows = part.reshape(-1, part.shape[-1])
                found[f"{i}/{call}"] = torch.cat([rows.sum(0).cpu(), torch.tensor([len(rows)])])
        order = sorted(range(len(branches)), key=lambda i: run.starts[branches[i].path])
        depth = torch.empty(len(branches), dtype=torch.int64)
        depth[order] = torch.arange(len(branches))
        return {**found, "depth": depth}

    def ablate(self, unit: Unit, means: Tensors, chosen: Sequence[int]) -> dict[str, Tensor]:
        """Errors with chosen branches replaced by their channels' means."""
        network, noise, _ = unit
        model, branches = self.inputs.models[network], self.branches[network]
        here = self.given(unit, noise)
        run = patching.record(model, here, branches, around=True)
        errors = []
        for i in chosen:
            branch = branches[i]
            spot = (branch.path, branch.side)
            values = [
                filled(branch, value, means[f"{i}/{call}"])
                for call, value in enumerate(run.values[spot])
            ]
            output = patching.patched(model, here, [branch], {spot: values}, run)
            errors.append(here.errors(output).cpu())
        return {"error": here.errors(run.output).cpu(), "without": torch.stack(errors)}


def is_whole(to_reference: Tensor, inputs: Tensor) -> bool:
    """Whether a patched run returns what run A does, or differs from it as the inputs do.

    Then the branch is a cut through the network, or through all of it but a skip from input to
    output.

    Args:
        to_reference: (B, 3, H, W), output of the patched run minus that of run A.
        inputs: noisy images of run B minus those of run A.
    """
    size = float(inputs.abs().max())
    rest = min(float(to_reference.abs().max()), float((to_reference - inputs).abs().max()))
    return rest <= 1e-4 * size


def filled(branch: Branch, value: Tensor, mean: Tensor) -> Tensor:
    """A layer's tensor with a branch's channels at their means."""
    changed = value.clone()
    part = branch.part(changed)
    shape = [1] * part.ndim
    shape[channel_axis(value)] = -1
    part.copy_(mean.to(part).view(shape).expand_as(part))
    return changed


def groups(branches: Sequence[Branch]) -> dict[str, list[int]]:
    """Branches that are patched together: those of each kind, and all but parts of others."""
    found: dict[str, list[int]] = {}
    for i, branch in enumerate(branches):
        found.setdefault(branch.kind, []).append(i)
    if len(found) == 1:
        return found
    whole = {branch.path for branch in branches if branch.start is None}
    free = [i for i, branch in enumerate(branches) if not is_inside(branch, whole)]
    return {**found, ALL: free}


def is_inside(branch: Branch, whole: Collection[str]) -> bool:
    """Whether a branch is a part of a module whose whole output is patched."""
    own = [branch.path] if branch.start is not None else []
    return any(path in whole for path in [*own, *ancestors(branch.path)])


def pick(estimates: Tensor, settings: CausalSettings, name: str) -> dict[int, str]:
    """Which branches are patched, and why; see `Traced.chosen`.

    Args:
        estimates: (branches, crops).
        settings: of the run.
        name: of the model and noise, for the random ones.
    """
    count = len(estimates)
    if settings.confirm is None and count <= SMALL:
        return dict.fromkeys(range(count), "exact")
    most = settings.confirm or TOP
    size = estimates.sum(1).abs().nan_to_num(0.0)
    ranked = size.argsort(descending=True, stable=True).tolist()
    rest = sorted(ranked[most:])
    stream = seeds.generator("patched at random", settings.seed, name)
    drawn = [rest[i] for i in torch.randperm(len(rest), generator=stream)[:most].tolist()]
    found = dict.fromkeys(ranked[:most], "top") | dict.fromkeys(drawn, "random")
    return {i: found[i] for i in sorted(found)}


def collect(job: AnalysisJob, folder: RunFolder | None = None, *, quiet: bool = False) -> Results:
    """All numbers of a run; called in every process.

    Args:
        job: planned.
        folder: keeps finished units until the run is finished; None for memory.
        quiet: no bar and no messages.
    """
    inputs, settings = job.inputs, job.settings
    found = {
        name: causal_branches.find(model, settings.kinds, settings.groups)
        for name, model in inputs.models.items()
    }
    size = settings.batch_size or max(1, PIXELS // settings.crop**2)
    batches = engine_run.batches(inputs.crops, size)
    run = Pass(job, found, batches, folder, quiet)
    others = inputs.specs[1:]
    screened = run.collect("estimate", run.units(others), run.estimate, lambda _: None)
    chosen = choose(screened, inputs, settings)

    def of(unit: Unit) -> dict[int, str]:
        return chosen[View(unit[0], unit[1])]

    patched = run.collect(
        "patch", run.units(others), lambda unit: run.exact(unit, list(of(unit))), of
    )
    traced = {view: together(screened[view], patched[view], chosen[view]) for view in screened}
    return Results(found, traced, ablations(run, chosen) if settings.ablation else {})


def choose(
    screened: Mapping[View, Sequence[Tensors]], inputs: RunInputs, settings: CausalSettings
) -> dict[View, dict[int, str]]:
    """The branches that are patched, the same in all trainings of a model; see `pick`."""
    chosen: dict[View, dict[int, str]] = {}
    for model, names in inputs.trainings.items():
        for noise in inputs.specs[1:]:
            parts = [t["estimates"] for name in names for t in screened[View(name, noise)]]
            picked = pick(torch.cat(parts, 1), settings, f"{model}/{noise}")
            chosen |= {View(name, noise): picked for name in names}
    return chosen


def joined(parts: Sequence[Tensors], name: str) -> Tensor:
    """The numbers of all crops."""
    return torch.cat([part[name] for part in parts], -1)


def together(
    screened: Sequence[Tensors], patched: Sequence[Tensors], chosen: Mapping[int, str]
) -> Traced:
    """What was computed of a network under a noise, over all batches."""
    errors = joined(patched, "errors")
    kinds = [name for name in patched[0] if name.startswith("together/")]
    cut = torch.stack([part["cuts"] for part in patched]).all(0).tolist()
    return Traced(
        joined(screened, "reference"),
        joined(screened, "error"),
        joined(screened, "estimates"),
        torch.stack([part["unchanged"] for part in screened]).all(0),
        screened[0]["depth"],
        {i: errors[place] for place, i in enumerate(chosen)},
        frozenset(i for i, whole in zip(chosen, cut, strict=True) if whole),
        {name.partition("/")[2]: joined(patched, name) for name in kinds},
        chosen,
    )


def ablations(run: Pass, chosen: Mapping[View, Mapping[int, str]]) -> dict[View, Ablated]:
    """Errors with branches replaced by their means, under every noise.

    Of a screened network, only branches that are patched under some noise are replaced.
    """
    noises = run.inputs.specs
    sums = run.collect("mean", run.units(noises), run.sums, lambda _: None)
    means = {view: means_of(parts) for view, parts in sums.items()}
    picked: dict[str, list[int]] = {}
    for view, own in chosen.items():
        picked[view.model] = sorted({*picked.get(view.model, ()), *own})

    def make(unit: Unit) -> dict[str, Tensor]:
        return run.ablate(unit, means[View(unit[0], unit[1])], picked[unit[0]])

    def about(unit: Unit) -> list[Any]:
        own = means[View(unit[0], unit[1])]
        digest = hashlib.sha256(b"".join(own[name].numpy().tobytes() for name in sorted(own)))
        return [digest.hexdigest(), picked[unit[0]]]

    found = run.collect("ablate", run.units(noises), make, about)
    return {
        view: Ablated(
            joined(parts, "error"),
            joined(parts, "without"),
            picked[view.model],
            sums[view][0]["depth"],
        )
        for view, parts in found.items()
    }


def means_of(parts: Sequence[Tensors]) -> dict[str, Tensor]:
    """Means over crops and positions, from the sums of batches."""
    found = {}
    for name in parts[0]:
        if name != "depth":
            total = torch.stack([part[name] for part in parts]).sum(0)
            found[name] = total[:-1] / total[-1]
    return found
