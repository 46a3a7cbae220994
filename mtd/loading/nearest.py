"""What an unknown file holds, and which architecture is near; for error messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from mtd.loading.choice import OWN_CLASS, addresses
from mtd.loading.weight_sets import Part, WeightSet, parts
from mtd.networks import registry, spandrel_adapter
from mtd.networks.architecture import Architecture
from mtd.networks.config import Config
from mtd.utils.messages import plural


def unknown(sets: Sequence[WeightSet]) -> str:
    """The message about weights of an unknown architecture."""
    named = [one for one in sets if not one.listed]
    if not named:
        tensors = plural(len(sets[0].tensors), "tensor")
        return f"{tensors} without names; expected a state dict; {OWN_CLASS}"
    largest = max(named, key=lambda one: len(one.tensors))
    shown = ", ".join(" ".join(key.split())[:80] for key in list(largest.tensors)[:4])
    place = f"under {largest.place!r}" if largest.place else "at its top"
    others = [key for key in addresses(sets) if key not in (largest.place, ".")]
    also = f" (also {', '.join(others[:4])})" if len(sets) > 1 and others else ""
    return (
        f"no network known here: {plural(len(largest.tensors), 'tensor')} {place}{also}, "
        f"{shown}, …; {_elsewhere(largest) or nearest(largest)}; {OWN_CLASS}"
    )


def _elsewhere(one: WeightSet) -> str:
    """The architecture that most of a set would be under other names, or alone; else empty."""
    for part in _most(one):
        for entry, stem, config in _renamed(part):
            normed = " with batch normalization" if getattr(config, "batch_norm", False) else ""
            sizes = ", ".join(f"{name}={value}" for name, value in config.to_dict().items())
            there = f".{part.prefix}".endswith(f".{stem}.")
            expected = "" if there else f", which is expected under {stem}.*"
            others = [n for n in one.tensors if not n.startswith(part.prefix)]
            return (
                f"nearest: a {entry.name}{normed} under {part.prefix or '*'}* ({sizes})"
                f"{_and_others(others)}{expected}"
            )
    return ""


def _most(one: WeightSet) -> list[Part]:
    """The parts that hold most of a set."""
    return [part for part in parts(one) if 2 * len(part.weights) > one.count]


def _and_others(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + ", …" * (len(names) > 3)
    return f" and {plural(len(names), 'other tensor')} ({shown})" if names else ""


def _renamed(part: Part) -> Iterator[tuple[Architecture, str, Config]]:
    """Architectures all of whose names begin with one word, if these are without it."""
    for entry in registry.architectures().values():
        stem = entry.anchor.partition(".")[0]
        if not all(key.startswith(f"{stem}.") for key in (entry.anchor, *entry.keys)):
            continue
        try:
            config = entry.detect({f"{stem}.{name}": v for name, v in part.weights.items()})
        except Exception:  # of shapes that are no network's
            continue
        if config is not None:
            yield entry, stem, config


def nearest(one: WeightSet) -> str:
    """The architecture with the most similar keys under a prefix, and what differs."""
    built = list(_default_keys())
    best, best_share = "", 0.0
    for part in _most(one):
        shapes = {_shape(key) for key in part.tensors}
        under = f" under {part.prefix}*" if part.prefix else ""
        for name, why in spandrel_adapter.similar(part.weights):
            return f"nearest: {name} of spandrel{under}, but {why}"
        for name, keys in built:
            every = {_shape(key) for key in keys}
            lacking = [key for key in keys if _shape(key) not in shapes]
            share = len(every & shapes) / max(len(every), 0.8 * len(shapes))
            if share > best_share:
                others = [n for n in part.weights if _shape(n) not in every]
                lacks = f"it lacks {', '.join(lacking[:3])}" if lacking else ""
                more = f"it has{_and_others(others).removeprefix(' and')}" if others else ""
                differs = ", and ".join(filter(None, [lacks, more]))
                best_share = share
                best = f"nearest: {name}{under}, but {differs or 'other numbers of layers'}"
    return best if best_share >= 0.3 else f"none of {', '.join(registry.architectures())} is near"


def _default_keys() -> Iterator[tuple[str, list[str]]]:
    """The keys of each architecture's default network."""
    for name, entry in registry.architectures().items():
        config: Callable[[], Config] = entry.config
        try:
            yield name, _keys(entry.build, config)
        except Exception:  # of another package, and not built on the meta device
            continue


@cache
def _keys(build: Callable[[Any], nn.Module], config: Callable[[], Config]) -> list[str]:
    """The keys of an architecture's default network, which is built once in a process."""
    with torch.device("meta"):
        return list(build(config()).state_dict())


def _shape(key: str) -> str:
    return re.sub(r"\d+", "N", key)
