"""A network of the same architecture with random weights, as it was before training."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtd.networks import registry
from mtd.networks.base import Denoiser
from mtd.utils import seeds
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class Untrained:
    """A network with random weights.

    Attributes:
        network: in eval mode, called and masked like the one that it was made of.
        kept: paths of modules whose own weights, or some of them, are still the trained ones, since
            the module has no `reset_parameters` that draws them anew; the class for the network
            itself.
    """

    network: Denoiser
    kept: tuple[str, ...] = ()


def untrained(network: Denoiser, seed: int) -> Untrained:
    """A copy of a network with random weights.

    Networks of `mtd.networks` get the weights that training starts from; any other network those of
    each module's own `reset_parameters`. Running averages of normalization are reset, other buffers
    stay.

    Args:
        network: any denoiser.
        seed: of the random weights.

    Raises:
        BadInput: the network cannot be copied, or none of its weights be drawn anew.

    >>> from mtd.networks.dncnn import DnCNN, DnCNNConfig
    >>> network = DnCNN(DnCNNConfig(features=8, depth=3))
    >>> first, again = (untrained(network, 1).network.state_dict() for _ in range(2))
    >>> all(torch.equal(first[name], again[name]) for name in first)
    True
    """
    name = getattr(network.config, "kind", "") or type(network).__name__
    try:
        fresh = copy.deepcopy(network).cpu()
    except Exception as error:
        raise BadInput(f"a {name} cannot be copied ({type(error).__name__}: {error})") from None
    for module in fresh.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()
    kept = _own(fresh, seed) if registered(network) else _foreign(fresh, seed)
    if len(kept) and len(kept) == len(with_weights(fresh)):
        raise BadInput(f"no module of {name} has reset_parameters that draws its weights anew")
    device = next((value.device for value in network.parameters()), torch.device("cpu"))
    fresh.source = {}
    return Untrained(fresh.eval().to(device), tuple(path or name for path in kept))


def registered(network: Denoiser) -> bool:
    """Whether a network is of an architecture of the registry, which can be built anew."""
    return any(type(network.config) is entry.config for entry in registry.architectures().values())


def with_weights(network: nn.Module) -> list[str]:
    """Paths of the modules that have weights of their own."""
    return [
        path
        for path, module in network.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]


def _own(fresh: Denoiser, seed: int) -> tuple[str, ...]:
    """Weights as at the start of a training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive("untrained", seed))
        start = registry.build(fresh.config)
    start.initialize(seeds.generator("weights", "untrained", seed))
    values = dict(start.named_parameters())
    with torch.no_grad():
        for name, value in fresh.named_parameters():
            value.copy_(values[name])
    return ()


def _foreign(fresh: Denoiser, seed: int) -> tuple[str, ...]:
    """Weights by each module's `reset_parameters`; the paths of modules that keep trained ones."""
    kept = []
    modules = dict(fresh.named_modules())
    modules[""] = getattr(fresh, "whole", fresh)  # the module inside a wrapper
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seeds.derive("untrained", seed))
        for path in with_weights(fresh):
            before = [value.clone() for value in modules[path].parameters(recurse=False)]
            reset = getattr(modules[path], "reset_parameters", None)
            if callable(reset):
                reset()
            after = modules[path].parameters(recurse=False)
            if not callable(reset) or any(map(_stays, before, after)):
                kept.append(path)
    return tuple(kept)


def _stays(before: Tensor, after: Tensor) -> bool:
    """Whether a weight was not drawn anew; one that is constant may be so at the start, too.

    Weight normalization computes a module's weight from others, which `reset_parameters` leaves.
    """
    return torch.equal(before, after) and bool((before != before.flatten()[:1]).any())
