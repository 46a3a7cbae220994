"""Training pairs: clean crops of photographs, augmented, and their noisy versions.

Every random choice comes from a stream keyed by (seed, position), so that a run does not depend on
how its batches are loaded, and can be resumed at any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mtd.data import crops as data_crops
from mtd.data import image_io, photograph_archives, photographs
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.noise import specs as noise_specs
from mtd.training import decoded_store
from mtd.utils import seeds
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural, verb


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
    if not skip_bad:
        found = [photographs.photographs(folder, page=page) for folder in folders]
        return [photo for photos in found for photo in photos], []
    files = [path for folder in folders for path in image_io.find(folder)]

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


class TrainingPairs:
    """Random noisy/clean crops of the photographs of folders.

    Each epoch visits every photograph once, in a random order. As many decoded photographs as fit
    into `cache_mb` stay in memory, the others are decoded each time; with a `store`, all are
    decoded once into a memory-mapped file.

    Args:
        folders: of photographs, or archives; see `mtd.data.photograph_archives`.
        crop: side of a crop in pixels.
        noise_spec: see `mtd.noise.specs.parse`.
        clip: clip noisy crops to [0, 1].
        seed: of the order, the crops and the noise.
        cache_mb: memory for decoded photographs, in MB.
        store: folder of the memory-mapped file; None for none.
        skip_bad: skip files that cannot be read.
        page: of every file, for files with several pages or frames, from 1.

    Attributes:
        skipped: what the folders hold beside image files, a line each.
        bad: the reasons why files were skipped.
        too_small: names of photographs that are smaller than a crop.
        digest: identifies the photographs.

    Raises:
        BadInput: no photograph that is large enough, or one that cannot be read.
    """

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
    ) -> None:
        if not folders:
            raise BadInput("no training images: give a folder with --data DIR")
        folders = [str(folder) for folder in photograph_archives.opened(folders)]
        readable, self.bad = usable(folders, skip_bad, page)
        self.skipped = [line for line in map(image_io.skipped, folders) if line]
        self.photographs = [p for p in readable if min(p.height, p.width) >= crop]
        self.too_small = [p.name for p in readable if min(p.height, p.width) < crop]
        if not self.photographs:
            images = plural(len(readable), "image")
            are = verb(len(readable), "is", "are all")
            raise BadInput(f"{images} {are} smaller than the crop, {crop} x {crop}")
        self.crop, self.noise, self.clip, self.seed = (
            crop,
            noise_specs.parse(noise_spec),
            clip,
            seed,
        )
        self.room = cache_mb * 1_000_000
        self.cache: dict[int, Pixels] = {}
        self.order = lru_cache(maxsize=2)(self._order)
        self.digest = decoded_store.listing(self.photographs)
        if store is not None:
            bar = tqdm(total=len(self.photographs), desc="store", unit="image", disable=None)
            with bar:
                decoded_store.build(store, self.photographs, bar.update)
            self.photographs = decoded_store.stored(store, self.photographs)
            self.room = 0
            return
        for index in range(len(self.photographs)):  # damaged files are found at the start
            self._pixels(index)
            if index not in self.cache:
                break

    def _order(self, epoch: int) -> list[int]:
        stream = seeds.generator("order", self.seed, epoch)
        return torch.randperm(len(self.photographs), generator=stream).tolist()

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
            Float32 (1, 3, crop, crop) each, in [0, 1] if `clip`, not rounded to 8 bits.
        """
        epoch, within = divmod(position, len(self.photographs))
        pixels = self._pixels(self.order(epoch)[within])
        stream = seeds.generator("pair", self.seed, position)

        def draw(count: int) -> int:
            return int(torch.randint(count, (), generator=stream))

        top, left = (draw(side - self.crop + 1) for side in pixels.shape[:2])
        cut = pixels[top : top + self.crop, left : left + self.crop]
        cut = np.rot90(cut, draw(4))
        clean = data_crops.to_tensor([np.ascontiguousarray(cut[:, ::-1] if draw(2) else cut)])
        noisy, target = self.noise.pair(clean, generator=stream, quantize=False)
        return noisy.clamp(0, 1) if self.clip else noisy, target

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """`size` noisy crops and targets from a position on, (size, 3, crop, crop) each."""
        pairs = [self.pair(first + i) for i in range(size)]
        return torch.cat([noisy for noisy, _ in pairs]), torch.cat([clean for _, clean in pairs])
