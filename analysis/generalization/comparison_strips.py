"""Comparison strips: the busiest square of an image, noisy, by each model, and clean."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.commands.trainings import TRAINING
from analysis.generalization.conditions import CROP, contestants
from analysis.generalization.settings import PICTURES
from analysis.plotting.figure_style import new_figure
from analysis.plotting.pictures import as_rgb
from analysis.text.names import wrapped
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_label
from mtd.data.crops import Crop, busiest
from mtd.data.image_io import Pixels
from mtd.metrics.psnr_ssim import levels
from mtd.noise.mixture import OURS
from mtd.utils import array_files
from mtd.utils.distributed import Ranks

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.engine.image_quality import ImageQuality
    from analysis.engine.observer import Batch

OVERVIEW = 384
"""Longest side of the whole image's picture; of larger ones every k-th pixel is shown."""

MOST = 6
"""Models in a figure."""

WIDE = 22
"""Characters of a line above a picture."""

WHOLE, TARGET = "/whole", "/clean"
"""Names of the pictures that are no model's: the target, subsampled, and its square. No model has
such a name, since none is a file at the root."""


@dataclass(frozen=True)
class StripImage:
    """An image that a strip shows under a noise, and why; `crop` has the columns `CROP`."""

    noise: str
    reason: str
    crop: pd.Series


REASONS = {"representative": "image of median PSNR", "worst": "image of lowest PSNR"}
"""Why an image is shown, in words."""


