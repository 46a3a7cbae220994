"""Denoising image files: inputs and outputs, checked before anything is computed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtd.data import image_io
from mtd.data.image_io import ImageFile
from mtd.inference import tiling
from mtd.inference.forward import denoise_in_bands
from mtd.inference.tiling import Tile
from mtd.masking import keyed_input_mask
from mtd.utils import interruptions, output, progress
from mtd.utils.device import is_out_of_memory
from mtd.utils.errors import BadInput, Failed, Partial, Unwritable
from mtd.utils.messages import plural, verb
from mtd.utils.printable import shortened

ROWS = 64
"""Rows that are rounded at once, in float64."""


@dataclass(frozen=True)
class Job:
    """One image file to denoise.

    Attributes:
        source: of the noisy image.
        target: of the denoised image.
        masked: of the masked input, if pixels are masked.
        height: in pixels.
        width: in pixels.
        page: of the source, for files with several, from 1.
    """

    source: Path
    target: Path
    masked: Path | None
    height: int
    width: int
    page: int | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def targets(self) -> list[Path]:
        """The output files."""
        return [self.target] if self.masked is None else [self.target, self.masked]


@dataclass(frozen=True)
class DenoiseOptions:
    """Options of `restore`.

    Attributes:
        tile, overlap, memory: see `mtd.inference.forward.denoise`.
        input_mask: probability with which a pixel is masked; None for no mask.
        seed: of the input mask.
    """

    tile: Tile
    overlap: int | None
    memory: int
    input_mask: float | None = None
    seed: int = 0


def jobs(source: Path, target: Path, *, masked: bool = False, page: int | None = None) -> list[Job]:
    """The images to denoise: a file to a file or an existing folder, or a folder to a folder.

    Stems are kept; PNG and TIFF keep their format, others become PNG, since lossy formats would add
    artifacts to the result.

    Args:
        source: an image, or a folder of images.
        target: see above.
        masked: whether the masked input is written too.
        page: of every file, for files with several pages or frames, from 1.

    Raises:
        BadInput: a file that cannot be read, two outputs of one name, an output that is an input,
            or a folder where a file is expected or the other way round.
    """
    if not source.is_dir():
        image_io.header(source, page)
        pairs = [(source, target / _name(source) if target.is_dir() else target)]
        suffix = pairs[0][1].suffix
        if suffix.lower() not in image_io.WRITABLE:
            known = ", ".join(image_io.WRITABLE)
            raise BadInput(f"{target}: {suffix or 'no suffix'}; outputs are {known}")
    else:
        if target.is_file() or target.suffix.lower() in image_io.SUFFIXES:
            raise BadInput(f"{source} is a folder, so {target} has to be one too")
        pairs = [(path, target / _name(path)) for path in image_io.find(source)]
    planned = []
    for path, place in pairs:
        head = image_io.header(path, page)
        masked_path = place.with_name(f"{place.stem}_masked.png") if masked else None
        planned.append(Job(path, place, masked_path, head.height, head.width, page))
    _check_distinct(planned)
    return planned


def _name(path: Path) -> str:
    keep = path.suffix.lower() in image_io.WRITABLE
    return path.name if keep else f"{path.stem}.png"


def _check_distinct(jobs: list[Job]) -> None:
    """Check that no output would overwrite another one or an input."""
    sources = {job.source.resolve() for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        for target in job.targets:
            if target.resolve() in sources:
                raise BadInput(f"{target}: would overwrite an input; choose another OUTPUT")
            other = taken.setdefault(str(target).casefold(), job.source)
            if other != job.source:
                raise BadInput(f"{other} and {job.source} would both be written to {target}")


def pending(jobs: list[Job], *, resume: bool, overwrite: bool) -> list[Job]:
    """The jobs that remain to be done; output folders are created.

    Args:
        jobs: all of them.
        resume: skip images whose outputs exist.
        overwrite: replace existing outputs.

    Raises:
        BadInput: outputs exist, and neither option is given; or a folder cannot be written.
    """
    complete = {job for job in jobs if all(target.exists() for target in job.targets)}
    existing = [target for job in jobs for target in job.targets if target.exists()]
    if existing and not (resume or overwrite):
        raise BadInput(
            f"{existing[0]} exists already ({len(existing)} in all): --resume skips existing "
            "outputs, --overwrite replaces them"
        )
    for target in existing:
        if target.is_dir():
            raise BadInput(f"{target} is a folder: expected the path of an image")
    todo = [job for job in jobs if job not in complete] if resume else jobs
    for folder in sorted({job.target.parent for job in todo}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise BadInput(
                f"{folder}: cannot be written ({os.strerror(error.errno or 0)})"
            ) from None
    return todo


def check(model: nn.Module, jobs: list[Job], options: DenoiseOptions) -> None:
    """Check that the network takes images, and that tiles fit every image.

    Raises:
        BadInput: see `channels` and `mtd.inference.tiling.plan`.
    """
    channels(model)
    for job in jobs:
        size = (1, job.height, job.width)
        tiling.plan(model, size, options.tile, options.overlap, options.memory)


def clean(
    model: nn.Module, jobs: list[Job], options: DenoiseOptions, *, quiet: bool = False
) -> None:
    """Denoise image files one after the other; those that fail are listed at the end.

    Raises:
        BadInput: the only image failed.
        Unwritable: an output cannot be written, with the number of images that are.
        Partial: some images failed; the others are written.
        KeyboardInterrupt: with the number of images that are written.
    """
    failed: list[str] = []
    finished = 0
    total = sum(job.pixels for job in jobs)
    with progress.running(("denoising",), quiet=quiet):
        progress.step("denoising", total)
        for index, job in enumerate(jobs):
            progress.add(shortened(job.source.name))
            done = index - len(failed)
            count = f"{done} of {plural(len(jobs), 'image')} {verb(done, 'is', 'are')} written"
            try:
                with interruptions.recognized():
                    _clean_one(model, job, options, progress.advance)
            except Unwritable as error:  # nor could the next one be
                raise Unwritable(f"{error}; {count}; --resume continues") from None
            except BadInput as error:
                failed.append(str(error))
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"{count}; --resume continues") from None
            else:
                output.add(files=job.targets)
            finished += job.pixels
            progress.reach(finished)
    if len(failed) == len(jobs) == 1:
        raise BadInput(failed[0])
    if failed:
        lines = "\n".join(f"  {line}" for line in failed)
        raise Partial(f"{len(failed)} of {len(jobs)} images, the others are written:\n{lines}")


def _clean_one(
    model: nn.Module, job: Job, options: DenoiseOptions, progress: Callable[[int], object]
) -> None:
    image = image_io.read_image(job.source, job.page)
    try:
        result, masked = restore(model, image, options, progress, in_place=True)
    except BadInput as error:
        raise BadInput(f"{job.source}: {error}") from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise Failed(f"{job.source}: out of memory; give a smaller --memory or --tile") from None
    if job.masked is not None:
        image_io.write(job.masked, masked)
    image_io.write(job.target, result)


def channels(model: nn.Module) -> int:
    """The number of image channels of a network, 1 or 3; 3 for an unknown network.

    Raises:
        BadInput: another number.
    """
    count = int(getattr(getattr(model, "config", None), "in_chans", 3))
    if count not in (1, 3):
        raise BadInput(f"a network for images of {count} channels: expected 1 or 3")
    return count


def restore(
    model: nn.Module,
    image: ImageFile,
    options: DenoiseOptions,
    progress: Callable[[int], object],
    *,
    in_place: bool = False,
) -> tuple[ImageFile, ImageFile]:
    """The denoised image, and its input with masked pixels black, in the image's bit depth.

    Values are divided by 255 or 65535, and the output is clipped and rounded. A grayscale image
    goes through a color network as three equal channels, whose outputs are averaged; a color image
    goes through a grayscale network channel by channel. Alpha is unchanged. Masks depend on the
    seed and the image's digest.

    Args:
        model: the network.
        image: the noisy image.
        options: tiles, memory and input mask.
        progress: called with the number of pixels that were denoised since the last call.
        in_place: the pixels of the image need not be kept: the result may take their memory, as
            rows of it are finished once no tile needs those of the input.

    Raises:
        BadInput: the output is not finite.
    """
    noisy = Levels(image.colors, channels(model))
    in_place = in_place and options.input_mask is None and image.pixels.flags.writeable
    levels = image.colors if in_place else np.empty_like(image.colors)
    digest = image.digest
    keys = [digest] if noisy.shape[0] == 1 else [f"{digest}/{c}" for c in range(3)]
    mask = None
    if options.input_mask is not None:
        mask = input_mask(image, options.input_mask, options.seed)
    bands = denoise_in_bands(
        model,
        noisy,
        keys=keys,
        tile=options.tile,
        overlap=options.overlap,
        memory=options.memory,
        input_mask=None if mask is None else mask.expand(len(keys), -1, -1, -1),
        progress=lambda pixels: progress(pixels // len(keys)),
    )
    for images, rows, band in bands:
        for start in range(rows.start, rows.stop, ROWS):
            part = slice(start, min(start + ROWS, rows.stop))
            values = band[..., start - rows.start : part.stop - rows.start, :]
            noisy.round(values, levels[part], images)
    if mask is None:
        return image if in_place else image.with_colors(levels), image
    visible = image.colors * mask[0, 0, ..., None].numpy().astype(image.colors.dtype)
    return image.with_colors(levels), image.with_colors(visible)


class Levels:
    """The colors of an image as a network takes them, (B, C, H, W), converted where they are cut.

    A grayscale image is repeated for a color network; the channels of a color image are the images
    of a batch for a grayscale network.

    Args:
        colors: (H, W, 1 or 3), 8 or 16 bits.
        inputs: channels of the network, 1 or 3.
    """

    dtype = torch.float32

    def __init__(self, colors: image_io.AnyPixels, inputs: int) -> None:
        self.colors, self.inputs = colors, inputs
        self.top = np.iinfo(colors.dtype).max
        self.apart = colors.shape[2] == 3 and inputs == 1
        self.shape = (3 if self.apart else 1, inputs, *colors.shape[:2])

    def __getitem__(self, place: Any) -> Tensor:
        images, rows, columns = (slice(None),) * 3 if place is ... else (place[0], *place[-2:])
        part = self.colors[rows, columns].astype(np.float32)
        part /= self.top
        values = torch.from_numpy(part).permute(2, 0, 1)
        values = values[images, None] if self.apart else values.expand(self.inputs, -1, -1)[None]
        return values.contiguous()

    def round(self, values: Tensor, levels: image_io.AnyPixels, images: slice) -> None:
        """Write a network's output (b, C, rows, W), clipped and rounded, as levels (rows, W, c).

        Raises:
            BadInput: the output is not finite.
        """
        if not values.isfinite().all():
            raise BadInput("the network's output is not finite")
        if self.apart:
            values, levels = values[:, 0], levels[..., images]
        else:
            values = values[0].mean(0, keepdim=True) if levels.shape[2] == 1 else values[0]
        rounded = values.permute(1, 2, 0).double().clamp_(0, 1).mul_(self.top).round_()
        levels[...] = rounded.numpy()


def input_mask(image: ImageFile, ratio: float, seed: int) -> Tensor:
    """A random input mask, boolean (1, 1, H, W), True kept; see `keyed_input_mask`."""
    height, width = image.pixels.shape[:2]
    return keyed_input_mask(height, width, ratio, seed, [image.digest])
