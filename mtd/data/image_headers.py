"""Headers of image files: size once upright, depth, pages; which files are read, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import UnidentifiedImageError

from mtd.data import image_parts, jpeg2000, netpbm, pillow_images, tiff_header
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

KNOWN = "expected PNG, JPEG, TIFF, WebP, BMP, PBM, PGM, PPM, JPEG 2000 or GIF"


@dataclass(frozen=True)
class Header:
    """An image in a file, upright.

    Attributes:
        height: in pixels.
        width: in pixels.
        depth: bits per channel, 8 or 16.
        orientation: how it is stored, 1 to 8 as in EXIF.
        format: of the file, as Pillow names it.
        page: index in the file.
        library: that reads its pixels rightly.
    """

    height: int
    width: int
    depth: int
    orientation: int
    format: str
    page: int
    library: Literal["Pillow", "libvips", "Netpbm"]


def read(path: Path, page: int | None = None) -> Header:
    """The header of an image file, without decoding its pixels.

    Args:
        path: of the file.
        page: of a file with several pages or frames, from 1; None for files with one.

    Raises:
        BadInput: no such file, another format, a kind of pixels that is not read, several pages, no
            such page, or more pixels than the limit.
    """
    with input_files.opened(path) as file:
        start = file.read(32)
    try:
        header = _read(path, start, page)
        check_size(header)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except UnidentifiedImageError:
        raise BadInput(f"{path}: not an image that can be read; {KNOWN}") from None
    except OSError as error:
        if error.strerror:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
        raise BadInput(f"{path}: damaged image ({error})") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises anything for a damaged header
        raise BadInput(f"{path}: damaged image ({error})") from None
    return header


def check_size(header: Header) -> None:
    """Check that an image is not larger than the limit.

    Raises:
        BadInput: it is, or the limit is no number.
    """
    megapixels = header.height * header.width / 1e6
    limits.MEGAPIXELS.check(megapixels, f"{header.height} x {header.width} (height x width)")


def check_passes(path: Path, header: Header) -> None:
    """Check how often all pixels are decoded: by scans of a JPEG file, by frames before this one.

    Raises:
        BadInput: more often than the limit allows for an image of this size.
    """
    if header.format == "JPEG":
        passes, what = image_parts.scans(path, header.page), "scans"
    elif header.format in ("PNG", "GIF", "WEBP"):
        passes, what = header.page + 1, "frames up to the chosen one"
    else:
        passes, what = 1, ""
    if passes == 1:
        return
    size = f"{header.height} x {header.width} (height x width) with {passes} {what}"
    limits.DECODED_MEGAPIXELS.check(header.height * header.width * passes / 1e6, size)


def choose(pages: Sequence[int], page: int | None, what: str) -> int:
    """The index in its file of the page of a number, or of the only one.

    Args:
        pages: indices of the pages.
        page: number of the page, from 1; None for the only one.
        what: the word for one.

    Raises:
        BadInput: several, or no such page.
    """
    limits.PAGES.check(len(pages), "an image file")
    count = f"{len(pages)} {what}s" if len(pages) > 1 else "1 image"
    if page is None and len(pages) > 1:
        raise BadInput(f"{count}; choose one with --page N (mtd.train: --set data.page=N)")
    if page is not None and not 1 <= page <= len(pages):
        known = f"1 to {len(pages)}" if len(pages) > 1 else "1"
        raise BadInput(f"page {page}: it holds {count}; expected {known}")
    return pages[(page or 1) - 1]


def _read(path: Path, start: bytes, page: int | None) -> Header:
    if start.startswith(tiff_header.MARKS):
        return _tiff(path, page)
    if netpbm.MARK.match(start):
        rasters = netpbm.rasters(path)
        index = choose(range(len(rasters)), page, "image")
        raster = rasters[index]
        return Header(raster.height, raster.width, raster.depth, 1, "PPM", index, "Netpbm")
    image_parts.check(path, start)
    with pillow_images.opened(path) as image:
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        frames = pillow_images.frames(image)
        index = choose(frames, page, "frame")
        if index and kind == "JPEG":  # whose size and orientation may be others
            image.seek(index)
        width, height, mode = *image.size, image.mode
        exif, transparent = image.info.get("exif"), "transparency" in image.info
    bits, gray = (start[24], start[25] == 0) if kind == "PNG" else (8, mode == "L")
    deep = bits == 16
    if kind == "PNG":
        exif = exif or image_parts.exif(path)
    if kind == "JPEG2000":
        jpeg2000.check(path)
    if deep and len(frames) > 1:
        raise BadInput("an animation of 16 bits; convert it to one image first")
    if not deep and mode not in pillow_images.MODES:
        raise BadInput(f"{mode}; convert it to RGB of 8 or 16 bits first")
    turned = pillow_images.orientation(exif)
    height, width = (width, height) if turned > 4 else (height, width)
    scaled = bits in (2, 4) and gray and transparent  # Pillow does not scale the transparent level
    library: Literal["Pillow", "libvips"] = "libvips" if deep or scaled else "Pillow"
    return Header(height, width, 16 if deep else 8, turned, kind, index, library)


def _tiff(path: Path, page: int | None) -> Header:
    found = tiff_header.directories(path)
    if not found:
        raise BadInput("not an image that can be read (no TIFF directory)")
    index = choose(tiff_header.pages(found), page, "page")
    tags = found[index]
    height, width = tiff_header.size(tags)
    across, down = (max(1, int(tags.get(tag, 1))) for tag in tiff_header.TILE)
    limits.MEGAPIXELS.check(across * down / 1e6, f"tiles of {down} x {across} (height x width)")
    depth, library = tiff_header.kind(tags)
    turned = tiff_header.orientation(tags)
    height, width = (width, height) if turned > 4 else (height, width)
    return Header(height, width, depth, turned, "TIFF", index, library)
