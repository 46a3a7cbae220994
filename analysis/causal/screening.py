"""Which branches are patched: all of a small network, else those with large estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from analysis.causal.settings import SMALL, TOP, CausalSettings
from analysis.causal.traced import Tensors
from analysis.engine.observer import View
from mtd.utils import seeds

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs


def pick(estimates: Tensor, settings: CausalSettings, name: str) -> dict[int, str]:
    """Which branches are patched, and why; see `Traced.chosen`.

    Args:
        estimates: (branches, crops).
        settings: of the run.
        name: of the model and noise, for the random ones.
    """
    count, most = len(estimates), settings.confirm or TOP
    if count <= (SMALL if settings.confirm is None else 2 * most):
        return dict.fromkeys(range(count), "exact")
    size = estimates.sum(1).abs().nan_to_num(0.0)
    ranked = size.argsort(descending=True, stable=True).tolist()
    rest = sorted(ranked[most:])
    stream = seeds.generator("patched at random", settings.seed, name)
    drawn = [rest[i] for i in torch.randperm(len(rest), generator=stream)[:most].tolist()]
    found = dict.fromkeys(ranked[:most], "top") | dict.fromkeys(drawn, "random")
    return {i: found[i] for i in sorted(found)}


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
