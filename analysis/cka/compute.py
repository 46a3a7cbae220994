"""From settings to an observer, and from its result to the tables of a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.cka import control_tables, hsic, spectra, view_pairs
from analysis.cka import tables as cka_tables
from analysis.cka.cells import deranged
from analysis.cka.control_cells import Wanted
from analysis.cka.controls import CellControls
from analysis.cka.hsic_sums import Similarity
from analysis.cka.measured import from_features, from_grams
from analysis.cka.measures import MEASURES
from analysis.cka.observer import Comparison, Representations
from analysis.cka.settings import STEADY, CKASettings
from analysis.cka.tables import Block, Quarter
from analysis.cka.view_pairs import Pair
from analysis.commands import snapshots, trainings
from analysis.commands.inputs import RunInputs, choose_layers
from analysis.commands.job import AnalysisJob
from analysis.engine.controls import NONE
from analysis.engine.layers import is_output, last_quarter, module_path
from analysis.engine.observer import Batch, View
from analysis.engine.run import batches
from analysis.stats import permutation
from analysis.stats.jackknife import LEAST
from mtd.data.crops import Crop
from mtd.networks.layer_roles import LayerRoles
from mtd.utils.device import exact
from mtd.utils.distributed import Ranks
from mtd.utils.messages import plural

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


def chosen_pairs(inputs: RunInputs, settings: CKASettings) -> list[Pair]:
    """The pairs of views of models that are compared.

    Raises:
        BadInput: nothing to compare.
    """
    if not settings.over_training:
        return view_pairs.choose(list(inputs.trainings), inputs.specs, settings.compare)
    by_run: dict[str, list[str]] = {}
    for model, snapshot in snapshots.of_models(inputs).items():
        by_run.setdefault(snapshot.run, []).append(model)
    return view_pairs.over_training(by_run, inputs.specs)


def observer(
    inputs: RunInputs, settings: CKASettings, together: Sequence[Batch]
) -> Representations:
    """The observer for completed settings."""
    smallest = min(len(batch.crops) for batch in together)
    small = settings.estimator == "minibatch" and smallest < STEADY
    more = inputs.controls
    layers = choose_layers(inputs.models, settings.layers)
    pairs = view_pairs.of_networks(chosen_pairs(inputs, settings), inputs.trainings)
    controls = NONE if more is None else more.controls
    for model, names in controls.untrained.items():
        layers |= dict.fromkeys(names, layers[model])
    wanted = Wanted(
        [pair for networks in pairs.values() for pair in networks],
        controls,
        {name: model.layer_roles().outputs for name, model in inputs.models.items()},
    )
    return Representations(
        layers,
        wanted,
        unit=settings.sample_unit,
        positions=settings.positions,
        centering=settings.centering,
        given=settings.given,
        remove_components=settings.remove_components,
        seed=settings.seed,
        estimator=settings.estimator or "unbiased",
        kernel=settings.kernel,
        sigma=settings.bandwidth,
        leave_out=settings.measure == "cka" and settings.intervals and not small,
        device=exact(inputs.forward.device),
        memory=int(settings.memory * 2**30),
    )


@dataclass(frozen=True)
class Similarities:
    """A value for every cell of a comparison.

    Attributes:
        comparison: the sums of HSIC.
        blocks: of each pair of views.
        pairs: of single pairs, those of the controls.
        across: of single pairs whose second side is of other photographs.
        own: (N,) of each representation with itself; NaN where it has no values.
        p: p-values (N, N), NaN where there are none.
        reasons: why a representation has no values, by its index; of other measures than CKA.
        nulls: of each pair of views with the photographs of one side exchanged; none for measures
            without.
        block_reasons: of each pair of views, why cells have no values; none for measures whose
            cells all have them.
    """

    comparison: Comparison
    blocks: Sequence[Similarity]
    pairs: Similarity
    across: Similarity
    own: Tensor
    p: permutation.PValues
    reasons: Mapping[int, str] = field(default_factory=dict)
    nulls: Sequence[NDArray[np.float64]] = ()
    block_reasons: Sequence[list[list[str]]] = ()

    def as_blocks(self) -> list[Block]:
        """Cut into pairs of views, with the controls of each."""
        rows, places = self.comparison.rows, self.comparison.slices()
        plan, cut = self.comparison.plan, []
        controls = CellControls(plan, self.pairs, self.across)
        for index, (pair, similar) in enumerate(zip(plan.pairs, self.blocks, strict=True)):
            a, b = (places[view] for view in pair)
            p = (self.p.alone[a, b].numpy(), self.p.corrected[a, b].numpy())
            value, without = similar.value.numpy(), similar.without.numpy()
            block = Block(pair, rows[a], rows[b], value, without, p, {})
            if self.nulls:
                why = np.array(self.block_reasons[index], dtype=object)
                block = replace(block, null=self.nulls[index], reasons=why)
            for i, j in plan.controlled[pair]:
                block.controls[i - a.start, j - b.start] = controls.of(i, j)
            cut.append(block)
        return cut


def similarities(
    comparison: Comparison,
    observer: Representations,
    settings: CKASettings,
    ranks: Ranks,
) -> Similarities:
    """The values of a measure, and p-values where whole images are permuted."""
    sums, plan, count = comparison.hsic, comparison.plan, len(comparison.rows)
    none = torch.full((count, count), torch.nan, dtype=torch.float64)
    p = permutation.PValues(none, none)
    blocks = [sums.block(index) for index in range(len(plan.pairs))]
    own = torch.where(sums.zero(), torch.nan, 1.0)
    found = Similarities(comparison, blocks, sums.pairs(), sums.across_photographs(), own, p)
    if settings.measure == "cka" and not settings.permutations:
        return found
    if settings.measure != "cka":
        return measured(found, observer, settings)
    grams = observer.gathered_grams()
    if not ranks.first:
        return found
    if settings.kernel == "rbf":
        grams = [hsic.rbf(k, comparison.sigma) for k in grams]
    center = hsic.center if settings.estimator == "biased" else hsic.u_center
    tested = torch.zeros_like(none, dtype=torch.bool)
    places = comparison.slices()
    for a, b in plan.pairs:
        tested[places[a], places[b]] = True
    defined = ~own.isnan()
    number = settings.permutations or 0
    p = permutation.p_values(
        [center(k) for k in grams],
        tested,
        defined,
        number,
        settings.seed,
        scenes=observer.crops().names,
    )
    return replace(found, p=p)


def measured(found: Similarities, observer: Representations, settings: CKASettings) -> Similarities:
    """The values of another measure than CKA, in the first process."""
    crops, comparison = observer.crops(), found.comparison
    across = deranged(crops.photographs)
    left_out = list(dict.fromkeys(crops.photographs)) if settings.intervals else []
    left_out = left_out if len(left_out) >= LEAST else []
    members = [crops.of(photograph) for photograph in left_out]
    if MEASURES[settings.measure].unit == "image":
        (grams,) = observer.gathered_grams()
        if not observer.ranks.first:
            return found
        values = from_grams(settings.measure, grams, comparison.plan.cells, across, members)
    else:
        if not observer.ranks.first:
            return found
        features = observer.features(comparison.rows)
        values = from_features(settings.measure, features, comparison.plan.cells, across, members)
    return replace(
        found,
        comparison=replace(comparison, photographs=left_out),
        blocks=values.blocks,
        pairs=values.pairs,
        across=values.across,
        own=values.own,
        reasons=values.reasons,
        nulls=[null.numpy() for null in values.nulls],
        block_reasons=values.block_reasons,
    )


def tables(comparison: Comparison, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of a comparison, by file name."""
    return tables_and_quarters(comparison, job)[0]


