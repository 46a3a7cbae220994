"""Every architecture known here, and which of them a state dict belongs to.

An entry is one module of `mtd.networks` with an `ARCHITECTURE`; other packages add theirs by an
entry point of the group `mtd.models` that names an `Architecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.config import Config, Weights
from mtd.utils.errors import BadInput, nearest

GROUP = "mtd.models"

BUILT_IN = ("swinir", "ffdnet", "dncnn", "ridnet", "rnan", "restormer")
"""Modules of `mtd.networks`, in the order in which they are tried."""


@cache
def architectures() -> dict[str, Architecture]:
    """All of them by name: ours, then those of other packages.

    Raises:
        BadInput: an entry point that cannot be used, or takes a name that is taken.
    """
    found = [import_module(f"mtd.networks.{name}").ARCHITECTURE for name in BUILT_IN]
    for point in entry_points(group=GROUP):
        try:
            found.append(point.load())
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BadInput(f"entry point {point.name} ({point.value}): {reason}") from None
        if not isinstance(found[-1], Architecture):
            raise BadInput(f"entry point {point.name} ({point.value}): not an Architecture")
    known: dict[str, Architecture] = {}
    for entry in found:
        if entry.name in known:
            raise BadInput(f"two architectures are named {entry.name}")
        known[entry.name] = entry
    return known


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
