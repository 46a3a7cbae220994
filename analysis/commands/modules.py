"""Models and images that come from Python: modules, arrays, tensors, lists of files."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from analysis.commands import trainings
from analysis.commands.settings import Settings
from analysis.text.names import unique_names
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph, photograph, photographs
from mtd.loading.load import load
from mtd.loading.model_names import matching
from mtd.masking import MaskedInference
from mtd.networks import external
from mtd.networks.base import Denoiser
from mtd.networks.weights import weights_digest
from mtd.utils.device import AUTO, chosen
from mtd.utils.errors import BadInput
from mtd.utils.user_folders import expanded

Model = str | Path | nn.Module


def from_python(
    models: Mapping[str, Model | Sequence[Model]] | Sequence[Model] | Model,
    settings: Settings,
    device: str,
) -> dict[str, Denoiser]:
    """Denoisers by name, from any mix of modules, paths and bundled names.

    Without names, files are named as on the command line, and modules after their class.

    Raises:
        BadInput: none, something else, a name twice, or a model that cannot be used.
    """
    named = named_models(models)
    networks: dict[str, Denoiser] = {}
    training_of: dict[str, str] = {}
    for name, given in named.items():
        if not isinstance(given, list):
            networks[name] = denoiser(name, given, settings, device)
            continue
        for own, model in names_of_trainings(name, given).items():
            if own in named or own in networks:
                raise BadInput(f"two models are named {own!r}: give one of them another name")
            networks[own] = denoiser(own, model, settings, device)
            training_of[own] = name
    trainings.mark(networks, training_of)
    return networks


def names_of_trainings(name: str, models: Sequence[Model]) -> dict[str, Model]:
    """The trainings of one model by name: by their files, or numbered."""
    paths = [str(model) for model in models if isinstance(model, str | Path)]
    if len(paths) == len(models):
        return dict(zip(trainings.names_for(name, paths), models, strict=True))
    return {f"{name} ({number})": model for number, model in enumerate(models, 1)}


def other_sources(models: Any) -> bool:
    """Whether an analysis with a rule of its own is given something else, such as training runs."""
    return models is not None and not isinstance(models, str | Path | nn.Module | Iterable)


def named_models(models: Any) -> dict[str, Model | list[Model]]:
    """Models by name, each a module, a path or a bundled name, or a list of several trainings.

    Raises:
        BadInput: none, or something else.
    """
    expected = "expected a module, a checkpoint's path, a bundled name, or several of them"
    if isinstance(models, Mapping):
        named: dict[str, Any] = {str(name): model for name, model in models.items()}
    elif isinstance(models, str | Path | nn.Module):
        named = names_for([models])
    elif isinstance(models, Iterable):
        named = names_for(list(models))
    else:
        raise BadInput(f"models {models!r}: {expected}")
    if not named:
        raise BadInput(f"no model: {expected}")
    if isinstance(models, Mapping):
        named = {name: trainings_given(model) for name, model in named.items()}
    for name, model in ((k, one) for k, v in named.items() for one in listed_models(v)):
        if isinstance(model, str | Path | nn.Module):
            continue
        hint = expected
        if isinstance(model, type) and issubclass(model, nn.Module):
            hint = f"expected a module: call the class, {model.__name__}(...)"
        elif isinstance(model, Mapping):
            hint = "expected a module: a state dict has to be loaded into one first"
        raise BadInput(f"model {name}: {type(model).__name__}; {hint}")
    return named


def trainings_given(model: Any) -> Any:
    """A model of a mapping: a list of several trainings, or the one that it is.

    Raises:
        BadInput: an empty list, or a pattern that matches no file.
    """
    if isinstance(model, str | Path):
        files = matching(str(model))
        given: list[Any] = [model] if files == [str(model)] else [*files]
    elif isinstance(model, list | tuple):
        given = list(model)
        if not given:
            raise BadInput("a model has an empty list of trainings; expected one at least")
    else:
        return model
    return given[0] if len(given) == 1 else given


def listed_models(model: Any) -> list[Any]:
    """The trainings of a model, or the one that it is."""
    return model if isinstance(model, list) else [model]


def names_for(models: Sequence[Any]) -> dict[str, Any]:
    """Names for models that have none.

    Raises:
        BadInput: the same file twice.
    """
    paths = iter(unique_names([str(m) for m in models if isinstance(m, str | Path)]))
    named: dict[str, Any] = {}
    for model in models:
        name = next(paths) if isinstance(model, str | Path) else type(model).__name__
        numbered = (f"{name} {number}" for number in count(2))
        named[next(key for key in chain([name], numbered) if key not in named)] = model
    return named


def device_of(models: Any, device: str) -> str:
    """The device of a run: where `auto` leaves it open, that of the modules that are given.

    Args:
        models: of `named_models`, or other sources, which have no modules.
        device: of the settings.
    """
    given = models.values() if isinstance(models, Mapping) else ()
    modules = [one for several in given for one in listed_models(several)]
    places = [str(p.device) for m in modules if isinstance(m, nn.Module) for p in m.parameters()]
    return places[0] if device == AUTO and places else chosen(device)


def denoiser(name: str, model: Model, settings: Settings, device: str) -> Denoiser:
    """One model as a denoiser that says where it comes from.

    A module keeps its own attention masks, noise level and value range, as `mtd.load` set them,
    except where the settings are others than `auto` and 1; masks are drawn with the settings' seed.

    Raises:
        BadInput: it cannot be used.
    """
    if isinstance(model, str | Path):
        masks = {"attention_mask": settings.attention_mask, "mask_samples": settings.mask_samples}
        return load(model, device=device, seed=settings.seed, **masks)
    places = {str(p.device) for p in model.parameters()} or {device}
    if {torch.device(place).type for place in places} != {torch.device(device).type}:
        raise BadInput(
            f"{name} is on {', '.join(sorted(places))}, the setting device is {device}: move the "
            "module, or give its device"
        )
    wrapped = model if isinstance(model, Denoiser) else external.wrap(model)
    if wrapped.takes_sigma and wrapped.input_format.sigma is None:
        raise BadInput(
            f"{name} is noise-conditional, and its noise level is unknown: give it as loaded by "
            "mtd.load(path, sigma=25), in 8-bit levels, or sigma='oracle'"
        )
    described = copy.copy(wrapped)  # the same weights; the caller's module is left as it is
    own = wrapped.inference
    switch = own.switch if settings.attention_mask == "auto" else settings.attention_mask
    samples = own.samples if settings.mask_samples == 1 else settings.mask_samples
    described.inference = MaskedInference(own.policy, switch, samples, settings.seed)
    weights = weights_digest(model.state_dict())
    if not wrapped.source:
        described.source = source_of(model, wrapped)
    elif weights != wrapped.source["weights_sha256"]:
        digest = module_digest(model)
        described.source = wrapped.source | {
            "sha256": digest,
            "module_sha256": digest,
            "weights_sha256": weights,
            "recognised": f"{wrapped.source['recognised']}; weights changed after loading",
        }
    return described


def source_of(model: nn.Module, wrapped: Denoiser) -> dict[str, Any]:
    """Where a module comes from, and a digest of all that decides its outputs."""
    digest = module_digest(model)
    return {
        "path": f"{type(model).__module__}.{type(model).__qualname__}",
        "sha256": digest,
        "module_sha256": digest,
        "weights_sha256": weights_digest(model.state_dict()),
        "container": "",
        "architecture": type(model).__name__,
        "recognised": "given as a module",
        "usage": wrapped.input_format.to_dict(),
        "policy": str(wrapped.inference.policy),
        "policy_source": "the module",
        "training": {},
    }


def module_digest(model: nn.Module) -> str:
    """SHA-256 of all that decides a module's outputs, as far as it can be read off.

    Its weights, its `repr`, and of each of its parts the class, the source code of a class that is
    not PyTorch's, and the attributes that are numbers, texts, arrays, or tuples and lists of them.
    """
    total = hashlib.sha256(f"{model!r}\n{weights_digest(model.state_dict())}\n".encode())
    for path, part in model.named_modules():
        total.update(f"{path} {type(part).__module__}.{type(part).__qualname__}\n".encode())
        for name, value in sorted(vars(part).items()):
            if name != "training" and is_plain(value):
                arrays = isinstance(value, np.ndarray | Tensor)
                text = weights_digest({name: torch.as_tensor(value)}) if arrays else repr(value)
                total.update(f"{name} = {text}\n".encode())
    for kind in dict.fromkeys(type(part) for part in model.modules()):
        if not kind.__module__.startswith("torch."):
            with suppress(OSError, TypeError):  # a class that was typed into an interpreter
                total.update(inspect.getsource(kind).encode())
    return total.hexdigest()


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, an array, or a tuple or list of such."""
    if isinstance(value, tuple | list):
        return all(is_plain(part) and not isinstance(part, Tensor | np.ndarray) for part in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufc"
    return isinstance(value, bool | int | float | complex | str | Tensor | np.generic)


@contextmanager
def evaluation_mode(models: Iterable[Any]) -> Iterator[None]:
    """Modules among the models are in eval mode inside, and as they were afterwards."""
    single = [model for given in models for model in listed_models(given)]
    modules = [model for model in single if isinstance(model, nn.Module)]
    modes = {part: part.training for module in modules for part in module.modules()}
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def photographs_from(images: Any, page: int | None = None) -> list[Photograph]:
    """Photographs from folders, files, arrays or tensors.

    Args:
        images: a folder or an image file, or several; an array (H, W, 3), (H, W, 1) or (H, W), a
            tensor (3, H, W) or (1, H, W), or a batch (B, …) of such; `uint8`, or real numbers in
            [0, 1], which are rounded to 8 bits. Grayscale is repeated.
        page: of every file, for files with several pages or frames, from 1.

    Raises:
        BadInput: no image, or one of another shape or range.
    """
    if isinstance(images, str | Path):
        images = [images]
    if isinstance(images, np.ndarray | Tensor):
        images = list(images) if images.ndim == 4 else [images]
    if isinstance(images, Mapping) or not isinstance(images, Iterable):
        raise BadInput(
            f"images of type {type(images).__name__}: expected a folder, files, arrays or tensors"
        )
    photos: list[Photograph] = []
    for number, image in enumerate(images):
        if isinstance(image, str | Path):
            path = Path(expanded(str(image)))
            photos += photographs(path, page=page) if path.is_dir() else [photograph(path, page)]
        else:
            photos.append(from_pixels(f"image {number}", image))
    if not photos:
        raise BadInput("no image: give a folder, files, arrays or tensors")
    names = [photo.name for photo in photos]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadInput(f"two images are named {twice}; names must tell them apart")
    return photos


def from_pixels(name: str, image: Any) -> Photograph:
    """A photograph from an array or a tensor; see `photographs_from`."""
    if not isinstance(image, np.ndarray | Tensor):
        kind = type(image).__name__
        raise BadInput(f"{name}: {kind}; expected a path, an array (H, W, 3) or a tensor (3, H, W)")
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        image = image.float() if image.dtype == torch.bfloat16 else image  # unknown to NumPy
    values = np.asarray(image)
    if isinstance(image, Tensor) and values.ndim == 3:
        values = values.transpose(1, 2, 0)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3):
        layout = "(3, H, W)" if isinstance(image, Tensor) else "(H, W, 3)"
        raise BadInput(f"{name}: shape {tuple(image.shape)}; expected {layout}, or 1 in place of 3")
    values = np.broadcast_to(values, (*values.shape[:2], 3))
    if not values.size:
        raise BadInput(f"{name}: shape {tuple(image.shape)} has no pixels")
    if values.dtype != np.uint8:
        if not np.issubdtype(values.dtype, np.floating):
            raise BadInput(f"{name}: {values.dtype}; expected uint8, or real numbers in [0, 1]")
        if not np.isfinite(values).all():
            raise BadInput(f"{name}: holds NaN or infinite values; expected [0, 1], or uint8")
        if values.min() < 0 or values.max() > 1:
            span = f"{values.min():g} to {values.max():g}"
            raise BadInput(f"{name}: values from {span}; expected [0, 1], or uint8")
        values = (values.astype(np.float64) * 255).round().astype(np.uint8)
    pixels: Pixels = np.ascontiguousarray(values)
    return Photograph(name, pixels.shape[0], pixels.shape[1], lambda: pixels)
