"""An unpickler that makes tensors, numbers, text and plain containers, and nothing else.

Python's own pickle machine, with every instruction replaced that imports, calls or changes what a
pickle names: a name becomes a `Named`, which is not looked up; a call of one becomes an `Unread`,
which holds the arguments; a state, items and values are stored in that. The few functions that
`torch.save` needs for tensors are those of `tensor_makers`. Protocols 0 to 5 are read.
"""

from __future__ import annotations

import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from io import BytesIO
from pickle import UnpicklingError
from typing import Any, ClassVar

import torch

from mtd.tensor_files.budget import Budget
from mtd.tensor_files.stand_ins import PLAIN, Named, Unread
from mtd.tensor_files.storages import QUANTIZED, Storage
from mtd.tensor_files.tensor_makers import KNOWN, Maker, cost, key_of

RECONSTRUCTORS = ("copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__")
"""Functions that make an object of the class that is their first argument."""

SUBCLASSES = (
    "torch._tensor._rebuild_from_type",
    "torch._tensor._rebuild_from_type_v2",
    "torch.tensor._rebuild_from_type",
)
"""Functions that make a tensor of a subclass, by another function."""

QUANTIZING = Named("torch._utils", "_rebuild_qtensor")
"""What makes quantized tensors, which older files also make as dense ones of a quantized type."""

LONGEST_NAME, LAST_PLACE = 1000, 2**32
"""Characters of a name of a function, and places of the memo; files have far fewer."""


