"""A model's benchmark as a record of Every Eval Ever: `result.json`.

Reference: the JSON schema that the package `every-eval-ever` ships; see `analysis.card.schema`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analysis.card import training
from analysis.card.measured import Measured
from analysis.card.schema import VERSION
from analysis.card.scores import GAP, Score, scores
from analysis.generalization.metrics import facts
from analysis.generalization.summary import measured as images_in_words
from analysis.stats.jackknife import ENOUGH, LEVEL
from mtd.data.test_sets import RECIPES
from mtd.metrics.lpips import NAMES
from mtd.metrics.registry import Metric

FORM = "mtd-card/1"
"""Name and version of what cards have beyond Every Eval Ever, in `additional_details`."""

LIBRARY = "masked-training-denoisers"

UNKNOWN = "unknown"

LPIPS = {name: channels for channels, name in NAMES.items()}
"""The order of an image's channels by the name of LPIPS."""

BOUNDS: dict[str, tuple[float | str, float | str]] = {
    "ssim": (-1, 1),
    **dict.fromkeys(LPIPS, (0, "Infinity")),
}
"""Smallest and largest values of metrics; others are taken to have none."""


@dataclass(frozen=True)
class About:
    """What a run does not know about itself.

    Attributes:
        model_id: of the model, as `ORGANIZATION/NAME` on the Hub; None for its name in the run.
        organization: that ran the benchmark.
        relationship: of who ran it to the model, one of `analysis.card.command.RELATIONSHIPS`.
        url: where the results are published; None for nowhere.
        dataset: of the benchmark on the Hub, for its evaluation results; None for the suite.
    """

    model_id: str | None = None
    organization: str = UNKNOWN
    relationship: str = "other"
    url: str | None = None
    dataset: str | None = None


def record(measured: Measured, about: About, lines: Mapping[str, str]) -> dict[str, Any]:
    """The record of a model.

    Args:
        measured: what the run measured of it.
        about: what the run does not know.
        lines: file, SHA-256 and number of rows of the values of single images.
    """
    model = about.model_id or measured.model
    when = timestamp(measured)
    found = [score for score in scores(measured) if math.isfinite(score.value)]
    return {
        "schema_version": VERSION,
        "evaluation_id": f"{measured.suite()}/{model}/{when}",
        "evaluation_timestamp": when,
        "retrieved_timestamp": when,
        "source_metadata": source(measured, about, lines),
        "eval_library": {
            "name": LIBRARY,
            "version": str(measured.manifest["versions"]["mtd"]),
            "additional_details": texts(measured.manifest["versions"]),
        },
        "model_info": model_info(measured, model),
        "evaluation_results": [result(measured, score) for score in found],
    }


def timestamp(measured: Measured) -> str:
    """When the run was finished, in seconds of Unix; unknown of a run that was copied without."""
    finished = measured.log.get("finished")
    if not isinstance(finished, str):
        return UNKNOWN
    try:
        return str(int(datetime.fromisoformat(finished).timestamp()))
    except ValueError:  # the tables of a page have no time
        return UNKNOWN


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as the schema has them beside its own: texts; those that are None left out."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }


def source(measured: Measured, about: About, lines: Mapping[str, str]) -> dict[str, Any]:
    """Where the numbers come from: suite, protocol, images, command."""
    manifest = measured.manifest
    protocol = {f"protocol.{name}": value for name, value in measured.protocol().items()}
    return {
        "source_name": f"suite {measured.suite()}, version {measured.version()}",
        "source_type": "evaluation_run",
        "source_organization_name": about.organization,
        **({"source_organization_url": about.url} if about.url else {}),
        "evaluator_relationship": about.relationship,
        "additional_details": texts(
            {
                "form": FORM,
                "suite": measured.suite(),
                "suite_version": measured.version(),
                **protocol,
                "deviations_from_suite": "; ".join(manifest.get("deviations", ())) or None,
                "images": images_in_words(measured.frames["results"], manifest),
                "images_sha256": measured.digest_of_images(),
                "photographs": str(measured.photographs(measured.noises)),
                "noises_trained_on": [n for n in measured.noises if measured.split[n] is True],
                "noises_unseen": [n for n in measured.noises if measured.split[n] is False],
                **{f"per_image.{name}": value for name, value in lines.items()},
                "command": measured.log.get("command"),
            }
        ),
    }


