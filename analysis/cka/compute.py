"""From settings to an observer, and from its result to the tables of a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analysis.cka import hsic, view_pairs
from analysis.cka import tables as cka_tables
from analysis.cka.observer import Comparison, Representations
from analysis.cka.other_measures import MEASURES
from analysis.cka.settings import STEADY, CKASettings
from analysis.cka.tables import Block
from analysis.cka.view_pairs import Pair
from analysis.commands.inputs import RunInputs, choose_layers
from analysis.commands.job import AnalysisJob
from analysis.engine.layers import is_output, last_quarter, module_path
from analysis.engine.observer import Batch, View
from analysis.engine.run import batches
from analysis.stats import permutation
from mtd.data.crops import Crop
from mtd.networks.layer_roles import LayerRoles
from mtd.utils.distributed import Ranks

BATCH = {"position": 16, "image": 64}
"""Crops of a batch, by sample unit."""


def make_batches(crops: Sequence[Crop], settings: CKASettings) -> list[Batch]:
    """Batches of crops, none too small for the estimator."""
    by_image = settings.unit == "image"
    if by_image and settings.estimator != "minibatch":
        return batches(crops, len(crops))
    least = 2 if settings.estimator == "biased" else 4
    per_batch = least if by_image else -(-least // settings.positions)
    return batches(crops, settings.batch_size or BATCH[settings.sample_unit], per_batch)


def observer(
    inputs: RunInputs, settings: CKASettings, together: Sequence[Batch]
) -> Representations:
    """The observer for completed settings."""
    smallest = min(len(batch.crops) for batch in together)
    small = settings.estimator == "minibatch" and smallest < STEADY
    return Representations(
        choose_layers(inputs.models, settings.layers),
        unit=settings.sample_unit,
        positions=settings.positions,
        centering=settings.centering,
        seed=settings.seed,
        estimator=settings.estimator or "unbiased",
        kernel=settings.kernel,
        sigma=settings.bandwidth,
        leave_out=settings.measure == "cka" and settings.intervals and not small,
        device=inputs.forward.device,
    )


@dataclass(frozen=True)
class Similarities:
    """A value for every pair of representations, with the sums behind it.

    Attributes:
        comparison: the sums of HSIC.
        values: (representations, representations).
        p: p-values of the same shape, NaN where there are none.
    """

    comparison: Comparison
    values: Tensor
    p: permutation.PValues

    def blocks(self, pairs: Sequence[Pair]) -> list[Block]:
        """Cut into pairs of views."""
        rows, places = self.comparison.rows, self.comparison.slices()
        cut = []
        for pair in pairs:
            a, b = (places[view] for view in pair)
            without = np.zeros((0, a.stop - a.start, b.stop - b.start))
            if len(self.comparison.hsic.changes):
                without = self.comparison.hsic.cka_without(a, b).numpy()
            p = (self.p.alone[a, b].numpy(), self.p.corrected[a, b].numpy())
            cut.append(Block(pair, rows[a], rows[b], self.values[a, b].numpy(), without, p))
        return cut


def similarities(
    comparison: Comparison,
    observer: Representations,
    settings: CKASettings,
    pairs: Sequence[Pair],
    ranks: Ranks,
) -> Similarities:
    """The values of a measure, and p-values where whole images are permuted."""
    values = comparison.hsic.cka()
    none = torch.full_like(values, torch.nan)
    p = permutation.PValues(none, none)
    if settings.measure == "cka" and not settings.permutations:
        return Similarities(comparison, values, p)
    grams = observer.gathered_grams()
    if not ranks.first:
        return Similarities(comparison, values, p)
    if settings.measure != "cka":
        return Similarities(comparison, matrix(settings.measure, grams[0]), p)
    if settings.kernel == "rbf":
        grams = [hsic.rbf(k, comparison.sigma) for k in grams]
    center = hsic.center if settings.estimator == "biased" else hsic.u_center
    tested = torch.zeros_like(values, dtype=torch.bool)
    places = comparison.slices()
    for a, b in pairs:
        tested[places[a], places[b]] = True
    defined = ~values.diagonal().isnan()
    count = settings.permutations or 0
    p = permutation.p_values([center(k) for k in grams], tested, defined, count, settings.seed)
    return Similarities(comparison, values, p)


def matrix(measure: str, grams: Tensor) -> Tensor:
    """A measure of every pair of representations, from their Gram matrices."""
    chosen = MEASURES[measure]
    ready = [chosen.prepare(k) for k in grams]
    values = torch.zeros(len(ready), len(ready), dtype=torch.float64)
    for i, a in enumerate(ready):
        for j, b in enumerate(ready[i:], i):
            values[i, j] = values[j, i] = chosen.compare(a, b)
    return values


def tables(comparison: Comparison, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of a comparison, by file name."""
    settings, inputs, observer = job.settings, job.inputs, job.observer
    assert isinstance(settings, CKASettings) and isinstance(observer, Representations)
    pairs = view_pairs.choose(list(inputs.models), inputs.specs, settings.compare)
    similar = similarities(comparison, observer, settings, pairs, inputs.ranks)
    blocks, measure = similar.blocks(pairs), settings.measure
    roles = {name: model.layer_roles() for name, model in inputs.models.items()}
    about = {
        "estimator": settings.estimator if measure == "cka" else "",
        "unit": settings.unit,
        "samples": comparison.hsic.samples,
        "crops": sum(len(batch.crops) for batch in job.batches),
        "kernel": settings.kernel,
        "centering": settings.centering,
    }
    written: dict[str, pd.DataFrame] = {
        "layers.csv": layers(similar, measure, roles),
        "depth.csv": cka_tables.depth(blocks, measure),
        "last_quarter.csv": cka_tables.last_quarter(
            blocks, measure, {name: role.outputs for name, role in roles.items()}
        ),
        f"{measure}.csv": cka_tables.cells(blocks, measure, about),
    }
    if len(comparison.hsic.changes):
        by_index = {batch.index: batch for batch in job.batches}
        crops = [by_index[batch].crops[i] for batch, i in comparison.places]
        written["difference.csv"] = cka_tables.difference(blocks)
        written["influence.csv"] = cka_tables.influence(blocks, crops)
    return written


