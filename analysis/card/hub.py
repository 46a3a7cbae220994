"""A model's scores as evaluation results of the Hugging Face Hub: `.eval_results/mtd.yaml`.

Reference: https://huggingface.co/docs/hub/eval-results
"""

from __future__ import annotations

import math
from typing import Any

from analysis.card.measured import Measured
from analysis.card.record import LIBRARY, About
from analysis.card.scores import AGGREGATES, Score, scores
from analysis.generalization.metrics import facts
from analysis.stats.jackknife import ENOUGH
from analysis.text.verdicts import too_few
from mtd.utils.messages import plural

PATH = ".eval_results/mtd.yaml"

NOT_ON_THE_HUB = """\
# The id is the name of the suite, not of a data set on the Hub. Give --dataset ORGANIZATION/NAME of
# a data set that is a benchmark there.
"""


def results(measured: Measured, about: About) -> str:
    """The file: by every metric the scores over several noises, and by test set and noise."""
    import yaml

    found = [score for score in scores(measured) if score.of in AGGREGATES or score.testset]
    entries = [entry(measured, about, score) for score in found if math.isfinite(score.value)]
    text: str = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=1000)
    return text if about.dataset else NOT_ON_THE_HUB + text


def entry(measured: Measured, about: About, score: Score) -> dict[str, Any]:
    """One score; the Hub takes the name of a source with its address alone."""
    finished = measured.log.get("finished")
    made_by = f"{LIBRARY} {measured.manifest['versions']['mtd']}"
    return {
        "dataset": {
            "id": about.dataset or measured.suite(),
            "task_id": task(score),
        },
        "value": score.value,
        **({"date": finished} if finished else {}),
        **({"source": {"url": about.url, "name": made_by}} if about.url else {}),
        "notes": f"{notes(measured, score)}; {made_by}",
    }


def task(score: Score) -> str:
    """The name of a score, such as `psnr_worst` or `psnr_kodak24_gaussian:15`."""
    parts = [score.testset, score.noise] if score.testset else [score.of]
    return "_".join([score.metric, *map(str, parts)])


def notes(measured: Measured, score: Score) -> str:
    """What the number is, its interval, and how it was measured."""
    metric = facts(score.metric)
    unit = f" ({metric.unit})" if metric.unit else ""
    few = f", {too_few(ENOUGH)}" if score.rough else ""
    worst = f" ({score.noise})" if score.noise and not score.testset else ""
    count = plural(score.photographs, "photograph")
    interval = f", 95% interval over {count}" if math.isfinite(score.low) else f", {count}"
    stated = measured.protocol() | measured.scored(score.metric)
    protocol = ", ".join(f"{name} {value}" for name, value in stated.items() if name != "noises")
    deviates = "; ".join(map(str, measured.manifest.get("deviations", ())))
    differs = f" (the run deviates from it: {deviates})" if deviates else ""
    return (
        f"{metric.label}{unit}, {score.meaning}{worst}: {score}{interval}{few}; "
        f"suite {measured.suite()}, version {measured.version()}{differs}; {protocol}"
    )
