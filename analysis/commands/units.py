"""The pass of an analysis that needs more than one forward pass: gradients, or patched layers.

Its work is cut into units, such as a model under a noise on a crop, each with a key that holds
everything that decides its numbers. Units are shared among processes, and those of an interrupted
run are read from its cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from analysis.commands.network_pass import PASS, STATISTICS
from analysis.engine.cache import ActivationCache
from mtd.data.recorded_noise import Recorded
from mtd.utils import progress

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import View
    from mtd.data.crops import Crop

Unit = TypeVar("Unit")
Tensors = dict[str, Tensor]


def collect(
    job: AnalysisJob,
    units: Sequence[Unit],
    key: Callable[[Unit], Mapping[str, Any]],
    make: Callable[[Unit], Tensors],
    folder: RunFolder | None = None,
    *,
    name: str = "unit",
) -> dict[Unit, Tensors]:
    """The tensors of every unit, in order; called in every process.

    Args:
        job: planned.
        units: hashable, in the order of the result.
        key: everything that decides a unit's tensors, ready for JSON; see `key_of`.
        make: computes them, on the CPU.
        folder: keeps finished units until the run is finished; None for memory.
        name: of a unit, in the progress.
    """
    ranks = job.inputs.ranks
    cache = folder.cache if folder is not None else ActivationCache()
    own: dict[Unit, Tensors] = {}
    numbers = ranks.indices_for_rank(len(units))
    for number in progress.track(numbers, len(numbers), PASS, f"{name}s"):
        unit = units[number]
        about = {job.name: job.analysis.version, **key(unit)}
        cached = cache.get(about)
        own[unit] = (cached if cached is not None else cache.put(about, make(unit))).tensors()
    progress.step(STATISTICS)
    gathered: dict[Unit, Tensors] = {}
    for part in ranks.gather(own):
        gathered |= part
    return {unit: gathered[unit] for unit in units}


def key_of(inputs: RunInputs, view: View, crops: Sequence[Crop]) -> dict[str, Any]:
    """Everything that decides a network's noisy input and output on crops, for the key of a unit.

    Args:
        inputs: of the run.
        view: the network under the noise.
        crops: that go through it.
    """
    noise = next(noise for noise in inputs.noises if noise.spec == view.noise)
    recorded = noise.digest(list(crops)) if isinstance(noise, Recorded) else None
    how = inputs.forward
    return {
        "model": [view.model, how.identity.get(view.model)],
        "noise": [view.noise, recorded, how.seed, how.drawing.key],
        "masks": [how.pairing, how.input_mask] if how.input_mask else how.pairing,
        "run": torch.device(how.device).type,
        "crops": [crop.digest for crop in crops],
    }
