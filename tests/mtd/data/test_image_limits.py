"""Image files that announce or repeat far more than they hold are refused, not decoded."""

from __future__ import annotations

import io
import os
import re
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from mtd.data import image_io, image_parts, netpbm, tiff_header, tone_mapping
from mtd.data.exr_header import check as check_exr
from mtd.data.image_io import ImageFile
from mtd.data.pillow_images import orientation
from mtd.data.recorded_noise import Recorded
from mtd.utils import input_files
from mtd.utils.errors import BadInput
from tests.helpers import bombs
from tests.helpers.images import noise


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that is reached fails the test."""

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", reached)
    monkeypatch.setattr("mtd.data.vips_images.pixels", reached)
    monkeypatch.setattr("mtd.data.netpbm._plain", reached)


@pytest.mark.usefixtures("undecoded")
@pytest.mark.parametrize(
    "content, variable, limit",
    [
        (bombs.animated_png(2**31 - 1), "MTD_MAX_PAGES", "2.147484e+09 pages"),
        (bombs.png(*[(b"tEXt", b"")] * 11), "MTD_MAX_IMAGE_PARTS", "11 chunks"),
        (bombs.gif(*[(4, 4)] * 11), "MTD_MAX_PAGES", "11 pages"),
        (bombs.gif((65535, 65535)), "MTD_MAX_MEGAPIXELS", "4294.836 megapixels"),
        (bombs.webp(16383, 16383), "MTD_MAX_MEGAPIXELS", "268.4027 megapixels"),
        (bombs.jpeg(100, 1000), "MTD_MAX_DECODED_MEGAPIXELS", "100 megapixels to decode"),
        (b"P5 1 1 255\n\0" * 11, "MTD_MAX_PAGES", "11 pages"),
        (bombs.tiff(11, 4), "MTD_MAX_PAGES", "11 pages"),
        (bombs.tiled_tiff(2**15), "MTD_MAX_MEGAPIXELS", "1073.742 megapixels"),
    ],
    ids=["frames", "chunks", "gif", "frame", "canvas", "scans", "netpbm", "pages", "tile"],
)
def test_more_than_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, variable: str, limit: str
) -> None:
    if variable != "MTD_MAX_MEGAPIXELS":
        monkeypatch.setenv(variable, "10")
    path = tmp_path / "a.image"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"{re.escape(limit)}.*; .* {variable} to raise it") as said:
        image_io.read_image(path)
    assert "\n" not in str(said.value)


@pytest.mark.usefixtures("undecoded")
@pytest.mark.parametrize(
    "content, words",
    [
        (bombs.tiff(100, 1000), "the values of tag 700 are not all in the file"),
        (b"P5\n#" + b"x" * 2**18 + b"\n1 1 255\n\0", "damaged header"),
        (b"P2 1 1 255\n7" + b" " * 2**17, "more than 65556 bytes for 1 values"),
    ],
    ids=["shared", "comment", "space"],
)
def test_damage_that_would_be_read_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.setattr(netpbm, "HEADER", 2**16)
    path = tmp_path / "a.image"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words):
        image_io.read_image(path)


def test_limits_can_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bombs.jpeg(100))
    monkeypatch.setenv("MTD_MAX_DECODED_MEGAPIXELS", "0.001")
    with pytest.raises(BadInput, match=r"with 100 scans, 0\.0064 megapixels to decode"):
        image_io.read_image(path)
    monkeypatch.setenv("MTD_MAX_DECODED_MEGAPIXELS", "0.01")
    assert image_io.read_image(path).pixels.shape == (8, 8, 1)


def test_scans_of_thumbnails_do_not_count(tmp_path: Path) -> None:
    thumbnail = b"\xff\xe1" + (2 + 400).to_bytes(2, "big") + b"\xff\xda\0\2" * 100
    photograph = bombs.jpeg(12)
    path = tmp_path / "a.jpg"
    path.write_bytes(photograph[:2] + thumbnail + photograph[2:] + bombs.jpeg(20))
    assert image_parts.scans(path) == 12
    assert image_parts.scans(path, 1) == 32


@pytest.mark.parametrize(
    "content, words",
    [
        (bombs.exr(100_000, 100_000), "10000 megapixels.*MTD_MAX_MEGAPIXELS"),
        (bombs.exr(10_000, 10_000, 300), "111.7587 GiB once decoded.*MTD_MAX_DECODED_GIB"),
        (bombs.exr(1, 100_000_000), "too short for its size"),
        (bombs.exr(10_000, 10_000, tile=1), "too short for its size"),
        (bombs.exr(1, 1, tile=2**16), "4294.967 megapixels"),
        (bombs.exr(0, 1), "its size is not above 0"),
        (bombs.exr(1, 1, version=2 | 0x800), "a deep EXR file"),
        (bombs.exr(1, 1)[:-30], "its header cannot be read"),
        (bombs.exr(1, 1)[:8] + b"\1" * 100, "its header cannot be read"),
    ],
)
def test_exr(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.exr"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words):
        check_exr(path)


@pytest.mark.parametrize("kind", ["FIFO", "socket", "device"])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("a.png")  # those of sockets are short
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(os.fspath(path))
        listening.close()
    for read in (image_io.header, image_io.read_image, check_exr):
        with pytest.raises(BadInput, match=f"is a {kind}"):
            read(path)


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        Counting.total += len(block) + 1
        return block


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    def opened(path: Path) -> IO[bytes]:
        return Counting(path.read_bytes())

    monkeypatch.setattr(input_files, "opened", opened)
    monkeypatch.setattr(Counting, "total", 0)
    return Counting


@pytest.mark.parametrize(
    "made, read",
    [
        (lambda n: bombs.png(*[(b"tEXt", b"abc")] * n), image_parts.exif),
        (lambda n: bombs.jpeg(n), image_parts.scans),
        (
            lambda n: b"\xff\xd8" + b"\xff\xe1\0\4ab" * n + b"\xff\xd9",
            lambda path: image_parts.check(path, image_parts.JPEG),
        ),
        (
            lambda n: bombs.gif(*[(4, 4)] * n),
            lambda path: image_parts.check(path, image_parts.GIF),
        ),
        (lambda n: bombs.tiff(n, 4), tiff_header.directories),
        (lambda n: b"P5 1 1 255\n\0" * n, netpbm.rasters),
        (lambda n: b"P5\n" + b"#abc\n" * n + b"1 1 255\n\0", netpbm.rasters),
    ],
    ids=["png", "scans", "segments", "gif", "tiff", "netpbm", "comments"],
)
def test_reading_a_header_takes_time_in_proportion(
    tmp_path: Path,
    counting: type[Counting],
    made: Callable[[int], bytes],
    read: Callable[[Path], object],
) -> None:
    """Bytes and calls of reading grow with the file, not with its square."""
    path, steps = tmp_path / "a.image", []
    for parts in (100, 200, 400):
        path.write_bytes(made(parts))
        counting.total = 0
        read(path)
        steps.append(counting.total)
    assert steps[0] > 0
    assert steps[2] - steps[1] <= 2.2 * (steps[1] - steps[0]) + 1000


def test_directories_in_a_circle(tmp_path: Path) -> None:
    content = bytearray(bombs.tiff(3, 4))
    content[-4:] = content[4:8]
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert len(tiff_header.directories(path)) == 3


class Sliced(bytes):
    """Bytes that count how much of them is copied."""

    copied = 0

    def __getitem__(self, place):  # type: ignore[no-untyped-def, override]
        part = super().__getitem__(place)
        Sliced.copied += len(part) if isinstance(part, bytes) else 1
        return Sliced(part) if isinstance(part, bytes) else part


def test_a_block_that_begins_again_and_again_is_not_copied_as_often() -> None:
    block = Sliced(b"Exif\0\0" * 2000)
    assert orientation(block) == 1
    assert Sliced.copied <= 2 * len(block)


def _peak(run: Callable[[], object]) -> int:
    """Bytes that are allocated at most while something runs."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_16_bits_become_8_without_real_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"  # which NumPy alone reads
    values = noise(3, np.uint16, 500, 400)
    path.write_bytes(b"P6 400 500 65535\n" + values.astype(">u2").tobytes())
    assert np.array_equal(image_io.read_rgb(path), (values / 257).round())
    assert _peak(lambda: image_io.read_rgb(path)) < 8 * values.size


