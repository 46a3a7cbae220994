"""Why the PSNR of two models differs: the parts due to lost detail and to leaked noise.

Read from error_difference.csv, whose values are PSNR of model b minus that of model a in dB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.stats.jackknife import ENOUGH
from analysis.stats.model_differences import MEAN, averaged
from analysis.text.markdown import bounded, code, number, side
from analysis.text.noise_names import noise_label, noise_phrase
from analysis.text.rows import records
from analysis.text.terminal import grid, plural

Frames = Mapping[str, pd.DataFrame]

CAUSES = {"damage": "lost detail", "leak": "leaked noise"}
"""The parts of a difference of PSNR, in words."""

WITH_MASKS = "leaked noise (with the variation by random masks)"
"""What the second part is of a network whose outputs vary with its masks."""

HEADS = {"psnr": "PSNR", "damage": "due to lost detail", "leak": "due to leaked noise"}
"""Columns of `table`, by measure."""


class Part(NamedTuple):
    """One part of the differences of PSNR, as far as it has one sign.

    Attributes:
        cause: `damage` or `leak`.
        sign: 1 where the second model is better for it, -1 where it is worse, 0 where an interval
            includes 0.
        noises: under which this is so.
        least, most: sizes in dB over these noises.
    """

    cause: str
    sign: int
    noises: tuple[str, ...]
    least: float
    most: float


def parts(frame: pd.DataFrame, first: str, second: str) -> list[Part]:
    """The parts of the differences of PSNR, second model minus first, under single noises.

    With enough photographs, by intervals that hold for all noises at once; else by 95% intervals.

    Args:
        frame: error_difference.csv.
        first, second: two of its models.
    """
    rows = single(frame, first, second)
    low, high = (
        ("low", "high") if few(rows) or "band_low" not in rows else ("band_low", "band_high")
    )
    found: list[Part] = []
    for cause in CAUSES:
        by_sign: dict[int, list[tuple[str, float]]] = {}
        for row in records(rows[rows.measure == cause]):
            way = 1 if row["model_b"] == second else -1
            sign = way * side(row[low], row[high])
            by_sign.setdefault(sign, []).append((str(row["noise"]), abs(row["value"])))
        for sign, of in sorted(by_sign.items(), key=lambda item: (item[0] == 0, -len(item[1]))):
            sizes = [size for _, size in of]
            found.append(Part(cause, sign, tuple(n for n, _ in of), min(sizes), max(sizes)))
    return found


def of_pair(frame: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The rows of two models."""
    models = [first, second]
    return frame[frame.model_a.isin(models) & frame.model_b.isin(models)]