def layers(similar: Similarities, measure: str, roles: Mapping[str, LayerRoles]) -> pd.DataFrame:
    """Every representation: what it holds, its HSIC with itself, sigma, why its values are NaN.

    `role` is `output` for layers that hold the output, else `features`; `last_quarter` marks those
    over which the means of that name are taken; `stride` is the image's side as a multiple of the
    layer's, where it is known.
    """
    comparison = similar.comparison
    own, reasons = comparison.hsic.hsic().diagonal(), comparison.hsic.degenerate()
    if measure != "cka":
        missing = similar.values.diagonal().isnan().nonzero().flatten().tolist()
        reasons = dict.fromkeys(missing, "its activations are not finite, or do not vary")
    names: dict[View, list[str]] = {}
    for row in comparison.rows:
        names.setdefault(row.view, []).append(row.layer)
    rows: list[dict[str, Any]] = []
    for i, row in enumerate(comparison.rows):
        sigma = float(comparison.sigma[i]) if len(comparison.sigma) else math.nan
        if i in reasons and sigma == 0:
            reasons[i] = "the median distance of its samples in the first batch is 0"
        role = roles[row.view.model]
        last = last_quarter(names[row.view], role.outputs)
        rows.append(
            {
                "model": row.view.model,
                "noise": row.view.noise,
                "layer": row.layer,
                "features": row.features,
                "self_hsic": float(own[i]),
                "sigma": sigma,
                "role": "output" if is_output(row.layer, role.outputs) else "features",
                "last_quarter": row.layer in last,
                "stride": role.strides.get(module_path(row.layer), math.nan),
                "reason": reasons.get(i, ""),
            }
        )
    return pd.DataFrame(rows)