def test_tone_maps_take_few_real_numbers_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tone_mapping, "AT_ONCE", 2**12)
    linear = np.random.default_rng(0).random((400, 300), np.float32)
    whole = np.rint(255 * tone_mapping.srgb(linear.astype(np.float64)))
    assert np.array_equal(tone_mapping.to_8_bits(linear), whole)
    assert _peak(lambda: tone_mapping.to_8_bits(linear)) < 4 * linear.size


def test_plain_netpbm_takes_no_object_for_each_value(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P2 800 500 255\n" + b"7 " * 400_000)
    assert (image_io.read_image(path).pixels == 7).all()
    assert _peak(lambda: image_io.read_image(path)) < 40 * 400_000


def test_the_digest_of_an_image_copies_nothing() -> None:
    image = ImageFile(noise(3, np.uint8, 300, 400))
    assert _peak(lambda: image.digest) < image.pixels.size / 10


def test_a_frame_beyond_the_canvas_of_a_gif(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    frames = [Image.new("P", (4, 4), index) for index in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    first, found, rest = path.read_bytes().rpartition(b"\x2c\0\0\0\0\4\0\4\0")
    path.write_bytes(first + found[:5] + b"\xff" * 4 + rest)
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(BadInput, match=r"frame of it, 4294\.836 megapixels; .*MTD_MAX_MEGAPIXELS"):
        image_io.read_image(path, 2)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_folder_with_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "notes.txt")
    assert image_io.find(tmp_path) == [tmp_path / "a.png"]
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(BadInput, match=r"b\.png is a FIFO"):
        image_io.find(tmp_path)
    with pytest.raises(BadInput, match=r"b\.png is a FIFO"):
        Recorded(f"folder:{tmp_path}")


def test_a_link_to_itself_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "self.png").symlink_to("self.png")
    with pytest.raises(BadInput, match=r"self\.png: cannot be read"):
        image_io.find(tmp_path)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_names_that_no_file_has(tmp_path: Path, name: str) -> None:
    for read in (image_io.find, image_io.header, image_io.read_rgb):
        with pytest.raises(BadInput, match="cannot be read"):
            read(tmp_path / name)
