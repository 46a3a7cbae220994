"""What similarity over training says, in sentences and a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.cka.figures import MEASURES, cells, measure, removed
from analysis.cka.over_training.tables import CHANGE, END, NAME
from analysis.cka.reading_quarter import in_brackets, judged, smallest, where
from analysis.commands.snapshots import from_manifest
from analysis.text import verdicts
from analysis.text.intervals import about_intervals
from analysis.text.markdown import bounded, code
from analysis.text.noise_names import noise_phrase, noise_words
from analysis.text.rows import records
from analysis.text.terminal import grid

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]
Row = Mapping[str, Any]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """A row for each snapshot, with a column for each comparison."""
    frame = frames[NAME]
    column = measure(frame)
    headings = {key: heading(*key) for key in pairs(frame)}
    rows = [["run", "step", *headings.values()]]
    for (run, step), part in frame.groupby(["run", "step"], sort=False):
        values = {
            (row["against"], row["noise_a"], row["noise_b"]): bounded(
                row[column], row["low"], row["high"], 3
            )
            for row in records(part)
        }
        rows.append([str(run), f"{step:,}", *(values.get(key, "–") for key in headings)])
    what = f"{MEASURES[column]}{removed(cells(frames).centering.iloc[0])}"
    line = f"{what} in the last quarter of the {where(frames)} by step of training"
    line += ", with 95% intervals" if frame.low.notna().any() else ""
    return f"{line}\n{grid(rows)}"


def pairs(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The comparisons: what with, and the two noises."""
    rows = frame[["against", "noise_a", "noise_b"]].drop_duplicates()
    return [(str(a), str(b), str(c)) for a, b, c in rows.itertuples(index=False)]


def heading(against: str, noise_a: str, noise_b: str) -> str:
    """A comparison as the heading of a column."""
    under = noise_words(noise_a)
    if against == END:
        return f"with the end of training, {under}"
    return f"{under} against {noise_words(noise_b)}"


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """How similarity changes from the first to the last snapshot of each run."""
    frame = frames[NAME]
    text = []
    for against, noise_a, noise_b in pairs(frame):
        chosen = (frame.noise_a == noise_a) & (frame.noise_b == noise_b)
        part = frame[chosen & (frame.against == against)]
        text += [change(frames, rows, manifest) for _, rows in part.groupby("run", sort=False)]
    photographs = int(frame.photographs.max())
    return [*text, *about_intervals(photographs, manifest, bool(frame.low.notna().any()))]


def change(frames: Frames, rows: pd.DataFrame, manifest: Manifest) -> str:
    """One run and comparison: the first value, the last, and whether they differ."""
    of = records(rows.sort_values("step"))
    first, last = of[0], of[-1]
    column = measure(rows)
    name = f"{MEASURES[column]} in the last quarter of the {where(frames)}"
    if first["against"] == END:
        end = max(of.step for of in from_manifest(manifest).values() if of.run == first["run"])
        start = f"Under {noise_phrase(first['noise_a'])}"
        what = f"{start}, {name} with the end of training (step {end:,})"
    else:
        what = (
            f"{name} between {noise_phrase(first['noise_a'])} and {noise_phrase(first['noise_b'])}"
        )
    start = f"{what} is {value(first, column)} at step {first['step']:,} of {code(first['run'])}"
    if len(of) == 1:
        return f"{start}{in_brackets(first)}."
    by, low, high = (last[name] for name in CHANGE)
    changed = bounded(by, low, high, 3, signed=True)
    verdict = verdicts.in_words(judged(last, "from_first", manifest), smallest(manifest))
    steps = f"{value(last, column)} at step {last['step']:,}{in_brackets(last)}"
    return f"{start} and {steps}; the change is {changed}: {verdict}."


def value(row: Row, column: str) -> str:
    """A value with its interval."""
    return bounded(row[column], row["low"], row["high"], 3)
