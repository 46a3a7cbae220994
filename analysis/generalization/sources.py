"""The images of a benchmark: photographs, test sets and pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mtd.data import image_pairs, test_set_downloads, test_sets
from mtd.data import photographs as data_photographs
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.generalization.settings import GeneralizationSettings
    from mtd.data.image_pairs import Paired
    from mtd.data.photographs import Photograph


@dataclass(frozen=True)
class Sources:
    """Where images come from.

    Attributes:
        photographs: clean images, for synthetic noises.
        names: of the folders and test sets that they come from; none for the bundled ones.
        paired: images with noise of their own.
        testsets: see `BenchmarkInputs.testsets`.
    """

    photographs: list[Photograph]
    names: tuple[str, ...]
    paired: list[Paired]
    testsets: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def of_channels(self, channels: int) -> Sources:
        """The same with paired images of 3 channels or 1."""
        return replace(self, paired=[pair.of_channels(channels) for pair in self.paired])


def find_sources(
    settings: GeneralizationSettings,
    photographs: Sequence[Photograph] | None = None,
    bundled: bool = True,
) -> Sources:
    """The images that settings name, or those given and what else settings name.

    Args:
        settings: of the benchmark.
        photographs: clean images that are given.
        bundled: take the bundled photographs where there are no other clean images.

    Raises:
        BadInput: images that cannot be used, or settings without effect on them.
    """
    if settings.page and not (settings.images or settings.paired_images or photographs):
        raise BadInput(f"--page {settings.page}: for --images and --paired-images; give some")
    clean: list[Photograph] = list(photographs or ())
    names = [photo.name for photo in clean]
    paired: list[Paired] = []
    testsets: dict[tuple[str, str], str] = {}
    for text in settings.testset:
        name, equals, folder = text.partition("=")
        folder = folder if equals else str(test_set_downloads.require(name))
        tone_map = settings.tone_map if image_pairs.linear(folder) else None
        opened = test_sets.open(name, folder, tone_map)
        if isinstance(opened, list):
            if {photo.name for photo in opened} & {photo.name for photo in clean}:
                opened = [replace(photo, name=f"{name}/{photo.name}") for photo in opened]
            clean += opened
            names.append(text)
            testsets |= {("", photo.name): name for photo in opened}
        for one in test_sets.pairs(opened):
            paired.append(one)
            for photo in one.photographs:  # a prepared set has sets of its own
                own = photo.name.partition("/")[0] if isinstance(opened, tuple) else name
                testsets[one.recorded.spec, photo.name] = own
    for noisy, target in settings.paired_images:
        noise, where = named_place(noisy)
        tone_map = settings.tone_map if image_pairs.linear(where) else None
        one = image_pairs.find(where, target, name=noise, tone_map=tone_map, page=settings.page)
        paired.append(one)
        # Not those of a test set, though clean images may have the names of its images.
        testsets |= {(one.recorded.spec, photo.name): "" for photo in one.photographs}
    if settings.tone_map and settings.tone_map not in {pair.tone_map for pair in paired}:
        raise BadInput(f"--tone-map {settings.tone_map}: no paired images in linear EXR files")
    names += settings.images
    if settings.images or (bundled and not clean):
        clean += data_photographs.photographs(*settings.images, page=settings.page)
    names_of_images = [photo.name for photo in clean]
    twice = next((name for name in names_of_images if names_of_images.count(name) > 1), None)
    if twice:
        raise BadInput(f"two images are named {twice}; names must tell them apart")
    return Sources(clean, tuple(names), paired, testsets)


def named_place(text: str) -> tuple[str | None, str]:
    """Name of the noise, if there is one, and place of noisy images, from `[NAME=]PLACE`.

    A name has no slash, so that a folder's may have an equals sign.
    """
    name, equals, where = text.partition("=")
    return (name, where) if equals and "/" not in name and not Path(text).exists() else (None, text)


def pair_folders(settings: GeneralizationSettings) -> list[str]:
    """The places of paired images."""
    return [p for noisy, clean in settings.paired_images for p in (named_place(noisy)[1], clean)]
