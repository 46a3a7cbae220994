"""Readers of images: files of all kinds, MATLAB blocks, archives and folders."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.attack import image_mutations as damage
from tests.attack.archive_mutations import TAR, ZIP, tarred, zip_members, zipped
from tests.attack.mutations import BYTES, weighted
from tests.attack.reader import Files, Reader, one_file
from tests.helpers import mats, pngs, tiffs
from tests.helpers.images import noise


def read_image(path: Path) -> Any:
    """An image as `mtd.denoise` reads it, and as analyses do."""
    from mtd.data import image_io
    from mtd.data.photographs import photograph

    image_io.read_image(path)
    return photograph(path).load()


@cache
def pillow(form: str, **how: Any) -> bytes:
    """A small image as Pillow writes it."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(noise(3, np.uint8, 9, 11)).save(buffer, form, **how)
    return buffer.getvalue()


def png_files() -> Sequence[bytes]:
    kinds = (
        (pngs.RGB, 8, 3),
        (pngs.RGB, 16, 3),
        (pngs.GRAY, 8, 1),
        (pngs.GRAY, 16, 1),
        (pngs.RGB_ALPHA, 8, 4),
    )
    made = [
        pngs.encode(noise(channels, f"u{bits // 8}", 7, 9), bits, color)
        for color, bits, channels in kinds
        if color != pngs.RGB_ALPHA
    ]
    return [*made, pillow("PNG")]


def jpeg_files() -> Sequence[bytes]:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    return [pillow("JPEG"), pillow("JPEG", progressive=True), pillow("JPEG", exif=exif)]


def tiff_files() -> Sequence[bytes]:
    rgb, deep, gray = (
        noise(3, np.uint8, 9, 11),
        noise(3, np.uint16, 9, 11),
        noise(1, np.uint8, 9, 11),
    )
    kinds = (
        (rgb, tiffs.Kind()),
        (rgb, tiffs.Kind(compression=tiffs.DEFLATE)),
        (rgb, tiffs.Kind(tile=16, order=">")),
        (rgb, tiffs.Kind(planar=True)),
        (deep, tiffs.Kind(bits=16)),
        (gray, tiffs.Kind(photometric=tiffs.BLACK_IS_ZERO)),
        (rgb, tiffs.Kind(compression=tiffs.PACKBITS, orientation=6)),
    )
    return [tiffs.encode(one) for one in kinds] + [pillow("TIFF", compression="tiff_lzw")]


def netpbm_files() -> Sequence[bytes]:
    raw = noise(3, np.uint8, 3, 4).tobytes()
    plain = b" ".join(b"%d" % value for value in raw)
    return [
        b"P6\n4 3\n255\n" + raw,
        b"P3\n4 3\n255\n" + plain,
        b"P5 4 3 65535\n" + raw[:24],
        b"P4\n9 2\n" + raw[:4],
        b"P1\n# x\n4 2\n0 1 0 1 1 1 0 0\n",
    ]


def other_files() -> Sequence[tuple[str, bytes]]:
    return [
        ("x.gif", pillow("GIF")),
        ("x.webp", pillow("WEBP", lossless=True)),
        ("x.webp", pillow("WEBP")),
        ("x.bmp", pillow("BMP")),
        ("x.png", pillow("PNG")),
    ]


@cache
def exr_file() -> bytes:
    import tempfile

    from mtd.data import exr_io

    with tempfile.TemporaryDirectory() as name:
        exr_io.write(f"{name}/x.exr", noise(3, np.uint8, 5, 6) / 255)
        return Path(name, "x.exr").read_bytes()


def read_exr(path: Path) -> Any:
    from mtd.data import exr_io

    exr_io.size(path)
    return exr_io.read(path)


@cache
def mat_file(compress: bool, name: str, shape: tuple[int, ...]) -> bytes:
    from scipy.io import savemat

    buffer = io.BytesIO()
    content = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    savemat(buffer, {name: content}, do_compression=compress)
    return mats.header() + buffer.getvalue()[128:]  # without the time


