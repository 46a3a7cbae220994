"""Photographs and crops."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mtd.data import crops as data_crops
from mtd.data import image_io, photographs
from mtd.data.crops import Crop
from mtd.data.crops import crops as cut_crops
from mtd.data.photographs import Photograph
from mtd.utils.errors import BadInput
from tests.helpers import pngs


def photo(height: int, width: int, name: str = "p") -> Photograph:
    pixels = np.arange(height * width * 3).reshape(height, width, 3).astype(np.uint8)
    return Photograph(name, height, width, lambda: pixels)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_any_format_and_mode_is_read_as_colour(tmp_path, suffix, mode):
    path = tmp_path / f"a.{suffix}"
    image = Image.new("RGB", (20, 10), (200, 30, 90)).convert(mode)
    image = image.convert("RGB") if suffix == "jpg" and mode in ("RGBA", "P") else image
    image.save(path, **({"lossless": True} if suffix == "webp" else {}))
    pixels = image_io.read_rgb(path)
    assert pixels.shape == (10, 20, 3) and pixels.dtype == np.uint8
    if mode == "L":
        assert (pixels[..., 0] == pixels[..., 1]).all()
    elif suffix != "jpg" and mode != "P":
        assert (pixels == [200, 30, 90]).all()


def test_grey_of_16_bits_is_scaled_not_cut(tmp_path):
    Image.fromarray(np.full((8, 8), 65535 // 3, dtype=np.uint16)).save(tmp_path / "a.png")
    assert (image_io.read_rgb(tmp_path / "a.png") == 85).all()


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_what_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    if content is None:
        Image.fromarray(
            np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        ).save(path)
        path.write_bytes(path.read_bytes()[:3000])
    else:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.png"):
        image_io.read_rgb(path)


def test_folders(tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        image_io.find(tmp_path / "absent")
    with pytest.raises(BadInput, match="no image in it"):
        image_io.find(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.JPG", format="JPEG")
    (tmp_path / "notes.txt").write_text("x")
    assert [p.name for p in image_io.find(tmp_path)] == ["a.JPG", "b.png"]
    with pytest.raises(BadInput, match="expected a folder"):
        image_io.find(tmp_path / "b.png")


def test_bundled_photographs_give_64_crops():
    crops = cut_crops(photographs.photographs(), 64, 64)
    assert len(crops) == 64 == len({crop.digest for crop in crops})
    assert {crop.image for crop in crops} == set(photographs.BUNDLED)


sizes = st.tuples(st.integers(8, 60), st.integers(8, 60))


@given(st.lists(sizes, min_size=1, max_size=6), st.integers(1, 40), st.integers(4, 8))
def test_crops_are_whole_apart_and_shared_out_evenly(shapes, count, size):
    photos = [photo(h, w, str(i)) for i, (h, w) in enumerate(shapes)]
    crops = cut_crops(photos, size, count)
    room = [(h // size) * (w // size) for h, w in shapes]
    assert len(crops) == min(count, sum(room)) or len(photos) > count
    assert all(crop.pixels.shape == (size, size, 3) for crop in crops)
    for i, (height, width) in enumerate(shapes):
        mine = [c for c in crops if c.image == str(i)]
        assert all(0 <= c.top <= height - size and 0 <= c.left <= width - size for c in mine)
        for a in mine:
            for b in mine:
                apart = abs(a.top - b.top) >= size or abs(a.left - b.left) >= size
                assert a is b or apart
    counts = [sum(c.image == str(i) for c in crops) for i in range(len(photos))]
    free = [c for c, r in zip(counts, room, strict=True) if c < r]
    if len(photos) <= count and free:
        assert max(counts) - min(free) <= 1


def test_crop_pixels_are_the_image_there():
    source = photo(40, 50)
    for crop in cut_crops([source], 8, 5):
        there = source.load()[crop.top : crop.top + 8, crop.left : crop.left + 8]
        assert (crop.pixels == there).all()


def test_more_images_than_crops_are_thinned_evenly():
    crops = cut_crops([photo(8, 8, str(i)) for i in range(10)], 8, 3)
    assert [crop.image for crop in crops] == ["1", "5", "8"]


def test_image_smaller_than_the_crop_is_named():
    with pytest.raises(BadInput, match="small is 7 x 20, smaller than the crop 8"):
        cut_crops([photo(20, 20, "large"), photo(7, 20, "small")], 8, 1)


def test_digest_tells_shape_and_pixels_apart():
    a, b = np.zeros((2, 8, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    assert Crop("x", 0, 0, a).digest != Crop("x", 0, 0, b).digest
    assert Crop("x", 0, 0, a).digest == Crop("y", 3, 4, a.copy()).digest


def test_tensor_is_in_0_to_1_and_exact():
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    tensor = data_crops.to_tensor([pixels, pixels])
    assert tensor.shape == (2, 3, 16, 16)
    assert (tensor.mul(255).round().byte()[0].permute(1, 2, 0).numpy() == pixels).all()
    assert tensor.max() == 1 and tensor.min() == 0


def files(folder: Path, *names: str) -> None:
    """Images and other files in a folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in image_io.SUFFIXES and not path.name.startswith("."):
            Image.new("RGB", (4, 6)).save(path)
        else:
            path.write_bytes(b"x")


