"""What the tables of degradation clusters say, as sentences for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.plotting.model_styles import features, located, short
from analysis.text import controls, model_differences, reasons, verdicts
from analysis.text.intervals import about_intervals
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import bounded, code, codes, escaped, listed, number, sentence
from analysis.text.model_differences import ModelDifferences
from analysis.text.model_kinds import kinds
from analysis.text.noise_names import noise_words
from analysis.text.rows import records
from analysis.text.terminal import grid, plural
from analysis.text.verdicts import of_ratio

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]

LEGEND = """\
last features: those before the last convolution; of the last layer if those were not recorded.
CH: Calinski-Harabasz index, variance between classes over variance within; larger: more distinct;
by noise, content counts as variance within: random labels give 1, below 1 content outweighs noise.
within crops: the same once each crop's mean is removed, near 1 if noise left no common trace.
probe: how often a linear classifier identifies the noise of unseen crops; chance is {:.2f}.
Features that sort by noise are read as generalizing worse (after Liu et al. 2021, 2023)."""

DRAWS = "draws as classes"
"""The ceiling of CH by noise, whose classes are draws of one noise."""

CONTROLS = """\
draws as classes: CH of classes that differ in the draw of the first noise alone, not in its kind.
untrained: random weights, mean ± SD."""


def marked(frame: pd.DataFrame, which: str) -> pd.DataFrame:
    """One row of each model: its `last_features`, or the layer with the `highest` CH by noise."""
    return frame[frame[which].astype(bool)]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    frame = frames["degradation"]
    return [
        *main(frames),
        *highest(frame),
        *probe(frame),
        *missing(frame),
        *kinds(manifest),
        *scope(frame, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """How much the last features sort by noise, next to random labels."""
    part = marked(frames["degradation"], "last_features")
    what = f"CH by noise of {escaped(features(map(str, part.layer)))}"
    text = by_model(tidy(part, "ch_noise"), what, 3)
    ratios = ModelDifferences.read(frames, "degradation_ratio", ratio=True)
    return [
        *text,
        *model_differences.sentences(ratios),
        *levels(part),
        *against_controls(part),
    ]


def levels(part: pd.DataFrame) -> list[str]:
    """Which models are shown to lie below and above 1, the value of random labels."""
    sides: dict[str, list[str]] = {}
    for row in records(part[part.low.notna()]):
        found = of_ratio(row["low"], row["high"], int(row["photographs"]))
        word = verdicts.in_words(found)
        if found == "shown":
            below = row["high"] < 1
            word = "shown to be " + (
                "below it, so that content outweighs noise,"
                if below
                else "above it, so that noises form groups,"
            )
        sides.setdefault(word, []).append(str(row["model"]))
    each = []
    for word, names in sides.items():
        every = len(names) == len(part)
        models = f" in {f'all {len(part)} models' if len(part) > FEW else codes(names)}"
        each.append(word + ("" if every and word.startswith("too few") else models))
    text = "; ".join(each)
    return [f"Difference from 1, the index of random labels: {text}."] if each else []


def against_controls(part: pd.DataFrame) -> list[str]:
    """How many times its controls the index is, and what of that is shown.

    Args:
        part: the row of each model's last features.
    """
    text = []
    for name, head, what in (
        ("ceiling", DRAWS, "of classes that are draws of the first noise"),
        ("untrained", "untrained", "of untrained networks"),
    ):
        known = part[part[f"over_{name}"].notna()] if f"over_{name}" in part else part[:0]
        if known.empty:
            continue
        if len(known) > FEW:
            known = known.sort_values(f"over_{name}", kind="stable").iloc[[0, -1]]
        effects = []
        for row in records(known):
            ratio, low, high = (row[f"over_{name}{end}"] for end in ("", "_low", "_high"))
            value = f"{bounded(ratio, low, high)} in {code(row['model'])} ({head} {row[name]:.2g})"
            effects.append((value, of_ratio(low, high, int(row["photographs"]))))
        text.append(f"CH by noise as a multiple of that {what}: {verdicts.joined(effects)}.")
    return text


def at(layer: str) -> str:
    """A layer's place in a sentence: at a block, or before the last convolution."""
    place = located(layer)
    return place if place.startswith("before ") else f"at {place}"


def highest(frame: pd.DataFrame) -> list[str]:
    """Where along depth each model sorts by noise most."""
    part = marked(frame, "highest")
    if len(part) > FEW:
        part = part.sort_values("ch_noise", kind="stable").iloc[[0, -1]]
    each = [
        f"{code(r['model'])} {bounded(r['ch_noise'], r['low'], r['high'], 3)} "
        f"{at(r['layer'])} (layer {r['index'] + 1} of {(frame.model == r['model']).sum()})"
        for r in part.to_dict("records")
    ]
    known = frame[frame.ch_noise.notna()].model.nunique()
    which = ", least and most of all models" if len(part) < known else ""
    end = "As the highest of many layers it was selected on these same crops."
    return [f"CH by noise is highest{which}: {listed(each)}. {end}"] if each else []


def onset(rows: pd.DataFrame) -> str | None:
    """A model's first layer at which the probe exceeds halfway between chance and 1."""
    above = rows[rows.probe > (1 + rows.chance) / 2]
    return None if above.empty else str(above.layer.iloc[0])


