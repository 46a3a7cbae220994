"""The one pass behind every analysis: crops, noises, networks with hooks, observers.

A *view* is a network under a noise. For each batch of crops every noisy version is made once, and
every network runs on it once, however many observers there are; each observer extracts what it
needs from the network's layers and output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from analysis.engine import side_by_side
from analysis.engine.cache import ActivationCache, CachedActivations
from analysis.engine.forward import ForwardSettings, make_noisy_batch, run_network
from analysis.engine.observer import OUTPUT, Batch, Observer, View, Watch
from analysis.engine.side_by_side import Workers
from analysis.stats.arrays import full_precision
from mtd.data.crops import Crop
from mtd.data.recorded_noise import Recorded
from mtd.inference import tiling
from mtd.inference.tiling import Tile
from mtd.noise.base import Noise
from mtd.utils.distributed import SINGLE_PROCESS, Ranks


@dataclass(frozen=True)
class _Observation:
    """The state of an observer on a batch: cache keys of its views, and activations so far."""

    observer: Observer
    keys: dict[View, dict[str, Any]]
    activations: dict[View, CachedActivations]

    def lacks(self, view: View) -> bool:
        return view in self.keys and view not in self.activations


def batches(crops: Sequence[Crop], size: int, least: int = 1) -> list[Batch]:
    """Cut crops into batches of at most `size`, as even as possible, none smaller than `least`.

    If both are impossible, batches are larger than `size`.
    """
    count = max(1, min(-(-len(crops) // size), len(crops) // least))
    ends = [len(crops) * i // count for i in range(count + 1)]
    return [Batch(i, list(crops[a:b])) for i, (a, b) in enumerate(pairwise(ends))]


@torch.no_grad()
def run_batches(
    models: Mapping[str, nn.Module],
    noises: Sequence[Noise | Recorded],
    groups: Sequence[Batch],
    watches: Sequence[Watch],
    settings: ForwardSettings | None = None,
    *,
    cache: ActivationCache | None = None,
    ranks: Ranks = SINGLE_PROCESS,
) -> Iterator[View]:
    """Run this process's batches under every noise through every network; yields each view done.

    Views that no observer needs are skipped. A view is run once if any observer lacks it in the
    cache, and not at all otherwise. Each observer is updated with the batches that it observes.

    Args:
        models: networks by name.
        noises: of the run; a batch may have its own.
        groups: all batches, distributed round-robin over the processes.
        watches: the observers, with what they observe.
        settings: how networks are run.
        cache: of an interrupted run; by default in memory only.
        ranks: the processes that share the batches.

    Raises:
        BadInput: an activation that an observer cannot use, tiles that do not fit, or a cache that
            cannot be written.
    """
    settings, cache = settings or ForwardSettings(), cache or ActivationCache()
    with side_by_side.workers(models, settings.device) as workers:
        for index in ranks.indices_for_rank(len(groups)):
            yield from _run_batch(models, noises, groups[index], watches, settings, cache, workers)


def _run_batch(
    models: Mapping[str, nn.Module],
    noises: Sequence[Noise | Recorded],
    batch: Batch,
    watches: Sequence[Watch],
    settings: ForwardSettings,
    cache: ActivationCache,
    workers: Workers,
) -> Iterator[View]:
    views = observed_views(models, noises, batch, watches)
    watches = [watch for watch in watches if watch.observes_batch(batch)]
    tiles = {view: tile_of(view, watches, settings) for view in views}
    noises = noises if batch.noises is None else batch.noises
    noise_keys = {noise.spec: _noise_key(noise, batch, settings) for noise in noises}
    keys = {
        view: {
            "noise": noise_keys[view.noise],
            **_network_key(models[view.model], view.model, tiles[view], batch, settings),
        }
        for view in views
    }
    observations = [_look_up(watch, keys, cache) for watch in watches]
    together = side_by_side.at_a_time([models[view.model] for view in views], batch, settings)
    for noise in noises:
        of_noise = [view for view in views if view.noise == noise.spec]
        lacking = {view: [o for o in observations if o.lacks(view)] for view in of_noise}
        tasks: list[Callable[[], list[dict[str, Tensor]]]] = []
        if any(lacking.values()):
            noisy = make_noisy_batch(noise, batch, settings)
            for view, incomplete in lacking.items():
                if incomplete:
                    own = replace(noisy, model=view.model)
                    observers = [observation.observer for observation in incomplete]
                    how = models[view.model], own, observers, settings, tiles[view]
                    tasks.append(partial(run_network, *how))
        extracted = workers.run(tasks, together)
        for view, incomplete in lacking.items():
            if incomplete:
                for observation, tensors in zip(incomplete, next(extracted), strict=True):
                    key = observation.keys[view]
                    observation.activations[view] = cache.put(key, tensors)
            yield view
    for observation in observations:
        ordered = {v: observation.activations[v] for v in views if v in observation.activations}
        with full_precision():
            observation.observer.update(batch, ordered)


def observed_views(
    models: Mapping[str, nn.Module],
    noises: Sequence[Noise | Recorded],
    batch: Batch,
    watches: Sequence[Watch],
) -> list[View]:
    """The views of a batch that at least one observer needs, noise by noise."""
    present = noises if batch.noises is None else batch.noises
    active = [watch for watch in watches if watch.observes_batch(batch)]
    views = [View(model, noise.spec) for noise in present for model in models]
    return [view for view in views if any(watch.observes_view(view) for watch in active)]


def tile_of(view: View, watches: Sequence[Watch], settings: ForwardSettings) -> Tile:
    """The tiling of a view: `off` if any observer needs layers, which have to be whole.

    It depends on what is observed, not on what is cached, so that a resumed run computes the same
    outputs as one that was never interrupted.
    """
    layers = {
        layer
        for watch in watches
        if watch.observes_view(view)
        for layer in watch.observer.layers[view.model]
    }
    return "off" if layers - {OUTPUT} else settings.tile


@full_precision()
def compute_result(observer: Observer, ranks: Ranks = SINGLE_PROCESS) -> Any:
    """An observer's result over the batches of all processes, in each of them."""
    observer.reduce_states(ranks)
    return observer.compute()


