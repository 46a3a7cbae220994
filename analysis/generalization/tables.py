"""The tables of the generalization benchmark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.commands.job import AnalysisJob
from analysis.commands.training_noises import from_entry
from analysis.commands.trainings import TRAINING, by_training, several
from analysis.engine.image_quality import COLUMNS, ImageQuality
from analysis.generalization import (
    beyond,
    comparison_strips,
    conditions,
    estimated_levels,
    metrics,
    pairwise_tests,
    references,
    scoring,
)
from analysis.generalization.inputs import BenchmarkInputs
from analysis.generalization.settings import PICTURES
from analysis.generalization.trainings import networks_in, with_trainings
from analysis.text import noise_labels
from mtd.metrics import METRICS
from mtd.utils import progress

OF_SCORES: dict[str, Callable[[conditions.Table], pd.DataFrame]] = {
    "noises": scoring.noises,
    "tests": pairwise_tests.paired,
    "references": beyond.table,
    "generalization": scoring.generalization,
}
"""Makers of the tables of scores by their names."""

BY_TRAINING = {f"{name}_by_{TRAINING}": name for name in ("noises", "references", "generalization")}
"""Names of tables of single trainings, in runs that have several, and what they are made as."""


def of_scores(results: pd.DataFrame, in_distribution: Any) -> dict[str, pd.DataFrame]:
    """The tables that follow from the long one, by name.

    Args:
        results: the long table.
        in_distribution: see `analysis.generalization.conditions.table`.
    """

    def every(frame: pd.DataFrame, trained: Any) -> list[conditions.Table]:
        return [conditions.table(frame, m, trained) for m in METRICS if m in set(frame.metric)]

    made = every(results, in_distribution)
    makers = progress.track(OF_SCORES.items(), len(OF_SCORES), "scores", "tables")
    found = {name: pd.concat([maker(one) for one in made]) for name, maker in makers}
    found |= of_testsets(results, in_distribution)
    trainings = networks_in(results)
    if not several(trainings):
        return found
    trained = from_entry(in_distribution, list(trainings))
    by_network = {own: trained[model] for model, names in trainings.items() for own in names}
    single = results.assign(model=results[TRAINING]).drop(columns=TRAINING)
    made = every(single, by_network)
    for name, kind in BY_TRAINING.items():
        frame = by_training(pd.concat([OF_SCORES[kind](one) for one in made]), trainings)
        frame.loc[:, frame.columns.str.startswith("mean_rank")] = np.nan  # ranks are among models
        found[name] = frame
    return found


def of_testsets(results: pd.DataFrame, in_distribution: Any) -> dict[str, pd.DataFrame]:
    """The table of means by test set, noise and model, by its name; none without test sets.

    For the arguments see `of_scores`; columns: see `analysis.generalization.scoring.noises`.
    """
    sets = results["testset"] if "testset" in results else pd.Series(dtype=str)
    parts = []
    for name in dict.fromkeys(sets[sets.notna() & (sets != "")]):
        part = results[sets == name]
        for metric in (m for m in METRICS if m in set(part.metric)):
            rows = scoring.noises(conditions.table(part, metric, in_distribution))
            parts.append(rows.assign(testset=name)[["testset", *rows]])
    return {"testsets": pd.concat(parts)} if parts else {}


def identified(results: pd.DataFrame, inputs: RunInputs) -> pd.DataFrame:
    """The long table with what else decides a value: checkpoint, its masks, seed, rounding."""
    digests = {name: model.source.get("sha256", "") for name, model in inputs.models.items()}
    if isinstance(inputs, BenchmarkInputs):
        added = inputs.references.sources.items()
        digests |= {name: source["sha256"] for name, source in added}
    sets = [""] * len(results)
    if isinstance(inputs, BenchmarkInputs):
        each = zip(results.noise, results.image, strict=True)
        sets = [inputs.testset_of(noise, image) for noise, image in each]
    masks = {}
    for name, model in inputs.models.items():
        how = model.inference
        percent = how.policy.attention_percent
        parts = [f"{percent}% x {how.samples}", inputs.forward.pairing] if how.active else []
        if inputs.forward.input_mask:
            parts.append(f"input {inputs.forward.input_mask:g}")
        masks[name] = ", ".join(parts)
    return results.assign(
        checkpoint=results.model.map(digests),
        masks=results.model.map(masks),
        seed=inputs.forward.seed,
        quantize=inputs.forward.drawing.quantize,
        testset=sets,
        is_reference=results.model.isin(references.names(inputs.models)),
    )


def tables(results: pd.DataFrame, job: AnalysisJob) -> dict[str, Any]:
    """The tables of a benchmark, and the pixels of its strips, by file name.

    Called in every process; empty in all but the first.
    """
    inputs, observer = job.inputs, job.observer
    assert isinstance(inputs, BenchmarkInputs) and isinstance(observer, ImageQuality)
    kinds = noise_labels.describe(inputs.all_noises)
    results = results.merge(kinds, on="noise", how="left", sort=False)
    results = with_trainings(identified(results, inputs)[list(COLUMNS)], inputs.trainings)
    order = inputs.specs
    results = results.sort_values("noise", key=lambda c: c.map(order.index), kind="stable")
    chosen = comparison_strips.choose(results)
    beside = set(references.names(inputs.models))
    first = {names[0]: model for model, names in inputs.trainings.items()}
    shown = inputs.subset(models=set(first) - beside)
    pictures = comparison_strips.collect(observer, job.batches, shown, chosen, inputs.ranks)
    if not inputs.ranks.first:
        return {}
    pictures = [{first.get(name, name): own for name, own in one.items()} for one in pictures]
    strips = comparison_strips.table(chosen, pictures, job.batches, results, observer.window)
    return {
        **{f"{name}.csv": made for name, made in of_scores(results, inputs.trained).items()},
        **metrics.table(inputs.chosen.further),
        **estimated_levels.tables(inputs, job.batches),
        "strips.csv": strips,
        PICTURES: comparison_strips.to_bytes(pictures),
        "results.csv": results,
    }
