"""Records of TensorBoard event files: what is read of a file before it is decoded.

A record is the length of its data (8 bytes), a checksum of the length, the data, a checksum of the
data. TensorBoard's own reader decodes whatever a record holds; here only scalars are.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from analysis.curves.logged import DIGITS
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

SUM = 4
"""Bytes of a checksum."""


@dataclass
class Records:
    """The events of a file, as far as it is sound.

    Attributes:
        path: of the file.
        damaged: whether what follows the last event is damaged; a last record without its end, as
            where a program still writes, is not.
        large: how many records were skipped since they are above `limits.EVENT`.
    """

    path: Path
    damaged: bool = False
    large: int = field(default=0)

    def events(self) -> Iterator[Any]:
        """The events, decoded.

        Raises:
            BadInput: TensorBoard is not installed, the file cannot be read, or a step is too large.
        """
        try:
            decode = import_module("tensorboard.compat.proto.event_pb2").Event.FromString
            error: Any = import_module("google.protobuf.message").DecodeError
        except ImportError:
            raise BadInput(
                f"{self.path}: to read TensorBoard events, pip install tensorboard"
            ) from None
        for data, checksum in self._records():
            try:
                event = decode(data)
            except (error, RecursionError):
                self.damaged = True
                return
            if not (event.HasField("summary") or event.HasField("session_log")):
                continue
            if masked(data) != checksum:
                self.damaged = True
                return
            if abs(event.step) >= 10**DIGITS:
                raise BadInput(f"{self.path}: step {event.step}; expected up to {DIGITS} digits")
            yield event

    def _records(self) -> Iterator[tuple[bytes, bytes]]:
        """The data of each record and its checksum."""
        most = limits.EVENT.value * input_files.MEGABYTE
        with input_files.opened(self.path) as file:
            left = os.fstat(file.fileno()).st_size
            try:
                while len(head := file.read(8 + SUM)) == 8 + SUM:
                    if masked(head[:8]) != head[8:]:
                        self.damaged = True
                        return
                    (length,) = struct.unpack("<Q", head[:8])
                    left -= len(head) + length + SUM
                    if left < 0:
                        return
                    if length > most:
                        self.large += 1
                        file.seek(length + SUM, os.SEEK_CUR)
                        continue
                    data = file.read(length)
                    yield data, file.read(SUM)
            except OSError as error:
                raise input_files.unreadable(self.path, error) from None


def masked(data: bytes) -> bytes:
    """The checksum of some bytes: CRC-32C, rotated and shifted as TensorFlow does."""
    module = import_module("tensorboard.compat.tensorflow_stub.pywrap_tensorflow")
    return struct.pack("<I", module.masked_crc32c(data))


def scalar(value: Any) -> float | None:
    """The real number in a value of a summary; None for anything else, which is not decoded."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    tensor = value.tensor
    if kind != "tensor" or tensor.tensor_shape.dim or tensor.tensor_shape.unknown_rank:
        return None
    if len(tensor.tensor_content) > WIDEST or tensor.dtype not in _numbers():
        return None
    try:
        return float(import_module("tensorboard.util.tensor_util").make_ndarray(tensor))
    except (ValueError, TypeError, IndexError, OverflowError):
        return math.nan


WIDEST = 16
"""Bytes of the widest number."""


def _numbers() -> set[int]:
    types = import_module("tensorboard.compat.proto.types_pb2")
    whole = [f"DT_{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
    return {types.DataType.Value(name) for name in (*whole, "DT_HALF", "DT_FLOAT", "DT_DOUBLE")}
