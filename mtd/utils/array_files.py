"""Named arrays in a safetensors file beside the tables of a run, which may come from anybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mtd.utils.errors import BadInput

DAMAGED = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What reading a file's metadata raises if they are not as they were written."""


class Arrays(dict[str, NDArray[Any]]):
    """Arrays by name; a file without one of them is damaged.

    Args:
        arrays: by name.
        file: its name, for messages.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], file: str) -> None:
        super().__init__(arrays)
        self.file = file

    def __missing__(self, name: str) -> NDArray[Any]:
        raise BadInput(f"{self.file}: damaged, no {name[:100]!r} in it; run the analysis again")


def read(content: bytes, file: str, kind: str, *dimensions: int) -> tuple[Arrays, dict[str, Any]]:
    """The arrays of a file, and its metadata, whose values are JSON.

    Args:
        content: of the file.
        file: its name, for messages.
        kind: the NumPy type of all arrays.
        dimensions: how many an array may have.

    Raises:
        BadInput: no such file, other arrays, or metadata that are not JSON.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = {key: json.loads(text) for key, text in header.get("__metadata__", {}).items()}
    except (SafetensorError, *DAMAGED) as error:
        reason = " ".join(str(error).split())[:100]
        raise BadInput(f"{file}: damaged ({reason}); run the analysis again") from None
    for name, array in arrays.items():
        if array.dtype != kind or array.ndim not in dimensions:
            shape = " x ".join(map(str, array.shape))
            raise BadInput(
                f"{file}: {name[:100]!r} is {array.dtype}, {shape}; expected {kind} of "
                f"{' or '.join(map(str, dimensions))} dimensions"
            )
    return Arrays(arrays, file), about
