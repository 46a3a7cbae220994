"""What the tables of filter attribution say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.causal.faig.choices import ATTRIBUTION
from analysis.causal.faig.reading_path import as_used, complete, detour
from analysis.causal.faig.tables import OTHERS
from analysis.plotting.model_styles import short
from analysis.text import verdicts
from analysis.text.intervals import about_intervals
from analysis.text.markdown import bounded, code, listed, number
from analysis.text.noise_names import noise_label, noise_phrase
from analysis.text.rows import Row, ends, records
from analysis.text.terminal import grid, plural

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    if equal(frames):
        return [*nothing(manifest), *about_intervals(photographs(frames), manifest)]
    return [
        *main(frames, manifest),
        *by_change(frames),
        *detour(frames),
        *as_used(frames, manifest),
        *complete(frames, manifest),
        *layers(frames),
        *stability(frames, manifest),
        *undefined(frames),
        *scope(frames, manifest),
    ]


def photographs(frames: Frames) -> int:
    """The number of photographs of the run."""
    return int(frames["faig_errors"].photographs.iloc[0])


def equal(frames: Frames) -> bool:
    """Whether no attribution differs from 0."""
    rows = frames["faig_errors"]
    return bool((rows.absolute == 0).all() and (rows.absolute_others == 0).all())


def nothing(manifest: Manifest) -> list[str]:
    """That there is nothing to attribute."""
    a, b = map(code, manifest["pair"])
    return [
        f"All attributions are 0: {a} and {b} have equal parameters, or none of those that differ "
        "has a part in the output."
    ]


def main(frames: Frames, manifest: Manifest) -> list[str]:
    """What it costs to revert the filters with the highest attribution, beside random ones."""
    if equal(frames):
        return nothing(manifest)
    text, reference = [], str(manifest["reference"])
    for noise, rows in reverted(frames, manifest["percent"][0], ATTRIBUTION).items():
        own, other = rows[noise], rows[reference]
        a, b = map(code, manifest["pair"])
        text.append(
            f"With the {plural(own['filters'], 'filter')} ({own['percent']:g}%) of highest "
            f"attribution for {noise_phrase(noise)} set back to their weights in {a}, {b} loses "
            f"{cost(own, 'loss')} under {noise_phrase(noise)} and {cost(other, 'loss')} under "
            f"{noise_phrase(reference)}; with as many random filters {chance(own)} and "
            f"{chance(other)}, mean and range of {manifest['random']} draws."
        )
        each = [
            (f"{cost(row, 'beyond')} under {noise_phrase(where)}", verdict(row, "beyond_"))
            for where, row in rows.items()
        ]
        enough = verdict(own, "specific_")
        said = verdicts.in_words(enough)
        if enough == "shown":
            larger = noise_phrase(noise) if own["specific"] > 0 else noise_phrase(reference)
            said += f", so that the loss is larger under {larger}"
        text.append(
            f"Loss beyond that with random filters, for filters chosen for {noise_phrase(noise)}: "
            f"{verdicts.joined(each)}. The first minus the second is {cost(own, 'specific')}: "
            f"{said}."
        )
    return text


def reverted(frames: Frames, percent: float, selection: str) -> dict[str, dict[str, Row]]:
    """The rows of a percentage by noise and by the noise under which they are measured."""
    frame = frames.get("faig_reverting")
    if frame is None:
        return {}
    known = frame[(frame.percent == percent) & (frame.selection == selection)]
    found: dict[str, dict[str, Row]] = {}
    for row in records(known):
        if not math.isnan(row["beyond"]):
            found.setdefault(str(row["noise"]), {})[str(row["measured"])] = row
    return {noise: rows for noise, rows in found.items() if len(rows) > 1}


def cost(row: Row, name: str) -> str:
    """A loss in dB with its interval."""
    prefix = "" if name == "loss" else f"{name}_"
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    return bounded(row[name], low, high, 2, "dB", signed=name != "loss")


def chance(row: Row) -> str:
    """The loss by random filters, with the range of the draws."""
    return (
        f"{number(row['random'])} dB ({number(row['random_low'])} to {number(row['random_high'])})"
    )


def verdict(row: Row, prefix: str) -> verdicts.Verdict:
    """Whether a difference is shown."""
    return verdicts.verdict(row[f"{prefix}low"], row[f"{prefix}high"], int(row["photographs"]))


def by_change(frames: Frames) -> list[str]:
    """The loss by attribution minus that by the filters whose weights differ most."""
    frame = frames.get("faig_reverting")
    if frame is None or frame.loss.isna().all():
        return []
    first = frame.percent == frame.percent.iloc[0]
    rows = frame[(frame.measured == frame.noise) & first & frame.minus_change.notna()]
    each = [
        (
            f"{cost(row, 'minus_change')} under {noise_phrase(row['noise'])}",
            verdict(row, "minus_change_"),
        )
        for row in records(rows)
    ]
    if not each:
        return []
    return [
        "Loss with filters chosen by attribution minus loss with as many chosen by the change of "
        f"their weights, Σ |θ̄ − θ|: {verdicts.joined(each)}."
    ]


def layers(frames: Frames) -> list[str]:
    """Which layer has most of the attribution."""
    frame, each = frames["faig_layers"], []
    for noise, part in frame[frame.layer != OTHERS].groupby("noise", sort=False):
        if part.share.isna().all():
            continue
        top = ends(part, "attribution")[1]
        value = bounded(top["attribution"], top["low"], top["high"], 0)
        of = verdicts.verdict(top["band_low"], top["band_high"], int(top["photographs"]))
        count = f"{top['top']} of the {part.top.sum()} highest filters"
        layer = code(short(str(top["layer"])))
        each.append((f"{value} under {noise_phrase(noise)} of {layer}, which has {count}", of))
    if not each:
        return []
    return [
        "Highest attribution of a layer, in squared 8-bit levels, and whether it differs from 0 by "
        f"intervals that hold for all layers at once: {verdicts.joined(each)}."
    ]


def stability(frames: Frames, manifest: Manifest) -> list[str]:
    """How far rankings depend on the photographs, and on the noise."""
    frame, text = frames["faig_errors"], []
    rows = records(frame[frame.noise != manifest["reference"]])
    known = [row for row in rows if not math.isnan(row["halves"])]
    if known:
        each = [f"{number(row['halves'])} under {noise_phrase(row['noise'])}" for row in known]
        text.append(
            "Spearman's rank correlation of the filters' attributions between both halves of the "
            f"photographs: {listed(each)}."
        )
    known = [row for row in rows if not math.isnan(row.get("with_mean", math.nan))]
    if known:
        each = [
            f"{number(row['with_mean'])} for {noise_phrase(row['noise'])} "
            f"({number(row['with_mean_chance'])} with F of another filter under the reference)"
            for row in known
        ]
        text.append(
            "Rank correlation of the attribution with the mean of F under the noise and under the "
            f"reference: {listed(each)}. The value with another filter is what the spread of F "
            "under each noise gives alone. Only where the correlation is well above it do filters "
            "with a large F under both noises rank first."
        )
    return text


def undefined(frames: Frames) -> list[str]:
    """Why there are no numbers."""
    text = []
    for name in ("faig_errors", "faig_reverting"):
        rows = frames.get(name)
        if rows is not None:
            missing = rows[rows.reason.fillna("") != ""].drop_duplicates(["noise", "reason"])
            text += [
                f"No value for {noise_phrase(r['noise'])}: {r['reason']}." for r in records(missing)
            ]
    return list(dict.fromkeys(text))


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """What the numbers are about."""
    a, b = map(code, manifest["pair"])
    text = [
        f"The attribution of a filter is Σ |(θ̄ − θ) g| over its weights, g the mean gradient of "
        f"the error on the straight path from {a} (θ̄) to {b} (θ), under the noise minus the same "
        f"under {noise_phrase(manifest['reference'])}. A filter is the weights of one output "
        "channel of a convolution, or of one output feature of a linear layer."
    ]
    if "faig_reverting" in frames:
        text.append(
            "The filters that are reverted were chosen on the other half of the photographs. "
            "Intervals are over the photographs that measure the loss, with the choice of filters "
            "held fixed; where random filters are subtracted, they are over their draws as well. A "
            "loss says that these weights do not fit into the other network, which may be true of "
            "any weights that matter; and the same added error is a larger loss in dB where the "
            "error is smaller."
        )
    return [*text, *about_intervals(photographs(frames), manifest)]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Errors of both networks, and what reverted filters cost, for the terminal."""
    a, b = manifest["pair"]
    crops = len(manifest["crops"])
    rows = [["noise", f"MSE of {a}", f"of {b}", "highest on path", "signed sum", "error of sum"]]
    for row in records(frames["faig_errors"]):
        values = (row["mse_baseline"], row["mse_twin"], row["highest"])
        sums = (row["filters"] + row["others"], row["rest"])
        rows.append([noise_label(row["noise"]), *(number(value, 1) for value in (*values, *sums))])
    heading = (
        f"Filter attribution from {a} to {b}: {plural(crops, 'crop')}; MSE in squared 8-bit levels"
    )
    text = f"{heading}\n{grid(rows)}"
    frame = frames.get("faig_reverting")
    if frame is None or frame.loss.isna().all():
        return text
    rows = [["filters chosen for", "measured under", "%", "PSNR lost (dB)", "random", "range"]]
    for row in records(frame[frame.selection == ATTRIBUTION]):
        spread = f"{number(row['random_low'])} to {number(row['random_high'])}"
        lost = bounded(row["loss"], row["low"], row["high"])
        line = [
            noise_label(row["noise"]),
            noise_label(row["measured"]),
            f"{row['percent']:g}",
            lost,
        ]
        rows.append([*line, number(row["random"]), spread])
    return f"{text}\n\n{grid(rows)}"