def probe(frame: pd.DataFrame) -> list[str]:
    """From where on a linear probe identifies the noise of crops that it has not seen."""
    chance = float(frame.chance.iloc[0])
    first, never = [], []
    for model, rows in frame.groupby("model", sort=False):
        if rows.probe.isna().all():
            continue
        top = rows[rows.probe == rows.probe.max()].iloc[0]
        best = f"best {number(float(top.probe))} {at(str(top.layer))}"
        layer = onset(rows)
        if layer is None:
            never.append(f"{code(model)} ({best})")
        else:
            place = f"layer {list(rows.layer).index(layer) + 1} of {len(rows)}"
            first.append(f"{at(layer)} in {code(model)} ({place}; {best})")
    what = "the accuracy of a linear probe that identifies the noise"
    than = f"exceeds {number((1 + chance) / 2)}, halfway between chance ({number(chance)}) and 1,"
    if not first and not never:
        return []
    if not first:
        return [f"In {listed(never, FEW)} {what} never {than[:-1]}."]
    text = [f"{what[0].upper()}{what[1:]} {than} first {listed(first, FEW)}."]
    return [*text, f"It never does in {listed(never, FEW)}."] if never else text


def missing(frame: pd.DataFrame) -> list[str]:
    """Which layers have no numbers, and why."""
    return reasons.missing(frame, "degradation.csv")


def scope(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """What the numbers and their intervals are about."""
    text = notes(frame, manifest)
    present = bool(frame.low.notna().any())
    return [*text, *about_intervals(int(frame.photographs.iloc[0]), manifest, present)]


def notes(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """What must be known of the numbers."""
    first = frame.iloc[0]
    text = [sentence(str(first.note))] if first.note else []
    text += [
        f"The probe is tested in {first.folds} folds, all noises of a "
        f"{manifest.get('folds_by', 'crop')} in one of them; it has no intervals.",
        "CH grows with the number of samples: compare it within this table only.",
    ]
    if "perplexity" in manifest:
        text.append(
            f"t-SNE depends on its perplexity ({manifest['perplexity']:.3g}) and seed "
            f"({manifest['seed']}): rely on the numbers on principal components."
        )
    return text


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The last features of each model, and its layer with the highest index, for the terminal."""
    frame, side, pool = frames["degradation"], manifest["crop"], manifest["pool"]
    first = frame.iloc[0]
    pooled = f"averaged to at most {pool} x {pool} positions" if pool else "as they are"
    heading = (
        f"Do features sort crops by noise? {plural(int(first.crops), 'crop')} of {side} x {side} "
        f"under {first.noises} noises ({', '.join(map(noise_words, manifest['noises']))})\n"
        f"features {pooled}, {first.components} principal components of {first.samples} samples"
    )
    beside = controls.has_controls(frame)
    columns = {"ch_within": "within crops", "ch_content": "by content", "silhouette": "silhouette"}
    columns |= {"probe": "probe"} | ({} if beside else {"ch_tsne": "CH on t-SNE"})
    heads = ["CH by noise", *([DRAWS, "untrained"] if beside else []), *columns.values()]
    rows = [["", *heads]]
    for which, name in {"last_features": "last features", "highest": "highest CH by noise"}.items():
        rows.append([name, *[""] * len(heads)])
        for row in records(marked(frame, which)):
            value = bounded(row["ch_noise"], row["low"], row["high"], 3)
            label = f"  {row['model']}, {short(row['layer'])}"
            ceiling, _, untrained = controls.cells(row, 4) if beside else ("", "", "")
            own = [ceiling, untrained] if beside else []
            rows.append([label, value, *own, *(f"{row[column]:.3g}" for column in columns)])
    legend = LEGEND.format(first.chance)
    return "\n".join([heading, grid(rows), *([CONTROLS] if beside else []), legend])


def alt_depth(frames: Frames) -> str:
    """Of the curves over depth: the highest value of each model and that of the last features."""
    frame = frames["degradation"]
    each = []
    for model, rows in frame.groupby("model", sort=False):
        if rows.ch_noise.isna().all():
            each.append(f"{model}: no value")
            continue
        top, last = (marked(rows, which).iloc[0] for which in ("highest", "last_features"))
        each.append(
            f"{model}: highest {number(top.ch_noise, 3)} {at(top.layer)}, "
            f"{number(last.ch_noise, 3)} {at(last.layer)}, best probe {number(rows.probe.max())}"
        )
    text = f"Calinski-Harabasz index by noise and linear probe over depth. {listed(each, FEW)}."
    return text + controls.alt(frame, 3)


def alt_planes(frames: Frames) -> str:
    """Of the scatter plots: how many points, and how much they group by noise."""
    frame = marked(frames["degradation"], "last_features")
    each = [f"{r['model']} {number(r['ch_noise'], 3)}" for r in records(frame)]
    first = frame.iloc[0]
    return (
        f"{first.samples} points, {first.crops} crops under {first.noises} noises, in two "
        f"principal components and in t-SNE. Calinski-Harabasz index by noise of "
        f"{features(map(str, frame.layer))}: {listed(each, FEW)}; 1 is that of random labels."
    )
