"""What the tables of noisy pictures say, and what they do not say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.engine.layers import blocks
from analysis.generalization import metrics
from analysis.generalization.noisy.features import ESTIMATED, SEPARATOR, again
from analysis.generalization.noisy.figures import order_of
from analysis.generalization.noisy.inputs import BLUR, CONTROLS, RECORDED, SIGMA
from analysis.generalization.noisy.tables import DIFFERENCE, QUANTITIES, quantities_of
from analysis.generalization.summary import label
from analysis.plotting.model_styles import located
from analysis.stats.jackknife import ENOUGH
from analysis.text import reasons, verdicts
from analysis.text.intervals import about_intervals
from analysis.text.markdown import bounded, code, codes, escaped, listed, number
from analysis.text.model_kinds import kinds
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_phrase
from analysis.text.rows import Row, records
from analysis.text.terminal import grid, plural
from analysis.text.terminal import number as cell
from mtd.metrics import METRICS

CORRELATED = 1.5
"""Ratio of the noise levels of two scales from which noise counts as spatially correlated. White
noise gives 1 but for fine image structure, the CC photographs 2.9 to 4.5."""

LEVELS = "levels"

UNEQUAL = 1.5
"""Ratio from which two noises count as of different strength."""

LEAST_SRGA = 300
"""Fewest patches that the published code of SRGA uses."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    return [
        *no_clean_image(frames),
        *before(frames),
        *after(frames),
        *removed(frames),
        *structure(frames),
        *judged(frames),
        *metrics.sentences(manifest),
        *agreement(frames),
        *between_noises(frames),
        *kinds(manifest),
        *scope(frames, manifest),
    ]


def rows_of(frames: Frames, quantity: str) -> dict[str, Row]:
    """The means of a quantity by model."""
    part = frames["means"][frames["means"].quantity == quantity]
    return {str(row["model"]): row for row in records(part)}


def value(row: Row, quantity: str, unit: str = "") -> str:
    """A mean with its interval and unit."""
    digits = 2
    if quantity in QUANTITIES or quantity in METRICS:
        digits = (QUANTITIES.get(quantity) or METRICS[quantity]).digits
    return bounded(row["mean"], row["low"], row["high"], digits, unit)


def each(frames: Frames, quantity: str, unit: str = "", controls: tuple[str, ...] = ()) -> str:
    """A quantity of every model, and of some controls."""
    rows = rows_of(frames, quantity)
    names = [name for name in rows if name not in CONTROLS or name in controls]
    shown = sorted(names, key=lambda name: name in CONTROLS)
    return listed(
        [f"{value(rows[name], quantity, unit)} for {titled(name)}" for name in shown], len(shown)
    )


def titled(name: str) -> str:
    """A model as code, a control in words."""
    if name == BLUR:
        return f"a Gaussian blur of {SIGMA:g} pixel"
    return f"the {name}" if name == NOISY else code(name)


def no_clean_image(frames: Frames) -> list[str]:
    """Why there is no PSNR, and what stands in its place."""
    count = plural(pictures(frames), "noisy picture")
    return [
        f"{count} without a clean image: there is no PSNR, SSIM or LPIPS, which compare with one, "
        "and nothing here says which model restores better. The quantities describe what a model "
        "leaves and what it takes away; look at the strips and the outputs themselves."
    ]


def pictures(frames: Frames) -> int:
    """Number of pictures."""
    return len(frames["no_reference"][["image", "top", "left"]].drop_duplicates())


def before(frames: Frames) -> list[str]:
    """The noise level of the pictures, and whether the noise is alike in neighboring pixels."""
    fine, coarse = (rows_of(frames, name)[NOISY] for name in ("noise_level", "coarse_noise_level"))
    text = [
        f"Estimated noise level of the pictures: {value(fine, 'noise_level', LEVELS)} of 255 at "
        f"the finest scale, {value(coarse, 'coarse_noise_level', LEVELS)} one octave coarser."
    ]
    ratio = correlation_of_noise(frames)
    if ratio > CORRELATED:
        text.append(
            f"The coarser estimate is {number(ratio, 1)} times the finer one, for white noise it "
            "would be 1: the noise is spatially correlated, as that of cameras after demosaicing, "
            "or image structure counts as noise. For correlated noise the finer one is too small, "
            "and so is the coarser one where more pixels are alike."
        )
    return text


def correlation_of_noise(frames: Frames) -> float:
    """The coarser estimate of the pictures' noise level over the finer one, 1 for white noise."""
    fine, coarse = (rows_of(frames, name)[NOISY] for name in ("noise_level", "coarse_noise_level"))
    return float(coarse["mean"] / fine["mean"]) if fine["mean"] else math.inf


def after(frames: Frames) -> list[str]:
    """The noise level of the outputs."""
    name = "coarse_noise_level"
    shown = each(frames, name, LEVELS, (BLUR,))
    return [
        f"Left in the outputs, by the coarser estimate: {shown}. Little is left by a good "
        "denoiser and by a blur alike."
    ]


