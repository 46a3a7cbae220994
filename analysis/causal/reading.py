"""What the tables of causal tracing say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.causal.figures import words
from analysis.causal.tables import EXACT, SCREENED, UNCHANGED, WHOLE
from analysis.plotting.model_styles import short
from analysis.text import model_differences, verdicts
from analysis.text.intervals import about_intervals
from analysis.text.markdown import bounded, code, codes, listed, number, remarks
from analysis.text.model_differences import ModelDifferences
from analysis.text.noise_names import noise_label, noise_phrase, noise_words
from analysis.text.rows import Row, ends, records
from analysis.text.terminal import grid, plural
from mtd.utils.messages import verb

POOR = 1 / 3
"""Of the median size of a recovery: where estimates differ by more, screening may miss branches."""

MOST = 8
"""Sentences of single models under single noises; of more, only the means are said."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    frame = frames["causal"]
    return [
        *main(frames, manifest),
        *elsewhere(frames),
        *together(frames),
        *compared(frames),
        *worth(frames, manifest),
        *whole_streams(frame),
        *unchanged(frame),
        *screening(frame),
        *undefined(frame),
        *scope(frame, manifest),
    ]


def patched(frame: pd.DataFrame) -> pd.DataFrame:
    """Branches with a recovery that says something."""
    kept = (frame.patched != SCREENED) & (frame.status != WHOLE) & frame.recovery.notna()
    return frame[kept]


def main(frames: Frames, manifest: Manifest) -> list[str]:
    """How many branches are shown to recover some of the error, and how far the largest does."""
    rows, text, counted = patched(frames["causal"]), [], False
    for (model, noise), part in rows.groupby(["model", "noise"], sort=False):
        top = ends(part, "recovery")[1]
        enough = verdicts.verdict(top["band_low"], top["band_high"], int(top["photographs"]))
        value = bounded(top["recovery"], top["low"], top["high"])
        largest = f"the largest recovery is {value} ({named(top)})"
        count = int((part.band_low > 0).sum())
        of = plural(len(part), "patched branch", "es")
        if enough == "too few images":
            said = f"{largest}: {verdicts.in_words(enough)}"
        else:
            said = f"{count} of {of} {verb(count, 'is', 'are')} shown to recover part of the error"
            worse = int((part.band_high < 0).sum())
            if worse:
                said += f", {worse} {verb(worse, 'is', 'are')} shown to increase it"
            said += f"; {largest}"
            counted = True
        text.append(
            f"Recovery in {code(model)} under {noise_phrase(noise)} with features from "
            f"{noise_phrase(manifest['reference'])}: {said}."
        )
    if len(text) > MOST:
        text = [*text[:MOST], f"{len(text) - MOST} more models and noises are in `causal.csv`."]
    if text:
        counts = (
            "These counts rest on intervals that hold for all patched branches of a model under a "
            "noise at once (Bonferroni). "
        )
        text.append(
            f"{counts if counted else ''}The interval of the largest recovery is for that branch "
            "alone; where it is the largest of several on the same crops, it is probably too high."
        )
    return text


def named(row: Row) -> str:
    """A branch in words."""
    kind = {"attention": "the attention update ", "mlp": "the MLP update "}.get(row["kind"], "")
    return f"{kind}{code(short(str(row['branch'])))}"


def elsewhere(frames: Frames) -> list[str]:
    """What the branch of the largest recovery recovers on photographs that did not choose it."""
    frame = frames["causal_together"]
    if "held_out" not in frame:  # of a run of an earlier version
        return []
    counts = patched(frames["causal"]).groupby(["model", "noise"], sort=False).size()
    every = frame.groupby(["model", "noise"], sort=False).tail(1)
    rows = [
        row
        for row in records(every[every.held_out.notna()])
        if counts.get((row["model"], row["noise"]), 0) > 1
    ]
    if not rows:
        return []
    each = [
        f"{bounded(row['held_out'], row['held_out_low'], row['held_out_high'])} in "
        f"{code(row['model'])} under {noise_phrase(row['noise'])}"
        for row in rows
    ]
    most = " most of" if (frames["causal"].patched == SCREENED).any() else ""
    few = min(int(row["photographs"]) for row in rows)
    rough = verdicts.verdict(1, 1, few) == "too few images"
    return [
        f"The largest recovery without{most} this bias, each half of the photographs patched in "
        f"the branch that recovers most on the other half: {listed(each, MOST)}"
        f"{': ' + verdicts.in_words('too few images') if rough else ''}."
    ]


