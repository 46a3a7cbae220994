"""The one pass that every analysis takes: crops, noise, networks with hooks, observers.

A *view* is a network under a noise. For every batch of crops each noisy version is made once and
each network runs once on it, whatever is asked of it; observers keep what they need of the
network's output and of its layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from analysis.activations import Activations, single
from analysis.ranks import ALONE, Ranks
from analysis.units import Unit, Units
from mtd import images
from mtd.denoiser import Denoiser
from mtd.images import Crop
from mtd.noise import Noise, add_keyed
from mtd.recorded import Recorded

Pairing = Literal["shared", "independent"]
Autocast = Literal["off", "bf16", "fp16"]

OUTPUT = "output"
"""The name under which an observer keeps something of the denoised image."""

AUTOCAST: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


class View(NamedTuple):
    """A network under a noise, by their names."""

    model: str
    noise: str


@dataclass(frozen=True)
class Batch:
    """Crops that go through the networks together; `index` is its place among all batches."""

    index: int
    crops: list[Crop]

    @property
    def clean(self) -> Tensor:
        """(B, 3, H, W) in [0, 1]."""
        return images.to_tensor([crop.pixels for crop in self.crops])

    @cached_property
    def digests(self) -> list[str]:
        """The crops' keys."""
        return [crop.digest for crop in self.crops]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a crop."""
        return self.crops[0].pixels.shape[0], self.crops[0].pixels.shape[1]


class Observer(ABC):
    """What one analysis keeps of the networks, and what it makes of that.

    Attributes:
        name: of the analysis.
        version: of its code; raise it when what is kept changes its meaning.
        layers: module paths by network; `OUTPUT` asks for the denoised image.
    """

    name: str
    version: int = 1
    layers: Mapping[str, Sequence[str]]

    @property
    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Everything else that decides what is kept, ready for JSON."""

    @abstractmethod
    def keep(self, layer: str, value: Tensor, batch: Batch) -> dict[str, Tensor]:
        """What to keep of a layer's output for a batch, by name; called in the layer's hook.

        The value is in float32 at least. It is the network's own: what is returned must not share
        its memory.
        """

    @abstractmethod
    def update(self, batch: Batch, seen: Mapping[View, Unit]) -> None:
        """Take in a batch: what was kept, for every view."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in the batches that another observer of the same kind has seen."""

    @abstractmethod
    def compute(self, ranks: Ranks = ALONE) -> Any:
        """The result over all batches of all processes."""


@dataclass(frozen=True)
class Setting:
    """How the networks are run.

    Attributes:
        seed: of the noise.
        quantize: clip and round noisy images to 8 bits.
        pairing: whether a crop meets the `shared` same attention masks under every noise, or
            `independent` ones.
        device: of the networks.
        autocast: precision of the forward pass.
        identity: what decides a network's output, by network: digest, masks.
    """

    seed: int = 0
    quantize: bool = True
    pairing: Pairing = "shared"
    device: torch.device | str = "cpu"
    autocast: Autocast = "off"
    identity: Mapping[str, Any] = field(default_factory=dict)


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
    setting: Setting | None = None,
    *,
    units: Units | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[View]:
    """Show every view of every batch of this process to the observers; yields each one as it ends.

    What is found in `units` is not computed again. A view is run if any observer lacks it, and
    nothing is run twice.
    """
    setting, units = setting or Setting(), units or Units()
    for index in ranks.mine(len(groups)):
        batch = groups[index]
        seen: list[dict[View, Unit]] = [{} for _ in observers]
        for noise in noises:
            noisy: Tensor | None = None
            recorded = noise.digest(batch.crops) if isinstance(noise, Recorded) else None
            made = [noise.spec, recorded, setting.seed, setting.quantize]
            for name, model in models.items():
                view = View(name, noise.spec)
                keys = [_key(o, view, made, batch, setting) for o in observers]
                found = [units.find(key) for key in keys]
                if None in found:
                    if noisy is None:
                        noisy = make_noisy(noise, batch, setting).to(setting.device)
                    lacking = [o for o, unit in zip(observers, found, strict=True) if unit is None]
                    kept = look(model, name, noisy, noise, batch, lacking, setting)
                    found = [
                        unit or units.keep(key, kept.pop(0))
                        for unit, key in zip(found, keys, strict=True)
                    ]
                for mine, unit in zip(seen, found, strict=True):
                    assert unit is not None
                    mine[view] = unit
                yield view
        for observer, views in zip(observers, seen, strict=True):
            observer.update(batch, views)


def make_noisy(noise: Noise | Recorded, batch: Batch, setting: Setting) -> Tensor:
    """The noisy version of a batch, (B, 3, H, W)."""
    if isinstance(noise, Recorded):
        return images.to_tensor([noise.cut(crop) for crop in batch.crops])
    return add_keyed(
        noise, batch.clean, batch.digests, seed=setting.seed, quantize=setting.quantize
    )


def look(
    model: nn.Module,
    name: str,
    noisy: Tensor,
    noise: Noise | Recorded,
    batch: Batch,
    observers: Sequence[Observer],
    setting: Setting,
) -> list[dict[str, Tensor]]:
    """Run a network once; what each observer keeps of it, by entry in firing order."""
    kept: list[dict[str, Tensor]] = [{} for _ in observers]
    wanted = [set(o.layers.get(name, ())) for o in observers]

    def keep(entry: str, value: Tensor) -> None:
        layer = entry.partition("#")[0].partition("[")[0]
        value = single(value)
        for observer, layers, mine in zip(observers, wanted, kept, strict=True):
            if layer in layers:
                found = observer.keep(entry, value, batch)
                mine.update({name: tensor.cpu() for name, tensor in found.items()})

    modules = sorted(set().union(*wanted) - {OUTPUT})
    masks = batch.digests
    if setting.pairing == "independent":
        masks = [f"{digest}/{noise.spec}" for digest in batch.digests]
    device = torch.device(setting.device).type
    with ExitStack() as stack:
        if modules:
            stack.enter_context(Activations(model, modules, keep))
        if setting.autocast != "off":
            stack.enter_context(torch.autocast(device, AUTOCAST[setting.autocast]))
        output = model(noisy, masks) if isinstance(model, Denoiser) else model(noisy)
    keep(OUTPUT, output)
    return kept


def _key(
    observer: Observer,
    view: View,
    made: list[Any],
    batch: Batch,
    setting: Setting,
) -> dict[str, Any]:
    """Everything that decides what an observer keeps of a view of a batch; `made` is the noise."""
    return {
        "observer": [observer.name, observer.version, observer.key],
        "layers": list(observer.layers.get(view.model, ())),
        "model": [view.model, setting.identity.get(view.model)],
        "noise": made,
        "masks": setting.pairing,
        "run": [torch.device(setting.device).type, setting.autocast],
        "crops": batch.digests,
    }