def tables_and_quarters(
    comparison: Comparison, job: AnalysisJob
) -> tuple[dict[str, pd.DataFrame], list[Quarter]]:
    """The tables of a comparison, by file name, and the means over the last quarter of models."""
    settings, inputs, observer = job.settings, job.inputs, job.observer
    assert isinstance(settings, CKASettings) and isinstance(observer, Representations)
    similar = similarities(comparison, observer, settings, inputs.ranks)
    single, measure = similar.as_blocks(), settings.measure
    blocks = over_trainings(single, inputs, settings)
    roles = {name: model.layer_roles() for name, model in inputs.models.items()}
    several = bool(trainings.several(inputs.trainings))
    about = {
        "estimator": settings.estimator if measure == "cka" else "",
        "unit": settings.unit,
        "samples": comparison.hsic.samples,
        "crops": sum(len(batch.crops) for batch in job.batches),
        "kernel": settings.kernel,
        "centering": "; ".join(taken_away(settings)),
    }
    outputs = {name: role.outputs for name, role in roles.items()}
    of_models = {model: outputs[names[0]] for model, names in inputs.trainings.items()}
    means = cka_tables.quarters(blocks, of_models)
    every = layers(similar, measure, roles, inputs.specs)
    written: dict[str, pd.DataFrame] = {
        "layers.csv": trainings.averaged(every, inputs.trainings) if several else every,
        "depth.csv": cka_tables.depth(blocks, measure, several),
        "last_quarter.csv": cka_tables.last_quarter(means, measure, several),
        f"{measure}.csv": cka_tables.cells(blocks, measure, about),
    }
    if several:
        own = cka_tables.last_quarter(cka_tables.quarters(single, outputs), measure)
        written["depth_by_training.csv"] = trainings.by_training(
            cka_tables.depth(single, measure), inputs.trainings
        )
        written["last_quarter_by_training.csv"] = trainings.by_training(
            own, inputs.trainings, ("model_a", "model_b")
        )
    if inputs.controls is not None and inputs.controls.controls.floor:
        of = inputs.controls.controls.of_models(inputs.trainings)
        written["controls.csv"] = control_tables.cells(blocks, of, measure)
    if photographs := similar.comparison.photographs:
        written["quarter_difference.csv"] = cka_tables.quarter_difference(means, several)
        written["difference.csv"] = cka_tables.difference(blocks)
        written["influence.csv"] = cka_tables.influence(blocks, photographs)
    return written, means