def single(frame: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The rows of two models under single noises, as far as they have a value."""
    rows = of_pair(frame, first, second)
    return rows[(rows.noise != MEAN) & rows.value.notna()]


def few(rows: pd.DataFrame) -> bool:
    """Whether rows rest on too few photographs for something to be shown."""
    return bool(len(rows)) and int(rows.photographs.min()) < ENOUGH


def sentence(frames: Frames, first: str, second: str) -> str:
    """What makes the PSNR of two models differ; empty where nothing is known.

    Args:
        frames: error.csv and error_difference.csv.
        first, second: two of their models.

    >>> rows = [
    ...     (cause, "a", "b", noise, value, value - 0.1, value + 0.1, value - 0.2, value + 0.2, 12)
    ...     for cause, values in (("damage", (-2.0, -1.0)), ("leak", (-0.5, 2.5)))
    ...     for noise, value in zip(("gaussian:15", "poisson:2"), values)
    ... ]
    >>> names = ["measure", "model_a", "model_b", "noise", "value", "low", "high"]
    >>> frame = pd.DataFrame(rows, columns=[*names, "band_low", "band_high", "photographs"])
    >>> error = pd.DataFrame({"model": ["a", "b"], "mask_variance": [0.0, 0.0]})
    >>> print(sentence({"error": error, "error_difference": frame}, "a", "b"))
    More lost detail makes the PSNR of `b` lower than that of `a` under both noises (by 1.0 to 2.0 \
dB); more leaked noise makes it lower under Gaussian σ = 15 (by 0.5 dB), less makes it higher \
under Poisson α = 2 (by 2.5 dB): shown by intervals that hold for all noises at once.
    """
    frame, error = frames["error_difference"], frames["error"]
    rows, noises = single(frame, first, second), of_pair(frame, first, second).noise
    total = len(set(noises) - {MEAN})
    found = parts(frame, first, second)
    masks = error[error.model.isin([first, second])].mask_variance
    names = CAUSES | ({"leak": WITH_MASKS} if (masks > 0).any() else {})
    texts: list[str] = []
    for cause, name in names.items():
        each: list[str] = []
        for part in found:
            if part.cause == cause and part.sign:
                amount, word = ("less", "higher") if part.sign > 0 else ("more", "lower")
                what = amount if each else f"{amount} {name}"
                whose, than = "it", ""
                if not texts and not each:
                    whose, than = f"the PSNR of {code(second)}", f" than that of {code(first)}"
                where = under(part.noises, total)
                each.append(f"{what} makes {whose} {word}{than} {where} (by {span(part)})")
        texts += [", ".join(each)] if each else []
    if not found:
        return ""
    if not texts:
        end = "too few images to tell" if few(rows) else "not shown"
        pair = f"{code(first)} and {code(second)}"
        return f"A difference in PSNR between {pair} due to lost detail or leaked noise: {end}."
    text = "; ".join(texts)
    if few(rows):
        count = int(rows.photographs.min())
        return f"On {'this photograph' if count == 1 else f'these {count} photographs'}, {text}."
    how = "" if total == 1 else " by intervals that hold for all noises at once"
    return f"{text[0].upper()}{text[1:]}: shown{how}."


def span(part: Part) -> str:
    """The sizes of a part over noises, in dB."""
    digits = 1 if part.least >= 0.05 else 2
    return f"{' to '.join(dict.fromkeys(number(n, digits) for n in (part.least, part.most)))} dB"


def under(chosen: Sequence[str], total: int) -> str:
    """Some noises of several: by name if it is one, else how many they are.

    >>> under(["gaussian:15"], 2), under(["a", "b"], 3), under(["a", "b", "c"], 3)
    ('under Gaussian σ = 15', 'under 2 of 3 noises', 'under all 3 noises')
    """
    if len(chosen) == 1:
        return f"under {noise_phrase(chosen[0])}"
    if len(chosen) == total:
        return "under both noises" if total == 2 else f"under all {total} noises"
    return f"under {len(chosen)} of {total} noises"


def table(frame: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """A row for each noise, and for their mean: the difference of PSNR, and its two parts.

    Args:
        frame: error_difference.csv.
        first, second: two of its models, as its rows have them.
    """
    count = averaged(frame[frame.measure == "psnr"])
    rows = []
    for noise, of in of_pair(frame, first, second).groupby("noise", sort=False):
        cells = {
            HEADS[row["measure"]]: bounded(row["value"], row["low"], row["high"], signed=True)
            for row in records(of)
        }
        name = f"mean over {plural(count, 'noise')}" if noise == MEAN else str(noise)
        if noise != MEAN or count > 1:
            rows.append({"noise": name, **cells})
    return pd.DataFrame(rows)


def pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Every two models that have rows, as these have them."""
    rows = frame[["model_a", "model_b"]].drop_duplicates()
    return list(zip(map(str, rows.model_a), map(str, rows.model_b), strict=True))


def caption(first: str, second: str) -> str:
    """What `table` is of; plain text."""
    return f"PSNR of {second} - {first} in dB, and the two parts it is the sum of"


def printed(frame: pd.DataFrame, first: str, second: str) -> str:
    """`table` for the terminal."""
    found = table(frame, first, second)
    found["noise"] = list(map(noise_label, found.noise))
    lines = [[str(name) for name in found], *found.astype(str).values.tolist()]
    return f"{caption(first, second)}\n{grid(lines)}"
