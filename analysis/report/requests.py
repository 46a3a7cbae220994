"""Model requests as JSON for the manifest, and as command-line arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtd.loading.cli_options import ModelRequest
from mtd.loading.model_names import named_files, numbers_of_equals
from mtd.loading.options import LoadOptions
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.report.settings import ReportSettings

SHARED = ("attention_mask", "mask_samples", "seed")
"""Fields of `LoadOptions` that are part of the settings."""


def of(models: Any, settings: ReportSettings) -> list[ModelRequest]:
    """Requests of models that are given by requests, paths of checkpoints or bundled names.

    Args:
        models: one or several; `NAME=PATTERN` is one model of several trainings.
        settings: of the report.

    Raises:
        BadInput: none, or anything else.
    """
    options = LoadOptions(**{name: getattr(settings, name) for name in SHARED})
    many = isinstance(models, Iterable) and not isinstance(models, str)
    requests: list[ModelRequest] = []
    for model in models if many else [models]:
        if isinstance(model, str | Path):
            files = named_files(str(model))
            requests += [ModelRequest(path, options, name=name) for name, path in files]
            continue
        if not isinstance(model, ModelRequest):
            kind = type(model).__name__
            raise BadInput(f"model of type {kind}: expected paths of checkpoints or bundled names")
        requests.append(model)
    if not requests:
        raise BadInput("no model: expected paths of checkpoints or bundled names")
    return requests


def to_json(requests: Sequence[ModelRequest]) -> list[dict[str, Any]]:
    """Requests ready for JSON: path, name if given, and options that differ from the default."""
    default, entries = LoadOptions(), []
    for request in requests:
        values = asdict(request.options)
        options = {k: v for k, v in values.items() if v != getattr(default, k)}
        if options.get("options") is not None:
            options["options"] = str(options["options"])
        name = {"name": request.name} if request.name else {}
        entries.append({"path": request.path} | name | options)
    return entries


def from_json(entries: Any, place: str) -> list[ModelRequest]:
    """The requests in a manifest.

    Raises:
        BadInput: it is damaged.
    """
    known = {item.name for item in fields(LoadOptions)}
    requests = []
    for entry in entries if isinstance(entries, list) and entries else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise BadInput(f"{place}: its manifest is damaged (models)")
        options = {k: v for k, v in entry.items() if k not in ("path", "name")}
        name = entry.get("name", "")
        if not options.keys() <= known or not isinstance(name, str):
            raise BadInput(f"{place}: its manifest is damaged (options of models)")
        requests.append(ModelRequest(entry["path"], LoadOptions(**options), name=name))
    return requests


def arguments(requests: Sequence[ModelRequest]) -> list[str]:
    """The arguments of a command line that request these models."""
    files = [request for request in requests if not request.options.factory]
    custom = [request for request in requests if request.options.factory]
    numbers = numbers_of_equals([Path(request.path).resolve() for request in (*files, *custom)])
    flags: list[str] = []
    for request, number in zip((*files, *custom), numbers, strict=True):
        options, path = request.options, request.path
        if options.factory:
            flags += ["--model", options.factory, "--checkpoint", named(request)]
            for name, value in options.arguments.items():
                flags += ["--arg", f"{name}={json.dumps(value)}"]
        model = path if number is None else f"{path}#{number}"
        flags += [
            text for option in _flags(options) for text in (option[0], f"{model}={option[1]}")
        ]
    return [*(named(request) for request in files), *flags]


def named(request: ModelRequest) -> str:
    """A model's path, with its name if it was given one."""
    return f"{request.name}={request.path}" if request.name else request.path


def _flags(options: LoadOptions) -> list[tuple[str, str]]:
    """The options of one model, without its name."""
    sigma, white = options.sigma, options.value_range
    given = {
        "--options": None if options.options is None else str(options.options),
        "--sigma": f"{sigma:g}" if isinstance(sigma, int | float) else sigma,
        "--value-range": None if white is None else f"{white:g}",
        "--channel-order": None if options.bgr is None else "bgr" if options.bgr else "rgb",
        "--grayscale": "per-channel" if options.per_channel else None,
        "--residual": options.residual,
        "--wrap": options.wrap,
        "--weights": options.weights,
    }
    return [(option, value) for option, value in given.items() if value is not None]
