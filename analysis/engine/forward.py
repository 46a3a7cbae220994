"""One forward pass: a batch under a noise, through a network, into the observers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from analysis.engine.failures import OfObserver, of_network
from analysis.engine.hooks import Activations
from analysis.engine.layers import windowed_layers, without_call
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer
from analysis.stats.arrays import full_precision, single
from mtd.data import crops as data_crops
from mtd.data.recorded_noise import Recorded
from mtd.inference.forward import MEMORY, denoise
from mtd.inference.tiling import Tile
from mtd.masking import keyed_input_mask
from mtd.noise.base import Noise, NoisyImages, mean_square
from mtd.noise.drawing import STORED, Drawing
from mtd.utils.device import exact

Pairing = Literal["shared", "independent"]
Autocast = Literal["off", "bf16", "fp16"]


AUTOCAST: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class ForwardSettings:
    """How the networks are run.

    Attributes:
        seed: of the noise.
        drawing: how noisy images are drawn and stored; by default in 8 bits.
        pairing: whether a crop has the same attention masks under every noise (`shared`), or
            different ones (`independent`).
        device: of the networks; images and sums are where `mtd.utils.device.exact` says.
        autocast: precision of the forward pass, alone: what observers extract from it, and their
            sums, are in full precision.
        tile: tiling of images whose layers no observer needs; see
            `mtd.inference.forward.denoise`.
        memory: memory limit in bytes of `tile="auto"`.
        identity: everything that decides each network's output, by name, for the cache.
        input_mask: share of the pixels that is masked; see `mtd.inference.forward.forward`. A
            crop's masked pixels are the same under every noise and for every network.
    """

    seed: int = 0
    drawing: Drawing = STORED
    pairing: Pairing = "shared"
    device: torch.device | str = "cpu"
    autocast: Autocast = "off"
    tile: Tile = "auto"
    memory: int = MEMORY
    identity: Mapping[str, Any] = field(default_factory=dict)
    input_mask: float = 0.0


def make_noisy_batch(
    noise: Noise | Recorded, batch: Batch, settings: ForwardSettings
) -> NoisyBatch:
    """Add a noise to a batch, or take the recorded noisy version of its crops."""
    clean = batch.clean
    if isinstance(noise, Recorded):
        recorded = data_crops.to_tensor([noise.cut(crop) for crop in batch.crops])
        made = NoisyImages(recorded, clean, mean_square(recorded, clean).sqrt())
    else:
        made = settings.drawing.noisy_images(noise, clean, batch.digests, settings.seed)
    level = made.sigma.float()
    return NoisyBatch(batch, noise, made.noisy.to(exact(settings.device)), made.target, level)


def run_network(
    model: nn.Module,
    noisy: NoisyBatch,
    observers: Sequence[Observer],
    settings: ForwardSettings,
    tile: Tile,
) -> list[dict[str, Tensor]]:
    """Run a network once on a noisy batch.

    Returns:
        What each observer extracted, by name, in the order in which layers fired.
    """
    extracted: list[dict[str, Tensor]] = [{} for _ in observers]
    layers = [set(observer.layers.get(noisy.model, ())) for observer in observers]
    modules = sorted(set().union(*layers) - {OUTPUT})
    noisy = replace(noisy, windowed=windowed_layers(model, modules))

    @full_precision()
    def extract(entry: str, value: Tensor) -> None:
        layer = without_call(entry).partition("[")[0]
        value = single(value)
        value = value.to(exact(value.device))
        for observer, paths, tensors in zip(observers, layers, extracted, strict=True):
            if layer in paths:
                called = without_call(entry) if observer.last_call_only else entry
                try:
                    found = observer.extract(called, value, noisy)
                except Exception as error:
                    raise OfObserver from error
                for name, tensor in found.items():
                    tensors.pop(name, None)  # of an earlier call
                    tensors[name] = tensor.cpu()

    with ExitStack() as stack:
        stack.enter_context(of_network(noisy.model, at_once=noisy.batch.index == 0))
        stack.enter_context(full_precision())  # whatever the caller's autocast is
        if modules:
            stack.enter_context(Activations(model, modules, extract))
        if settings.autocast != "off":
            device = torch.device(settings.device).type
            stack.enter_context(torch.autocast(device, AUTOCAST[settings.autocast]))
        output = denoise(
            model,
            noisy.noisy,
            keys=mask_keys(noisy, settings),
            input_mask=input_mask(noisy, settings),
            tile=tile,
            memory=settings.memory,
            sigma=noise_level(model, noisy),
        )
        extract(OUTPUT, output)
    return extracted


def mask_keys(noisy: NoisyBatch, settings: ForwardSettings) -> list[str]:
    """The key of each crop's attention masks."""
    digests = noisy.batch.digests
    if settings.pairing == "shared":
        return digests
    return [f"{digest}/{noisy.noise.spec}" for digest in digests]


def noise_level(model: nn.Module, noisy: NoisyBatch) -> Tensor | None:
    """(B,), the noise level of a batch, for a network that is given the true one; else None."""
    return noisy.level if getattr(model, "takes_oracle_sigma", False) else None


def input_mask(noisy: NoisyBatch, settings: ForwardSettings) -> Tensor | None:
    """Boolean (B, 1, H, W), True at visible pixels; None without an input mask."""
    if not settings.input_mask:
        return None
    height, width = noisy.noisy.shape[-2:]
    keys = noisy.batch.digests
    mask = keyed_input_mask(height, width, settings.input_mask, settings.seed, keys)
    return mask.to(noisy.noisy.device)