def removed(frames: Frames) -> list[str]:
    """The residual: its strength, and how far it is from white."""
    strength, correlation = rows_of(frames, "residual"), rows_of(frames, "autocorrelation")
    text = [f"Removed (root mean square of noisy − output): {each(frames, 'residual', LEVELS)}."]
    level = rows_of(frames, "coarse_noise_level")[NOISY]["high"]
    above = [
        name
        for name, row in strength.items()
        if name not in CONTROLS and row["low"] > CORRELATED * level
    ]
    if above:
        reason = "part of that is image, or a change of brightness or color"
        if correlation_of_noise(frames) > CORRELATED:
            reason = f"{reason}, unless the noise is correlated over more pixels than it sees"
        text.append(
            f"By their intervals {codes(above)} took away more than {CORRELATED:g} times the "
            f"estimated noise level: {reason}."
        )
    if correlation:
        floor = next(iter(correlation.values()))["floor"]
        text.append(
            f"Autocorrelation of what was removed (root mean square at lags up to 3 pixels; "
            f"{number(floor, 3)} for white noise): {each(frames, 'autocorrelation')}. A whiter "
            "residual is not a better image: removing correlated noise perfectly gives one that is "
            "not white (the true noise of the CC photographs has 0.31), and removing noise in part "
            "may give one that is."
        )
    return text


def structure(frames: Frames) -> list[str]:
    """Whether the residual has something in common with what the output shows."""
    if not rows_of(frames, "detail_correlation"):
        return []
    shown = each(frames, "detail_correlation", controls=(BLUR,))
    return [
        f"Correlation of what was removed with the fine detail of the output: {shown}. 0 is no "
        "common structure; above 0 detail was taken away or noise was left, which this cannot tell "
        "apart; below 0 the output is sharpened."
    ]


def judged(frames: Frames) -> list[str]:
    """The values of metrics without reference."""
    names = [name for name in quantities_of(frames["no_reference"]) if name not in QUANTITIES]
    return [
        f"{label(name)}: {each(frames, name, METRICS[name].unit, CONTROLS)}."
        for name in names
        if rows_of(frames, name)
    ]


def agreement(frames: Frames) -> list[str]:
    """How far outputs of models are apart."""
    part = frames["means"][frames["means"].quantity == DIFFERENCE]
    part = part[~part.model.isin(CONTROLS) & ~part.model_b.isin(CONTROLS)]
    if part.empty:
        return ["One model: no agreement between models."]
    rows = records(part.sort_values("mean", kind="stable"))
    if len(rows) > 4:
        rows, what = [rows[0], rows[-1]], f"closest and farthest of {plural(len(rows), 'pair')}"
    else:
        what = "root mean square difference"
    shown = [f"{value(row, DIFFERENCE, LEVELS)} between {outputs(row)}" for row in rows]
    return [
        f"Outputs of the models differ ({what}): {listed(shown)}. Models that agree may be wrong "
        "alike."
    ]


def outputs(row: Row) -> str:
    """Whose outputs differ: those of two models, or of the trainings of one."""
    a, b = code(row["model"]), code(row["model_b"])
    return f"two trainings of {a}" if a == b else f"{a} and {b}"


def between_noises(frames: Frames) -> list[str]:
    """CKA and SRGA between recorded and synthetic noise, between floor and ceiling."""
    frame = frames["features"]
    gone = frame[frame.note != ""]
    missing = [
        f"{measure} was left out: {escaped(note)}."
        for measure, note in zip(gone.quantity, gone.note, strict=True)
    ]
    frame = frame[frame.note == ""]
    missing += reasons.missing(frame.rename(columns={"noise_b": "noise"}), "features.csv")
    if frame.empty:
        return missing
    first, patches = str(frame.noise_a.iloc[0]), int(frame.patches.iloc[0])
    recorded = frame[frame.noise_b == RECORDED].iloc[0]
    strengths = [number(float(recorded[f"strength_{side}"]), 1) for side in "ba"]
    text = [
        f"CKA and SRGA compare features under recorded noise with those under {named(first)}, on "
        f"{plural(patches, 'patch', 'es')} whose clean content is taken to be the mean of the "
        f"models' outputs. From it the noisy patches are {strengths[0]} levels away (root mean "
        f"square), those with synthetic noise {strengths[1]}: what the models took away of the "
        "image counts as recorded noise, what they left of the noise as content."
    ]
    ratio = float(recorded["strength_b"]) / max(float(recorded["strength_a"]), 1e-9)
    if not 1 / UNEQUAL <= ratio <= UNEQUAL:
        text.append("The two differ in strength, so what follows is not about the kind alone.")
    what = depth_of(frames["depth"])
    text += [measured(frame, measure, first, what) for measure in dict.fromkeys(frame.quantity)]
    if frames["no_reference"].scene.nunique() < ENOUGH:
        few = verdicts.in_words("too few images")
        text.append(f"Difference from another draw of the synthetic noise: {few}.")
    elif each := alike(frame, first):
        text.append(f"Not shown to differ from another draw of the synthetic noise: {each}.")
    without = (
        frame[frame.noise_b == RECORDED].groupby("quantity").low.apply(lambda low: low.isna().all())
    )
    if any(without):
        names = listed([str(name) for name, none in without.items() if none])
        text.append(f"No intervals of {names}: too few pictures, so no difference can be shown.")
    few = f"; the published code of SRGA uses at least {LEAST_SRGA}" if patches < LEAST_SRGA else ""
    text.append(f"CKA and SRGA are of patches of these pictures{few}.")
    return [*text, *missing]