def over_trainings(
    single: Sequence[Block], inputs: RunInputs, settings: CKASettings
) -> list[Block]:
    """The pairs of models, from those of their networks."""
    by_pair = {block.pair: block for block in single}
    networks = view_pairs.of_networks(chosen_pairs(inputs, settings), inputs.trainings)
    return [
        Block.over_trainings(pair, known)
        for pair, of in networks.items()
        if (known := [by_pair[one] for one in of if one in by_pair])
    ]


def taken_away(settings: CKASettings) -> list[str]:
    """What is removed from the features; see `analysis.cka.figures.removed`."""
    parts: list[str] = [settings.centering]
    parts += [f"given {settings.given}"] if settings.given else []
    count = settings.remove_components
    return parts + ([plural(count, "component")] if count else [])


def dimensions(spectrum: Tensor | None) -> dict[str, float]:
    """Columns of a layer's effective rank and of the shares of its first components."""
    of = torch.full((1,), torch.nan) if spectrum is None else spectrum
    return {"effective_rank": spectra.effective_rank(of), **spectra.first_shares(of)}


def layers(
    similar: Similarities, measure: str, roles: Mapping[str, LayerRoles], noises: Sequence[str]
) -> pd.DataFrame:
    """Every representation: what it holds, its HSIC with itself, sigma, why its values are NaN.

    `role` is `output` for layers that hold the output, else `features`; `last_quarter` marks those
    over which the means of that name are taken; `effective_rank` and `share_1`, … are of the
    features as they are compared, see `analysis.cka.spectra`; `stride` is the image's side as a
    multiple of the layer's, where it is known.
    """
    comparison = similar.comparison
    own, reasons = comparison.hsic.own(), comparison.hsic.degenerate()
    if measure != "cka":
        reasons = dict(similar.reasons)
    names: dict[View, list[str]] = {}
    for row in comparison.rows:
        names.setdefault(row.view, []).append(row.layer)
    rows: list[dict[str, Any]] = []
    for i, row in enumerate(comparison.rows):
        if row.view.model not in roles or row.view.noise not in noises:
            continue  # a control
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
                **dimensions(comparison.hsic.spectra[i] if comparison.hsic.spectra else None),
                "stride": role.strides.get(module_path(row.layer), math.nan),
                "reason": reasons.get(i, ""),
            }
        )
    return pd.DataFrame(rows)
