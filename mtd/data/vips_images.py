"""Images of 16 bits, and other kinds that Pillow reads wrongly, by libvips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtd.utils import input_files, library_messages
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pyvips

ICC = "icc-profile-data"

LOSSLESS = {"compression": "deflate", "predictor": 2}
"""Options of TIFF."""


def pixels(
    path: Path, page: int | None
) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], bytes | None]:
    """(H, W, C) as stored, 8 or 16 bits, and the color profile, if any; the array may be read-only.

    Args:
        path: of the file.
        page: index of its directory, for TIFF.

    Raises:
        BadInput: it cannot be decoded.
    """
    import pyvips

    options = {} if page is None else {"page": page}
    try:
        # by a source: in a file's name, libvips would take [...] for options; and by a descriptor,
        # since names need not be UTF-8
        with input_files.opened(path) as file, library_messages.dropped():
            source = pyvips.Source.new_from_descriptor(file.fileno())
            image: Any = pyvips.Image.new_from_source(source, "", fail_on="error", **options)
            stored = np.asarray(image.numpy())
    except pyvips.Error as error:
        raise BadInput(f"damaged image ({_reason(error)})") from None
    profile = bytes(image.get(ICC)) if image.get_typeof(ICC) else None
    return stored.reshape(*stored.shape[:2], -1), profile


def _reason(error: pyvips.Error) -> str:
    """The informative line of a libvips message: the first after that of the binding."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0])[:120]


def encode(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], profile: bytes | None, suffix: str
) -> bytes:
    """The bytes of a lossless `.png`, `.tif` or `.tiff` file.

    Args:
        pixels: (H, W, 1 to 4), 8 or 16 bits.
        profile: color profile.
        suffix: of the format.
    """
    import pyvips

    kinds = ("b-w", "srgb") if pixels.dtype == np.uint8 else ("grey16", "rgb16")
    encoded: Any = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    encoded = encoded.copy(interpretation=kinds[pixels.shape[2] > 2])
    if profile is not None:
        encoded.set_type(pyvips.GValue.blob_type, ICC, profile)
    content: bytes = encoded.write_to_buffer(suffix, **({} if suffix == ".png" else LOSSLESS))
    return content
