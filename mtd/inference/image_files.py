"""Cleaning image files: what goes where, checked before anything is computed, and the loop."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mtd.data import image_io
from mtd.data import image_io as data_image_io
from mtd.data.image_io import ImageFile
from mtd.inference import tiling
from mtd.inference.forward import denoise
from mtd.inference.tiling import Tile
from mtd.masking import keyed_input_mask
from mtd.utils.errors import BadInput, Failed, Partial


@dataclass(frozen=True)
class Job:
    """One image: where it is, where the result goes, where what the network saw goes, its size."""

    source: Path
    target: Path
    masked: Path | None
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.height * self.width

    @property
    def targets(self) -> list[Path]:
        """The files that are written."""
        return [self.target] if self.masked is None else [self.target, self.masked]


@dataclass(frozen=True)
class DenoiseOptions:
    """How images are run.

    Attributes:
        tile, overlap, memory: see `mtd.inference.forward.denoise`.
        input_mask: probability to mask a pixel; None masks none.
        seed: of the input mask.
    """

    tile: Tile
    overlap: int | None
    memory: int
    input_mask: float | None = None
    seed: int = 0


def jobs(source: Path, output: Path, *, masked: bool = False) -> list[Job]:
    """What to do: a file to a file (or into a folder that is there), a folder to a folder.

    Stems are kept; PNG and TIFF keep their format, JPEG and WebP become PNG, since lossy files
    would add artefacts to the result.

    Raises:
        BadInput: an unreadable file, two results of one name, a result over its own source, or
            files and folders mixed up.
    """
    if not source.is_dir():
        image_io.header(source)
        pairs = [(source, output / _name(source) if output.is_dir() else output)]
        suffix = pairs[0][1].suffix
        if suffix.lower() not in image_io.WRITABLE:
            known = ", ".join(image_io.WRITABLE)
            raise BadInput(f"{output}: {suffix or 'no ending'}; results are written to {known}")
    else:
        if output.is_file() or output.suffix.lower() in data_image_io.SUFFIXES:
            raise BadInput(f"{source} is a folder, so {output} has to be one too")
        pairs = [(path, output / _name(path)) for path in data_image_io.find(source)]
    found = []
    for path, target in pairs:
        head = image_io.header(path)
        beside = target.with_name(f"{target.stem}_masked.png") if masked else None
        found.append(Job(path, target, beside, head.height, head.width))
    _distinct(found)
    return found


def _name(path: Path) -> str:
    keep = path.suffix.lower() in image_io.WRITABLE
    return path.name if keep else f"{path.stem}.png"


def _distinct(found: list[Job]) -> None:
    """Refuse results that would lie over each other or over a source."""
    sources = {job.source.resolve() for job in found}
    taken: dict[str, Path] = {}
    for job in found:
        for target in job.targets:
            if target.resolve() in sources:
                raise BadInput(f"{target}: would be written over an input; choose another OUTPUT")
            other = taken.setdefault(str(target).casefold(), job.source)
            if other != job.source:
                raise BadInput(f"{other} and {job.source} would both be written to {target}")


def pending(found: list[Job], *, resume: bool, overwrite: bool) -> list[Job]:
    """The jobs that are to be done, given which results are there.

    Raises:
        BadInput: results are there, and neither is allowed; or the place cannot be written.
    """
    there = [job for job in found if all(target.exists() for target in job.targets)]
    partly = [target for job in found for target in job.targets if target.exists()]
    if partly and not (resume or overwrite):
        raise BadInput(
            f"{partly[0]} is there already ({len(partly)} in all): --resume skips what is "
            "there, --overwrite replaces it"
        )
    for target in partly:
        if target.is_dir():
            raise BadInput(f"{target} is a folder: expected a place for an image")
    todo = [job for job in found if job not in there] if resume else found
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


def check(model: nn.Module, found: list[Job], how: DenoiseOptions) -> None:
    """Refuse what would not run: a network, or tiles that fit no image.

    Raises:
        BadInput: see `channels` and `mtd.inference.tiling.plan`.
    """
    channels(model)
    for job in found:
        tiling.plan(model, (1, job.height, job.width), how.tile, how.overlap, how.memory)


def clean(model: nn.Module, todo: list[Job], how: DenoiseOptions, *, quiet: bool = False) -> None:
    """Do the jobs one after the other; a file that cannot be done is left out and listed.

    Raises:
        Partial: some could not be done; the others are written.
        KeyboardInterrupt: with how far it got.
    """
    failed: list[str] = []
    total = sum(job.pixels for job in todo)
    with tqdm(total=total, unit="px", unit_scale=True, disable=quiet, dynamic_ncols=True) as bar:
        for index, job in enumerate(todo):
            bar.set_description(job.source.name)
            before = bar.n
            try:
                _clean_one(model, job, how, bar.update)
            except BadInput as error:
                failed.append(str(error))
            except KeyboardInterrupt:
                count = f"{index - len(failed)} of {len(todo)} images are written"
                raise KeyboardInterrupt(f"{count}; --resume goes on") from None
            bar.update(before + job.pixels - bar.n)
    if len(failed) == len(todo) == 1:
        raise BadInput(failed[0])
    if failed:
        lines = "\n".join(f"  {line}" for line in failed)
        raise Partial(f"{len(failed)} of {len(todo)} images, the others are written:\n{lines}")


def _clean_one(
    model: nn.Module, job: Job, how: DenoiseOptions, progress: Callable[[int], object]
) -> None:
    image = image_io.read_image(job.source)
    try:
        result, seen = restore(model, image, how, progress)
    except BadInput as error:
        raise BadInput(f"{job.source}: {error}") from None
    except (MemoryError, torch.OutOfMemoryError):
        raise Failed(f"{job.source}: out of memory; give a smaller --memory or --tile") from None
    if job.masked is not None:
        image_io.write(job.masked, seen)
    image_io.write(job.target, result)


def channels(model: nn.Module) -> int:
    """How many image channels a network takes, 1 or 3; 3 where it does not say.

    Raises:
        BadInput: another number.
    """
    count = int(getattr(getattr(model, "config", None), "in_chans", 3))
    if count not in (1, 3):
        raise BadInput(f"a network for images of {count} channels: expected 1 or 3")
    return count


def restore(
    model: nn.Module, image: ImageFile, how: DenoiseOptions, progress: Callable[[int], object]
) -> tuple[ImageFile, ImageFile]:
    """The denoised image, and what the network saw (masked pixels black), of the image's depth.

    Values are divided by 255 or 65535, and the result clipped and rounded. Grey goes through a
    network for colour as three equal channels, which are averaged after; colour goes through a
    network for grey channel by channel. Alpha is not touched. Masks depend on the seed and the
    image's digest.

    Raises:
        BadInput: the network's output is not finite.
    """
    top = 2**image.depth - 1
    colours = torch.from_numpy(image.colors.astype(np.float32) / top).permute(2, 0, 1)[None]
    grey, takes = colours.shape[1] == 1, channels(model)
    noisy = colours.expand(1, 3, -1, -1) if grey and takes == 3 else colours
    keys = [image.digest]
    if not grey and takes == 1:
        noisy = colours.transpose(0, 1)
        keys = [f"{image.digest}/{c}" for c in range(3)]
    mask = None
    if how.input_mask is not None:
        mask = input_mask(image, how.input_mask, how.seed)
    output = denoise(
        model,
        noisy.contiguous(),
        keys=keys,
        tile=how.tile,
        overlap=how.overlap,
        memory=how.memory,
        input_mask=None if mask is None else mask.expand(len(keys), -1, -1, -1),
        progress=lambda pixels: progress(pixels // len(keys)),
    )
    if not output.isfinite().all():
        raise BadInput("the network's output is not finite")
    if grey:
        output = output.mean(1, keepdim=True)
    elif takes == 1:
        output = output.transpose(0, 1)
    seen = colours if mask is None else colours * mask
    return _rounded(image, output, top), _rounded(image, seen, top)


def input_mask(image: ImageFile, ratio: float, seed: int) -> Tensor:
    """Boolean (1, 1, H, W), True kept; each pixel is masked with probability `ratio`."""
    height, width = image.pixels.shape[:2]
    return keyed_input_mask(height, width, ratio, seed, [image.digest])


def _rounded(image: ImageFile, values: Tensor, top: int) -> ImageFile:
    """(1, C, H, W) as the colours of an image of the same kind."""
    levels = values[0].permute(1, 2, 0).double().clamp(0, 1).mul(top).round().numpy()
    if image.depth == 8:
        return image.with_colors(levels.astype(np.uint8))
    return image.with_colors(levels.astype(np.uint16))
