"""Image files: one reader for PNG, JPEG, TIFF, WebP, BMP, Netpbm, JPEG 2000 and GIF; writing.

`read_image` keeps bit depth, transparency and color profile; `read_rgb` returns the same pixels as
8-bit RGB. What is read, and as what:

| pixels of the file | read as |
| --- | --- |
| gray or RGB of 8 or 16 bits, with or without alpha | the same |
| gray of 1, 2 or 4 bits, and Netpbm of any other depth | 8 or 16 bits, white as 255 or 65535 |
| palette | RGB (TIFF: gray, if all its colors are), with alpha if some are transparent |
| YCbCr of JPEG, WebP, and TIFF with JPEG compression | RGB |
| white-is-zero (TIFF), bitmaps (PBM) | gray, white as the largest value |
| several pages or frames | the one that is chosen by number; refused without |

Refused, since their colors are not known or would be rounded: CMYK, Lab, other YCbCr, real and
signed numbers, other depths, colors multiplied by alpha, more channels, JPEG 2000 of other than 8
bits. A recorded orientation (EXIF; TIFF's tag) is applied, so that a written copy needs no such
tag, which many programs ignore in PNG. Other metadata is dropped.

Each kind is read by one library: images of 8 bits by Pillow alone, 16 bits by libvips, which is
imported then; see `mtd.data.image_headers`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtd.data import image_headers, netpbm, pillow_images, vips_images
from mtd.data.image_headers import Header
from mtd.utils import atomic_write, input_files, near_paths
from mtd.utils.errors import BadInput

AnyPixels = NDArray[np.uint8] | NDArray[np.uint16]

Pixels = NDArray[np.uint8]
"""A photograph, (H, W, 3)."""

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".webp"),
    *(".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".gif"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
)
"""Image files that are read."""

WRITABLE = (".png", ".tif", ".tiff")
"""Lossless formats of 8 and 16 bits."""

TO_8_BITS = (np.arange(2**16) / 257).round().astype(np.uint8)
"""16-bit values, rounded to 8 bits."""

CLUTTER = ("thumbs.db", "desktop.ini")
"""Files that systems leave in folders; so they do files whose names begin with a dot."""


@dataclass(frozen=True)
class ImageFile:
    """An image in the bit depth of its file.

    Attributes:
        pixels: (H, W, C), 8 or 16 bits; C is 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha).
        icc: the embedded color profile, unchanged, if any; pixels are never converted by it.
    """

    pixels: AnyPixels
    icc: bytes | None = None

    @property
    def depth(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def colors(self) -> AnyPixels:
        """Gray or RGB without alpha, (H, W, 1 or 3)."""
        return self.pixels[..., : 1 if self.pixels.shape[2] < 3 else 3]

    @property
    def digest(self) -> str:
        """SHA-256 of shape and colors; for 8-bit RGB equal to that of `mtd.data.crops.Crop`."""
        values = np.ascontiguousarray(self.colors)
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        digest = hashlib.sha256(repr(values.shape).encode())
        digest.update(little.data)
        return digest.hexdigest()

    def with_colors(self, colors: AnyPixels) -> ImageFile:
        """The same image with other colors (H, W, 1 or 3); alpha and profile stay."""
        alpha = self.pixels[..., self.colors.shape[2] :]
        if not alpha.size:
            return replace(self, pixels=colors)
        return replace(self, pixels=np.concatenate([colors, alpha], axis=2))


def header(path: str | Path, page: int | None = None) -> Header:
    """Size and depth of an image file, upright as it is read, without decoding its pixels.

    Args:
        path: of the file.
        page: of a file with several pages or frames, from 1; None for files with one.

    Raises:
        BadInput: see `mtd.data.image_headers.read`.
    """
    return image_headers.read(Path(path), page)


def read_image(path: str | Path, page: int | None = None) -> ImageFile:
    """An image file, upright, in 8 or 16 bits.

    Args:
        path: of the file.
        page: see `header`.

    Raises:
        BadInput: see `header`; or damaged pixels.
    """
    path = Path(path)
    head = header(path, page)
    try:
        image_headers.check_passes(path, head)
        pixels, icc = _stored(path, head)
    except MemoryError:
        raise
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except Exception as error:  # Pillow raises anything for damaged pixels
        raise BadInput(f"{path}: damaged image ({error})") from None
    pixels = upright(pixels, head.orientation)
    expected = (head.height, head.width, f"uint{head.depth}")
    if (*pixels.shape[:2], pixels.dtype) != expected or pixels.shape[2] > 4:
        raise BadInput(f"{path}: damaged image (its pixels are not those of its header)")
    return ImageFile(pixels, icc)


def _stored(path: Path, head: Header) -> tuple[AnyPixels, bytes | None]:
    """Pixels as stored, and the color profile."""
    if head.library == "Netpbm":
        return netpbm.pixels(path, netpbm.rasters(path)[head.page]), None
    if head.library == "Pillow":
        return pillow_images.pixels(path, head.page)
    return vips_images.pixels(path, head.page if head.format == "TIFF" else None)


def upright(pixels: AnyPixels, orientation: int) -> AnyPixels:
    """An image (H, W, C) that is stored in an orientation of EXIF, 1 to 8, as it is meant."""
    if orientation == 1:
        return pixels
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels.copy()


def read_rgb(path: str | Path, page: int | None = None) -> Pixels:
    """An image file as 8-bit RGB (H, W, 3), upright.

    Gray is repeated, transparency dropped, 16 bits are rounded to 8.

    Args:
        path: of the file.
        page: see `header`.

    Raises:
        BadInput: see `read_image`.
    """
    colors = read_image(path, page).colors
    if colors.dtype == np.uint16:
        colors = TO_8_BITS[colors]
    return np.ascontiguousarray(np.broadcast_to(colors, (*colors.shape[:2], 3)), np.uint8)


def encode(image: ImageFile, suffix: str) -> bytes:
    """The bytes of a `.png`, `.tif` or `.tiff` file, lossless.

    A profile that does not fit the channels (RGB for a grayscale image) is dropped.

    Raises:
        BadInput: another suffix; lossy formats would add artifacts to a denoised image.
    """
    if suffix.lower() not in WRITABLE:
        raise BadInput(f"images are written lossless, as {', '.join(WRITABLE)}; not {suffix!r}")
    return vips_images.encode(image.pixels, image.icc, suffix.lower())


def write(path: str | Path, image: ImageFile) -> None:
    """Write an image in one atomic step, in the format of its suffix; see `encode`.

    Raises:
        BadInput: the format is not lossless, or the path cannot be written.
    """
    atomic_write.write(path, encode(image, Path(path).suffix))


def find(folder: str | Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The image files of a folder, sorted by name, without subfolders and hidden files.

    Args:
        folder: of images.
        suffixes: endings of the files that are images.

    Raises:
        BadInput: no such folder, a file, a folder without images, or one that cannot be read; or a
            FIFO, socket or device that is called as an image.
    """
    folder = Path(folder)
    if is_file(folder):
        raise BadInput(f"{folder} is a file: expected a folder of images")
    if not is_folder(folder):
        raise BadInput(near_paths.absent(folder, "folder"))
    files = [path for path in _visible(folder, suffixes) if path.suffix.lower() in suffixes]
    if not files:
        below = _with_images(folder, suffixes)
        where = f"; images are in its subfolders, such as {below[0]}" if below else ""
        raise BadInput(
            f"{folder}: no image in it{where}; expected files ending in {', '.join(suffixes)}"
        )
    return files


