"""Image files keep depth, transparency and colour profile."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtd.data import image_io
from mtd.data.crops import Crop
from mtd.data.image_io import ImageFile
from mtd.utils.errors import BadInput
from tests.helpers.images import noise, profile


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_round_trip_is_exact(tmp_path: Path, channels: int, dtype: Any, suffix: str) -> None:
    icc = profile() if channels > 2 else profile(b"GRAY")
    image = ImageFile(noise(channels, dtype), icc)
    path = tmp_path / f"image{suffix}"
    image_io.write(path, image)
    back = image_io.read_image(path)
    assert back.pixels.dtype == dtype
    assert np.array_equal(back.pixels, image.pixels)
    assert back.icc == icc
    head = image_io.header(path)
    assert (head.height, head.width, head.depth) == (37, 41, back.depth)
    assert not [p for p in tmp_path.iterdir() if p != path]


def test_a_single_row_and_a_single_pixel(tmp_path: Path) -> None:
    for height, width in ((1, 1), (1, 50), (50, 1)):
        image = ImageFile(noise(3, np.uint16, height, width))
        image_io.write(tmp_path / "small.png", image)
        assert np.array_equal(image_io.read_image(tmp_path / "small.png").pixels, image.pixels)


def test_other_programs_read_what_is_written(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    image = ImageFile(noise(3, np.uint16), profile())
    image_io.write(tmp_path / "deep.tif", image)
    assert np.array_equal(tifffile.imread(tmp_path / "deep.tif"), image.pixels)
    image_io.write(tmp_path / "flat.png", ImageFile(noise(4, np.uint8), profile()))
    with Image.open(tmp_path / "flat.png") as opened:
        assert np.array_equal(np.asarray(opened), noise(4, np.uint8))
        assert opened.info["icc_profile"] == profile()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_profiles_of_other_programs_are_kept(tmp_path: Path, name: str) -> None:
    Image.fromarray(noise(3, np.uint8)).save(tmp_path / name, icc_profile=profile())
    assert image_io.read_image(tmp_path / name).icc == profile()


@pytest.mark.parametrize(
    "mode, name, channels",
    [
        ("P", "a.png", 3),
        ("P", "a.tif", 3),
        ("1", "a.png", 1),
        ("1", "a.tif", 1),
        ("L", "a.jpg", 1),
        ("LA", "a.png", 2),
        ("I;16", "a.png", 1),
        ("I;16", "a.tif", 1),
        ("RGBA", "a.webp", 4),
    ],
)
def test_kinds_of_pixels(tmp_path: Path, mode: str, name: str, channels: int) -> None:
    if mode == "I;16":
        made = Image.fromarray(noise(1, np.uint16)[..., 0])
    elif mode == "P":
        made = Image.fromarray(noise(3, np.uint8)).quantize(64)
    else:
        made = Image.fromarray(noise(4, np.uint8), "RGBA").convert(mode)
    made.save(tmp_path / name, **({"lossless": True, "exact": True} if "webp" in name else {}))
    got = image_io.read_image(tmp_path / name).pixels
    with Image.open(tmp_path / name) as opened:
        expected = np.asarray(opened.convert({"P": "RGB", "1": "L"}.get(mode, mode)))
    assert got.shape[2] == channels
    assert np.array_equal(got.squeeze(), expected.squeeze())


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_a_recorded_orientation_is_applied(tmp_path: Path, name: str) -> None:
    tags = Image.Exif()
    tags[0x112] = 6
    corner = np.zeros((16, 32, 3), np.uint8)
    corner[:8, :8] = 255  # top left as stored, top right once upright
    Image.fromarray(corner).save(tmp_path / name, exif=tags)
    got = image_io.read_image(tmp_path / name).pixels
    head = image_io.header(tmp_path / name)
    assert got.shape == (32, 16, 3) == (head.height, head.width, 3)
    assert got[:8, -8:].mean() > 200 and got[:8, :8].mean() < 50


def test_what_changes_on_disk_is_read_again(tmp_path: Path) -> None:
    for fill in (1, 2):
        image_io.write(tmp_path / "a.png", ImageFile(np.full((9, 9, 3), fill, np.uint8)))
        assert (image_io.read_image(tmp_path / "a.png").pixels == fill).all()


def test_digest_is_that_of_a_crop_and_ignores_alpha() -> None:
    pixels = noise(4, np.uint8)
    assert ImageFile(pixels).digest == Crop("", 0, 0, pixels[..., :3]).digest
    assert ImageFile(pixels).digest == ImageFile(np.ascontiguousarray(pixels[..., :3])).digest
    assert ImageFile(pixels).digest != ImageFile(pixels.astype(np.uint16)).digest


@pytest.mark.parametrize(
    "mode, name, words",
    [
        ("CMYK", "a.jpg", "CMYK"),
        ("CMYK", "a.tif", "convert it to RGB"),
        ("F", "a.tif", "8 or 16 bits"),
        ("I", "a.tif", "8 or 16 bits"),
    ],
)
def test_refused_kinds(tmp_path: Path, mode: str, name: str, words: str) -> None:
    Image.fromarray(noise(3, np.uint8)).convert("L").convert(mode).save(tmp_path / name)
    for attempt in (image_io.read_image, image_io.header):
        with pytest.raises(BadInput, match=words):
            attempt(tmp_path / name)


def test_refused_files(tmp_path: Path) -> None:
    page = Image.fromarray(noise(3, np.uint8))
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "drawing.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    for name, words in {
        "pages.tif": "2 pages",
        "text.png": "not an image",
        "empty.png": "not an image",
        "drawing.png": "image",
        "none.png": "no such file",
        ".": "is a folder",
    }.items():
        with pytest.raises(BadInput, match=words) as caught:
            image_io.header(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_cut_file_is_damaged(tmp_path: Path, name: str) -> None:
    Image.fromarray(noise(3, np.uint8, 200, 300)).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(BadInput, match=r"damaged|not an image"):
        image_io.read_image(tmp_path / name)


def test_lossy_formats_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="are written lossless"):
        image_io.write(tmp_path / "a.jpg", ImageFile(noise(3, np.uint8)))
    assert not list(tmp_path.iterdir())


def test_decoded_pixels_are_copied_once(tmp_path):
    Image.new("RGB", (1500, 2000), (1, 2, 3)).save(tmp_path / "large.png", compress_level=1)
    image_io.read_image(tmp_path / "large.png")  # with what the first image imports
    tracemalloc.start()
    try:
        image = image_io.read_image(tmp_path / "large.png")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert image.pixels.flags.writeable and image.pixels.max() == 3
    assert peak < 1.5 * image.pixels.nbytes
