"""Every architecture known here, and which of them a state dict belongs to.

An entry is one module of `mtd.networks` with an `ARCHITECTURE`; other packages add theirs by an
entry point of the group `mtd.models` that names an `Architecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.config import Config, Weights
from mtd.utils import plugins
from mtd.utils.errors import BadInput, nearest

GROUP = "mtd.models"

BUILT_IN = ("swinir", "ffdnet", "dncnn", "ridnet", "rnan", "restormer")
"""Modules of `mtd.networks`, in the order in which they are tried."""


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
    """The architecture of a name, whatever its case.

    Raises:
        BadInput: there is none.
    """
    for known, entry in architectures().items():
        if known.lower() == name.lower():
            return entry
    raise BadInput(f"no architecture {name!r}; {nearest(name, architectures())}")


def detect(weights: Weights) -> tuple[Architecture, Config] | None:
    """The architecture that some weights belong to, and its hyper-parameters; None if unknown.

    Raises:
        BadInput: weights that do not tell how the network is to be run.
    """
    for entry in architectures().values():
        config = entry.detect(weights)
        if config is not None:
            return entry, config
    return None


def described(values: Mapping[str, Any]) -> tuple[Architecture, Config]:
    """What our own metadata name; before there were several architectures, a SwinIR."""
    values = dict(values)
    entry = named(values.pop("architecture", "SwinIR"))
    return entry, entry.config.from_dict(values)


def of(config: Config) -> Architecture:
    """The architecture whose hyper-parameters these are."""
    return next(e for e in architectures().values() if type(config) is e.config)


def build(config: Config) -> Denoiser:
    """A network with fresh weights."""
    return of(config).build(config)


def describe(config: Config) -> dict[str, Any]:
    """What our checkpoints record of a network."""
    return {"architecture": of(config).name, **config.to_dict()}
