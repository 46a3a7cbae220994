"""Image files: reading PNG, JPEG, TIFF and WebP, writing PNG and TIFF.

`read_rgb` returns photographs as 8-bit RGB, by Pillow. `read_image` keeps bit depth, transparency
and ICC profile, by libvips: Pillow and scikit-image silently reduce 16-bit color PNG to 8 bits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mtd.utils import atomic_write
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pyvips

AnyPixels = NDArray[np.uint8] | NDArray[np.uint16]

Pixels = NDArray[np.uint8]
"""A photograph, (H, W, 3)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
"""Image files that are read."""

WRITABLE = (".png", ".tif", ".tiff")
"""Lossless formats of 8 and 16 bits."""

LOADERS = ("pngload", "tiffload", "jpegload", "webpload")
SPACES = ("b-w", "grey16", "srgb", "rgb16", "rgb", "multiband")
ICC = "icc-profile-data"
DEPTHS = {"uchar": 8, "ushort": 16}


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
        return hashlib.sha256(repr(values.shape).encode() + little.tobytes()).hexdigest()

    def with_colors(self, colors: AnyPixels) -> ImageFile:
        """The same image with other colors (H, W, 1 or 3); alpha and profile stay."""
        alpha = self.pixels[..., self.colors.shape[2] :]
        return replace(self, pixels=np.concatenate([colors, alpha], axis=2))


@dataclass(frozen=True)
class Header:
    """Size and kind of an image file, upright as `read_image` returns it.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 1 to 4; see `ImageFile`.
        depth: bits per channel, 8 or 16.
    """

    height: int
    width: int
    channels: int
    depth: int


def header(path: str | Path) -> Header:
    """Size and kind of an image file, without decoding its pixels.

    Raises:
        BadInput: as `read_image`, except for damaged pixels.
    """
    image = _open(Path(path))
    height, width = image.height, image.width
    if _orientation(image) >= 5:
        height, width = width, height
    return Header(height, width, image.bands, DEPTHS[image.format])


def read_image(path: str | Path) -> ImageFile:
    """Read PNG, TIFF, JPEG or WebP in 8 or 16 bits.

    Palettes become RGB (or gray, if all their colors are), 1, 2 and 4 bits become 8. A recorded
    orientation (EXIF, TIFF) is applied, so that a written copy needs no such tag, which many
    programs ignore in PNG. Other metadata is dropped.

    Raises:
        BadInput: a missing or damaged file, another format, CMYK or Lab, another depth, or several
            pages.
    """
    import pyvips

    path = Path(path)
    image = _open(path)
    icc = bytes(image.get(ICC)) if image.get_typeof(ICC) else None
    try:
        upright = image.autorot() if _orientation(image) > 1 else image
        pixels = np.array(upright.numpy())  # a copy, independent of libvips
    except pyvips.Error as error:
        raise BadInput(f"{path}: damaged image ({_reason(error)})") from None
    return ImageFile(pixels.reshape(*pixels.shape[:2], -1), icc)


def _orientation(image: pyvips.Image) -> int:
    return int(image.get("orientation")) if image.get_typeof("orientation") else 1


def _reason(error: pyvips.Error) -> str:
    """The informative line of a libvips message: the first after that of the binding."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0])[:120]


def _open(path: Path) -> pyvips.Image:
    """An image whose header can be used; pixels are read later."""
    import pyvips

    if not path.exists():
        raise BadInput(f"{path}: no such file")
    if path.is_dir():
        raise BadInput(f"{path} is a folder: expected an image file")
    try:
        with path.open("rb"):
            pass
        # Without `revalidate` libvips may answer from its cache for a file that has changed.
        image: Any = pyvips.Image.new_from_file(str(path), fail_on="error", revalidate=True)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    except pyvips.Error as error:
        raise BadInput(f"{path}: not an image that can be read ({_reason(error)})") from None
    if not str(image.get("vips-loader")).startswith(LOADERS):
        raise BadInput(f"{path}: expected an image in one of {', '.join(SUFFIXES)}")
    pages = int(image.get("n-pages")) if image.get_typeof("n-pages") else 1
    if pages > 1:
        raise BadInput(f"{path}: {pages} pages; split it into one image per file first")
    if image.interpretation not in SPACES or image.bands > 4:
        kind = str(image.interpretation).upper()
        raise BadInput(f"{path}: {kind} with {image.bands} channels; convert it to RGB first")
    if image.format not in DEPTHS:
        raise BadInput(f"{path}: {image.format} pixels; convert it to 8 or 16 bits first")
    return image


def encode(image: ImageFile, suffix: str) -> bytes:
    """The bytes of a `.png`, `.tif` or `.tiff` file, lossless.

    A profile that does not fit the channels (RGB for a grayscale image) is dropped.

    Raises:
        BadInput: another suffix; lossy formats would add artifacts to a denoised image.
    """
    import pyvips

    if suffix.lower() not in WRITABLE:
        raise BadInput(f"images are written lossless, as {', '.join(WRITABLE)}; not {suffix!r}")
    kinds = ("b-w", "srgb") if image.depth == 8 else ("grey16", "rgb16")
    encoded: Any = pyvips.Image.new_from_array(np.ascontiguousarray(image.pixels))
    encoded = encoded.copy(interpretation=kinds[image.colors.shape[2] == 3])
    if image.icc is not None:
        encoded.set_type(pyvips.GValue.blob_type, ICC, image.icc)
    options = {} if suffix.lower() == ".png" else {"compression": "deflate", "predictor": 2}
    content: bytes = encoded.write_to_buffer(suffix.lower(), **options)
    return content


def write(path: str | Path, image: ImageFile) -> None:
    """Write an image in one atomic step, in the format of its suffix; see `encode`.

    Raises:
        BadInput: the format is not lossless, or the path cannot be written.
    """
    atomic_write.write(path, encode(image, Path(path).suffix))


def find(folder: str | Path) -> list[Path]:
    """The image files of a folder, without subfolders, sorted by name.

    Raises:
        BadInput: no such folder, a file, or a folder without images.
    """
    folder = Path(folder)
    if folder.is_file():
        raise BadInput(f"{folder} is a file: expected a folder of images")
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise BadInput(f"{folder}: no image in it; expected files ending in {', '.join(SUFFIXES)}")
    return files


def read_rgb(path: str | Path) -> Pixels:
    """An image file as 8-bit RGB (H, W, 3); gray is repeated, transparency dropped.

    Raises:
        BadInput: a missing or damaged file, or no image of 8 or 16 bits.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I;16"):
                gray = (np.asarray(image, dtype=np.float64) / 257).round().astype(np.uint8)
                return np.repeat(gray[..., None], 3, axis=2)
            if any(";16" in str(tile[3]) for tile in image.tile if len(tile) > 3):
                return _deep(path)
            if image.mode in ("I", "F"):
                raise BadInput(f"{path}: {image.mode} pixels; convert it to 8 or 16 bits first")
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise BadInput(f"{path}: not an image that can be read") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path}: damaged image ({error})") from None


def _deep(path: str | Path) -> Pixels:
    """A 16-bit color image, rounded to 8 bits; Pillow would truncate it."""
    pixels = read_image(path).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels / 257).round().astype(np.uint8)
    colors = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, axis=2)
    return np.ascontiguousarray(colors, dtype=np.uint8)