def test_hidden_files_and_those_of_systems_are_no_images(tmp_path):
    files(tmp_path, "a.png", "._a.png", ".b.png", "Thumbs.db", "desktop.ini", ".DS_Store")
    files(tmp_path, "__MACOSX/a.png", ".cache/a.png")
    assert [photo.name for photo in photographs.photographs(tmp_path)] == ["a.png"]
    assert image_io.skipped(tmp_path) == ""


def test_what_is_skipped_is_counted_in_one_line(tmp_path):
    files(tmp_path, "a.png", "b.txt", "c.CR2", "d.txt", "e")
    expected = f"{tmp_path}: 4 files skipped (1 .cr2, 2 .txt, 1 without ending)"
    assert image_io.skipped(tmp_path) == expected
    files(tmp_path, "more/a.png", "text/a.txt")
    assert image_io.skipped(tmp_path) == f"{expected}, 1 subfolder with images skipped"
    assert len(image_io.find(tmp_path)) == 1


def test_a_folder_of_folders_says_so(tmp_path):
    files(tmp_path, "first/a.png", "second/b.jpg", "text/c.txt")
    with pytest.raises(BadInput, match=r"images are in its subfolders, such as .*first; expected"):
        photographs.photographs(tmp_path)


def test_a_link_to_nothing_is_not_silently_left_out(tmp_path):
    files(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "absent.png")
    with pytest.raises(BadInput, match=r"b\.png: no such file"):
        photographs.photographs(tmp_path)


def test_photographs_are_upright(tmp_path):
    tags = Image.Exif()
    tags[0x112] = 6
    for suffix in ("jpg", "png", "webp", "tif"):
        Image.new("RGB", (30, 20)).save(tmp_path / f"a.{suffix}", exif=tags)
    for photo in photographs.photographs(tmp_path):
        assert (photo.height, photo.width) == (30, 20) == photo.load().shape[:2]


def test_a_page_of_every_file(tmp_path):
    first, second = (Image.new("RGB", (8, 9), color) for color in ("red", "blue"))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(BadInput, match=r"a\.tif: 2 pages; choose one with --page N"):
        photographs.photographs(tmp_path)
    (photo,) = photographs.photographs(tmp_path, page=2)
    assert (photo.load() == [0, 0, 255]).all()
    assert (photographs.photograph(tmp_path / "a.tif", page=1).load() == [255, 0, 0]).all()


def header_of(height: int, width: int) -> bytes:
    """A PNG with the header of a large image, and the pixels of a small one."""
    png = pngs.encode(np.zeros((1, 1), np.uint8), 8, pngs.RGB)
    head = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + head + struct.pack(">I", zlib.crc32(head)) + png[33:]


def test_large_images_name_size_and_limit_and_how_to_raise_it(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(header_of(10000, 19000))
    words = (
        r"10000 x 19000 \(height x width\), 190 megapixels; the limit is 180: set the "
        "environment variable MTD_MAX_MEGAPIXELS"
    )
    for read in (image_io.read_rgb, image_io.read_image, image_io.header, photographs.photograph):
        with pytest.raises(BadInput, match=words):
            read(path)
    monkeypatch.setenv("MTD_MAX_MEGAPIXELS", "191")
    assert photographs.photograph(path).width == 19000
    monkeypatch.setenv("MTD_MAX_MEGAPIXELS", "0.01")
    with pytest.raises(BadInput, match=r"the limit is 0\.01"):
        image_io.header(path)
    monkeypatch.setenv("MTD_MAX_MEGAPIXELS", "0.001")
    path.write_bytes(header_of(40, 60))
    with pytest.raises(BadInput, match=r", 0\.0024 megapixels; the limit is 0\.001: set"):
        image_io.header(path)
    monkeypatch.setenv("MTD_MAX_MEGAPIXELS", "many")
    with pytest.raises(BadInput, match="'many': expected megapixels"):
        image_io.header(path)


def test_pillows_own_limit_neither_warns_nor_refuses_and_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    files(tmp_path, "a.png", "a.tif", "a.gif", "a.webp", "a.jpg", "a.bmp")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for photo in photographs.photographs(tmp_path):
            assert photo.load().shape == (6, 4, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_a_file_of_another_size_than_it_was_listed_with_is_refused(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    (listed,) = photographs.photographs(tmp_path)
    Image.new("RGB", (9, 6), (1, 2, 3)).save(tmp_path / "a.png")
    with pytest.raises(BadInput, match=r"a\.png: 6 x 9, and 6 x 8 when the command began; leave"):
        listed.load()
    Image.new("RGB", (8, 6), (1, 2, 3)).save(tmp_path / "a.png")
    assert listed.load().max() == 3


def test_pixels_of_bundled_photographs_belong_to_who_reads_them():
    """They are decoded once, and changes by one reader reach no other."""
    first = photographs.photographs()[0].load()
    before = first.copy()
    first[:] = 0
    assert np.array_equal(photographs.photographs()[0].load(), before)
