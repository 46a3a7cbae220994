"""What the tables of stitching say, as sentences for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.plotting.model_styles import short
from analysis.stitch.reading_disagreements import MOST, cost_of, disagreements, pair_of
from analysis.text import model_differences, trainings, verdicts
from analysis.text.intervals import about_intervals
from analysis.text.markdown import bounded, code, codes, listed, number
from analysis.text.model_differences import ModelDifferences
from analysis.text.noise_names import noise_phrase, noise_words
from analysis.text.rows import ends, records
from analysis.text.terminal import grid
from mtd.utils.messages import plural

LEGEND = """\
cost: PSNR of the receiver as it is minus its PSNR with the sender's mapped features in place of its
own; negative where these serve it better. mean cost: over layers; max cost: the highest of a layer,
with the layer and its CKA. Controls with the receiver's own features, mean over layers: other
photographs (floor), through a map fitted to features of other photographs; other draw (ceiling),
under another draw of its noise, which does not bound the cost. rho: Spearman's rank correlation of
cost and CKA over layers; -1 where less similar layers always cost more."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]
NOISES = ["kind", "noise_sender", "noise_receiver"]
PAIR = ["kind", "sender", "receiver", "noise_sender", "noise_receiver"]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    frame = frames["stitch"]
    return [
        *main(frames),
        *compared(frames),
        *expensive(frame),
        *correlated(frames["stitch_mean"]),
        *beside_controls(frame),
        *missing(frame),
        *scope(frame, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """What stitches cost in the mean over layers, and where cost and CKA disagree."""
    return [*mean_costs(frames["stitch_mean"]), *disagreements(frames["stitch"])]


def mean_costs(means: pd.DataFrame) -> list[str]:
    """The mean cost over layers, a sentence for each two noises of one model, or noise of two."""
    text = []
    for (kind, sent, received), part in means.groupby(NOISES, sort=False):
        known = part[part.cost.notna()]
        if known.empty:
            continue
        if len(known) > MOST:
            known = known.sort_values("cost", kind="stable").iloc[[0, -1]]
        where = (
            f"features under {noise_phrase(sent)} into the same model under "
            f"{noise_phrase(received)}"
            if kind == "noises"
            else f"features of another model, both under {noise_phrase(received)}"
        )
        effects = []
        for row in records(known):
            models = code(row["receiver"])
            if kind == "models":
                models = f"{code(row['sender'])} into {models}"
            of = verdicts.verdict(row["low"], row["high"], int(row["photographs"]))
            effects.append((f"{cost_of(row)} for {models}", of))
        which = ", least and most" if len(known) < len(part) else ""
        text.append(f"Mean cost over layers{which}, {where}: {verdicts.joined(effects)}.")
        text += beyond_ceiling(known)
    return text


def beyond_ceiling(rows: pd.DataFrame) -> list[str]:
    """How much more these stitches cost than another draw of the receiver's noise."""
    effects = []
    for row in records(rows[rows.above_ceiling.notna()]):
        ends = row["above_ceiling_low"], row["above_ceiling_high"]
        of = verdicts.verdict(*ends, int(row["photographs"]))
        value = bounded(row["above_ceiling"], *ends, 2, "dB", signed=True)
        models = code(row["receiver"])
        if row["kind"] == "models":
            models = f"{code(row['sender'])} into {models}"
        effects.append((f"{value} for {models}", of))
    if not effects:
        return []
    return [
        "Compared with the receiver's own features under another draw of its noise (ceiling): "
        f"{verdicts.joined(effects)}."
    ]


def compared(frames: Frames) -> list[str]:
    """How the models' mean costs across noises differ."""
    of = ModelDifferences.read(frames, "stitch_difference")
    found = model_differences.sentences(of, 2, "dB")
    lead = "Difference between models in the mean cost over layers, across noises."
    return [f"{lead} {text}" for text in found[:1]] + found[1:]


def expensive(frame: pd.DataFrame) -> list[str]:
    """The layer whose stitch costs most, across noises and across models."""
    text = []
    for kind, words in (("noises", "across noises"), ("models", "across models")):
        part = frame[(frame.kind == kind) & frame.cost.notna()]
        if part.empty:
            continue
        top = ends(part, "cost")[1]
        text.append(
            f"The most expensive stitch {words}: {short(top['layer_receiver'])} ({pair_of(top)}), "
            f"{cost_of(top)}, with CKA {number(top['cka'], 3)} and R² {number(top['r2'], 3)}; as "
            f"the largest of {len(part)} on the same crops, the cost is probably too high."
        )
    return text


def correlated(means: pd.DataFrame) -> list[str]:
    """Whether less similar layers cost more, pair by pair."""
    known = means[means.spearman.notna()]
    if known.empty:
        return []
    low, high = ends(known, "spearman")
    each = [f"{number(low['spearman'])} ({pair_of(low)})"]
    if len(known) > 1:
        each.append(f"{number(high['spearman'])} ({pair_of(high)})")
    layers = sorted(set(known.layers))
    count = (
        plural(layers[0], "layer") if len(layers) == 1 else f"{layers[0]} to {layers[-1]} layers"
    )
    return [
        f"Spearman's rank correlation of cost and CKA over {count}, "
        f"{'lowest and highest' if len(known) > 1 else 'of the only pair'}: {listed(each)}; -1 "
        "where less similar layers always cost more. Layers of one network are not independent "
        "samples, so that there is no p-value."
    ]


def beside_controls(frame: pd.DataFrame) -> list[str]:
    """The range of the controls' costs over layers and receivers."""
    text = []
    names = {
        "floor_cost": "through a map fitted to other photographs (floor)",
        "ceiling_cost": "under another draw of its noise (ceiling)",
    }
    for column, words in names.items():
        known = frame[frame[column].notna()]
        if len(known):
            low, high = known[column].min(), known[column].max()
            text.append(f"{number(low)} to {number(high)} dB {words}")
    if not text:
        return []
    return [
        "Controls, costs of the receiver's own features, range over layers and receivers: "
        f"{listed(text)}."
    ]


def missing(frame: pd.DataFrame) -> list[str]:
    """Which layers have no value, and why."""
    without = frame[frame.reason.fillna("") != ""]
    text = []
    for reason, rows in without.groupby("reason", sort=False):
        first = records(rows)[0]
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        where = f"{short(first['layer_receiver'])} ({pair_of(first)}){more}"
        text.append(f"No cost for {where}: {reason}.")
    return text


def scope(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """What the numbers are about."""
    first = frame.iloc[0]
    text = [
        "Only what passes through the stitched layer comes from the sender: whatever reaches the "
        "output around it, as through a global skip connection, comes from the receiver's own "
        "input. A map can also discard noise, so that a cost may be below 0.",
        "Maps are affine and fitted on half of the photographs, costs are measured on the other "
        "half, and vice versa; R² is for photographs that the fit has not seen. CKA takes "
        "positions as samples and has no interval.",
    ]
    if manifest.get("mask_draws") == "independent":
        text.append(
            "Attention masks were drawn independently under each noise: costs include the effect "
            "of different masks."
        )
    about = manifest.get("models", {})
    skips = [name for name in about if about[name].get("predicts") == "noise"]
    if skips and (frame.kind == "noises").any():
        text.append(
            f"{codes(skips)}: the input is added to the output of the last layers. Across noises "
            "the sender's features come from another draw of the noise than the one in that input, "
            "which alone costs PSNR: compare with the ceiling, where only the draw is different."
        )
    present = bool(frame.low.notna().any())
    text += left_out(frame, manifest)
    return [*text, *about_intervals(int(first.photographs), manifest, present)]


def left_out(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """Which trainings are in no stitch between models, where their numbers differ."""
    number = trainings.counts(manifest)
    pairs = frame[frame.kind == "models"][["sender", "receiver"]].drop_duplicates()
    unequal: dict[frozenset[str], int] = {}
    for a, b in pairs.itertuples(index=False):
        least, most = sorted((number.get(a, 1), number.get(b, 1)))
        if 1 < least < most:
            unequal[frozenset((a, b))] = least
    return [
        f"{codes(sorted(both))}: the first {least} trainings of each are stitched one to one, so "
        "that no training counts twice."
        for both, least in unequal.items()
    ]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Mean cost over layers, the most expensive layer and the controls of each pair."""
    frame, means = frames["stitch"], frames["stitch_mean"]
    side, crops = manifest["crop"], plural(int(frame.crops.iloc[0]), "crop")
    heading = f"Features stitched into a network: {crops} of {side} x {side}; costs in dB"
    controls = ["other photographs", "other draw"]
    rows = [["sender", "receiver", "mean cost", "max cost", "at", "CKA", *controls, "rho"]]
    parts = dict(iter(frame.groupby(PAIR, sort=False)))
    for row in records(means):
        part = parts[tuple(row[name] for name in PAIR)]
        line = ["–", "–", "–"]  # no layer has a cost
        if part.cost.notna().any():
            top = ends(part, "cost")[1]
            line = [number(top["cost"]), short(top["layer_receiver"]), number(top["cka"])]
        sides = [
            f"{row[side]}, {noise_words(row[f'noise_{side}'])}" for side in ("sender", "receiver")
        ]
        beside = [number(part[f"{name}_cost"].mean()) for name in ("floor", "ceiling")]
        mean = bounded(row["cost"], row["low"], row["high"])
        rows.append([*sides, mean, *line, *beside, number(row["spearman"])])
    return f"{heading}\n{grid(rows)}\n{LEGEND}"


def alt(frames: Frames) -> str:
    """Of the curves: the mean cost over layers of each pair."""
    means = frames["stitch_mean"]
    each = [
        f"{row['sender']} under {noise_words(row['noise_sender'])} into {row['receiver']} under "
        f"{noise_words(row['noise_receiver'])} {number(row['cost'])} dB"
        for row in records(means[:MOST])
    ]
    count = plural(len(means), "pair")
    return f"Cost of stitches and CKA over depth, {count}. Mean over layers: {'; '.join(each)}."
