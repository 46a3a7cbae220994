"""CKA and SRGA between recorded and synthetic noise, without clean images.

Both need the same content under two noises. The clean content of a noisy picture is not known; the
mean of all models' outputs stands for it, the *stand-in*. Recorded noise is what the noisy picture
has beside it: noisy = stand-in + recorded. Synthetic noise is added to the same stand-in, by
default white Gaussian noise of the level that is estimated of the picture
(`no_reference.coarse_noise_level`), so that the two differ in kind rather than in strength.

Limits: what the models took away of the image counts as recorded noise, and what they left of the
noise as content; so features may differ although the noises do not. A second draw of the synthetic
noise says how much of a difference is chance: it is the ceiling of CKA, and the floor of SRGA.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from torch import Tensor

from analysis.commands import matched_noises, several
from analysis.commands.inputs import RunInputs
from analysis.commands.job import AnalysisJob, plan
from analysis.commands.registry import analysis
from analysis.generalization.noisy import no_reference
from analysis.generalization.noisy.inputs import RECORDED, NoisyInputs, recorded_noise
from analysis.generalization.noisy.observer import Patch
from analysis.text.terminal import plural
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.noise.base import Noise, NoisyImages, noisy_images
from mtd.noise.matched import MatchedGaussian
from mtd.noise.specs import parse
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.run_folder import RunFolder
    from analysis.generalization.settings import GeneralizationSettings
    from mtd.data.recorded_noise import Recorded

SIDE = 64
"""Side of the patches in pixels, unless the pictures are smaller or give too few."""

PATCHES = 64
"""Number of patches, spread over the pictures."""

SMALLEST = 16
"""Smallest side of a patch."""

FEWEST = 4
"""Fewest patches that are compared."""

ESTIMATED = "gaussian of the estimated level"
"""White Gaussian noise, in each picture as strong as its noise is estimated to be."""

COLUMNS = (
    *("model", "quantity", "noise_a", "noise_b", "value", "low", "high"),
    *("layer", "strength_a", "strength_b", "patches", "note", "reason"),
)
DEPTH = ("model", "noise_a", "noise_b", "layer", "index", "cka", "low", "high")


SEPARATOR = ";"
"""Between the layers of which CKA is averaged."""


def again(spec: str) -> str:
    """The name of a second draw of a synthetic noise."""
    return f"{spec}, another draw"


def choose_patches(crops: Sequence[Crop]) -> list[Patch]:
    """Where features are compared: squares of one size, spread over all pictures.

    Their side is halved, down to `SMALLEST`, where there would be fewer than `FEWEST`; pictures
    that are smaller than `SMALLEST` have none.
    """
    pictures = [
        Photograph(str(i), height, width, _loader(crop), channels=channels)
        for i, crop in enumerate(crops)
        for height, width, channels in [crop.pixels.shape]
        if min(height, width) >= SMALLEST
    ]
    if not pictures:
        return []
    side = min(SIDE, *(min(picture.height, picture.width) for picture in pictures))
    cut = data_crops.crops(pictures, side, PATCHES)
    while len(cut) < FEWEST and side > SMALLEST:
        side = max(side // 2, SMALLEST)
        cut = data_crops.crops(pictures, side, PATCHES)
    return [Patch(int(c.image), c.top, c.left, side) for c in cut]


def _loader(crop: Crop) -> Any:
    return lambda: crop.pixels


@dataclass(frozen=True)
class Contents:
    """The patches as inputs of an analysis.

    Attributes:
        crops: the stand-ins for the clean content.
        noises: the first synthetic noise, another draw of it, the recorded noise, and the other
            synthetic noises.
        strengths: of each noise by name, the root mean square of noisy − stand-in, in 8-bit levels.
        sigmas: rows of `analysis.commands.matched_noises`, of noises of matched strength.
    """

    crops: list[Crop]
    noises: list[Recorded]
    strengths: dict[str, float]
    sigmas: list[dict[str, Any]]


def contents(patches: Mapping[Patch, tuple[Pixels, Pixels]], inputs: NoisyInputs) -> Contents:
    """Stand-ins, and their noisy versions.

    Args:
        patches: noisy pixels and stand-in of each patch.
        inputs: pictures, and the synthetic noises.
    """
    levels = {i: level_of(inputs.crops[i]) for i in dict.fromkeys(patch.crop for patch in patches)}
    crops: list[Crop] = []
    noisy: dict[str, dict[str, Pixels]] = {}
    sigmas: list[dict[str, Any]] = []
    for patch in sorted(patches, key=lambda p: (p.crop, p.top, p.left)):
        recorded, stand_in = patches[patch]
        whole = inputs.crops[patch.crop]
        name = f"{patch.crop}/{whole.image} at {patch.top}, {patch.left}"
        crop = Crop(name, 0, 0, stand_in, whole.scene or whole.image)
        if any(crop.digest == other.digest for other in crops):
            continue  # such as two overexposed skies
        crops.append(crop)
        for spec, noise in noises_of(inputs, levels[patch.crop]).items():
            for draw in (spec, again(spec)):
                made = with_noise(crop, noise, draw, inputs.forward.seed)
                noisy.setdefault(draw, {})[name] = to_pixels(made.noisy)
                if isinstance(noise, MatchedGaussian):
                    there = {"top": whole.top + patch.top, "left": whole.left + patch.left}
                    about = data_crops.place(crop) | {"image": whole.image} | there
                    sigmas.append(matched_noises.row(draw, about, made.sigma))
        noisy.setdefault(RECORDED, {})[name] = recorded
    first, *others = noises_of(inputs, 0.0)
    names = [first, again(first), RECORDED, *others]
    clean = {crop.image: crop.pixels.astype(np.float64) for crop in crops}
    strengths = {
        name: no_reference.rms(np.stack([pixels - clean[key] for key, pixels in of.items()]))
        for name, of in noisy.items()
    }
    kinds = [recorded_noise(name, noisy[name]) for name in names if noisy]
    return Contents(crops, kinds, strengths, [row for row in sigmas if row["noise"] in names])


def noises_of(inputs: NoisyInputs, level: float) -> dict[str, Noise]:
    """The synthetic noises by name, for a picture of an estimated noise level."""
    if inputs.synthetic:
        return {noise.spec: noise for noise in inputs.synthetic}
    return {ESTIMATED: parse(f"gaussian:{level:.6g}")}


def level_of(crop: Crop) -> float:
    """The estimated noise level of a picture, in 8-bit levels."""
    return no_reference.coarse_noise_level(crop.pixels)


def with_noise(crop: Crop, noise: Noise, draw: str, seed: int) -> NoisyImages:
    """A stand-in with synthetic noise, clipped and rounded to 8 bits."""
    clean = data_crops.to_tensor([crop.pixels])
    return noisy_images(noise, clean, [f"{crop.digest}/{draw}"], seed=seed)


def to_pixels(noisy: Tensor) -> Pixels:
    """(1, C, H, W) in [0, 1] to (H, W, C) in 8 bits."""
    pixels = noisy[0].mul(255).round().permute(1, 2, 0)
    return np.ascontiguousarray(pixels.numpy().astype(np.uint8))


MEASURES = {"cka": "CKA", "srga": "SRGA"}
"""The measures by the name of their analysis."""


def compare(
    made: Contents,
    inputs: NoisyInputs,
    settings: GeneralizationSettings,
    folder: RunFolder | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """CKA and SRGA of every model between the noises, in one pass; called in every process.

    A measure that a network has no layers for is left out, with the reason.

    Returns:
        A row for each model, measure and two noises; CKA layer by layer.
    """
    files: dict[str, Mapping[str, Any]] = {}
    why = {}
    if len(made.crops) < FEWEST:
        side = made.crops[0].pixels.shape[0] if made.crops else SMALLEST
        few = f"{plural(len(made.crops), 'different patch', 'es')} of {side} x {side} pixels"
        why = dict.fromkeys(MEASURES, f"the pictures give {few}, it needs {FEWEST}")
    else:
        try:
            files = measured(list(MEASURES), made, inputs, settings, folder)
        except BadInput:
            for name in MEASURES:
                try:
                    files |= measured([name], made, inputs, settings, folder)
                except BadInput as error:
                    why[name] = str(error)
    parts = [left_out(MEASURES[name], reason) for name, reason in why.items()]
    layers = pd.DataFrame(columns=list(DEPTH))
    if inputs.ranks.first and "cka" in files:
        cka = files["cka"]["last_quarter.csv"]
        cka = cka[cka.model_a == cka.model_b].rename(columns={"model_a": "model", "cka": "value"})
        cka = cka.assign(layer=cka.model.map(last_quarter(files["cka"]["layers.csv"])))
        parts.append(summary(cka, "CKA", made))
        layers = files["cka"]["depth.csv"][list(DEPTH)].reset_index(drop=True)
    if inputs.ranks.first and "srga" in files:
        # its PSNR is that against the stand-in, which says nothing
        names = {"reference": "noise_a", "noise": "noise_b", "srga": "value"}
        parts.append(summary(files["srga"]["srga.csv"].rename(columns=names), "SRGA", made))
    return pd.concat(parts, ignore_index=True) if parts else left_out("", ""), layers


def measured(
    names: Sequence[str],
    made: Contents,
    inputs: NoisyInputs,
    settings: GeneralizationSettings,
    folder: RunFolder | None,
) -> dict[str, Mapping[str, Any]]:
    """The tables of analyses on the patches, by name of the analysis.

    Raises:
        BadInput: a network has no layers for one of them.
    """
    shared = {n: getattr(inputs, n) for n in ("models", "forward", "ranks", "channels")}
    own = RunInputs(**shared, noises=[*made.noises], crops=made.crops)
    side, (reference, *others) = made.crops[0].pixels.shape[0], own.specs
    jobs: list[AnalysisJob] = []
    for name in names:
        record = analysis(name)
        more = {"crop": side, "limit": None, "images": (), "batch_size": None}
        chosen = record.settings.under(settings, reference, others, **more)
        jobs.append(plan(record, own, chosen, jobs[0].batches if jobs else None))
    several.pass_through(jobs, own, jobs[0].batches, folder, True)
    return {job.analysis.name: job.all_files(folder, True) for job in jobs}


def last_quarter(layers: pd.DataFrame) -> dict[str, str]:
    """The layers of the last quarter of each model, in one text; see `analysis.cka.compute`."""
    rows = layers[layers.last_quarter & layers.noise.isin(layers.noise.head(1))]
    return {str(model): SEPARATOR.join(part.layer) for model, part in rows.groupby("model")}


def left_out(measure: str, why: str) -> pd.DataFrame:
    """The row of a measure that is left out."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan) | dict.fromkeys(COLUMNS[:4], "")
    about = {"quantity": measure, "layer": "", "note": why, "reason": ""}
    return pd.DataFrame([row | about])


def summary(frame: pd.DataFrame, measure: str, made: Contents) -> pd.DataFrame:
    """A measure of every model between the first noise and every other.

    Args:
        frame: with the columns `model`, `noise_a`, `noise_b`, `value`, `low`, `high`, `layer`, and
            perhaps `reason`, why there is no value.
        measure: its name.
        made: the patches and noises.
    """
    frame = frame[frame.noise_a != frame.noise_b]
    reason = frame.reason if "reason" in frame else ""
    frame = frame.assign(quantity=measure, patches=len(made.crops), note="", reason=reason)
    strengths = {f"strength_{side}": frame[f"noise_{side}"].map(made.strengths) for side in "ab"}
    return frame.assign(**strengths)[list(COLUMNS)]