def together(frames: Frames) -> list[str]:
    """What the branches of each kind recover at once, and all, beside the sum of single ones."""
    frame, text = frames["causal_together"], []
    rows = frame[frame.recovery.notna() & (frame.branches > 1)]
    for (model, noise), part in list(rows.groupby(["model", "noise"], sort=False))[:MOST]:
        kinds = [
            f"all {row['branches']} {words(str(row['kind']))} recover "
            f"{bounded(row['recovery'], row['low'], row['high'])}"
            for row in records(part)
        ]
        said = f"Patched at once in {code(model)} under {noise_phrase(noise)}, {listed(kinds)}"
        last = records(part)[-1]
        if not math.isnan(last["sum"]):
            ends = last["interaction_low"], last["interaction_high"]
            of = verdicts.verdict(*ends, last["photographs"])
            more = bounded(last["interaction"], *ends, signed=True)
            said += (
                f". Patched one by one, these {last['branches']} have recoveries that sum to "
                f"{number(last['sum'])}; the difference, their interaction, is {more}: "
                f"{verdicts.in_words(of)}"
            )
        text.append(f"{said}.")
    return text


def compared(frames: Frames) -> list[str]:
    """How models differ in what all branches of a kind recover at once."""
    frame, text = frames["causal_difference"], []
    for measure in dict.fromkeys(frame.measure) if len(frame) else ():
        of = ModelDifferences.read(frames, "causal_difference", str(measure))
        found = model_differences.sentences(of)
        if found:
            first, every = found[0], words(str(measure))
            text += [f"Difference in recovery by all {every} at once. {first}"]
    return text


def worth(frames: Frames, manifest: Manifest) -> list[str]:
    """Which branch is worth most under the reference noise."""
    if "ablation" not in frames:
        return []
    frame, each = frames["ablation"], []
    rows = frame[(frame.noise == manifest["reference"]) & frame.loss.notna()]
    for model, part in rows.groupby("model", sort=False):
        top = ends(part, "loss")[1]
        value = bounded(top["loss"], top["low"], top["high"], unit="dB")
        of = verdicts.verdict(top["band_low"], top["band_high"], int(top["photographs"]))
        each.append((f"{value} in {code(model)} for {named(top)}", of))
    if not each:
        return []
    return [
        "Largest loss of PSNR with one branch replaced by its mean, under "
        f"{noise_phrase(manifest['reference'])}: {verdicts.joined(each)}."
    ]


def whole_streams(frame: pd.DataFrame) -> list[str]:
    """Which branches are a cut through the network, so that patching them says nothing."""
    text = []
    rows = frame[frame.status == WHOLE].drop_duplicates(["model", "branch"])
    for model, part in rows.groupby("model", sort=False):
        names = codes([short(str(name)) for name in part.branch], 3)
        total = set(frame[(frame.model == model) & (frame.patched != SCREENED)].branch)
        which = "all patched branches" if len(part) == len(total) else names
        text.append(
            f"In {code(model)}, {which} {'are' if len(part) > 1 else 'is'} the whole stream, a cut "
            "through the network (or all of it but a skip from input to output): patching one "
            "gives the output under the reference noise whatever the layer does, and so says "
            "nothing about it. Parts of layers can be patched with --branches channels."
        )
    return text


def unchanged(frame: pd.DataFrame) -> list[str]:
    """Which branches are the same under both noises."""
    rows = frame[frame.status == UNCHANGED]
    return [
        f"The same under both noises in {code(model)} under {noise_phrase(noise)}, so that "
        f"patching changes nothing: {codes([short(str(name)) for name in part.branch], 4)}."
        for (model, noise), part in rows.groupby(["model", "noise"], sort=False)
    ]


def screening(frame: pd.DataFrame) -> list[str]:
    """How far estimates of attribution patching are from exact recoveries."""
    rows = patched(frame)
    rows = rows[rows.estimate.notna()]
    each: list[str] = []
    poor: list[str] = []
    for model, part in rows.groupby("model", sort=False):
        gap = (part.estimate - part.recovery).abs().median()
        size = part.recovery.abs().median()
        each.append(
            f"{number(gap, 3)} in {code(model)} (median size of a recovery {number(size, 3)})"
        )
        poor += [str(model)] if gap > POOR * size and bool((part.patched != EXACT).any()) else []
    if not each:
        return []
    left = int((frame.patched == SCREENED).sum())
    more = (
        f" {plural(left, 'row')} {verb(left, 'is', 'are')} of branches that were not patched and "
        "have an estimate only."
        if left
        else ""
    )
    missed = (
        f" In {codes(poor)} the estimates are poor: screening may have missed branches that matter."
        if poor
        else ""
    )
    return [
        "Estimates by attribution patching (column estimate) differ from exact recoveries by a "
        f"median of {listed(each)}.{more}{missed}"
    ]