def _look_up(
    watch: Watch, view_keys: Mapping[View, Mapping[str, Any]], cache: ActivationCache
) -> _Observation:
    """The cached activations of a batch for an observer, without reference views to be rerun."""
    observer = watch.observer
    keys = {
        view: {
            "observer": [observer.name, watch.version, observer.key],
            "layers": list(observer.layers[view.model]),
            **key,
        }
        for view, key in view_keys.items()
        if watch.observes_view(view)
    }
    cached = {view: cache.get(key) for view, key in keys.items()}
    again = {observer.reference_view(view) for view, entry in cached.items() if entry is None}
    present = {v: entry for v, entry in cached.items() if entry is not None and v not in again}
    return _Observation(observer, keys, present)


def _noise_key(noise: Noise | Recorded, batch: Batch, settings: ForwardSettings) -> list[Any]:
    """Everything that decides the noisy version of a batch."""
    recorded = noise.digest(batch.crops) if isinstance(noise, Recorded) else None
    return [noise.spec, recorded, settings.seed, settings.drawing.key]


def _network_key(
    model: nn.Module, name: str, tile: Tile, batch: Batch, settings: ForwardSettings
) -> dict[str, Any]:
    """Everything that decides how a network runs on a batch, whatever the noise."""
    shape = (len(batch.crops), *batch.size)
    layout = tiling.layout(model, shape, tile, None, settings.memory)
    pairing, hidden = settings.pairing, settings.input_mask
    return {
        "model": [name, settings.identity.get(name)],
        "masks": [pairing, hidden] if hidden else pairing,
        "run": [torch.device(settings.device).type, settings.autocast, layout.key],
        "crops": batch.digests,
    }
