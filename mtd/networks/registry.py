"""The registry of architectures, and which of them a state dict belongs to.

An entry is a module of `mtd.networks` with an `ARCHITECTURE`; other packages add theirs by an entry
point of the group `mtd.models` that names an `Architecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

import torch

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.config import Config, Weights
from mtd.utils import limits, plugins
from mtd.utils.errors import BadInput, nearest

GROUP = "mtd.models"

BUILT_IN = (
    *("swinir", "ffdnet", "dncnn", "ridnet", "rnan", "restormer"),
    *("bf_dncnn", "bf_recurrent_cnn", "bf_unet", "bf_densenet", "idf"),
)
"""Modules of `mtd.networks`, in the order in which detection tries them."""


@cache
def architectures() -> dict[str, Architecture]:
    """Every architecture by name: the built-in ones, then those of other packages.

    Raises:
        BadInput: an entry point that cannot be used, or whose name is taken.

    >>> list(architectures())[:3]
    ['SwinIR', 'FFDNet', 'DnCNN']
    """
    built_in = [import_module(f"mtd.networks.{name}").ARCHITECTURE for name in BUILT_IN]
    return plugins.registered(
        GROUP,
        built_in,
        lambda entry: isinstance(entry, Architecture),
        expected="an Architecture (mtd.networks.architecture)",
        plural="architectures",
    )


def named(name: str) -> Architecture:
    """The architecture of a name, ignoring case.

    Raises:
        BadInput: an unknown name.

    >>> named("dncnn").name
    'DnCNN'
    """
    for registered, entry in architectures().items():
        if registered.lower() == name.lower():
            return entry
    raise BadInput(f"no architecture {name!r}; {nearest(name, architectures())}")


def detect(weights: Weights) -> tuple[Architecture, Config] | None:
    """The architecture and hyper-parameters of a state dict; None if it is unknown.

    Raises:
        BadInput: weights that do not determine how the network is run.
    """
    for entry in architectures().values():
        config = entry.detect(weights)
        if config is not None:
            return entry, config
    return None


def described(values: Mapping[str, Any]) -> tuple[Architecture, Config]:
    """The architecture and hyper-parameters of a checkpoint's metadata; see `describe`.

    The first checkpoints, all of SwinIR, do not name their architecture.

    Raises:
        BadInput: an unknown architecture, or a hyper-parameter of another name or type.
    """
    if not isinstance(values, Mapping):
        raise BadInput(f"[network] is a {type(values).__name__}: expected names and values")
    values = dict(values)
    entry = named(str(values.pop("architecture", "SwinIR")))
    return entry, entry.config.from_dict(values)


def of(config: Config) -> Architecture:
    """The architecture of hyper-parameters."""
    return next(e for e in architectures().values() if type(config) is e.config)


def build(config: Config) -> Denoiser:
    """A network with random weights."""
    return of(config).build(config)


def check(config: Config, entry: Architecture | None = None) -> None:
    """Check by arithmetic alone that a network can be built.

    Args:
        config: its hyper-parameters.
        entry: its architecture; by default the one that these belong to.

    Raises:
        BadInput: sizes that do not fit together, are out of range, or are above the limit.
    """
    config.check()
    limits.LAYERS.check(config.layers, f"a {(entry or of(config)).name}")


def outline(config: Config, entry: Architecture | None = None) -> Denoiser:
    """A network on the meta device: shapes without memory; its size is checked.

    Args:
        config: see `check`.
        entry: see `check`.

    Raises:
        BadInput: see `check`; or more weights than the limit.

    >>> from mtd.networks.dncnn import DnCNNConfig
    >>> next(outline(DnCNNConfig()).parameters()).device.type
    'meta'
    """
    entry = entry or of(config)
    check(config, entry)
    with torch.device("meta"):
        network = entry.build(config)
    count = sum(value.numel() for value in network.parameters())
    limits.PARAMETERS.check(count / 1e6, f"a {entry.name} of these sizes")
    return network


def describe(config: Config) -> dict[str, Any]:
    """Architecture and hyper-parameters as checkpoints record them."""
    return {"architecture": of(config).name, **config.to_dict()}
