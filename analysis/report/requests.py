"""Requests of models as a manifest holds them, and as a command line gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from mtd.loading.cli_options import ModelRequest
from mtd.loading.load import LoadOptions
from mtd.utils.errors import BadInput

SHARED = ("attention_mask", "mask_samples", "seed")
"""Fields of `LoadOptions` that the settings hold."""


def to_json(requests: Sequence[ModelRequest]) -> list[dict[str, Any]]:
    """Requests ready for JSON: the path, and what differs from the default."""
    usual, entries = LoadOptions(), []
    for request in requests:
        held = asdict(request.options)
        options = {k: v for k, v in held.items() if v != getattr(usual, k)}
        if options.get("options") is not None:
            options["options"] = str(options["options"])
        entries.append({"path": request.path} | options)
    return entries


def from_json(entries: Any, place: str) -> list[ModelRequest]:
    """The requests that a manifest holds.

    Raises:
        BadInput: it is damaged.
    """
    known = {item.name for item in fields(LoadOptions)}
    requests = []
    for entry in entries if isinstance(entries, list) and entries else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise BadInput(f"{place}: its manifest is damaged (models)")
        options = {k: v for k, v in entry.items() if k != "path"}
        if not options.keys() <= known:
            raise BadInput(f"{place}: its manifest is damaged (options of models)")
        requests.append(ModelRequest(entry["path"], LoadOptions(**options)))
    return requests


def arguments(requests: Sequence[ModelRequest]) -> list[str]:
    """The arguments of a command line that request these models."""
    paths, flags = [], []
    for request in requests:
        how, path = request.options, request.path
        if how.factory:
            flags += ["--model", how.factory, "--checkpoint", path]
            for name, value in how.arguments.items():
                flags += ["--arg", f"{name}={json.dumps(value)}"]
        else:
            paths.append(path)
        flags += ["--options", f"{path}={how.options}"] if how.options is not None else []
        if how.sigma is not None:
            level = how.sigma if isinstance(how.sigma, str) else f"{how.sigma:g}"
            flags += ["--sigma", f"{path}={level}"]
        if how.value_range is not None:
            flags += ["--value-range", f"{path}={how.value_range:g}"]
        if how.bgr is not None:
            flags += ["--channel-order", f"{path}={'bgr' if how.bgr else 'rgb'}"]
        flags += ["--grayscale", f"{path}=per-channel"] if how.per_channel else []
    return [*paths, *flags]
