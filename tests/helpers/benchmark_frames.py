"""Small tables of a benchmark with given scores."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.commands.registry import analysis
from analysis.generalization.result import GeneralizationResult

NAN = math.nan
NOISES = {"gaussian:15": True, "poisson:3": False, "isp": False}


def scores(values: dict[str, tuple[float, float]], metric: str = "psnr") -> pd.DataFrame:
    """In and out of distribution, half a dB of interval on each side."""
    rows = []
    for model, (inside, outside) in values.items():
        row: dict[str, Any] = {"model": model, "metric": metric, "worst": outside}
        for name, value in (
            ("in_distribution", inside),
            ("out_of_distribution", outside),
            ("ood_drop", inside - outside),
        ):
            row |= {name: value, f"{name}_low": value - 0.5, f"{name}_high": value + 0.5}
        rows.append(row | {"worst_noise": "isp", "mean_rank": 1.5})
    return pd.DataFrame(rows)


def noises(values: dict[str, tuple[float, float]], metric: str = "psnr") -> pd.DataFrame:
    """Means as in `scores`, ranks by them, 2 dB gained each."""
    rows = []
    for spec, trained in NOISES.items():
        means = {model: pair[0 if trained else 1] for model, pair in values.items()}
        for model, mean in means.items():
            better = sum(other > mean for other in means.values())
            rows.append(
                {
                    "noise": spec,
                    "kind": spec.partition(":")[0],
                    "level": 1.0,
                    "in_distribution": trained,
                    "model": model,
                    "metric": metric,
                    "mean": mean,
                    "low": mean - 0.5,
                    "high": mean + 0.5,
                    "gain": 2.0,
                    "gain_low": 1.0,
                    "gain_high": 3.0,
                    "mean_rank": 1.0 + better,
                    "photographs": 24,
                }
            )
    return pd.DataFrame(rows)


def paired(found: dict[tuple[str, str], dict[str, tuple[float, ...]]]) -> pd.DataFrame:
    """Difference, bounds and corrected p by pair of models and noise."""
    rows = [
        {
            "noise": noise,
            "metric": "psnr",
            "model_a": a,
            "model_b": b,
            **dict(zip(("difference", "low", "high", "p_holm"), numbers, strict=True)),
            "p": numbers[3],
            "better": 1.0,
            "photographs": 24,
        }
        for (a, b), of in found.items()
        for noise, numbers in of.items()
    ]
    names = ["noise", "metric", "model_a", "model_b", "difference", "low", "high", "p_holm"]
    return pd.DataFrame(rows, columns=[*names, "p", "better", "photographs"])


def benchmark(
    values: dict[str, tuple[float, float]],
    found: dict[tuple[str, str], dict[str, tuple[float, ...]]] | None = None,
) -> dict[str, pd.DataFrame]:
    return {
        "generalization": scores(values),
        "noises": noises(values),
        "tests": paired(found or {}),
        "results": pd.DataFrame(
            {"scene": ["a", "b"], "model": "a", "metric": "psnr", "value": 20.0}
        ),
    }


PAIR = {"a": (30.0, 20.0), "b": (28.0, 25.0)}


def said(lines: list[str]) -> str:
    return " ".join(lines)


def benchmark_result(frames: dict[str, pd.DataFrame]) -> GeneralizationResult:
    """The result that holds these tables."""
    files = {f"{name}.csv": frame for name, frame in frames.items()}
    return GeneralizationResult(analysis("generalization"), files, {"models": {}})
