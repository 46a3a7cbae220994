"""Training pairs of photographs that are on the device: crops and noise are made there.

All photographs are decoded once, into one tensor. Where crops are taken, and how they are turned,
is drawn on the host as for `mtd.training.pairs.TrainingPairs`, so that the clean crops are the
same; the noise of a step's whole batch is drawn on the device, from one stream.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mtd.data.photographs import Photograph
from mtd.training.pairs import Cut, Pairs
from mtd.utils import device as devices
from mtd.utils import progress, seeds
from mtd.utils.errors import BadInput

VIEWS = tuple(itertools.product(range(4), (False, True)))
"""Quarter turns and reflections of a crop, eight in all."""


class DevicePairs(Pairs):
    """Random noisy/clean crops of photographs that are on the device.

    Args:
        folders: see `mtd.training.pairs.Pairs`, as the other arguments that are not here.
        crop: side of a crop in pixels.
        noise_spec: see `mtd.noise.specs.parse`.
        device: of photographs and crops.
        batch_size: crops per step; noise is drawn for all of them together, so that neither the
            number of processes nor gradient accumulation changes it.
        clip: clip noisy crops to [0, 1].
        seed: of the order, the crops and the noise.
        skip_bad: skip files that cannot be read.
        page: of every file.
        channels: see `mtd.training.pairs.Pairs`.
        quiet: no bar.

    Raises:
        BadInput: no photograph that is large enough, one that cannot be read, or more than the
            device's memory holds.
    """

    def __init__(
        self,
        folders: Sequence[str],
        crop: int,
        noise_spec: str,
        device: torch.device,
        batch_size: int,
        *,
        clip: bool = True,
        seed: int = 0,
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
        self.device, self.batch_size = device, batch_size
        self.noise_stream = f"{device.type}, one stream for each step"
        self.starts = [0, *itertools.accumulate(p.height * p.width for p in self.photographs)]
        self.pixels = decoded(self.photographs, device, quiet)
        places = np.moveaxis(np.indices((crop, crop)), 0, 2)
        views = [Cut(0, 0, 0, *view).turned(places) for view in VIEWS]
        self.views = torch.from_numpy(np.stack(views)).to(device)
        """Row and column in the photograph, from the corner of the crop: (8, crop, crop, 2)."""
        # looked up, since a GPU divides by 255 with another rounding
        self.values = torch.arange(256, dtype=torch.float32).div(255).to(device)
        self.pairs_of_step = lru_cache(maxsize=1)(self._pairs_of_step)

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """See `mtd.training.pairs.Pairs.batch`; all positions are of one step.

        Raises:
            ValueError: they are not.
        """
        step, index = divmod(first, self.batch_size)
        if index + size > self.batch_size:
            raise ValueError(f"positions {first} to {first + size - 1} are of several steps")
        noisy, target = self.pairs_of_step(step)
        return noisy[index : index + size], target[index : index + size]

    def _pairs_of_step(self, step: int) -> tuple[Tensor, Tensor]:
        """Noisy crops and targets of a whole batch."""
        clean = self.clean(step * self.batch_size, self.batch_size)
        generator = seeds.generator("noise", self.seed, step, device=self.device)
        return self.noise.pair(clean, generator=generator, quantize=self.quantize)

    def clean(self, first: int, size: int) -> Tensor:
        """`size` crops from a position on, float32 (size, C, crop, crop) in [0, 1]."""
        rows = []
        for position in range(first, first + size):
            cut, _ = self.cut(position)
            stride = self.photographs[cut.index].width
            place = self.starts[cut.index] + cut.top * stride + cut.left
            rows.append((place, stride, VIEWS.index((cut.turns, cut.reflected))))
        table = torch.tensor(rows)
        if self.device.type == "cuda":
            table = table.pin_memory()
        corner, width, view = table.to(self.device, non_blocking=True)[..., None, None].unbind(1)
        row, column = self.views[view.flatten()].unbind(3)
        pixels = self.pixels[corner + row * width + column]
        return self.values[pixels.permute(0, 3, 1, 2).long()].contiguous()


def decoded(photographs: Sequence[Photograph], device: torch.device, quiet: bool = True) -> Tensor:
    """The pixels of photographs, one after the other, (pixels, C), 8 bits, on a device.

    Raises:
        BadInput: they are more than its memory holds, or a photograph is damaged.
    """
    count = sum(photo.height * photo.width for photo in photographs)
    room, channels = devices.memory(device), photographs[0].channels
    if channels * count > room:
        need = f"{channels * count / 1e9:.4g} GB"
        raise BadInput(
            f"[data] on_device = true: the photographs need {need}, and {device} "
            f"has {room / 1e9:.4g} GB; leave it out, or take fewer"
        )
    pixels, start = torch.empty((count, channels), dtype=torch.uint8, device=device), 0
    with progress.running(("decoding",), quiet=quiet), ThreadPoolExecutor() as pool:
        progress.step("decoding", len(photographs), "photographs")
        for one in pool.map(lambda photo: photo.load(), photographs):
            flat = torch.from_numpy(one.reshape(-1, channels).copy())  # which PyTorch may write to
            pixels[start : start + len(flat)] = flat
            start += len(flat)
            progress.advance()
    return pixels
