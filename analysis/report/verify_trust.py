"""What `--verify` does on the word of a report, which may come from anybody.

Nothing in it is run: its models and settings are read, checked and built anew. Code of its own,
files that would be downloaded and metrics of other packages have to be named on the command line.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.commands.parser import arguments_of
from analysis.report import requests
from analysis.report.settings import ReportSettings
from mtd.loading import classical, zoo
from mtd.loading.hub import PREFIX
from mtd.utils import limits
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

if TYPE_CHECKING:
    from mtd.loading.cli_options import ModelRequest


def reported(
    place: str, manifest: Mapping[str, Any], own: ReportSettings, models: Sequence[ModelRequest]
) -> tuple[list[ModelRequest], ReportSettings]:
    """The models and settings of a report.

    Args:
        place: the report, for messages.
        manifest: its manifest.
        own: settings of this command line.
        models: of this command line.

    Raises:
        BadInput: it was made from run folders, is no report or damaged, or needs code or files that
            this command line does not name.
    """
    if manifest.get("analysis") != "report":
        raise BadInput(f"{place}: a run of {manifest.get('analysis')}; expected a report")
    values = manifest.get("settings")
    if values is None:
        raise BadInput(f"{place}: made from run folders; only computed reports can be verified")
    for name in ("models", "versions", "settings"):
        if not isinstance(manifest.get(name), dict):
            raise BadInput(f"{place}: its manifest is damaged ({name})")
    try:
        settings = ReportSettings.of(**values)
    except (BadInput, TypeError, ValueError) as error:
        raise BadInput(f"{place}: its manifest is damaged ({error})") from None
    limits.NOISES.check(len(settings.noises or ()), f"{place}: its settings")
    requested = requests.from_json(manifest.get("requests"), place)
    if manifest.get("arguments") != [*requests.arguments(requested), *arguments_of(settings)]:
        raise BadInput(f"{place}: its manifest is damaged (arguments: not those of its settings)")
    check_code(place, requested, models)
    check_metrics(place, settings, own)
    requested = replaced_paths(place, requested, models)
    check_downloads(place, requested, {request.path for request in models})
    images = own.images or settings.images
    device = own.device if own.device != "auto" else settings.device
    here = replace(settings, images=images, device=device, lpips_weights=own.lpips_weights)
    return requested, here


def check_code(
    place: str, requested: Sequence[ModelRequest], models: Sequence[ModelRequest]
) -> None:
    """Check that classes of a report's models, and their arguments, are named here as well.

    Raises:
        BadInput: one is not.
    """
    trusted = [(request.options.factory, dict(request.options.arguments)) for request in models]
    for request in requested:
        factory, values = request.options.factory, dict(request.options.arguments)
        if factory and (factory, values) not in trusted:
            say = requests.arguments([request])
            raise BadInput(
                f"{place}: runs {factory}, code of its own; if you trust it, say so: "
                f"{shlex.join(say)}"
            )


def check_metrics(place: str, settings: ReportSettings, own: ReportSettings) -> None:
    """Check that a report's metrics of other packages, which download weights, are named here.

    Raises:
        BadInput: one is not.
    """
    for name in settings.metrics:
        if name not in own.metrics:
            raise BadInput(
                f"{place}: has the metric {name} of another package; if you trust that, say so: "
                f"{shlex.join(['--metric', name])}"
            )


def check_downloads(place: str, requested: Sequence[ModelRequest], named: Collection[str]) -> None:
    """Check that no model of a report would be downloaded that is not named here.

    Raises:
        BadInput: one would be.
    """
    for request in requested:
        path = request.path
        while path.startswith(classical.FILTER):
            path = classical.filter_spec(path).model
        entry = zoo.entry(path)
        absent = entry is not None and not entry.place.is_file()
        if (absent or path.startswith(PREFIX)) and request.path not in named:
            raise BadInput(
                f"{place}: names {request.path}, which would be downloaded; if you trust that, "
                "name the report's files on the command line, in their order"
            )


def replaced_paths(
    place: str, requested: Sequence[ModelRequest], replacements: Sequence[ModelRequest]
) -> list[ModelRequest]:
    """A report's requests, with paths of replacement files if there are any.

    Raises:
        BadInput: another number of files.
    """
    if not replacements:
        return list(requested)
    own = [request for request in requested if not request.options.factory]
    files = [request for request in replacements if not request.options.factory]
    by_factory: dict[str, list[str]] = {}
    for request in replacements:
        if request.options.factory:
            by_factory.setdefault(request.options.factory, []).append(request.path)
    if files and len(files) != len(own):
        count = plural(len(own), "file")
        raise BadInput(f"{place}: of {count}; give as many, in their order, or none")
    paths = iter(file.path for file in files)
    replaced = []
    for request in requested:
        if request.options.factory:
            others = by_factory.get(request.options.factory, [request.path])
            path = others.pop(0) if len(others) > 1 else others[0]  # one may be for several
            replaced.append(replace(request, path=path))
        else:
            replaced.append(replace(request, path=next(paths)) if files else request)
    return replaced
