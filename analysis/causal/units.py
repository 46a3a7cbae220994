"""The units of work of causal tracing: a network under a noise on a batch of crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from analysis.causal.branches import Branch
from analysis.causal.traced import Tensors
from analysis.commands import units as command_units
from analysis.engine import forward as engine_forward
from analysis.engine.network_input import NetworkInput
from analysis.engine.observer import View

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import Batch

Unit = tuple[str, str, int]
"""Network, noise and number of the batch; its tensors hold a number for each branch and crop."""


@dataclass(frozen=True)
class Units:
    """The units of one run, and the branches and batches that they consist of.

    Attributes:
        job: planned.
        branches: of each network.
        batches: of the crops.
        folder: keeps finished units; None for memory.
    """

    job: AnalysisJob
    branches: Mapping[str, list[Branch]]
    batches: Sequence[Batch]
    folder: RunFolder | None

    @property
    def inputs(self) -> RunInputs:
        """The networks, noises and crops."""
        return self.job.inputs

    def network(self, unit: Unit) -> tuple[nn.Module, list[Branch]]:
        """A unit's network, and its branches."""
        return self.inputs.models[unit[0]], self.branches[unit[0]]

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
        units: Sequence[Unit],
        make: Callable[[Unit], dict[str, Tensor]],
        about: Callable[[Unit], Any],
    ) -> dict[View, list[Tensors]]:
        """The tensors of units by network and noise, batch by batch."""
        first = self.inputs.specs[0]

        def key(unit: Unit) -> dict[str, Any]:
            network, noise, number = unit
            crops = self.batches[number].crops
            under = [
                command_units.key_of(self.inputs, View(network, n), crops) for n in (first, noise)
            ]
            names = [list(branch) for branch in self.branches[network]]
            return {"step": name, "runs": under, "branches": names, "about": about(unit)}

        found = command_units.collect(self.job, units, key, make, self.folder, name=name)
        by_view: dict[View, list[Tensors]] = {}
        for (network, noise, _), tensors in found.items():
            by_view.setdefault(View(network, noise), []).append(tensors)
        return by_view

    def under(self, noises: Sequence[str]) -> list[Unit]:
        """All units under some noises."""
        return [
            (network, noise, number)
            for number in range(len(self.batches))
            for noise in noises
            for network in self.inputs.models
        ]