def model_info(measured: Measured, model: str) -> dict[str, Any]:
    """The model: file, weights, architecture, training."""
    known = measured.about
    trainings = known.get("trainings") or {}

    def each(name: str) -> Any:
        """An entry of the model, or of each of its trainings."""
        return [one.get(name) for one in trainings.values()] or known.get(name)

    return {
        "name": measured.model,
        "id": model,
        "inference_engine": {"name": "PyTorch", "version": measured.manifest["versions"]["torch"]},
        "additional_details": {
            "deployment_type": "self_deployed",
            "model_availability": UNKNOWN,
            **texts(
                {
                    "architecture": known.get("architecture"),
                    "parameters": known.get("parameters"),
                    "file": each("path"),
                    "file_sha256": each("sha256"),
                    "weights_sha256": each("weights_sha256"),
                    "trainings": len(trainings) or None,
                    "masks": known.get("policy"),
                    "training_noise": training.recorded(known).get("noise"),
                    "trained_on": measured.trained,
                }
            ),
        },
    }


def result(measured: Measured, score: Score) -> dict[str, Any]:
    """One score."""
    metric = facts(score.metric)
    suite = f"suite {measured.suite()}, version {measured.version()}"
    return {
        "evaluation_result_id": score.identity,
        "evaluation_name": f"{suite}: {score.meaning}",
        "source_data": images(measured, score),
        "metric_config": metric_config(measured, score, metric),
        "score_details": {
            "score": score.value,
            "details": texts(
                {
                    "photographs": score.photographs,
                    "images": score.crops,
                    "noise": score.noise,
                    "testset": score.testset,
                    "in_distribution": score.in_distribution,
                    "differs_from_0": score.verdict if score.of == GAP else None,
                }
            ),
            **uncertainty(measured, score),
        },
        **command(measured),
    }


def images(measured: Measured, score: Score) -> dict[str, Any]:
    """The images that a score is of."""
    names = [score.testset] if score.testset else measured.data_sets(score.noises)
    where = {name: RECIPES[name].source for name in names if name in RECIPES}
    return {
        "dataset_name": ", ".join(names) or UNKNOWN,
        "source_type": "other",
        "additional_details": texts({"sources": where or None}),
    }


def metric_config(measured: Measured, score: Score, metric: Metric) -> dict[str, Any]:
    """The metric: direction, unit, bounds and how it is computed."""
    low, high = BOUNDS.get(score.metric, ("-Infinity", "Infinity"))
    if score.of == GAP:
        low, high = "-Infinity", "Infinity"
    return {
        "evaluation_description": f"{metric.label}: {score.meaning}",
        "metric_id": score.metric,
        "metric_name": metric.label,
        "metric_kind": score.metric,
        **({"metric_unit": metric.unit} if metric.unit else {}),
        "metric_parameters": measured.scored(score.metric)
        | of_lpips(measured, score.metric)
        | of_package(measured, score.metric),
        "lower_is_better": score.lower_is_better,
        "score_type": "continuous",
        "min_score": low,
        "max_score": high,
    }


def of_lpips(measured: Measured, metric: str) -> dict[str, Any]:
    """What decides the values of LPIPS beside the image; empty for other metrics."""
    if metric not in LPIPS:
        return {}
    digest = measured.manifest.get("lpips")
    return {
        "version": "0.1",
        "network": "AlexNet",
        **({"backbone_sha256": str(digest)} if digest else {}),
        "channel_order": LPIPS[metric],
    }


def of_package(measured: Measured, metric: str) -> dict[str, Any]:
    """What decides the values of a metric of another package, and how they are shown."""
    entry = measured.manifest.get("metrics", {}).get(metric, {})
    plain = (str, int, float, bool, type(None))
    return {
        str(name): value if isinstance(value, plain) else json.dumps(value, sort_keys=True)
        for name, value in entry.items()
    }


def uncertainty(measured: Measured, score: Score) -> dict[str, Any]:
    """The interval of a score; none where it has none."""
    if not (math.isfinite(score.low) and math.isfinite(score.high)):
        return {}
    under = " under one noise" if score.photographs >= ENOUGH else ""
    rough = f"; rough, of fewer than {ENOUGH}{under}" if score.rough else ""
    interval = {
        "lower": score.low,
        "upper": score.high,
        "confidence_level": LEVEL,
        "method": f"jackknife over {measured.draws}, one left out at a time, Student's t{rough}",
    }
    return {
        "uncertainty": {"confidence_interval": interval, "num_samples": score.photographs},
    }


def command(measured: Measured) -> dict[str, Any]:
    """The command of the run, where the schema has it."""
    given = measured.log.get("command")
    return {"generation_config": {"generation_args": {"execution_command": given}}} if given else {}
