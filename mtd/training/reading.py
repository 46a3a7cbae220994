"""How the photographs of a training run are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from mtd.training.config import Recipe
from mtd.training.device_pairs import DevicePairs
from mtd.training.pairs import Pairs, TrainingPairs
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class Reading:
    """How photographs are read; only `skip_bad` can change the result.

    Attributes:
        workers: processes that load batches ahead of time.
        store: folder of a memory-mapped file of decoded photographs, created if it is missing.
        skip_bad: skip files that cannot be read.
        quiet: no bars.
    """

    workers: int = 0
    store: Path | None = None
    skip_bad: bool = False
    quiet: bool = False


def open_pairs(recipe: Recipe, reading: Reading, device: torch.device) -> Pairs:
    """The training pairs of a recipe.

    Raises:
        BadInput: no photographs that can be used, or a way of reading them that does not fit
            `[data] on_device`.
    """
    data, run = recipe.data, recipe.run
    if not data.on_device:
        return TrainingPairs(
            data.folders,
            data.crop,
            data.noise,
            clip=data.clip,
            seed=run.seed,
            cache_mb=data.cache_mb,
            store=reading.store,
            skip_bad=reading.skip_bad,
            page=data.page or None,
            channels=recipe.network.in_chans,
            quiet=reading.quiet,
        )
    given = f"--workers {reading.workers}" if reading.workers else ""
    given = f"--store {reading.store}" if reading.store else given
    if given:
        raise BadInput(
            f"{given}: with [data] on_device = true all photographs are on the device; leave it out"
        )
    return DevicePairs(
        data.folders,
        data.crop,
        data.noise,
        device,
        run.batch_size,
        clip=data.clip,
        seed=run.seed,
        skip_bad=reading.skip_bad,
        page=data.page or None,
        channels=recipe.network.in_chans,
        quiet=reading.quiet,
    )