def undefined(frame: pd.DataFrame) -> list[str]:
    """Under which noises there is no recovery, and why."""
    rows = frame[(frame.reason != "") & (frame.patched != SCREENED)]
    found = rows.drop_duplicates(["model", "noise", "reason"])
    return [
        f"No recovery in {code(row['model'])} under {noise_phrase(row['noise'])}: {row['reason']}."
        for row in records(found)
    ]


def scope(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """What the numbers are about."""
    lower = frame[(frame.mse < frame.mse_reference) & (frame.reason == "")]
    text = [
        f"{code(model)} has a smaller error under {noise_phrase(noise)} than under the reference "
        "noise: there, recovery is a share of that decrease."
        for model, noise in lower[["model", "noise"]].drop_duplicates().values.tolist()
    ]
    text += remarks(frame.note)
    about = manifest.get("models", {})
    if noisy := [name for name in about if about[name].get("predicts") == "noise"]:
        text.append(
            f"{codes(noisy)}: the output is the input minus the noise that the last layer "
            "predicts. With features from the other run it subtracts noise that is not in this "
            "input, so that recoveries below 0 say nothing about a branch."
        )
    text.append(
        "A recovery says how replacing a branch's features changes the error, with everything else "
        "as it is under the unseen noise; the features that replace them contain the noise of the "
        "other run."
    )
    return [*text, *about_intervals(int(frame.photographs.iloc[0]), manifest)]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Errors, the branch that recovers most, and all at once, for the terminal."""
    frame, side = frames["causal"], manifest["crop"]
    heading = (
        f"Recovery by patching branches with features from {noise_words(manifest['reference'])}: "
        f"{plural(int(frame.crops.iloc[0]), 'crop')} of {side} x {side}\n"
        "MSE in squared 8-bit levels; recovery: share of the additional error that patching "
        "removes,\nfor the single branch with the largest one and for all branches at once"
    )
    rows = [["model", "noise", "MSE, reference", "MSE", "largest", "recovery", "all branches"]]
    joint = frames["causal_together"]
    for (model, noise), part in frame.groupby(["model", "noise"], sort=False):
        first, top = part.iloc[0], patched(part)
        largest = ["-", "-"]
        if len(top):
            row = ends(top, "recovery")[1]
            largest = [
                short(str(row["branch"])),
                bounded(row["recovery"], row["low"], row["high"]),
            ]
        own = joint[(joint.model == model) & (joint.noise == noise)]
        every = own.iloc[-1]
        errors = [f"{first.mse_reference:.1f}", f"{first.mse:.1f}"]
        rows.append([str(model), noise_label(noise), *errors, *largest, number(every.recovery)])
    return f"{heading}\n{grid(rows)}"


def alt(frames: Frames) -> str:
    """Of the recoveries: the largest of each model."""
    rows, each = patched(frames["causal"]), []
    for model, part in rows.groupby("model", sort=False):
        top = ends(part, "recovery")[1]
        where = f"{short(str(top['branch']))} under {noise_words(top['noise'])}"
        each.append(f"{model}: up to {number(top['recovery'])} at {where}")
    none = f"None of {plural(len(frames['causal']), 'row')} has a recovery."
    said = f"{'; '.join(each[:4])}." if each else none
    return f"Recovery per branch over depth, a panel for each unseen noise. {said}"


def ablation_alt(frames: Frames) -> str:
    """Of the losses without a branch: the largest of each model; plain text."""
    frame = frames["ablation"]
    each = []
    for model, part in frame[frame.loss.notna()].groupby("model", sort=False):
        top = ends(part, "loss")[1]
        where = f"{short(str(top['branch']))} under {noise_words(top['noise'])}"
        each.append(f"{model}: up to {number(top['loss'])} dB at {where}")
    return f"PSNR lost without single branches, over depth. {'; '.join(each[:4])}."
