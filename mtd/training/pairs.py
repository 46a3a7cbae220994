"""Training pairs: clean crops of photographs, augmented, and their noisy versions.

Every random choice comes from a stream keyed by (seed, position), so that a run does not depend on
how its batches are loaded, and can be resumed at any step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtd.data import crops as data_crops
from mtd.data import image_io, photograph_archives, photographs
from mtd.data.grayscale import of_channels
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.noise import specs as noise_specs
from mtd.noise.base import Quantize
from mtd.training import decoded_store
from mtd.utils import progress, seeds
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural, verb
from mtd.utils.user_folders import expanded

Array = NDArray[Any]


def usable(
    folders: Sequence[str], skip_bad: bool, page: int | None = None
) -> tuple[list[Photograph], list[str]]:
    """The photographs of folders, and the reasons why others cannot be read.

    Args:
        folders: of photographs.
        skip_bad: skip files that cannot be read; this reads all of them now.
        page: of every file, for files with several pages or frames, from 1.

    Raises:
        BadInput: no photograph, or one that cannot be read without `skip_bad`.
    """
    files = [path for folder in folders for path in image_io.find(folder)]
    if not skip_bad:
        with _offering_to_skip():
            found = [photographs.photograph(path, page) for path in files]
        return [replace(photo, load=partial(_load, photo.load)) for photo in found], []

    def read(path: Path) -> str:
        try:
            image_io.read_rgb(path, page)
        except BadInput as error:
            return str(error)
        return ""

    with ThreadPoolExecutor() as pool:
        reasons = list(pool.map(read, files))
    readable = [
        photographs.photograph(path, page)
        for path, bad in zip(files, reasons, strict=True)
        if not bad
    ]
    if not readable:
        raise BadInput(f"none of {plural(len(files), 'image')} can be read; first: {reasons[0]}")
    return readable, [bad for bad in reasons if bad]


@contextmanager
def _offering_to_skip() -> Iterator[None]:
    """Around the reading of photographs: errors say how to train without damaged ones."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{error}; --skip-bad trains without such files") from None


def _load(load: Callable[[], Pixels]) -> Pixels:
    with _offering_to_skip():
        return load()


@dataclass(frozen=True)
class Cut:
    """Where a crop is taken, and how it is turned.

    Attributes:
        index: of the photograph.
        top: first row.
        left: first column.
        turns: quarter turns, counterclockwise, 0 to 3.
        reflected: whether left and right are exchanged after that.
    """

    index: int
    top: int
    left: int
    turns: int
    reflected: bool

    def turned(self, crop: Array) -> Array:
        """A crop (side, side, C) as it is shown to the network."""
        crop = np.rot90(crop, self.turns)
        return crop[:, ::-1] if self.reflected else crop


class Pairs(ABC):
    """Random noisy/clean crops of the photographs of folders, in an endless sequence.

    Each epoch visits every photograph once, in a random order.

    Args:
        folders: of photographs, or archives; see `mtd.data.photograph_archives`.
        crop: side of a crop in pixels.
        noise_spec: see `mtd.noise.specs.parse`.
        clip: clip noisy crops to [0, 1].
        seed: of the order, the crops and the noise.
        skip_bad: skip files that cannot be read.
        page: of every file, for files with several pages or frames, from 1.
        channels: of the crops, 3, or 1, of grayscale; see `mtd.data.grayscale`.

    Attributes:
        photographs: those that are large enough.
        skipped: what the folders hold beside image files, a line each.
        bad: the reasons why files were skipped.
        too_small: names of photographs that are smaller than a crop.
        digest: identifies the photographs.
        noise_stream: where the noise is drawn, and for what there is one stream.

    Raises:
        BadInput: no photograph that is large enough, or one that cannot be read.
    """

    noise_stream: str

    def __init__(
        self,
        folders: Sequence[str],
        crop: int,
        noise_spec: str,
        *,
        clip: bool,
        seed: int,
        skip_bad: bool,
        page: int | None,
        channels: int,
    ) -> None:
        if not folders:
            raise BadInput(
                "no photographs: give a folder, or a .zip file made by mtd pack, with --data"
            )
        folders = [
            str(folder) for folder in photograph_archives.opened(list(map(expanded, folders)))
        ]
        readable, self.bad = usable(folders, skip_bad, page)
        self.skipped = [line for line in map(image_io.skipped, folders) if line]
        large = [photo for photo in readable if min(photo.height, photo.width) >= crop]
        self.photographs = [of_channels(photo, channels) for photo in large]
        self.too_small = [p.name for p in readable if min(p.height, p.width) < crop]
        if not self.photographs:
            images = plural(len(readable), "image")
            are = verb(len(readable), "is", "are all")
            raise BadInput(
                f"{images} {are} smaller than the crop, {crop} x {crop}; set a smaller data.crop"
            )
        self.crop, self.seed = crop, seed
        self.noise = noise_specs.parse(noise_spec)
        self.quantize: Quantize = "clip" if clip else False
        self.order = lru_cache(maxsize=2)(self._order)
        self.digest = decoded_store.listing(self.photographs)

    @abstractmethod
    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """`size` noisy crops and targets from a position on, (size, C, crop, crop) each.

        They are float32, in [0, 1] if `clip`, and not rounded to 8 bits.
        """

    def _order(self, epoch: int) -> list[int]:
        stream = seeds.generator("order", self.seed, epoch)
        return torch.randperm(len(self.photographs), generator=stream).tolist()

    def cut(self, position: int) -> tuple[Cut, torch.Generator]:
        """The crop at a position of the sequence, and the stream from which it was drawn."""
        epoch, within = divmod(position, len(self.photographs))
        index = self.order(epoch)[within]
        photo = self.photographs[index]
        stream = seeds.generator("pair", self.seed, position)

        def draw(count: int) -> int:
            return int(torch.randint(count, (), generator=stream))

        top, left = (draw(side - self.crop + 1) for side in (photo.height, photo.width))
        return Cut(index, top, left, draw(4), bool(draw(2))), stream


