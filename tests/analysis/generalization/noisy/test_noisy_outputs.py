"""Names of output files, and what they hold."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from analysis.generalization.noisy import outputs
from mtd.data.crops import Crop


def crop(image: str, top: int = 0) -> Crop:
    return Crop(image, top, 3, np.zeros((4, 4, 3), np.uint8))


def test_files_are_named_as_pictures_and_told_apart():
    crops = [crop("b/DSC 1.jpg"), crop("b/DSC_2.jpg"), crop("b/DSC 2.jpg")]
    files = outputs.name_files(["a/model", "a_model", "A"], crops, True)
    assert files.path("A", 0) == "outputs/A/b_DSC_1.png"
    paths = {
        files.path(name, i).casefold() for name in ("a/model", "a_model", "A") for i in (0, 1, 2)
    }
    assert len(paths) == 9
    assert files.path("noisy input", 0) == ""


def test_endings_stay_where_they_tell_pictures_apart():
    files = outputs.name_files(["m"], [crop("x.png"), crop("x.jpg"), crop("x.png.tif")], True)
    assert [files.path("m", i) for i in range(3)] == [
        "outputs/m/x.png.png",
        "outputs/m/x.jpg.png",
        "outputs/m/x.png.tif.png",
    ]


def test_crops_have_their_corner_in_the_name():
    files = outputs.name_files(["m"], [crop("x.png", 8), crop("x.png", 16)], False)
    assert [files.path("m", i) for i in (0, 1)] == ["outputs/m/x_8_3.png", "outputs/m/x_16_3.png"]
    assert outputs.file_names(["..", ".hidden"]) == {"..": "_", ".hidden": "hidden"}


def test_png_is_lossless():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(outputs.encode(pixels))) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), pixels)
