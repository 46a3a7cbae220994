"""Recorded noise: a noisy version of each clean image, matched by name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from mtd.data import image_io
from mtd.data.crops import Crop
from mtd.data.grayscale import grayscale
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.noise.specs import FOLDER
from mtd.utils.errors import BadInput, nearest
from mtd.utils.user_folders import expanded

PREFIX = FOLDER

Loader = Callable[[], Pixels]
"""Reads a noisy image, (H, W, 3), 8 bits, when it is needed."""


class Recorded:
    """The noisy versions of clean images, under a name.

    `Recorded("folder:noisy")` takes the images of a folder; names are matched without suffix, so
    that `noisy/scene.png` belongs to `clean/scene.png` or `clean/scene.jpg`.
    `Recorded("monte_carlo:64", noisy)` takes a mapping from the clean image's name, with or without
    suffix, to a function that reads its noisy version. `page` is that of every file of a folder,
    for files with several pages or frames, from 1.

    Its pixels are as those of the clean crop, RGB or their luma.

    Attributes:
        spec: the canonical text that names it.
        name: the kind of noise: the text without its level.
        level: the number after the last colon; None without one, and for folders.

    Raises:
        BadInput: no such folder, a folder without images, two of one name, or an empty mapping.
    """

    needs_color = False

    def __init__(
        self, spec: str, noisy: Mapping[str, Loader] | None = None, page: int | None = None
    ) -> None:
        if noisy is None:
            folder = Path(expanded(spec).removeprefix(PREFIX))
            self.spec, self._where = PREFIX + str(folder), str(folder)
            self.name, self.level = self.spec, None
            noisy = _loaders(folder, page)
        else:
            self.name, self.level = name_and_level(spec)
            self.spec = self.name if self.level is None else f"{self.name}:{self.level:.12g}"
            self._where = self.spec
        if not noisy:
            raise BadInput(f"{self._where}: no noisy image; expected at least one")
        self._loaders = dict(noisy)
        self._read = lru_cache(maxsize=2)(lambda name: self._loaders[name]())

    def check(self, photographs: Sequence[Photograph]) -> None:
        """Check that every clean image has a noisy version of the same size.

        Raises:
            BadInput: one has none, or one of another size; or two clean images have one name.
        """
        matched: dict[str, str] = {}
        for photo in photographs:
            key = self._match(photo.name)
            if key in matched:
                raise BadInput(
                    f"{self._where}: two clean images are named {key}; names must tell them apart"
                )
            matched[key] = photo.name
        for photo in photographs:
            noisy = self._read(self._match(photo.name))
            if noisy.shape[:2] != (photo.height, photo.width):
                raise BadInput(
                    f"{self._where}: {photo.name} is {noisy.shape[0]} x {noisy.shape[1]}, "
                    f"the clean one {photo.height} x {photo.width}; images are not resized"
                )

    def _match(self, name: str) -> str:
        """The key of a clean image: its name, or its name without folder and suffix."""
        stem = Path(name).stem
        for key in (name, stem):
            if key in self._loaders:
                return key
        raise BadInput(
            f"{self._where}: no noisy version of {name}; expected one of the same name "
            f"({nearest(stem, self._loaders)})"
        )

    def cut(self, crop: Crop) -> Pixels:
        """The noisy pixels of a clean crop, (H, W, C); their luma for a grayscale crop."""
        height, width, channels = crop.pixels.shape
        noisy = self._read(self._match(crop.image))
        part = noisy[crop.top : crop.top + height, crop.left : crop.left + width]
        return np.ascontiguousarray(grayscale(part) if channels == 1 else part)

    def digest(self, crops: Sequence[Crop]) -> str:
        """SHA-256 of the noisy pixels of crops."""
        return hashlib.sha256(b"".join(self.cut(crop).tobytes() for crop in crops)).hexdigest()

    def __str__(self) -> str:
        return self.spec


def _loaders(folder: Path, page: int | None) -> dict[str, Loader]:
    """Readers of the images of a folder, by name without suffix."""
    files = image_io.find(folder)
    loaders: dict[str, Loader] = {
        path.stem: partial(image_io.read_rgb, path, page) for path in files
    }
    if len(loaders) < len(files):
        raise BadInput(f"{folder}: two images of one name; names are matched without .png")
    return loaders


def name_and_level(spec: str) -> tuple[str, float | None]:
    """Kind and level of recorded noise, from a text such as `monte_carlo:64`.

    >>> name_and_level("monte_carlo:64"), name_and_level("polyu"), name_and_level("folder:64")
    (('monte_carlo', 64.0), ('polyu', None), ('folder:64', None))
    """
    name, colon, level = spec.rpartition(":")
    try:
        value = float(level)
    except ValueError:
        return spec, None
    if not colon or not name or spec.startswith(PREFIX) or not math.isfinite(value):
        return spec, None
    return name, value
