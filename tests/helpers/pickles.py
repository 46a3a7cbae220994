"""Files with crafted pickles, and a watch on what reading them runs."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import io
import pathlib
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

WATCHED = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "shutil.")
"""Beginnings of the names of audit events that reading a file never raises."""

EVENTS: list[str] | None = None
"""Those that were raised while a file was read; None while none is."""


def _record(event: str, arguments: Any) -> None:
    if EVENTS is not None and event.startswith((*WATCHED, "pickle.find_class")):
        EVENTS.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_record)


class Quiet:
    """Runs a block, after which nothing may have been imported or run."""

    def __enter__(self) -> None:
        global EVENTS
        self.modules = set(sys.modules)
        EVENTS = []

    def __exit__(self, *error: Any) -> None:
        global EVENTS
        events, EVENTS = EVENTS, None
        assert events == [] and set(sys.modules) == self.modules


WEIGHTS = {"model.0.weight": torch.arange(12.0).view(3, 4)}


def parts_of(content: Any, **how: Any) -> dict[str, bytes]:
    """The members of an archive that `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def beside(instructions: bytes, path: Path) -> Path:
    """A file with a list of what some instructions of a pickle make, and weights."""
    members = parts_of(WEIGHTS)
    whole = members["archive/data.pkl"]
    assert whole[:2] == b"\x80\x02" and whole[-1:] == b"."
    members["archive/data.pkl"] = b"\x80\x04]" + instructions + b"a" + whole[2:-1] + b"a."
    return zipped(path, members)


def text(value: object) -> bytes:
    """The instruction that pushes a text."""
    content = str(value).encode()
    return b"X" + struct.pack("<I", len(content)) + content


def tensor(changes: dict[str, Any]) -> bytes:
    """A pickle's tensor of 12 numbers in the storage of `WEIGHTS`, with changes."""
    one = {"kind": b"ctorch\nFloatStorage\n", "key": "0", "count": 12, "offset": 0}
    one |= {"size": (3, 4), "stride": (4, 1)} | changes

    def number(value: Any) -> bytes:
        return f"I{value}\n".encode() if isinstance(value, int) else text(value)

    def numbers(values: Any) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    pid = b"(" + text("storage") + one["kind"] + text(one["key"]) + text("cpu")
    pid += number(one["count"]) + b"tQ"
    arguments = pid + number(one["offset"]) + numbers(one["size"]) + numbers(one["stride"])
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89NtR"


class Phase(enum.Enum):
    """A value of a trainer's own class."""

    FIT = "fit"
    TEST = "test"


class Settings(dict):  # type: ignore[type-arg]
    """A mapping of a trainer's own class."""


class Values(list):  # type: ignore[type-arg]
    """A list of a trainer's own class."""


class Config:
    """An object of a trainer's own class, with a method that would set its state."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("called")


OBJECTS: dict[str, Any] = {
    "namespace": argparse.Namespace(lr=1e-3, bias=False),
    "enum": Phase.FIT,
    "path": pathlib.PurePosixPath("/x/y"),
    "scalar": np.float32(3),
    "array": np.arange(3),
    "date": datetime.date(2020, 1, 2),
    "settings": Settings(a=1, b=Settings(c=2)),
    "values": Values([1, 2]),
    "config": Config({"model": Config([1, 2])}),
    "default": collections.defaultdict(list, {"a": [1]}),
    "counter": collections.Counter("aab"),
    "set": {1, 2},
    "frozen": {frozenset({1}): 2},
    "keys": {Phase.FIT: 1, Phase.TEST: 2, (1, "a"): 3, None: 4},
    "tensor keys": {torch.ones(3): 1, (torch.ones(3),): 2},
    "complex": 1 + 2j,
    "bytes": b"\x00\xff",
    "array of bytes": bytearray(b"ab"),
    "device": torch.device("cuda:0"),
    "size": torch.Size([1, 2]),
    "type": torch.float16,
    "function": print,
    "class": dict,
    "optimizer": torch.optim.Adam(nn.Linear(2, 2).parameters()),
    "schedule": torch.optim.lr_scheduler.StepLR(torch.optim.SGD(nn.Linear(2, 2).parameters()), 3),
}