def mat_files() -> Sequence[bytes]:
    name = "ValidationNoisyBlocksSrgb"
    return [
        mat_file(True, name, (2, 3, 4, 3)),
        mat_file(False, name, (2, 3, 4, 3)),
        mat_file(True, "x", (1, 2, 3, 4, 3)),
    ]


def read_mat(path: Path) -> Any:
    from mtd.data import sidd_mat

    return [block.load() for block in sidd_mat.photographs(path, sidd_mat.NOISY)[:2]]


def read_photographs(path: Path) -> Any:
    from mtd.data import photograph_archives
    from mtd.data.photographs import photographs
    from mtd.utils import temporary

    try:
        folders = photograph_archives.opened([path])
        return [one.load() for one in photographs(*folders)]
    finally:
        temporary.remove_all()  # as when the process ends, and closes the folder's lock


def unpacked(path: Path) -> Any:
    from mtd.data import unpacking

    return unpacking.unpack(path, path.parent / "unpacked")


def archives() -> Sequence[bytes]:
    png = pillow("PNG")
    return [zipped({"train/a.png": png, "train/b.png": png, "test/c.png": png})]


def zip_sets() -> Sequence[bytes]:
    files = {"set/a.png": b"abc" * 30, "set/b/c.txt": b"x", "set/d.txt": b"yy" * 99}
    return [zipped(files), zipped(files, zipfile.ZIP_DEFLATED)]


def tar_sets() -> Sequence[bytes]:
    files = {"set/a.png": b"abc" * 30, "set/b/c.txt": b"x"}
    return [tarred(files), tarred(files, lambda plain: gzip.compress(plain, mtime=0))]


def pairs() -> Sequence[Files]:
    png, jpeg = pillow("PNG"), pillow("JPEG")
    return [
        {"noisy/a.png": png, "clean/a.png": png, "noisy/b.png": png, "clean/b.jpg": jpeg},
        {"noisy/a.exr": exr_file(), "clean/a.exr": exr_file()},
    ]


def read_pairs(folder: Path) -> Any:
    from mtd.data import image_pairs

    paired = image_pairs.find(folder / "noisy", folder / "clean")
    paired.recorded.check(paired.photographs)
    return [one.load() for one in paired.photographs]


def read_others(folder: Path) -> Any:
    return [read_image(path) for path in sorted(folder.iterdir())]


ARCHIVED = zip_members({".png": (damage.png_chunks, *BYTES)})

READERS = [
    one_file("png", "x.png", png_files, read_image, weighted((damage.png_chunks,))),
    one_file("jpeg", "x.jpg", jpeg_files, read_image, weighted((damage.jpeg_segments,))),
    one_file("tiff", "x.tif", tiff_files, read_image, weighted((damage.tiff_tags,))),
    one_file("netpbm", "x.ppm", netpbm_files, read_image, weighted((damage.netpbm_header,))),
    one_file(
        "jpeg2000", "x.jp2", lambda: [pillow("JPEG2000")], read_image, weighted((damage.box_sizes,))
    ),
    Reader(
        "gif-webp-bmp",
        lambda: [{name: content} for name, content in other_files()],
        read_others,
        weighted((damage.little_sides,)),
    ),
    one_file("exr", "x.exr", lambda: [exr_file()], read_exr, weighted((damage.exr_header,))),
    one_file(
        "mat",
        "x.mat",
        mat_files,
        read_mat,
        weighted((damage.mat_elements, damage.mat_cells)),
        starts=True,
    ),
    one_file("photograph-archive", "x.zip", archives, read_photographs, weighted((ARCHIVED, *ZIP))),
    one_file("test-set-zip", "x.zip", zip_sets, unpacked, weighted((zip_members({}), *ZIP))),
    one_file("test-set-tar", "x.tar.gz", tar_sets, unpacked, weighted(TAR)),
    Reader("pairs", pairs, read_pairs, weighted((damage.png_chunks, damage.exr_header))),
]
