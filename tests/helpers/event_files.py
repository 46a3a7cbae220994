"""Files of TensorBoard events, made record by record, sound or not."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from analysis.curves.event_records import masked


def framed(*records: bytes) -> bytes:
    """Records with their lengths and checksums."""
    parts = []
    for data in records:
        length = struct.pack("<Q", len(data))
        parts += [length, masked(length), data, masked(data)]
    return b"".join(parts)


def split(content: bytes) -> list[bytes]:
    """The records of a sound file."""
    records, at = [], 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        records.append(content[at + 12 : at + 12 + length])
        at += length + 16
    return records


def event(step: int = 1, time: float = 1.0, **tags: Any) -> bytes:
    """An event with a value for each tag: a number, or what a tensor holds as a dictionary."""
    from tensorboard.compat.proto.event_pb2 import Event

    made = Event(step=step, wall_time=time)
    for tag, value in tags.items():
        added = made.summary.value.add(tag=tag)
        if isinstance(value, dict):
            sizes = value.pop("sizes", ())
            for name, content in value.items():
                if isinstance(content, list):
                    getattr(added.tensor, name).extend(content)
                else:
                    setattr(added.tensor, name, content)
            for size in sizes:
                added.tensor.tensor_shape.dim.add(size=size)
        else:
            added.simple_value = value
    return bytes(made.SerializeToString())


def write(folder: Path, content: bytes, name: str = "0") -> Path:
    """A file of events in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{name}"
    path.write_bytes(content)
    return path
