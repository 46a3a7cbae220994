"""The networks of a run, loaded from what was given, and what tells them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import trainings
from analysis.commands.model_names import names_of
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import Models
    from analysis.commands.settings import Settings
    from mtd.loading.cli_options import ModelRequest
    from mtd.networks.base import Denoiser


def load_models(models: Models, settings: Settings, device: str) -> dict[str, Denoiser]:
    """The networks, by names that are short but tell them apart.

    Args:
        models: requests of a command line; or a mapping from names, a sequence, or a single one of:
            a checkpoint's path, a bundled name, an `nn.Module` from (B, C, H, W) to the same. A
            mapping may have a list of these, or a pattern of paths: the trainings of one model.
        settings: masks and seed.
        device: where networks run that are loaded here.

    Raises:
        BadInput: a file or module that cannot be used, or an option that applies to none of them.
    """
    from analysis.commands.controls import network_key
    from mtd.loading.cli_options import ModelRequest
    from mtd.loading.load import load

    if isinstance(models, Sequence) and all(isinstance(m, ModelRequest) for m in models):
        requests = [m for m in models if isinstance(m, ModelRequest)]
        names = names_of(requests)
        loaded = {
            name: load(request.path, device=device, **vars(request.options))
            for name, request in zip(names, requests, strict=True)
        }
        check_sigmas(requests, loaded)
        given = zip(names, requests, strict=True)
        trainings.mark(loaded, {name: of.name for name, of in given if of.name not in ("", name)})
    else:
        from analysis.commands.modules import from_python

        loaded = from_python(models, settings, device)  # type: ignore[arg-type]
    trainings.check(loaded, network_key)
    return loaded


def check_sigmas(requests: Sequence[ModelRequest], models: Mapping[str, Denoiser]) -> None:
    """Check that a noise level is given only to noise-conditional models.

    Raises:
        BadInput: it is given to another model.
    """
    has_sigma = [request.options.sigma is not None for request in requests]
    conditional = [model.takes_sigma for model in models.values()]
    if any(has_sigma) and not any(conditional):
        raise BadInput("--sigma: none of the models is noise-conditional; leave it out")
    for request, name, takes in zip(requests, models, conditional, strict=True):
        if request.own_sigma and not takes:
            raise BadInput(f"--sigma: {name} is not noise-conditional; leave it out")


def identity_of(model: Denoiser) -> list[Any]:
    """Everything that decides a loaded network's output: file, masks, input format, origin."""
    if not model.source:
        return ["unchanged", None]
    how, source = model.inference, model.source
    masks = [how.policy.attention_percent, how.samples, how.seed] if how.active else None
    origin = [
        source.get(name)
        for name in ("architecture", "recognised", "factory", "arguments", "factory_sha256")
    ]
    chosen = [source["weights"]["key"]] if "weights" in source else []  # of a file with several
    return [source["sha256"], masks, source["usage"], *origin, *chosen]


def identity_digest(model: Denoiser) -> str:
    """SHA-256 by which a network is the same one in several runs: its identity without a seed."""
    digest, masks, *rest = identity_of(model)
    text = json.dumps([digest, masks and masks[:-1], *rest], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
