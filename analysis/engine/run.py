"""The one pass that every analysis takes: crops, noise, networks with hooks, observers.

A *view* is a network under a noise. For every batch of crops each noisy version is made once and
each network runs once on it, whatever is asked of it; observers keep what they need of the
network's output and of its layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from analysis.engine.cache import ActivationCache, CachedActivations
from analysis.engine.hooks import Activations
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer, View
from analysis.stats.arrays import single
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.data.recorded_noise import Recorded
from mtd.inference.forward import MEMORY, denoise, forward
from mtd.inference.tiling import Tile
from mtd.masking import keyed_input_mask
from mtd.networks.base import Denoiser
from mtd.noise.base import Noise, pair_keyed
from mtd.utils.distributed import SINGLE_PROCESS, Ranks

Pairing = Literal["shared", "independent"]
Autocast = Literal["off", "bf16", "fp16"]


AUTOCAST: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class ForwardSettings:
    """How the networks are run.

    Attributes:
        seed: of the noise.
        quantize: clip and round noisy images to 8 bits.
        pairing: whether a crop meets the `shared` same attention masks under every noise, or
            `independent` ones.
        device: of the networks.
        autocast: precision of the forward pass.
        tile: how images are cut where only the output is asked for; see
        `mtd.inference.forward.denoise`. memory: bytes that `tile="auto"` keeps to.
        identity: what decides a network's output, by network: digest, masks.
        input_mask: share of the pixels that is hidden from the networks; see
            `mtd.inference.forward.forward`. A crop's are the same under every noise and for every
            network.
    """

    seed: int = 0
    quantize: bool = True
    pairing: Pairing = "shared"
    device: torch.device | str = "cpu"
    autocast: Autocast = "off"
    tile: Tile = "auto"
    memory: int = MEMORY
    identity: Mapping[str, Any] = field(default_factory=dict)
    input_mask: float = 0.0


def batches(crops: Sequence[Crop], size: int, least: int = 1) -> list[Batch]:
    """Cut into batches of at most `size`, as even as can be, none smaller than `least`.

    Where both cannot be had, batches are larger than `size`.
    """
    count = max(1, min(-(-len(crops) // size), len(crops) // least))
    ends = [len(crops) * i // count for i in range(count + 1)]
    return [Batch(i, list(crops[a:b])) for i, (a, b) in enumerate(pairwise(ends))]


@torch.no_grad()
def walk(
    models: Mapping[str, nn.Module],
    noises: Sequence[Noise | Recorded],
    groups: Sequence[Batch],
    observers: Sequence[Observer],
    setting: ForwardSettings | None = None,
    *,
    units: ActivationCache | None = None,
    ranks: Ranks = SINGLE_PROCESS,
) -> Iterator[View]:
    """Show every view of every batch of this process to the observers; yields each one as it ends.

    What is found in `units` is not computed again. A view is run if any observer lacks it, and
    nothing is run twice. Views that no observer wants are left out, and observers meet only batches
    that they look at.
    """
    setting, units = setting or ForwardSettings(), units or ActivationCache()
    for index in ranks.indices_for_rank(len(groups)):
        batch = groups[index]
        mine = noises if batch.noises is None else batch.noises
        watching = [observer for observer in observers if observer.looks_at(batch)]
        views = wanted(models, noises, batch, observers)
        made = {noise.spec: _made(noise, batch, setting) for noise in mine}
        keys = [{v: _key(o, v, made[v.noise], batch, setting) for v in views} for o in watching]
        seen: list[dict[View, CachedActivations]] = []
        for observer, names in zip(watching, keys, strict=True):
            found = {v: units.find(key) for v, key in names.items() if observer.wants(v)}
            again = {observer.before(view) for view, unit in found.items() if unit is None}
            seen.append({v: u for v, u in found.items() if u is not None and v not in again})
        for noise in mine:
            shown: NoisyBatch | None = None
            for view in (view for view in views if view.noise == noise.spec):
                lacking = [
                    (observer, held, key[view])
                    for observer, held, key in zip(watching, seen, keys, strict=True)
                    if observer.wants(view) and view not in held
                ]
                if lacking:
                    shown = replace(shown or show(noise, batch, setting), model=view.model)
                    those = [observer for observer, _, _ in lacking]
                    kept = look(models[view.model], view.model, shown, those, setting)
                    for (_, held, key), tensors in zip(lacking, kept, strict=True):
                        held[view] = units.keep(key, tensors)
                yield view
        for observer, held in zip(watching, seen, strict=True):
            observer.update(batch, {view: held[view] for view in views if view in held})


def wanted(
    models: Mapping[str, nn.Module],
    noises: Sequence[Noise | Recorded],
    batch: Batch,
    observers: Sequence[Observer],
) -> list[View]:
    """The views of a batch that any observer wants, noise by noise."""
    mine = noises if batch.noises is None else batch.noises
    watching = [observer for observer in observers if observer.looks_at(batch)]
    views = [View(model, noise.spec) for noise in mine for model in models]
    return [view for view in views if any(observer.wants(view) for observer in watching)]


def show(noise: Noise | Recorded, batch: Batch, setting: ForwardSettings) -> NoisyBatch:
    """A batch under a noise."""
    clean = batch.clean
    if isinstance(noise, Recorded):
        noisy, target = data_crops.to_tensor([noise.cut(crop) for crop in batch.crops]), clean
    else:
        noisy, target = pair_keyed(
            noise, clean, batch.digests, seed=setting.seed, quantize=setting.quantize
        )
    return NoisyBatch(batch, noise, noisy.to(setting.device), target)


def look(
    model: nn.Module,
    name: str,
    shown: NoisyBatch,
    observers: Sequence[Observer],
    setting: ForwardSettings,
) -> list[dict[str, Tensor]]:
    """Run a network once; what each observer keeps of it, by entry in firing order."""
    kept: list[dict[str, Tensor]] = [{} for _ in observers]
    wanted = [set(o.layers.get(name, ())) for o in observers]

    def keep(entry: str, value: Tensor) -> None:
        layer = entry.partition("#")[0].partition("[")[0]
        value = single(value)
        for observer, layers, mine in zip(observers, wanted, kept, strict=True):
            if layer in layers:
                found = observer.keep(entry, value, shown)
                mine.update({name: tensor.cpu() for name, tensor in found.items()})

    modules = sorted(set().union(*wanted) - {OUTPUT})
    masks = shown.batch.digests
    if setting.pairing == "independent":
        masks = [f"{digest}/{shown.noise.spec}" for digest in masks]
    device = torch.device(setting.device).type
    with ExitStack() as stack:
        if modules:
            stack.enter_context(Activations(model, modules, keep))
        if setting.autocast != "off":
            stack.enter_context(torch.autocast(device, AUTOCAST[setting.autocast]))
        hidden = input_mask(shown, setting)
        if modules:
            output = forward(model, shown.noisy, masks, hidden, told(model, shown))
        else:
            output = denoise(
                model,
                shown.noisy,
                keys=masks,
                input_mask=hidden,
                tile=setting.tile,
                memory=setting.memory,
                sigma=told(model, shown),
            )
    keep(OUTPUT, output)
    return kept


def told(model: nn.Module, shown: NoisyBatch) -> Tensor | None:
    """The noise level that a network is told, if it is that of the noise it is shown."""
    oracle = isinstance(model, Denoiser) and model.input_format.sigma == "oracle"
    return shown.level if oracle else None


def input_mask(shown: NoisyBatch, setting: ForwardSettings) -> Tensor | None:
    """The pixels (B, 1, H, W) that networks are shown, True kept; None if they are shown all."""
    if not setting.input_mask:
        return None
    height, width = shown.noisy.shape[-2:]
    kept = keyed_input_mask(height, width, setting.input_mask, setting.seed, shown.batch.digests)
    return kept.to(shown.noisy.device)


def _made(noise: Noise | Recorded, batch: Batch, setting: ForwardSettings) -> list[Any]:
    """Everything that decides a batch's noisy version."""
    recorded = noise.digest(batch.crops) if isinstance(noise, Recorded) else None
    return [noise.spec, recorded, setting.seed, setting.quantize]


def _key(
    observer: Observer,
    view: View,
    made: list[Any],
    batch: Batch,
    setting: ForwardSettings,
) -> dict[str, Any]:
    """Everything that decides what an observer keeps of a view of a batch; `made` is the noise."""
    return {
        "observer": [observer.name, observer.version, observer.key],
        "layers": list(observer.layers.get(view.model, ())),
        "model": [view.model, setting.identity.get(view.model)],
        "noise": made,
        "masks": [setting.pairing, setting.input_mask] if setting.input_mask else setting.pairing,
        "run": [torch.device(setting.device).type, setting.autocast, setting.tile, setting.memory],
        "crops": batch.digests,
    }
