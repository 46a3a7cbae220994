"""The walk that every analysis takes: crops, noise, networks with hooks, what their layers put out.

A *view* is a network under a noise. For every batch of crops each noisy version is made once and
each network runs once on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from analysis.activations import Activations, Pick
from mtd import images
from mtd.images import Crop
from mtd.noise import Noise, add_keyed
from mtd.swinir import SwinIR

Pairing = Literal["shared", "independent"]


class View(NamedTuple):
    """A network under a noise, by their names."""

    model: str
    noise: str


@dataclass(frozen=True)
class Seen:
    """What a network put out for a batch: its output, and its layers in firing order.

    `shapes` are those of the activations before they were reduced.
    """

    output: Tensor
    layers: dict[str, Tensor]
    shapes: dict[str, tuple[int, ...]]


def batches(crops: Sequence[Crop], size: int, least: int = 1) -> list[list[Crop]]:
    """Cut into batches of at most `size`, as even as can be, none smaller than `least`.

    Where both cannot be had, batches are larger than `size`.
    """
    count = max(1, min(-(-len(crops) // size), len(crops) // least))
    ends = [len(crops) * i // count for i in range(count + 1)]
    return [list(crops[a:b]) for a, b in pairwise(ends)]


@torch.no_grad()
def walk(
    models: Mapping[str, nn.Module],
    noises: Sequence[Noise],
    groups: Sequence[Sequence[Crop]],
    layers: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
    quantize: bool = True,
    pairing: Pairing = "shared",
    device: torch.device | str = "cpu",
    pick: Callable[[Sequence[Crop]], Pick] | None = None,
    reduce: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[dict[View, Seen]]:
    """Run every view on every batch, one batch at a time.

    Args:
        models: networks by name.
        noises: what each of them is shown.
        groups: batches of crops of one size.
        layers: module paths to record, by network.
        seed: of the noise.
        quantize: clip and round noisy images to 8 bits.
        pairing: whether a crop meets the `shared` same attention masks under every noise, or
            `independent` ones.
        device: of the networks.
        pick: makes, from a batch of crops, the linear map that is applied to each activation in
            its hook.
        reduce: what is kept of each activation, flattened to (B, features), when its network is
            done with the batch; so no more than one view's activations are held.
    """
    with ExitStack() as stack:
        hooks = {
            name: stack.enter_context(Activations(model, list(layers[name])))
            for name, model in models.items()
        }
        for group in groups:
            clean = images.to_tensor([crop.pixels for crop in group])
            digests = [crop.digest for crop in group]
            chosen = pick(group) if pick else None
            seen = {}
            for noise in noises:
                noisy = add_keyed(noise, clean, digests, seed=seed, quantize=quantize).to(device)
                keys = digests
                if pairing == "independent":
                    keys = [f"{digest}/{noise.spec}" for digest in digests]
                for name, model in models.items():
                    hooks[name].pick = chosen
                    output = model(noisy, keys) if isinstance(model, SwinIR) else model(noisy)
                    hooks[name].check()
                    shapes, kept = {}, {}
                    for layer, value in hooks[name].items():
                        shapes[layer] = tuple(value.shape)
                        kept[layer] = reduce(value.reshape(len(group), -1)) if reduce else value
                    seen[View(name, noise.spec)] = Seen(output, kept, shapes)
            yield seen
