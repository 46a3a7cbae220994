"""The tables of the generalization benchmark."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.commands.job import AnalysisJob
from analysis.engine.image_quality import COLUMNS, ImageQuality
from analysis.generalization import (
    beyond,
    comparison_strips,
    estimated_levels,
    pairwise_tests,
    references,
    scoring,
)
from analysis.generalization.inputs import BenchmarkInputs
from analysis.generalization.settings import PICTURES
from analysis.text import noise_labels
from mtd.metrics import METRICS


def identified(results: pd.DataFrame, inputs: RunInputs) -> pd.DataFrame:
    """The long table with what else decides a value: checkpoint, its masks, seed, rounding."""
    digests = {name: model.source.get("sha256", "") for name, model in inputs.models.items()}
    if isinstance(inputs, BenchmarkInputs):
        added = inputs.references.sources.items()
        digests |= {name: source["sha256"] for name, source in added}
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
        quantize=inputs.forward.quantize,
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
    results = identified(results, inputs)[list(COLUMNS)]
    order = inputs.specs
    results = results.sort_values("noise", key=lambda c: c.map(order.index), kind="stable")
    chosen = comparison_strips.choose(results)
    shown = inputs.subset(models=set(inputs.models) - set(references.names(inputs.models)))
    pictures = comparison_strips.collect(observer, job.batches, shown, chosen, inputs.ranks)
    if not inputs.ranks.first:
        return {}
    measured = [
        scoring.table(results, metric, inputs.trained)
        for metric in METRICS
        if metric in set(results.metric)
    ]
    strips = comparison_strips.table(chosen, pictures, job.batches, results, observer.window)
    return {
        "noises.csv": pd.concat([scoring.noises(table) for table in measured]),
        "tests.csv": pd.concat([pairwise_tests.paired(table) for table in measured]),
        **estimated_levels.tables(inputs, job.batches),
        "references.csv": pd.concat([beyond.table(table) for table in measured]),
        "generalization.csv": pd.concat([scoring.generalization(table) for table in measured]),
        "strips.csv": strips,
        PICTURES: comparison_strips.to_bytes(pictures),
        "results.csv": results,
    }
