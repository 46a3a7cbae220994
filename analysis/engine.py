"""The one pass that every analysis takes: crops, noise, networks with hooks, observers.

A *view* is a network under a noise. For every batch of crops each noisy version is made once and
each network runs once on it, whatever is asked of it; observers keep what they need of the
network's output and of its layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from analysis.activations import Activations, single
from analysis.units import Unit, Units
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.data.recorded_noise import Recorded
from mtd.inference.forward import MEMORY, denoise, forward
from mtd.inference.tiling import Tile
from mtd.masking import keyed_input_mask
from mtd.networks.base import Denoiser
from mtd.noise.base import Noise, pair_keyed
from mtd.noise.synthetic import Gaussian
from mtd.utils.distributed import ALONE, Ranks

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
    """Crops of one size that go through the networks together.

    Attributes:
        index: its place among all batches.
        crops: the clean pixels.
        noises: those that the crops are seen under; None for all that are asked for. Photographs
            that come with noisy versions of their own are seen under those only.
    """

    index: int
    crops: list[Crop]
    noises: Sequence[Noise | Recorded] | None = None

    @property
    def clean(self) -> Tensor:
        """(B, 3, H, W) in [0, 1]."""
        return data_crops.to_tensor([crop.pixels for crop in self.crops])

    @cached_property
    def digests(self) -> list[str]:
        """The crops' keys."""
        return [crop.digest for crop in self.crops]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a crop."""
        return self.crops[0].pixels.shape[0], self.crops[0].pixels.shape[1]


@dataclass(frozen=True)
class Shown:
    """A batch under a noise.

    Attributes:
        batch: the crops.
        noise: what was added to them.
        model: who looks at it.
        noisy: (B, 3, H, W), what the networks are shown, on their device.
        target: (B, 3, H, W), what they should give, on the CPU: the clean crops, but for noises
            that change them too.
    """

    batch: Batch
    noise: Noise | Recorded
    noisy: Tensor
    target: Tensor
    model: str = ""

    @cached_property
    def level(self) -> Tensor:
        """(B,), the noise level of each image as a share of white, for networks that are told.

        The noise's own σ if it is Gaussian; otherwise the root of the mean squared difference
        between what is shown and what it should become, image by image.
        """
        if isinstance(self.noise, Gaussian):
            return torch.full((len(self.target),), self.noise.level / 255)
        change = self.noisy.cpu().double() - self.target.double()
        return change.square().mean((1, 2, 3)).sqrt().float()

    @property
    def view(self) -> View:
        """The network under the noise."""
        return View(self.model, self.noise.spec)


class Observer(ABC):
    """What one analysis keeps of the networks, and what it makes of that.

    Attributes:
        name: of the analysis.
        version: of its code; raise it when what is kept changes its meaning.
        layers: module paths by network; `OUTPUT` asks for the denoised image. Other networks are
            not looked at.
        noises: those that it looks at; None for all.
        crops: digests of those that it looks at; None for all.
    """

    name: str
    version: int = 1
    layers: Mapping[str, Sequence[str]]
    noises: Sequence[str] | None = None
    crops: Collection[str] | None = None

    def looks_at(self, batch: Batch) -> bool:
        """Whether it looks at a batch, which is all or nothing.

        Raises:
            ValueError: it is to look at some of its crops.
        """
        found = {self.crops is None or digest in self.crops for digest in batch.digests}
        if len(found) > 1:
            raise ValueError(
                f"batch {batch.index}: some of its crops are for {self.name}, others not"
            )
        return found.pop()

    def wants(self, view: View) -> bool:
        """Whether it looks at a view."""
        return view.model in self.layers and (self.noises is None or view.noise in self.noises)

    def before(self, view: View) -> View | None:
        """A view of the same batch, under an earlier noise, that must be shown with this one.

        It is shown again even if what was kept of it is there.
        """
        return None

    @property
    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Everything else that decides what is kept, ready for JSON."""

    @abstractmethod
    def keep(self, layer: str, value: Tensor, shown: Shown) -> dict[str, Tensor]:
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
    setting: Setting | None = None,
    *,
    units: Units | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[View]:
    """Show every view of every batch of this process to the observers; yields each one as it ends.

    What is found in `units` is not computed again. A view is run if any observer lacks it, and
    nothing is run twice. Views that no observer wants are left out, and observers meet only batches
    that they look at.
    """
    setting, units = setting or Setting(), units or Units()
    for index in ranks.mine(len(groups)):
        batch = groups[index]
        mine = noises if batch.noises is None else batch.noises
        watching = [observer for observer in observers if observer.looks_at(batch)]
        views = wanted(models, noises, batch, observers)
        made = {noise.spec: _made(noise, batch, setting) for noise in mine}
        keys = [{v: _key(o, v, made[v.noise], batch, setting) for v in views} for o in watching]
        seen: list[dict[View, Unit]] = []
        for observer, names in zip(watching, keys, strict=True):
            found = {v: units.find(key) for v, key in names.items() if observer.wants(v)}
            again = {observer.before(view) for view, unit in found.items() if unit is None}
            seen.append({v: u for v, u in found.items() if u is not None and v not in again})
        for noise in mine:
            shown: Shown | None = None
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


def show(noise: Noise | Recorded, batch: Batch, setting: Setting) -> Shown:
    """A batch under a noise."""
    clean = batch.clean
    if isinstance(noise, Recorded):
        noisy, target = data_crops.to_tensor([noise.cut(crop) for crop in batch.crops]), clean
    else:
        noisy, target = pair_keyed(
            noise, clean, batch.digests, seed=setting.seed, quantize=setting.quantize
        )
    return Shown(batch, noise, noisy.to(setting.device), target)


def look(
    model: nn.Module, name: str, shown: Shown, observers: Sequence[Observer], setting: Setting
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


def told(model: nn.Module, shown: Shown) -> Tensor | None:
    """The noise level that a network is told, if it is that of the noise it is shown."""
    oracle = isinstance(model, Denoiser) and model.usage.sigma == "oracle"
    return shown.level if oracle else None


def input_mask(shown: Shown, setting: Setting) -> Tensor | None:
    """The pixels (B, 1, H, W) that networks are shown, True kept; None if they are shown all."""
    if not setting.input_mask:
        return None
    height, width = shown.noisy.shape[-2:]
    kept = keyed_input_mask(height, width, setting.input_mask, setting.seed, shown.batch.digests)
    return kept.to(shown.noisy.device)


def _made(noise: Noise | Recorded, batch: Batch, setting: Setting) -> list[Any]:
    """Everything that decides a batch's noisy version."""
    recorded = noise.digest(batch.crops) if isinstance(noise, Recorded) else None
    return [noise.spec, recorded, setting.seed, setting.quantize]


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
        "masks": [setting.pairing, setting.input_mask] if setting.input_mask else setting.pairing,
        "run": [torch.device(setting.device).type, setting.autocast, setting.tile, setting.memory],
        "crops": batch.digests,
    }
