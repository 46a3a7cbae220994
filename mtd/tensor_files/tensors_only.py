"""Files of safetensors: their header is checked before a tensor is made of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from torch import Tensor

from mtd.tensor_files.storages import DIMENSIONS, LARGEST
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

LENGTH = struct.Struct("<Q")
"""The length of the header, before it."""

ABOUT = "__metadata__"
"""The entry of the header that is no tensor but texts by name."""


def read(content: bytes, path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors in a file, and the texts beside them.

    Args:
        content: the bytes of the file.
        path: of the file, for messages.

    Raises:
        BadInput: a damaged file, or one with more tensors than the limit.
    """
    from safetensors.torch import load

    header = _header(content, path)
    texts: dict[str, str] = header.pop(ABOUT, {})
    limits.TENSORS.check(len(header), f"{path}")
    for name, entry in header.items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not _is_shape(shape):
            raise BadInput(f"{path}: damaged; {name[:80]!r} has no shape of whole numbers")
    try:
        return load(content), texts
    except Exception as error:  # of safetensors, which is written in Rust, and of PyTorch
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"{path}: damaged or not a safetensors file ({reason})") from None


def _is_shape(shape: object) -> bool:
    """Whether a shape is one of a tensor that PyTorch can describe, even if it has no numbers."""
    if not isinstance(shape, list) or len(shape) > DIMENSIONS:
        return False
    if not all(type(size) is int and size >= 0 for size in shape):
        return False
    numbers = 1
    for size in shape:
        numbers *= max(size, 1)
        if numbers > LARGEST:
            return False
    return True


def _header(content: bytes, path: Path) -> dict[str, Any]:
    """The header of a file.

    Raises:
        BadInput: it is not there, is no JSON object, or is larger than the limit.
    """
    if len(content) < LENGTH.size:
        raise BadInput(f"{path}: damaged or not a safetensors file (it has no header)")
    (length,) = LENGTH.unpack_from(content)
    if length > len(content) - LENGTH.size:
        raise BadInput(f"{path}: damaged or not a safetensors file (its header is not whole)")
    limits.JSON.check(length / input_files.MEGABYTE, f"{path}: its header")
    try:
        text = content[LENGTH.size : LENGTH.size + length].decode()
    except UnicodeDecodeError:
        raise BadInput(f"{path}: damaged or not a safetensors file (its header)") from None
    header: dict[str, Any] = input_files.parsed_json(text, f"{path}: its header")
    texts = header.get(ABOUT, {}) if isinstance(header, dict) else None
    if not isinstance(texts, dict) or not all(isinstance(one, str) for one in texts.values()):
        raise BadInput(f"{path}: damaged or not a safetensors file (its header is no table)")
    return header
