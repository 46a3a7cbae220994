"""Noise that was recorded, not made: a folder with the noisy version of each clean image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from mtd import images
from mtd.errors import BadInput, nearest
from mtd.images import Crop, Photograph, Pixels

PREFIX = "folder:"


class Recorded:
    """The noise that a text such as `folder:noisy` names; files match clean ones by name.

    `a/scene.png` belongs to `b/scene.png` or `b/scene.jpg`: endings do not matter.

    Raises:
        BadInput: no such folder, no image in it, or two of one name.
    """

    def __init__(self, spec: str) -> None:
        self.folder = Path(spec.removeprefix(PREFIX))
        self.spec = PREFIX + str(self.folder)
        found = images.find(self.folder)
        self.files = {path.stem: path for path in found}
        if len(self.files) < len(found):
            raise BadInput(f"{self.folder}: two images of one name; names are matched without .png")
        self._read = lru_cache(maxsize=2)(images.read)

    def check(self, photographs: Sequence[Photograph]) -> None:
        """See that every clean image has its noisy one, of the same size.

        Raises:
            BadInput: one that has not.
        """
        stems = [Path(photo.name).stem for photo in photographs]
        twice = next((stem for stem in stems if stems.count(stem) > 1), None)
        if twice:
            raise BadInput(
                f"{self.folder}: two clean images are named {twice}; names must tell them apart"
            )
        for photo in photographs:
            noisy = self._read(self._match(photo.name))
            if noisy.shape[:2] != (photo.height, photo.width):
                raise BadInput(
                    f"{self.folder}: {photo.name} is {noisy.shape[0]} x {noisy.shape[1]}, "
                    f"the clean one {photo.height} x {photo.width}; nothing is resized"
                )

    def _match(self, name: str) -> Path:
        stem = Path(name).stem
        if stem not in self.files:
            raise BadInput(
                f"{self.folder}: no noisy version of {name}; expected a file of the same name "
                f"({nearest(stem, self.files)})"
            )
        return self.files[stem]

    def cut(self, crop: Crop) -> Pixels:
        """The noisy pixels where a clean crop was cut."""
        height, width = crop.pixels.shape[:2]
        noisy = self._read(self._match(crop.image))
        return np.ascontiguousarray(
            noisy[crop.top : crop.top + height, crop.left : crop.left + width]
        )

    def digest(self, crops: Sequence[Crop]) -> str:
        """SHA-256 of the noisy pixels of some crops."""
        return hashlib.sha256(b"".join(self.cut(crop).tobytes() for crop in crops)).hexdigest()

    def __str__(self) -> str:
        return self.spec
