"""What SRGA's table says: how far features move from those under the reference noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from analysis.commands.result import WIDTH
from analysis.plotting.model_styles import features
from analysis.srga.figures import others
from analysis.srga.score import PATCHES
from analysis.text import controls, reasons
from analysis.text.intervals import about_intervals
from analysis.text.marginals import by_noise, tidy
from analysis.text.markdown import bounded, code, listed, number, remarks
from analysis.text.model_differences import ModelDifferences
from analysis.text.model_kinds import kinds
from analysis.text.noise_names import noise_label, noise_phrase, noise_phrases, noise_words
from analysis.text.rows import ends, reaches, records
from analysis.text.terminal import filled, grid, plural

SIMILAR = 1.0
"""dB by which models may differ under the reference noise before a sentence says that their scores
are hardly comparable."""

FLOOR = "from half the patches and components"

HALVES = (
    "The distance between different photographs is from half the patches and components: it is "
    "not on the scale of SRGA."
)

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the table, the most important first."""
    return [
        *main(frames),
        *order(frames),
        *no_distance(frames),
        *missing(frames),
        *few_patches(frames),
        *presets(frames),
        *kinds(manifest),
        *scope(frames, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """The score of each model under other noises, and a warning if models are not comparable."""
    frame = frames["srga"]
    what, rows = f"SRGA against {noise_phrase(frame.reference.iloc[0])}", others(frame)
    return [
        *by_noise(
            tidy(rows, "srga"),
            what,
            within=controls.within(rows),
            differences=ModelDifferences.read(frames, "srga_difference"),
        ),
        *controls.sentences(rows, "SRGA", floor=FLOOR),
        *comparable(frame),
    ]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Scores with intervals, fitted densities and PSNR, as a table for the terminal."""
    frame = frames["srga"]
    first = frame.iloc[0]
    line = (
        f"SRGA of {features(map(str, frame.layer))} against {noise_words(first.reference)}, lower "
        f"is closer: {plural(int(first.patches), 'patch', 'es')} of {manifest['crop']} x "
        f"{manifest['crop']}, {plural(int(first.components), 'component')}"
    )
    line += ", with 95% intervals" if frame.low.notna().any() else ""
    line = filled(line, WIDTH)
    beside = controls.has_controls(frame)
    heads = list(controls.HEADS.values()) if beside else ["KL", "sigma", "shape"]
    rows = [["model", "noise", "SRGA", *heads, "PSNR (dB)"]]
    for row in records(frame):
        score = bounded(row["srga"], row["low"], row["high"], 3)
        rest = [f"{row['kl']:.3g}", f"{row['sigma']:.4g}", f"{row['shape']:.3f}"]
        rest = controls.cells(row, 2) if beside else rest
        rows.append([row["model"], noise_label(row["noise"]), score, *rest, f"{row['psnr']:.2f}"])
    table = f"{line}\n{grid(rows)}"
    return f"{table}\n{controls.LEGEND}\n{HALVES}" if beside else table


def at_reference(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the reference noise, of models that have a score and a PSNR."""
    return frame[(frame.noise == frame.reference) & frame.srga.notna() & frame.psnr.notna()]


def apart_in_psnr(frame: pd.DataFrame) -> float:
    """By how many dB models differ under the reference, if their scores are hardly comparable.

    Else 0.
    """
    own = at_reference(frame).psnr
    apart = float(own.max() - own.min()) if len(own) else 0.0
    return apart if apart > SIMILAR else 0.0


def comparable(frame: pd.DataFrame) -> list[str]:
    """A warning where models that have a score differ in quality under the reference."""
    difference = apart_in_psnr(frame)
    if not difference:
        return []
    low, high = ends(at_reference(frame), "psnr")
    each = " and ".join(
        f"{number(row['psnr'], 1)} dB in {code(row['model'])}" for row in (low, high)
    )
    return [
        f"PSNR under {noise_phrase(low['reference'])} differs by {number(difference, 1)} dB "
        f"between models ({each}): SRGA compares models of similar PSNR, so these scores are "
        "hardly comparable."
    ]


def order(frames: Frames) -> list[str]:
    """Whether the order of models depends on the number of components or patches."""
    frame = frames.get("robustness")
    if frame is None or frame.model.nunique() < 2:
        return []
    how = ["patches", "components"]
    wide = frame.pivot(index=how, columns="model", values="srga").dropna(axis=1)
    wide = wide[[model for model in dict.fromkeys(frame.model) if model in wide]]
    changed = []
    for a, b in combinations(wide.columns, 2):
        lower, higher = ((wide[a] - wide[b]) * sign < 0 for sign in (1, -1))
        if lower.any() and higher.any():
            ways = [f"{code(name)} in {of.sum()}" for name, of in ((a, lower), (b, higher))]
            changed.append(listed(ways))
    count, models = len(wide), len(wide.columns)
    if models < 2 or count < 2:
        return []
    of = f"{count} choices of components and patches (`robustness.csv`)"
    if not changed:
        which = "the order of the two models is" if models == 2 else "the order of all models is"
        return [f"By the mean over noises, {which} the same for all {of}."]
    if models == 2:
        return [f"Order not robust: of {of}, the mean over noises is lower for {changed[0]}."]
    pairs = math.comb(models, 2)
    return [f"Order not robust: over {of}, the order of {len(changed)} of {pairs} pairs changes."]


def no_distance(frames: Frames) -> list[str]:
    """Where the interval of a score includes 0, no distance; with a ceiling, that decides."""
    part = others(frames["srga"])
    if controls.has_controls(part) and part.ceiling.notna().all():
        return []
    included = part[part.low <= 0]
    each = [
        f"{code(name)} under {noise_phrases(of.noise, 3)}"
        for name, of in included.groupby("model", sort=False)
    ]
    return [f"The 95% interval includes 0, no distance, for {listed(each)}."] if each else []


def missing(frames: Frames) -> list[str]:
    """Which models have no score, and why."""
    return reasons.missing(frames["srga"], "srga.csv")


def few_patches(frames: Frames) -> list[str]:
    """A warning where there are fewer patches than the published code uses."""
    patches = int(frames["srga"].patches.iloc[0])
    if patches >= PATCHES:
        return []
    return [f"{patches} patches are few: the published code uses at least {PATCHES}."]


def presets(frames: Frames) -> list[str]:
    """Notes on noises that are not the paper's."""
    return remarks(frames["srga"].note)


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """What intervals are about, or why there are none."""
    frame = frames["srga"]
    present = bool(frame.low.notna().any())
    return about_intervals(int(frame.photographs.iloc[0]), manifest, present)


def alt(frames: Frames) -> str:
    """Of the figure: the range of each model's scores, and its controls."""
    part = others(frames["srga"])
    return f"SRGA under the other noises: {reaches(part, 'srga', 2, 4)}.{controls.alt(part, 2)}"
