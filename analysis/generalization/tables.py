"""The tables of the generalization benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from analysis.commands.inputs import RunInputs
    from analysis.generalization.inputs import Benchmark
    from analysis.generalization.observer import Scores


def identified(results: pd.DataFrame, asked: RunInputs) -> pd.DataFrame:
    """The long table with what else decides a value: checkpoint, its masks, seed, rounding."""
    digests = {name: model.source.get("sha256", "") for name, model in asked.models.items()}
    masks = {}
    for name, model in asked.models.items():
        how = model.inference
        percent = how.policy.attention_percent
        said = [f"{percent}% x {how.samples}", asked.setting.pairing] if how.active else []
        if asked.setting.input_mask:
            said.append(f"input {asked.setting.input_mask:g}")
        masks[name] = ", ".join(said)
    return results.assign(
        checkpoint=results.model.map(digests),
        masks=results.model.map(masks),
        seed=asked.setting.seed,
        quantize=asked.setting.quantize,
    )


def tables(results: pd.DataFrame, observer: Scores, found: Benchmark) -> dict[str, Any]:
    """The tables of a run, and the pixels of its strips, by file name."""
    import pandas as pd

    from analysis.generalization import comparison_strips, pairwise_tests, scoring
    from analysis.generalization import observer as generalization_observer
    from analysis.text import noise_labels
    from mtd.metrics import METRICS

    kinds = noise_labels.describe(found.noises)
    results = results.merge(kinds, on="noise", how="left", sort=False)
    results = identified(results, found.asked)[list(generalization_observer.COLUMNS)]
    order = [noise.spec for noise in found.noises]
    results = results.sort_values("noise", key=lambda c: c.map(order.index), kind="stable")
    chosen = comparison_strips.choose(results)
    pictures = comparison_strips.collect(
        observer, found.groups, found.asked, chosen, found.asked.ranks
    )
    if not found.asked.ranks.first:
        return {}
    made = [
        scoring.table(results, metric, found.trained)
        for metric in METRICS
        if metric in set(results.metric)
    ]
    return {
        "noises.csv": pd.concat([scoring.noises(table) for table in made]),
        "tests.csv": pd.concat([pairwise_tests.paired(table) for table in made]),
        "generalization.csv": pd.concat([scoring.generalization(table) for table in made]),
        "strips.csv": comparison_strips.table(
            chosen, pictures, found.groups, results, observer.window
        ),
        comparison_strips.PICTURES: comparison_strips.to_bytes(pictures),
        "results.csv": results,
    }