class TensorUnpickler(pickle._Unpickler):
    """Reads one pickle; see the module."""

    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    readline: Callable[[], bytes]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    memo: dict[int, Any]

    def __init__(
        self, stream: BytesIO, budget: Budget, storages: Callable[[Any], Any] | None = None
    ) -> None:
        super().__init__(stream, encoding="utf-8", errors="surrogateescape")
        self._budget, self._storages = budget, storages
        self._named: dict[Named, int] = {}

    @property
    def left_out(self) -> dict[Named, int]:
        """What was named beside tensors and plain data, and the number of objects of it."""

        def is_plain(one: Named) -> bool:
            built_in = one.module == "builtins" and PLAIN.fullmatch(one.name) is not None
            return built_in or str(one) in (*RECONSTRUCTORS, *SUBCLASSES)

        return {one: max(n, 1) for one, n in self._named.items() if not is_plain(one)}

    def find_class(self, module: str, name: str) -> Any:
        """What takes the place of a name, which is not imported."""
        if len(module) + len(name) > LONGEST_NAME:
            raise UnpicklingError("a name longer than any")
        if (module, name) in NAME_MAPPING:  # of Python 2
            module, name = NAME_MAPPING[module, name]
        named = Named(IMPORT_MAPPING.get(module, module), name)
        known = KNOWN.get(f"{named.module}.{named.name}")
        if known is None:
            self._named.setdefault(named, 0)
        return named if known is None else known

    def get_extension(self, code: int) -> None:
        """A name by its number in Python's registry, which is not consulted."""
        self.append(self.find_class("copyreg extension", str(code)))

    def persistent_load(self, pid: Any) -> Any:
        """The storage that a persistent id describes."""
        if self._storages is None:
            raise UnpicklingError("a storage where there can be none")
        return self._storages(pid)

    def made(self, function: Any, arguments: Any) -> Any:
        """What takes the place of the result of a call."""
        given = arguments if isinstance(arguments, tuple) else (arguments,)
        if isinstance(function, Maker):
            self._budget.spend(cost(given))
            return self.made(QUANTIZING, given) if _is_quantized(given) else function(given)
        if isinstance(function, Named) and str(function) in SUBCLASSES:
            return self._of_subclass(given)
        if isinstance(function, Named) and str(function) in RECONSTRUCTORS and given:
            self._budget.spend(cost(given))
            cls, *rest = given
            made = self.made(cls, tuple(rest))
            if isinstance(made, Unread) and len(rest) == 2:  # a class, its base and what that holds
                made.items.update(rest[1] if isinstance(rest[1], dict) else {})
                made.values.extend(rest[1] if isinstance(rest[1], list) else [])
            return made
        named = function.of if isinstance(function, Unread) else function
        if not isinstance(named, Named):
            raise UnpicklingError(f"a call of a {type(function).__name__}")
        self._named[named] = self._named.get(named, 0) + 1
        return Unread(named, [given], budget=self._budget)

    def _of_subclass(self, given: tuple[Any, ...]) -> Any:
        """A tensor of a subclass, as a plain one; its other attributes are not kept."""
        function, _, arguments = (*given, None, None, None)[:3]
        if not isinstance(function, Maker) or not isinstance(arguments, tuple):
            raise UnpicklingError("a tensor of a subclass that is not described")
        return self.made(function, arguments)

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.append(self.made(function, arguments))

    def _newobj_ex(self) -> None:
        named, arguments, cls = self.stack.pop(), self.stack.pop(), self.stack.pop()
        made = self.made(cls, arguments)
        if isinstance(made, Unread):
            made.parts.append(named)
        self.append(made)

    def _inst(self) -> None:
        module, name = (self.readline()[:-1].decode("utf-8", "replace") for _ in range(2))
        arguments = tuple(self.pop_mark())
        self.append(self.made(self.find_class(module, name), arguments))

    def _obj(self) -> None:
        function, *arguments = self.pop_mark()
        self.append(self.made(function, tuple(arguments)))

    def _build(self) -> None:
        """A state, which only stand-ins keep: of tensors and containers it holds no weights."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], Unread):
            self.stack[-1].parts.append(state)

    def _extend(self, values: list[Any]) -> None:
        to = self.stack[-1]
        if isinstance(to, Unread):
            to.values.extend(values)
        elif isinstance(to, list):
            to.extend(values)
        else:
            raise UnpicklingError(f"values in a {type(to).__name__}")

    def _update(self, values: list[Any]) -> None:
        to = self.stack[-1].items if isinstance(self.stack[-1], Unread) else self.stack[-1]
        if not isinstance(to, dict) or len(values) % 2:
            raise UnpicklingError(f"items in a {type(to).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            to[key_of(key)] = value

    def _appends(self) -> None:
        self._extend(self.pop_mark())

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _setitems(self) -> None:
        self._update(self.pop_mark())

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def _dict(self) -> None:
        values = self.pop_mark()
        self.append({})
        self._update(values)

    def _empty_list(self) -> None:
        self.append([])

    def _frozenset(self) -> None:
        values = tuple(self.pop_mark())
        self.append(values)

    def _bytearray8(self) -> None:
        length = int.from_bytes(self.read(8), "little")
        self.append(self.read(length))

    def _put(self) -> None:
        place = int(self.readline()[:-1])
        if not 0 <= place < LAST_PLACE:
            raise UnpicklingError("a place that no memo has")
        self.memo[place] = self.stack[-1]

    def _nothing(self) -> None:
        """A buffer becomes read-only, which changes nothing here."""


def _is_quantized(arguments: tuple[Any, ...]) -> bool:
    """Whether a tensor of quantized numbers is to be made."""
    kinds = [one.dtype if isinstance(one, Storage) else one for one in arguments]
    return any(isinstance(one, torch.dtype) and one in QUANTIZED for one in kinds)


TensorUnpickler.dispatch.update(
    {
        code[0]: instruction
        for code, instruction in (
            (pickle.REDUCE, TensorUnpickler._reduce),
            (pickle.NEWOBJ, TensorUnpickler._reduce),
            (pickle.NEWOBJ_EX, TensorUnpickler._newobj_ex),
            (pickle.INST, TensorUnpickler._inst),
            (pickle.PUT, TensorUnpickler._put),
            (pickle.OBJ, TensorUnpickler._obj),
            (pickle.BUILD, TensorUnpickler._build),
            (pickle.APPEND, TensorUnpickler._append),
            (pickle.APPENDS, TensorUnpickler._appends),
            (pickle.ADDITEMS, TensorUnpickler._appends),
            (pickle.SETITEM, TensorUnpickler._setitem),
            (pickle.SETITEMS, TensorUnpickler._setitems),
            (pickle.DICT, TensorUnpickler._dict),
            (pickle.EMPTY_SET, TensorUnpickler._empty_list),
            (pickle.FROZENSET, TensorUnpickler._frozenset),
            (pickle.BYTEARRAY8, TensorUnpickler._bytearray8),
            (pickle.READONLY_BUFFER, TensorUnpickler._nothing),
        )
    }
)
