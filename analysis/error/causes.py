"""Why the PSNR of two models differs: the parts due to lost detail and to leaked noise.

Read from error_difference.csv, whose values are PSNR of model b minus that of model a in dB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis.stats.jackknife import ENOUGH
from analysis.stats.model_differences import MEAN, averaged
from analysis.text.markdown import bounded, code, listed, number, side
from analysis.text.noise_names import noise_label, noise_phrase
from analysis.text.rows import records
from analysis.text.terminal import grid, plural

CAUSES = {"damage": "lost detail", "leak": "leaked noise"}
"""The parts of a difference of PSNR, in words."""

HEADS = {"psnr": "PSNR", "damage": "due to lost detail", "leak": "due to leaked noise"}
"""Columns of `table`, by measure."""


class Cost(NamedTuple):
    """What one part of the error costs a model, compared with another model.

    Attributes:
        cause: `damage` or `leak`.
        model: the one whose PSNR is lower for it.
        noises: the noises under which its interval excludes 0.
        least, most: dB, over these noises.
    """

    cause: str
    model: str
    noises: tuple[str, ...]
    least: float
    most: float


def costs(frame: pd.DataFrame, models: Sequence[str]) -> list[Cost]:
    """What lost detail and leaked noise cost two models under single noises.

    With enough photographs, by intervals that hold for all noises at once; else by 95% intervals.

    Args:
        frame: error_difference.csv.
        models: two of its models.
    """
    rows = single(frame, models)
    ends = ("low", "high") if few(rows) else ("band_low", "band_high")
    found: list[Cost] = []
    for cause in CAUSES:
        by_model: dict[str, list[tuple[str, float]]] = {}
        for row in records(rows[rows.measure == cause]):
            ahead = side(row[ends[0]], row[ends[1]])
            if ahead:
                model = str(row["model_a"] if ahead > 0 else row["model_b"])
                by_model.setdefault(model, []).append((str(row["noise"]), abs(row["value"])))
        for model, of in sorted(by_model.items(), key=lambda item: -len(item[1])):
            sizes = [size for _, size in of]
            found.append(Cost(cause, model, tuple(n for n, _ in of), min(sizes), max(sizes)))
    return found


def single(frame: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """The rows of two models under single noises, as far as they have a value."""
    pair = frame.model_a.isin(models) & frame.model_b.isin(models)
    return frame[pair & (frame.noise != MEAN) & frame.value.notna()]


def few(rows: pd.DataFrame) -> bool:
    """Whether rows rest on too few photographs for something to be shown."""
    return bool(len(rows)) and int(rows.photographs.min()) < ENOUGH


def sentence(frame: pd.DataFrame, models: Sequence[str]) -> str:
    """What makes the PSNR of two models differ; empty where nothing is known.

    Args:
        frame: error_difference.csv.
        models: two of its models.

    >>> rows = [
    ...     (cause, "a", "b", noise, value, value - 0.1, value + 0.1, value - 0.2, value + 0.2, 12)
    ...     for cause, values in (("damage", (-2.0, -1.0)), ("leak", (-0.5, 2.5)))
    ...     for noise, value in zip(("gaussian:15", "poisson:2"), values)
    ... ]
    >>> names = ["measure", "model_a", "model_b", "noise", "value", "low", "high"]
    >>> frame = pd.DataFrame(rows, columns=[*names, "band_low", "band_high", "photographs"])
    >>> print(sentence(frame, ["a", "b"]))
    Lost detail costs `b` more PSNR under both noises (1.0 to 2.0 dB); leaked noise costs `b` more \
under Gaussian σ = 15 (0.5 dB) and `a` more under Poisson α = 2 (2.5 dB): shown.
    """
    rows = single(frame, models)
    noises = list(dict.fromkeys(map(str, rows.noise)))
    by_cause: dict[str, list[str]] = {}
    for cost in costs(frame, models):
        span = " to ".join(dict.fromkeys(number(end, 1) for end in (cost.least, cost.most)))
        more = "more PSNR" if not by_cause else "more"
        by_cause.setdefault(cost.cause, []).append(
            f"{code(cost.model)} {more} {under(cost.noises, noises)} ({span} dB)"
        )
    if not by_cause:
        return ""
    text = "; ".join(f"{CAUSES[cause]} costs {listed(each)}" for cause, each in by_cause.items())
    end = "too few images to tell" if few(rows) else "shown"
    return f"{text[0].upper()}{text[1:]}: {end}."


def under(chosen: Sequence[str], noises: Sequence[str]) -> str:
    """Some noises of several: by name if it is one, else how many they are.

    >>> under(["gaussian:15"], ["gaussian:15", "poisson:2"]), under(["a", "b"], ["a", "b", "c"])
    ('under Gaussian σ = 15', 'under 2 of 3 noises')
    """
    if len(chosen) == 1:
        return f"under {noise_phrase(chosen[0])}"
    if len(chosen) == len(noises):
        return "under both noises" if len(noises) == 2 else f"under all {len(noises)} noises"
    return f"under {len(chosen)} of {len(noises)} noises"


def table(frame: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """A row for each noise, and for their mean: the difference of PSNR, and its two parts.

    Args:
        frame: error_difference.csv.
        models: two of its models.
    """
    pair = frame.model_a.isin(models) & frame.model_b.isin(models)
    over = f"mean over {plural(averaged(frame[pair & (frame.measure == 'psnr')]), 'noise')}"
    rows = []
    for noise, of in frame[pair].groupby("noise", sort=False):
        cells = {
            HEADS[row["measure"]]: bounded(row["value"], row["low"], row["high"], signed=True)
            for row in records(of)
        }
        rows.append({"noise": over if noise == MEAN else str(noise), **cells})
    return pd.DataFrame(rows)


def caption(frame: pd.DataFrame, models: Sequence[str]) -> str:
    """What `table` is of; plain text."""
    pair = frame[frame.model_a.isin(models) & frame.model_b.isin(models)].iloc[0]
    return (
        f"PSNR of {pair['model_b']} - {pair['model_a']} in dB, and the two parts it is the sum of"
    )


def printed(frame: pd.DataFrame, models: Sequence[str]) -> str:
    """`table` for the terminal."""
    found = table(frame, models)
    found["noise"] = list(map(noise_label, found.noise))
    lines = [[str(name) for name in found], *found.astype(str).values.tolist()]
    return f"{caption(frame, models)}\n{grid(lines)}"
