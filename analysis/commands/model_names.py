"""Names of models in tables and figures, and which names are of one and the same network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import trainings
from analysis.text.markdown import listed
from analysis.text.names import unique_names
from mtd.loading import model_names
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.loading.cli_options import ModelRequest
    from mtd.networks.base import Denoiser


ORIGIN = (
    "weights_sha256",
    "architecture",
    "factory",
    "arguments",
    "factory_sha256",
    "module_sha256",
)
"""What decides a network, from its `source`, beside hyper-parameters and how it is called."""


NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
"""Small numbers in words."""


def names_of(requests: Sequence[ModelRequest]) -> list[str]:
    """Short names that tell the requested models apart.

    Those that they were given, several trainings of one model with the names of their files; else
    those of their files; where a file is requested several times, with the settings that differ.
    """
    unnamed = iter(names_by_file([request for request in requests if not request.name]))
    given: dict[str, list[str]] = {}
    for request in requests:
        given.setdefault(request.name, []).append(request.path)
    own = {
        name: iter([name] if len(paths) == 1 else trainings.names_for(name, paths))
        for name, paths in given.items()
        if name
    }
    found = [next(own[request.name] if request.name else unnamed) for request in requests]
    if twice := next((name for name in found if found.count(name) > 1), None):
        raise BadInput(f"two models are named {twice!r}: give one of them another name, NAME=FILE")
    return found


def names_by_file(requests: Sequence[ModelRequest]) -> list[str]:
    """Short names of requested models that were given none; see `names_of`."""
    first: dict[Path, str] = {}
    for request in requests:
        first.setdefault(Path(request.path).resolve(), request.path)
    names = dict(zip(first, unique_names(list(first.values())), strict=True))
    paths = [request.path for request in requests]
    details = model_names.details(paths, [settings_of(request) for request in requests])
    return [
        names[Path(path).resolve()] + (f" ({detail})" if detail else "")
        for path, detail in zip(paths, details, strict=True)
    ]


def settings_of(request: ModelRequest) -> dict[str, Any]:
    """The settings of a request that are its own, in words."""
    how = request.options
    given = {
        "factory": how.factory,
        **how.arguments,
        "weights": how.weights,
        "sigma": f"{how.sigma:g}" if isinstance(how.sigma, float) else how.sigma,
        "value range": None if how.value_range is None else f"{how.value_range:g}",
        "channel order": None if how.bgr is None else "bgr" if how.bgr else "rgb",
        "grayscale": "per-channel" if how.per_channel else None,
        "residual": how.residual,
        "wrap": how.wrap,
        "options": None if how.options is None else str(how.options),
    }
    return {name: value for name, value in given.items() if value is not None}


def twins(models: Mapping[str, Denoiser]) -> list[list[str]]:
    """Names of models that are one network: equal weights, called alike, from whatever files."""
    names: dict[str, list[str]] = {}
    for name, model in models.items():
        source, how = model.source, model.inference
        if not source:
            continue
        masks = [str(how.policy), how.active, how.samples, how.seed]
        key = [model.config.to_dict(), source["usage"], masks, *(source.get(k) for k in ORIGIN)]
        names.setdefault(json.dumps(key, sort_keys=True, default=str), []).append(name)
    return [same for same in names.values() if len(same) > 1]


def twin_messages(models: Mapping[str, Denoiser]) -> list[str]:
    """One line for each network that has several names."""
    return [
        f"{listed(names)} hold equal weights and are called alike: one network under "
        f"{NUMBERS.get(len(names), len(names))} names"
        for names in twins(models)
    ]
