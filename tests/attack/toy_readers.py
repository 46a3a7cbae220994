"""Readers with one planted defect of each kind, by which the attack itself is tested."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtd.utils.errors import BadInput
from tests.attack.mutations import bit_flips
from tests.attack.reader import Reader, one_file

SOUND = b"sound"

OPEN: list[Any] = []


def _damaged(path: Path, plant: Callable[[Path], Any]) -> str:
    content = path.read_bytes()
    if content == SOUND:
        return "accepted"
    if content[0] == SOUND[0]:  # the defect is one of some inputs only
        raise BadInput(f"{path}: damaged; expected 'sound'")
    return str(plant(path))


def _traceback(path: Path) -> Any:
    raise KeyError("x")


def _message(path: Path) -> Any:
    raise BadInput(f"{path}: damaged\nin two lines")


def _printed(path: Path) -> Any:
    print("Warning: damaged", file=sys.stderr)
    raise BadInput("damaged")


def _time(path: Path) -> Any:
    while True:
        pass


def _waiting(path: Path) -> Any:
    os.mkfifo(path.parent / "fifo")
    return (path.parent / "fifo").read_bytes()


def _memory(path: Path) -> Any:
    return len(b"x" * 2**27)


def _refused_too_late(path: Path) -> Any:
    try:
        return bytearray(2**50)
    except Exception as error:
        raise BadInput(f"damaged ({type(error).__name__})") from None


def _disk(path: Path) -> Any:
    with path.with_suffix(".big").open("wb") as file:
        return [file.write(bytes(2**20)) for _ in range(20)]


def _crash(path: Path) -> Any:
    return ctypes.string_at(0)


def _code(path: Path) -> Any:
    exec(compile("x = 1", str(path), "exec"))


def _started(path: Path) -> Any:
    return os.system("true")


def _read_outside(path: Path) -> Any:
    return (Path(tempfile.gettempdir()).parent / "private").read_bytes()


def _written_outside(path: Path) -> Any:
    return (path.parents[2] / "outside").write_text("x")


def _left_open(path: Path) -> Any:
    OPEN.append(path.open("rb"))
    raise BadInput("damaged")


def _broken_seed(path: Path) -> Any:
    raise BadInput("no file is ever right")


PLANTED: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "traceback": ("traceback", _traceback),
    "two lines": ("message", _message),
    "printed": ("printed", _printed),
    "endless": ("time", _time),
    "waiting": ("time", _waiting),
    "memory": ("memory", _memory),
    "refused too late": ("memory", _refused_too_late),
    "disk": ("disk", _disk),
    "crash": ("crash", _crash),
    "code": ("code", _code),
    "started": ("code", _started),
    "read outside": ("outside", _read_outside),
    "written outside": ("outside", _written_outside),
    "left open": ("left open", _left_open),
}
"""The kind of defect that is planted, by the name of the reader."""


def _planted(name: str, plant: Callable[[Path], Any]) -> Reader:
    return one_file(name, "x", lambda: [SOUND], lambda path: _damaged(path, plant), [bit_flips])


READERS = [
    *(_planted(name, plant) for name, (_, plant) in PLANTED.items()),
    _planted("without defect", lambda path: None),
    one_file("broken seed", "x", lambda: [SOUND], _broken_seed, [bit_flips]),
]
