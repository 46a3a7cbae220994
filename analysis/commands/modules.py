"""Models and images that come from Python: modules, arrays, tensors, lists of files."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from analysis.commands.settings import Settings
from analysis.text.names import unique_names
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph, photograph, photographs
from mtd.loading.load import load
from mtd.networks import external
from mtd.networks.base import Denoiser
from mtd.utils.errors import BadInput

Model = str | Path | nn.Module


def from_python(
    models: Mapping[str, Model] | Sequence[Model] | Model, settings: Settings, device: str
) -> dict[str, Denoiser]:
    """Denoisers by name, from any mix of modules, paths and bundled names.

    Without names, files are named as on the command line, and modules after their class.

    Raises:
        BadInput: none, something else, or a model that cannot be used.
    """
    named: dict[str, Any] = dict(models) if isinstance(models, Mapping) else names_for(models)
    if not named:
        raise BadInput("no model: give a module, a checkpoint's path, or a bundled name")
    for name, model in named.items():
        if not isinstance(model, str | Path | nn.Module):
            kind = type(model).__name__
            raise BadInput(f"{name}: a {kind}; expected a module, a path, or a bundled name")
    return {str(name): denoiser(str(name), m, settings, device) for name, m in named.items()}


def names_for(models: Sequence[Model] | Model) -> dict[str, Model]:
    """Names for models that have none."""
    sequence = [models] if isinstance(models, str | Path | nn.Module) else list(models)
    paths = iter(unique_names([str(m) for m in sequence if isinstance(m, str | Path)]))
    named: dict[str, Model] = {}
    for model in sequence:
        name = type(model).__name__ if isinstance(model, nn.Module) else next(paths)
        count = sum(key.partition(" ")[0] == name for key in named)
        named[f"{name} {count + 1}" if count else name] = model
    return named


def denoiser(name: str, model: Model, settings: Settings, device: str) -> Denoiser:
    """One model as a denoiser that says where it comes from.

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
    if wrapped.source:
        return wrapped
    described = copy.copy(wrapped)  # the same weights; the caller's module is left as it is
    described.source = {
        "path": f"{type(model).__module__}.{type(model).__qualname__}",
        "sha256": digest(model),
        "container": "",
        "architecture": type(model).__name__,
        "recognised": "given as a module",
        "usage": wrapped.input_format.to_dict(),
        "policy": str(wrapped.inference.policy),
        "policy_source": "the module",
        "training": {},
    }
    return described


def digest(module: nn.Module) -> str:
    """SHA-256 of a module's state: names, shapes, types and bytes."""
    total = hashlib.sha256()
    for name, value in module.state_dict().items():
        tensor = value.detach().cpu().contiguous() if isinstance(value, Tensor) else None
        if tensor is None:
            total.update(f"{name} {value!r}\n".encode())
            continue
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


@contextmanager
def evaluation_mode(models: Any) -> Iterator[None]:
    """Put modules among the models into eval mode, and restore their modes afterwards."""
    sequence = list(models.values()) if isinstance(models, Mapping) else models
    sequence = sequence if isinstance(sequence, list | tuple) else [sequence]
    modes = {
        part: part.training
        for model in sequence
        if isinstance(model, nn.Module)
        for part in model.modules()
    }
    try:
        for model in sequence:
            if isinstance(model, nn.Module):
                model.eval()
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def photographs_from(images: Any) -> list[Photograph]:
    """Photographs from folders, files, arrays or tensors.

    Args:
        images: a folder or an image file, or several; an array (H, W, 3) or (H, W), a tensor
            (3, H, W), or a batch (B, …) of such; `uint8`, or real numbers in [0, 1], which are
            rounded to 8 bits.

    Raises:
        BadInput: no image, or one of another shape or range.
    """
    if isinstance(images, str | Path):
        return photographs(images) if Path(images).is_dir() else [photograph(Path(images))]
    if isinstance(images, np.ndarray | Tensor):
        images = list(images) if images.ndim == 4 else [images]
    photos: list[Photograph] = []
    for number, image in enumerate(images):
        if isinstance(image, str | Path):
            path = Path(image)
            photos += photographs(path) if path.is_dir() else [photograph(path)]
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
    values = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image)
    if isinstance(image, Tensor) and values.ndim == 3:
        values = values.transpose(1, 2, 0)
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    if values.ndim != 3 or values.shape[2] != 3:
        layout = "(3, H, W)" if isinstance(image, Tensor) else "(H, W, 3)"
        raise BadInput(f"{name}: shape {tuple(np.shape(image))}; expected {layout}")
    if values.dtype != np.uint8:
        if not np.issubdtype(values.dtype, np.floating):
            raise BadInput(f"{name}: {values.dtype}; expected uint8, or real numbers in [0, 1]")
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            span = f"{values.min():g} to {values.max():g}"
            raise BadInput(f"{name}: values from {span}; expected [0, 1], or uint8")
        values = (values.astype(np.float64) * 255).round().astype(np.uint8)
    pixels: Pixels = np.ascontiguousarray(values)
    return Photograph(name, pixels.shape[0], pixels.shape[1], lambda: pixels)
