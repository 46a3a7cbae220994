"""The denoised pictures as PNG files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.generalization.noisy.observer import Denoised, outputs_of
from analysis.plotting.pictures import as_pillow
from mtd.data.crops import Crop
from mtd.data.image_io import Pixels
from mtd.utils.file_names import file_name

FOLDER = "outputs"
"""The folder of the outputs in a run folder, with a folder for each model."""


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Names of files that tell apart texts, also where upper and lower case are one.

    >>> file_names(["DSC 1", "a/b", "plain"])
    {'DSC 1': 'DSC_1', 'a/b': 'a_b', 'plain': 'plain'}
    """
    given = list(dict.fromkeys(names))
    plain = {name: file_name(name.strip("."), 100).strip(".") or "_" for name in given}
    folded = [text.casefold() for text in plain.values()]
    return {
        name: text
        if folded.count(text.casefold()) == 1
        else f"{text}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        for name, text in plain.items()
    }


@dataclass(frozen=True)
class Files:
    """The files of outputs.

    Attributes:
        folders: the name of each model's folder.
        stems: the name of each picture's file, without ending.
    """

    folders: dict[str, str]
    stems: list[str]

    def path(self, model: str, picture: int) -> str:
        """The file of a model's output of a picture, by its place; "" for a control."""
        if model not in self.folders:
            return ""
        return f"{FOLDER}/{self.folders[model]}/{self.stems[picture]}.png"


def name_files(models: Sequence[str], crops: Sequence[Crop], whole: bool) -> Files:
    """The file of every model's output of every picture.

    A file is named as its picture, without its ending if that tells all apart; that of a crop
    has the crop's corner, its first row and column, in the name.

    Args:
        models: names of the networks.
        crops: the pictures.
        whole: whether they are whole pictures.
    """
    images = list(dict.fromkeys(crop.image for crop in crops))
    titles = {image: str(Path(image).with_suffix("")) for image in images}
    if len({title.casefold() for title in titles.values()}) < len(titles):
        titles = {image: image for image in images}
    pictures = file_names(titles.values())
    folders = file_names(models)
    corners = ["" if whole else f"_{crop.top}_{crop.left}" for crop in crops]
    stems = [pictures[titles[c.image]] + corner for c, corner in zip(crops, corners, strict=True)]
    return Files(folders, stems)


def encode(pixels: Pixels) -> bytes:
    """An image (H, W, C) in 8 bits as PNG, RGB or grayscale."""
    buffer = io.BytesIO()
    as_pillow(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def encoded(observer: Denoised, crops: Sequence[Crop], files: Files) -> Iterator[tuple[str, bytes]]:
    """File and content of every output that ran on this process, one after the other."""
    places = {crop.digest: i for i, crop in enumerate(crops)}
    for index in sorted(observer.batches):
        batch, activations = observer.batches[index]
        for crop, outputs in zip(batch.crops, outputs_of(batch, activations), strict=True):
            for model, pixels in outputs.items():
                yield files.path(model, places[crop.digest]), encode(pixels)