def skipped(folder: str | Path, suffixes: Sequence[str] = SUFFIXES) -> str:
    """What `find` leaves out of a folder, in one line; "" if it leaves out nothing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.png", "b.txt", "c.cr2", "d.txt", ".e.png"):
    ...         _ = (Path(folder) / name).touch()
    ...     skipped(folder).removeprefix(folder)
    ': 3 files skipped (1 .cr2, 2 .txt)'
    """
    folder = Path(folder)
    if not folder.is_dir():
        return ""
    others = [path for path in _visible(folder) if path.suffix.lower() not in suffixes]
    endings = Counter(path.suffix.lower() or "without ending" for path in others)
    below = len(_with_images(folder, suffixes))
    parts = []
    if others:
        counts = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
        parts.append(f"{len(others)} file{'s' * (len(others) != 1)} skipped ({counts})")
    if below:
        parts.append(f"{below} subfolder{'s' * (below != 1)} with images skipped")
    return f"{folder}: {', '.join(parts)}" if parts else ""


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden, or left behind by a system, as `._a.png`, `Thumbs.db`."""
    name = path.name.lower()
    return name.startswith((".", "__macosx")) or name in CLUTTER


def is_folder(path: Path) -> bool:
    """Whether a path is one of a folder.

    Raises:
        BadInput: it cannot be one, since it is too long or has a zero byte.
    """
    return stat.S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Whether a path is one of a file; see `is_folder`."""
    mode = _mode(path)
    return bool(mode) and not stat.S_ISDIR(mode)


def _mode(path: Path) -> int:
    """The kind of a file and its permissions; 0 if there is none."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError) as error:
        raise input_files.unreadable(path, error) from None


def _visible(folder: Path, suffixes: Sequence[str] = ()) -> list[Path]:
    """The files of a folder that are not hidden, sorted; a link to nothing is one of them.

    Raises:
        BadInput: it cannot be read, or one with a certain suffix is a FIFO, socket or device.
    """
    found, path = [], folder
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = folder / entry.name
                if is_hidden(path) or entry.is_dir():
                    continue
                found.append(path)
                if not entry.is_file() and path.suffix.lower() in suffixes and _mode(path):
                    input_files.check(path)
    except OSError as error:
        raise input_files.unreadable(path, error) from None
    return sorted(found)


def _with_images(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The subfolders that hold an image."""
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))
    return [
        path
        for path in below
        if os.access(path, os.R_OK | os.X_OK)
        and any(file.suffix.lower() in suffixes for file in _visible(path))
    ]