def choose(results: pd.DataFrame) -> list[StripImage]:
    """Of each kind of noise at its strongest level: a representative image, and the worst one.

    The strongest level is the one whose noisy input has the lowest mean PSNR. By the PSNR averaged
    over the models, the representative image has the median (the lower one of two), the worst image
    the lowest.

    Args:
        results: see `analysis.engine.image_quality.COLUMNS`.
    """
    psnr = results[results.metric == "psnr"]
    chosen = []
    for _, rows in psnr.groupby("kind", sort=False):
        models = contestants(rows)
        if models.empty:
            continue
        weakest = rows[rows.model == NOISY] if (rows.model == NOISY).any() else models
        noise = str(weakest.groupby("noise", sort=False).value.mean().idxmin())
        each = models[models.noise == noise].groupby(["model", *CROP], sort=False).value.mean()
        ranked = each.groupby(CROP, sort=False).mean()
        ranked = ranked.sort_values(kind="stable")
        places = {"worst": 0, "representative": (len(ranked) - 1) // 2}
        for reason, place in reversed(places.items()):
            if place == 0 and reason == "representative":
                continue  # of one or two images it is the worst one
            crop = pd.Series(dict(zip(CROP, ranked.index[place], strict=True)))
            chosen.append(StripImage(noise, reason, crop))
    return chosen


def matches(crop: Crop, row: pd.Series) -> bool:
    """Whether a crop is the one that a table's row names."""
    return (crop.image, crop.top, crop.left) == (row.image, row.top, row.left) and (
        crop.digest == row.sha256
    )


def collect(
    observer: ImageQuality,
    batches: Sequence[Batch],
    inputs: RunInputs,
    chosen: Sequence[StripImage],
    ranks: Ranks,
) -> list[dict[str, Pixels]]:
    """The pictures of every chosen strip: the target whole and cut, and every model's square.

    Squares come from the observer, on whichever process it ran; the target is computed again,
    which needs no network.
    """
    own: dict[tuple[int, str], Pixels] = {}
    for number, item in enumerate(chosen):
        for batch in batches:
            for crop in batch.crops:
                if matches(crop, item.crop):
                    pictures = pictures_of(observer, batch, crop, item.noise, inputs)
                    own |= {(number, name): picture for name, picture in pictures.items()}
    every = ranks.merge(own)
    names = (WHOLE, *inputs.models, TARGET)
    return [{name: every[i, name] for name in names} for i in range(len(chosen))]


def pictures_of(
    observer: ImageQuality, batch: Batch, crop: Crop, spec: str, inputs: RunInputs
) -> dict[str, Pixels]:
    """The pictures that this process has of a crop under a noise."""
    from analysis.engine import forward as engine_forward
    from analysis.engine import observer as engine_observer

    noises = inputs.noises if batch.noises is None else batch.noises
    noise = next((noise for noise in noises if noise.spec == spec), None)
    if noise is None:
        return {}
    pictures = {}
    for name in inputs.models:
        square = observer.square(engine_observer.View(name, spec), batch, crop)
        if square is not None:
            pictures[name] = to_pixels(square)
    target = engine_forward.make_noisy_batch(
        noise, engine_observer.Batch(0, [crop]), inputs.forward
    ).target
    whole = to_pixels(levels(target)[0])
    pictures[TARGET] = np.ascontiguousarray(whole[busiest(crop.pixels, observer.window)])
    step = overview_step(*whole.shape[:2])
    pictures[WHOLE] = np.ascontiguousarray(whole[::step, ::step])
    return pictures


def to_pixels(square: torch.Tensor) -> Pixels:
    """(C, H, W) of 8-bit levels to (H, W, C)."""
    pixels: Pixels = square.permute(1, 2, 0).to(torch.uint8).contiguous().numpy()
    return pixels


def overview_step(height: int, width: int) -> int:
    """Distance in pixels between those of an image that its overview shows."""
    return -(-max(height, width) // OVERVIEW)


def square_psnr(picture: Pixels, clean: Pixels) -> float:
    """PSNR in dB between two 8-bit squares."""
    error = np.square(picture.astype(np.float64) - clean.astype(np.float64)).mean()
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(255**2 / error))


def table(
    chosen: Sequence[StripImage],
    pictures: Sequence[dict[str, Pixels]],
    batches: Sequence[Batch],
    results: pd.DataFrame,
    window: int,
) -> pd.DataFrame:
    """One row for each picture of each strip: where it is, PSNR of the square and the whole.

    Of a model with several trainings the pictures are of the first, which the column `training`
    names; runs without such models lack it.
    """
    shown = results[results.metric == "psnr"].drop_duplicates(["noise", "model", *CROP])
    psnr = shown.set_index(["noise", "model", *CROP]).value
    rows = []
    for number, (item, by_name) in enumerate(zip(chosen, pictures, strict=True)):
        crop = next(c for batch in batches for c in batch.crops if matches(c, item.crop))
        place = busiest(crop.pixels, window)
        for name in (name for name in by_name if name not in (WHOLE, TARGET)):
            rows.append(
                {
                    "strip": number,
                    "noise": item.noise,
                    "reason": item.reason,
                    "model": name,
                    **item.crop.to_dict(),
                    "square_top": place[0].start,
                    "square_left": place[1].start,
                    "psnr": psnr.loc[(item.noise, name, *item.crop)],
                    "psnr_square": square_psnr(by_name[name], by_name[TARGET]),
                }
            )
    columns = ["strip", "noise", "reason", "model", *CROP, "square_top", "square_left"]
    frame = pd.DataFrame(rows, columns=[*columns, "psnr", "psnr_square"])
    if TRAINING in results:
        first = results.drop_duplicates("model").set_index("model")[TRAINING]
        frame[TRAINING] = frame.model.map(first)
    return frame


def to_bytes(pictures: Sequence[dict[str, Pixels]]) -> bytes:
    """The pictures as a safetensors file, named by strip and by what they show."""
    from safetensors.numpy import save

    named = {
        f"{number}/{name}": picture
        for number, by_name in enumerate(pictures)
        for name, picture in by_name.items()
    }
    return bytes(save(named))


def figures(
    file: bytes, frame: pd.DataFrame, models: Sequence[str], hidden: float = 0.0
) -> dict[str, Figure]:
    """A figure for each noise that has strips, by the name of its file.

    Args:
        file: see `to_bytes`.
        frame: see `table`.
        models: best first; of more than `MOST` the first ones are shown, in the order of `frame`.
        hidden: share of the pixels that was hidden from the networks, for the title.
    """
    if frame.empty:
        return {}
    pictures, _ = array_files.read(file, PICTURES, "uint8", 3)
    drawn: dict[str, Figure] = {}
    for noise, rows in frame.groupby("noise", sort=False):
        names = [name for name in dict.fromkeys(rows.model) if name in models[:MOST]]
        strips = [strip(part, pictures, names) for _, part in rows.groupby("strip", sort=False)]
        name = file_name(str(noise))
        more = f"; {MOST} of {len(models)} models" if len(models) > MOST else ""
        title = f"{noise_label(noise)}: the busiest square of an image, with its PSNR{more}"
        title += f"\n{OURS}" if str(noise).startswith("mixture:") else ""
        title += f"\n{hidden:.0%} of the pixels hidden, black in the noisy input" if hidden else ""
        drawn[name] = draw(title, strips)
    return drawn


def file_name(noise: str) -> str:
    """The name of a noise's strip, with a digest if more than its colon had to be replaced.

    >>> file_name("poisson:3.5"), file_name("pairs:a b")
    ('strip_poisson_3.5', 'strip_pairs_a_b_3dd4')
    """
    plain = re.sub(r"[^\w.-]+", "_", noise)[:60]
    if plain == noise.replace(":", "_"):
        return f"strip_{plain}"
    return f"strip_{plain}_{hashlib.sha256(noise.encode()).hexdigest()[:4]}"


@dataclass(frozen=True)
class Strip:
    """One row of a comparison.

    Attributes:
        label: image and reason.
        overview: the whole image, (H, W, C) in 8 bits.
        frame: left, top, width, height of the busiest square in the overview.
        pictures: that square, by name, with its PSNR in dB (None for the clean one).
    """

    label: str
    overview: Pixels
    frame: tuple[float, float, float, float]
    pictures: Sequence[tuple[str, Pixels, float | None]]


def strip(part: pd.DataFrame, pictures: dict[str, Pixels], models: Sequence[str]) -> Strip:
    """The strip that some rows of `table` describe."""
    first, psnr, titles = part.iloc[0], part.set_index("model").psnr_square, titles_of(part)
    clean = pictures[f"{first.strip}/{TARGET}"]
    step = overview_step(int(first.height), int(first.width))
    frame = (first.square_left, first.square_top, clean.shape[1], clean.shape[0])
    left, top, width, height = (float(value) / step for value in frame)
    squares = [
        (titles.get(name, name), pictures[f"{first.strip}/{name}"], float(psnr[name]))
        for name in (NOISY, *models)
    ]
    return Strip(
        f"{wrapped(str(first.image), WIDE)}\n{first.reason}",
        pictures[f"{first.strip}/{WHOLE}"],
        (left, top, width, height),
        [*squares, ("clean", clean, None)],
    )


def titles_of(part: pd.DataFrame) -> dict[str, str]:
    """By model, the training whose pictures are shown; empty in runs without several."""
    return dict(zip(part.model, part[TRAINING], strict=True)) if TRAINING in part else {}


def draw(title: str, strips: Sequence[Strip]) -> Figure:
    """Strips below one another; squares are shown pixel by pixel, without smoothing."""
    columns = 1 + max(len(strip.pictures) for strip in strips)
    size = (1.9 * columns, 2.5 * len(strips) + 0.6)
    figure = new_figure(*size)
    grid = figure.subplots(len(strips), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, strip in zip(grid, strips, strict=True):
        line[0].imshow(as_rgb(strip.overview))
        left, top, width, height = strip.frame
        line[0].add_patch(
            Rectangle((left - 0.5, top - 0.5), width, height, fill=False, ec="red", lw=1.2)
        )
        line[0].set_title(strip.label, fontsize=8)
        for axes, (name, picture, psnr) in zip(line[1:], strip.pictures, strict=False):
            axes.imshow(as_rgb(picture), interpolation="nearest")
            label = wrapped(name, WIDE)
            axes.set_title(label if psnr is None else f"{label}\n{psnr:.2f} dB", fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
