"""The functions that `torch.save` needs for tensors and plain containers, written anew.

Each takes the place of the function of that name in a file, checks what it is given, and makes
nothing but tensors, numbers, text, mappings and lists.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any

import torch

from mtd.tensor_files.stand_ins import LONGEST, Named, Unread
from mtd.tensor_files.storages import KINDS, Storage, StorageKind

PLAIN_KEYS = (str, bytes, int, float, torch.dtype, Named, type(None))
"""Types of keys that are kept.

Files can choose tuples of numbers and complex numbers of equal hash, which would all be compared
with each other.
"""

SIZED = (str, bytes, bytearray, list, tuple, dict)
"""Types of arguments that a call may copy."""

Make = Callable[..., Any]


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
    """A tensor; `rest` is requires_grad, hooks and the metadata of negated or conjugated views."""
    return _viewed(storage, offset, size, stride, None, rest[2] if len(rest) > 2 else None)


def _tensor_of_type(
    storage: Any, offset: Any, size: Any, stride: Any, _: Any, __: Any, dtype: Any, *rest: Any
) -> Any:
    return _viewed(storage, offset, size, stride, dtype, rest[0] if rest else None)


def _viewed(storage: Any, offset: Any, size: Any, stride: Any, dtype: Any, metadata: Any) -> Any:
    """A view, or what takes the place of one whose storage is not read."""
    if isinstance(storage, Unread):  # in a file within the file, as pickle without PyTorch writes
        return storage
    if not isinstance(storage, Storage):
        raise UnpicklingError("a tensor without a storage")
    made = storage.tensor(offset, size, stride, dtype)
    flags = metadata if isinstance(metadata, Mapping) else {}
    # views as these are: of an older file, the numbers are not there yet
    if flags.get("conj") is True:
        made = made.conj()
    return torch._neg_view(made) if flags.get("neg") is True else made


def _first(data: Any, *_: Any) -> Any:
    """The tensor of a parameter, or of one on another device."""
    return data


def _mapping(pairs: Any = (), *_: Any) -> Any:
    if isinstance(pairs, Mapping):
        return dict(pairs)
    made: OrderedDict[Any, Any] = OrderedDict()
    for pair in pairs if isinstance(pairs, list | tuple) else ():
        if isinstance(pair, list | tuple) and len(pair) == 2:
            made[key_of(pair[0])] = pair[1]
    return made


def _default_mapping(*_: Any) -> dict[Any, Any]:
    """A mapping whose items follow, without the function that would make others."""
    return {}


def _list(values: Any = (), *_: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else []


def _bytes(text: Any = b"", *_: Any) -> bytes:
    """Bytes, which protocols 0 to 2 hold as text of Latin-1."""
    if isinstance(text, bytes | bytearray):
        return bytes(text)
    return text.encode("latin-1") if isinstance(text, str) else b""


def _complex(*parts: Any) -> complex:
    real, imaginary = (*parts, 0.0, 0.0)[:2]
    numbers = isinstance(real, int | float) and isinstance(imaginary, int | float)
    return complex(real, imaginary) if numbers else 0j


def _size(sizes: Any = (), *_: Any) -> tuple[Any, ...]:
    return tuple(sizes) if isinstance(sizes, list | tuple) else ()


def _device(*names: Any) -> str:
    return ":".join(str(name)[:20] for name in names if isinstance(name, str | int))


class Maker:
    """Takes the place of a function that makes tensors or plain data.

    Attributes:
        make: the function that is called instead.
    """

    def __init__(self, make: Make) -> None:
        self.make = make

    def __call__(self, arguments: tuple[Any, ...]) -> Any:
        """What the function makes of arguments."""
        try:
            return self.make(*arguments)
        except TypeError:  # another number of arguments
            raise UnpicklingError("a tensor or container that is not described") from None


MAKERS: dict[str, Make] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.Size": _size,
    "torch.device": _device,
    "torch.serialization._get_layout": _device,
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _default_mapping,
    "builtins.dict": _mapping,
    "builtins.list": _list,
    "builtins.set": _list,
    "builtins.frozenset": _size,
    "builtins.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "builtins.complex": _complex,
    "_codecs.encode": _bytes,
}
"""Functions by the names that `torch.save` gives them."""

KNOWN: dict[str, Any] = {
    **{f"torch.{n}": v for n, v in vars(torch).items() if isinstance(v, torch.dtype)},
    **{f"torch.{name}Storage": StorageKind(dtype) for name, dtype in KINDS.items()},
    **{
        f"torch.storage.{name}Storage": StorageKind(dtype)
        for name, dtype in {**KINDS, "Typed": torch.uint8}.items()
    },
    **{name: Maker(make) for name, make in MAKERS.items()},
}
"""What takes the place of the names of PyTorch and of plain containers."""


@dataclass(eq=False)
class OddKey:
    """Takes the place of a key of a mapping that is no plain value, such as a tensor or a tuple.

    Attributes:
        text: its type, or the first values of a tuple.
    """

    text: str

    def __str__(self) -> str:
        return self.text


def _brief(values: tuple[Any, ...]) -> str:
    """The first numbers and words of a tuple, in brackets."""
    return (
        f"({', '.join(str(one)[:20] for one in values[:4] if isinstance(one, str | int | float))})"
    )


def cost(arguments: tuple[Any, ...]) -> int:
    """Steps that a call takes at most, which may copy each of its arguments."""
    return 1 + len(arguments) + sum(len(one) for one in arguments if isinstance(one, SIZED))


def key_of(key: Any) -> Any:
    """A key of a mapping: plain values as they are, a stand-in as a text, all else as an `OddKey`.

    Raises:
        UnpicklingError: it cannot be one, or is a number beyond 64 bits: files could choose those
            of equal hash.
    """
    if isinstance(key, Unread):  # as a member of an enumeration
        arguments = key.parts[0] if key.parts else ()
        return f"{key.of}{_brief(arguments if isinstance(arguments, tuple) else ())}"
    if isinstance(key, tuple):
        return OddKey(_brief(key))
    is_huge = isinstance(key, int) and not -(2**63) <= key < 2**64
    if is_huge or isinstance(key, list | dict):
        raise UnpicklingError("a key that cannot be one")
    is_long = isinstance(key, bytes) and len(key) > LONGEST
    return key if isinstance(key, PLAIN_KEYS) and not is_long else OddKey(type(key).__name__)