class TrainingPairs(Pairs):
    """Random noisy/clean crops, made on the CPU, with one stream for each.

    As many decoded photographs as fit into `cache_mb` stay in memory, the others are decoded each
    time; with a `store`, all are decoded once into a memory-mapped file.

    Args:
        folders: see `Pairs`, as the other arguments that are not here.
        crop: side of a crop in pixels.
        noise_spec: see `mtd.noise.specs.parse`.
        clip: clip noisy crops to [0, 1].
        seed: of the order, the crops and the noise.
        cache_mb: memory for decoded photographs, in MB.
        store: folder of the memory-mapped file; None for none.
        skip_bad: skip files that cannot be read.
        page: of every file.
        channels: see `Pairs`.
        quiet: no bar.
    """

    noise_stream = "cpu, one stream for each crop"

    def __init__(
        self,
        folders: Sequence[str],
        crop: int,
        noise_spec: str,
        *,
        clip: bool = True,
        seed: int = 0,
        cache_mb: int = 2048,
        store: Path | None = None,
        skip_bad: bool = False,
        page: int | None = None,
        channels: int = 3,
        quiet: bool = False,
    ) -> None:
        super().__init__(
            folders,
            crop,
            noise_spec,
            clip=clip,
            seed=seed,
            skip_bad=skip_bad,
            page=page,
            channels=channels,
        )
        self.room = cache_mb * 1_000_000
        self.cache: dict[int, Pixels] = {}
        if store is not None:
            with progress.running(("decoding",), quiet=quiet):
                progress.step("decoding", len(self.photographs), "photographs")
                decoded_store.build(store, self.photographs, progress.advance)
            self.photographs = decoded_store.stored(store, self.photographs, checked=True)
            self.room = 0
            return
        for index in range(len(self.photographs)):  # damaged files are found at the start
            self._pixels(index)
            if index not in self.cache:
                break

    def _pixels(self, index: int) -> Pixels:
        """The decoded photograph, cached while there is room."""
        if index in self.cache:
            return self.cache[index]
        photo: Photograph = self.photographs[index]
        pixels = photo.load()
        if pixels.nbytes <= self.room:
            self.room -= pixels.nbytes
            self.cache[index] = pixels
        return pixels

    def pair(self, position: int) -> tuple[Tensor, Tensor]:
        """The noisy crop and its target at a position of the endless sequence.

        Returns:
            Float32 (1, C, crop, crop) each, in [0, 1] if `clip`, not rounded to 8 bits.
        """
        cut, stream = self.cut(position)
        rows, columns = slice(cut.top, cut.top + self.crop), slice(cut.left, cut.left + self.crop)
        crop = cut.turned(self._pixels(cut.index)[rows, columns])
        clean = data_crops.to_tensor([np.ascontiguousarray(crop)])
        return self.noise.pair(clean, generator=stream, quantize=self.quantize)

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """See `Pairs.batch`."""
        pairs = [self.pair(first + i) for i in range(size)]
        return torch.cat([noisy for noisy, _ in pairs]), torch.cat([clean for _, clean in pairs])
