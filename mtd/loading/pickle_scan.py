"""The classes and functions that a checkpoint's pickles name, found without loading anything.

A file since PyTorch 1.6 is a zip archive with one pickle; an older one has several in a row (magic
number, protocol, system, object, storage keys), then the bytes of the tensors.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal

OLD_FORMAT = 5
"""Number of pickles in a row before the bytes of the tensors."""

ADMITTED = re.compile(
    r"torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.\w*Storage"
    r"|torch\.storage\.\w+|torch\.(Tensor|Size|device|nn\.parameter\.Parameter|b?float\w+|u?int\w+)"
    r"|torch\.(bool|half|double|complex\w+|q\w+|serialization\._get_layout)"
    r"|collections\.(OrderedDict|Counter)|_codecs\.encode|builtins\.(set|bytearray|complex)"
)
"""What PyTorch's `weights_only` reader admits by itself."""

HARMLESS = re.compile(
    r"object|list|dict|tuple|set|frozenset|int|float|bool|str|bytes|bytearray|complex|slice|range"
    r"|getattr|type|\w+(Error|Exception)"
)
"""Built-in names of plain data; members of enumerations are stored as a call of `getattr`."""

RUNNING = re.compile(
    r"(os|posix|nt|sys|subprocess|shutil|socket|importlib|runpy|pty|ctypes|code|webbrowser|pip"
    r"|multiprocessing|asyncio)(\..*)?"
)
"""Modules whose functions act on the machine: a file that names one is refused, to warn its user.

The list need not be complete, since nothing that a file names is ever imported or called.
"""

Use = Literal["object", "mapping", "list"]


@dataclass(frozen=True)
class Named:
    """A class or function that a pickle names.

    Attributes:
        module: where unpickling would import it from.
        name: in the module, with dots if nested.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def admitted(self) -> bool:
        """Whether PyTorch's `weights_only` reader admits it by itself."""
        return ADMITTED.fullmatch(str(self)) is not None

    @property
    def runs(self) -> bool:
        """Whether it acts on the machine, or is a built-in function such as `eval`."""
        if self.module == "builtins":
            return HARMLESS.fullmatch(self.name) is None
        return RUNNING.fullmatch(self.module) is not None


def named_in(path: Path) -> dict[Named, Use]:
    """What a file's pickles name beyond what PyTorch admits, and what is made of it, in order.

    Of a damaged file, what precedes the damage.
    """
    found: dict[Named, Use] = {}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for entry in archive.namelist():
                    if entry.endswith("data.pkl"):
                        _Machine(found).run(BytesIO(archive.read(entry)))
        else:
            with path.open("rb") as file:
                for _ in range(OLD_FORMAT):
                    _Machine(found).run(file)
    except Exception:  # a damaged pickle can fail in any way
        pass
    return {named: use for named, use in found.items() if not named.admitted}


def protocol(path: Path) -> int:
    """The pickle protocol of a file's contents; 0 where there are none."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = [name for name in archive.namelist() if name.endswith("data.pkl")]
                start = archive.read(entries[0])[:2] if entries else b""
        else:
            with path.open("rb") as file:
                start = file.read(2)
    except (OSError, zipfile.BadZipFile):
        return 0
    return start[1] if len(start) == 2 and start[:1] == pickle.PROTO and start[1] < 6 else 0


@dataclass
class _Machine:
    """A pickle machine that follows which object is made by what, and makes none."""

    found: dict[Named, Use]
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, stream: IO[bytes]) -> None:
        """Follow one pickle to its end."""
        for code, argument, _ in pickletools.genops(stream):
            special: Callable[[Any], None] | None = getattr(self, f"_{code.name.lower()}", None)
            if special is not None:
                special(argument)
            else:
                self._plain(code, argument)

    def _plain(self, code: pickletools.OpcodeInfo, argument: Any) -> None:
        before = code.stack_before
        if pickletools.markobject in before:
            self._to_mark()
            before = before[: before.index(pickletools.markobject)]
        del self.stack[len(self.stack) - len(before) :]
        made = argument if isinstance(argument, str) else None
        is_mark = code.name == "MARK"
        self.stack += [pickletools.markobject if is_mark else made] * len(code.stack_after)

    def _to_mark(self) -> list[Any]:
        at = len(self.stack) - 1 - self.stack[::-1].index(pickletools.markobject)
        above = self.stack[at + 1 :]
        del self.stack[at:]
        return above

    def _name(self, module: str, name: str) -> Named:
        if (module, name) in NAME_MAPPING:  # of Python 2
            module, name = NAME_MAPPING[module, name]
        named = Named(IMPORT_MAPPING.get(module, module), name)
        self.found.setdefault(named, "object")
        return named

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self._name(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self._name(str(module), str(name)))

    def _inst(self, argument: str) -> None:
        self._to_mark()
        self._global(argument)

    def _obj(self, _: Any) -> None:
        self.stack.append(self._to_mark()[0])

    def _reduce(self, _: Any) -> None:
        self.stack.pop()  # the object is what made it

    _newobj = _build = _reduce

    def _newobj_ex(self, _: Any) -> None:
        del self.stack[-2:]

    def _put(self, argument: int) -> None:
        self.memo[argument] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, argument: int) -> None:
        self.stack.append(self.memo[argument])

    _binget = _long_binget = _get

    def _filled(self, use: Use) -> None:
        if self.stack and isinstance(self.stack[-1], Named):
            self.found[self.stack[-1]] = use

    def _setitem(self, _: Any) -> None:
        del self.stack[-2:]
        self._filled("mapping")

    def _setitems(self, _: Any) -> None:
        self._to_mark()
        self._filled("mapping")

    def _append(self, _: Any) -> None:
        self.stack.pop()
        self._filled("list")

    def _appends(self, _: Any) -> None:
        self._to_mark()
        self._filled("list")