def named(noise: str) -> str:
    """The synthetic noise in words."""
    if noise == ESTIMATED:
        return "white Gaussian noise of each picture's coarser estimate"
    return noise_phrase(noise)


MEASURES = {
    "CKA": ("mean over the last quarter of the {}", "1 is equal features", 3),
    "SRGA": ("", "0 is no distance, more is farther", 2),
}
"""What each measure is taken of, blocks or layers, how to read it, and digits."""

FEW_LAYERS = 3
"""Fewer layers than this are listed one by one."""


def layers_of(part: pd.DataFrame) -> str:
    """The layers of which a measure is taken, by model where models differ."""
    by_text: dict[str, list[str]] = {}
    for model, layer in part.drop_duplicates("model")[["model", "layer"]].to_numpy():
        names = [located(name) for name in str(layer).split(SEPARATOR)]
        few = len(names) < FEW_LAYERS
        by_text.setdefault(listed(names) if few else f"{names[0]} to {names[-1]}", []).append(model)
    if len(by_text) == 1:
        return next(iter(by_text))
    return "; ".join(f"{text} of {codes(models)}" for text, models in by_text.items())


def depth_of(depth: pd.DataFrame) -> str:
    """What the last quarter is taken of: blocks, or layers if a model has no blocks."""
    by_model = depth.groupby("model").layer.unique()
    return "blocks" if all(blocks(list(names)) for names in by_model) else "layers"


def measured(frame: pd.DataFrame, measure: str, first: str, what: str) -> str:
    """One measure under recorded noise, with its value for another draw of the synthetic noise.

    Args:
        frame: of all measures.
        measure: its name.
        first: the synthetic noise.
        what: `blocks` or `layers`.
    """
    place, how, digits = MEASURES[measure]
    part = frame[frame.quantity == measure]
    known = part[part.noise_b == RECORDED].dropna(subset="value").model
    unknown = [model for model in dict.fromkeys(part.model) if model not in set(known)]
    texts = []
    for model, rows in part[part.model.isin(known)].groupby("model", sort=False):
        by_noise = rows.set_index("noise_b")
        values = [
            bounded(row["value"], row["low"], row["high"], digits)
            for row in (records(by_noise.loc[[noise]])[0] for noise in (RECORDED, again(first)))
        ]
        draw = f"for another draw of the synthetic noise {values[1]}"
        texts.append(f"{values[0]} for {code(model)} ({draw})")
    texts += [f"no value for {codes(unknown)}"] if unknown else []
    about = "; ".join(filter(None, (place.format(what), layers_of(part), how)))
    return f"{measure} ({about}): {listed(texts, len(texts))}."


def alike(frame: pd.DataFrame, first: str) -> str:
    """Where the interval under recorded noise holds the value of another draw."""
    known = frame.set_index(["quantity", "model", "noise_b"])
    texts = []
    for measure in dict.fromkeys(frame.quantity):
        names = []
        for model in dict.fromkeys(frame.model):
            if (measure, model, RECORDED) in known.index:
                low, high = (float(known[e][measure, model, RECORDED]) for e in ("low", "high"))
                draw = float(known["value"][measure, model, again(first)])
                if low <= draw <= high:
                    names.append(model)
        texts += [f"{measure} of {codes(names)}"] if names else []
    return listed(texts)


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """What the intervals are about, or why there are none."""
    present = bool(frames["means"].low.notna().any())
    return about_intervals(frames["no_reference"].scene.nunique(), manifest, present)


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The means of every quantity by model, controls last."""
    heads = {
        "noise_level": "noise level, fine",
        "coarse_noise_level": "coarse",
        "residual": "removed",
        "autocorrelation": "autocorrelation",
        "detail_correlation": "with detail",
    }
    known_quantities = quantities_of(frames["no_reference"])
    further = [name for name in known_quantities if name not in QUANTITIES]
    heads |= {name: METRICS[name].label for name in further}
    by_quantity = {name: rows_of(frames, name) for name in heads}
    rows = [["8-bit levels; correlations", *heads.values()]]
    for model in order_of(frames["no_reference"]):
        cells = []
        for name, models in by_quantity.items():
            known = models.get(model)
            digits = known_quantities[name].digits
            cells.append("-" if known is None else cell(known["mean"], digits))
        rows.append([model, *cells])
    floors = [row["floor"] for row in by_quantity["autocorrelation"].values()]
    white = f"\nautocorrelation of white noise: {cell(floors[0], 3)}" if floors else ""
    what = "whole picture" if manifest["crop"] is None else "crop"
    where = manifest["images"]
    source = where if isinstance(where, str) else ", ".join(where[:3])
    count = plural(pictures(frames), f"noisy {what}")
    return f"{count} ({source}); no clean image, so no PSNR\n\n{grid(rows)}{white}"
