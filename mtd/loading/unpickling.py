"""Reading a pickled checkpoint whose trainer stored objects of its own classes beside the weights.

PyTorch's `weights_only` reader refuses every class that it does not know. Here each of them is
replaced by an inert class of this file, so that nothing that the checkpoint names is imported or
called; what such an object held is lost, unless it is a mapping or a list, which become plain ones.
It is counted whether weights were among it.
"""

from __future__ import annotations

import math
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtd.loading import pickle_scan
from mtd.loading.pickle_scan import Named, Use
from mtd.loading.tensor_names import MANY
from mtd.utils.errors import BadInput

KERNEL = 4
"""Dimensions of a convolution's weights, which arrays of results mostly have not."""


class Unread:
    """Takes the place of an object, and keeps nothing of it but the number of its weights."""

    __slots__ = ("count", "shape")
    count: int
    shape: tuple[int, ...] | None
    """Of an array of NumPy."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        made = object.__new__(cls)
        made.count, made.shape = weights_in((arguments, named)), None
        return made

    def __setstate__(self, state: Any) -> None:
        """Count the weights among the object's attributes, and ignore these."""
        self.count += weights_in(state)
        is_array = type(self).__name__ == "_reconstruct" and isinstance(state, tuple)
        if is_array and len(state) > 2 and isinstance(state[1], tuple):
            self.shape = tuple(size for size in state[1] if isinstance(size, int))

    @property
    def kind(self) -> str:
        """What it takes the place of."""
        if self.shape is not None:
            return "an array of NumPy"
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def held_weights(self, name: str) -> bool:
        """Whether weights were in it, or it was an array that was one by its name or shape."""
        if self.shape is None:
            return self.count > 0
        return len(self.shape) >= KERNEL or math.prod(self.shape) > MANY or name.endswith("weight")


class _Mapping:
    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


class _List:
    def __new__(cls, *_: Any, **__: Any) -> Any:
        return []


def weights_in(content: Any, seen: set[int] | None = None) -> int:
    """Number of weights, tensors of two or more dimensions, in the state of an object."""
    seen = set() if seen is None else seen
    if isinstance(content, Tensor):
        return int(content.ndim > 1)
    if isinstance(content, Unread):
        return int(content.held_weights(""))
    if not isinstance(content, Mapping | list | tuple) or id(content) in seen:
        return 0
    seen.add(id(content))
    values = content.values() if isinstance(content, Mapping) else content
    return sum(weights_in(value, seen) for value in values)


BASES: Mapping[Use, type] = {"object": Unread, "mapping": _Mapping, "list": _List}


def contents(path: Path) -> tuple[Any, list[str]]:
    """The contents of a pickled file, and the classes whose objects were not read.

    Raises:
        BadInput: a damaged file, or one that holds code.
    """
    try:
        return load(path), []
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:120]
        readable = isinstance(error, RuntimeError | OSError)
    if is_torchscript(path):
        raise BadInput(f"{path}: {refusal('TorchScript')}")
    named = pickle_scan.named_in(path)
    running = next((one for one in named if one.runs), None)
    if running is not None:
        raise BadInput(f"{path}: {refusal(f'pickled code ({running})')}")
    if named:
        try:
            return load(path, named), [str(one) for one in named]
        except Exception:
            raise BadInput(f"{path}: {refusal(f'pickled code ({next(iter(named))})')}") from None
    protocol = pickle_scan.protocol(path)
    if protocol > 2:
        raise BadInput(
            f"{path}: written with pickle protocol {protocol}, which PyTorch reads only by running "
            "what it names; save the weights again with torch.save's own protocol, 2"
        )
    if tarfile.is_tarfile(path):
        raise BadInput(
            f"{path}: of a PyTorch before 0.1.10, which is read only by running what it names; if "
            "you trust it, load it with weights_only=False and save its state dict again"
        )
    detail = f" ({reason})" if reason and readable else ""
    raise BadInput(f"{path}: damaged or not a PyTorch checkpoint{detail}")


def refusal(what: str) -> str:
    """The message about code in a file, and what to do."""
    return (
        f"refused, it holds {what} that loading would run; if you trust it, save the state dict "
        "alone where it was made, torch.save(model.state_dict(), 'weights.pth'), and give --model "
        "package.module:factory --checkpoint weights.pth"
    )


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of `torch.jit.save`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def load(path: Path, named: Mapping[Named, Use] | None = None) -> Any:
    """The contents of a pickled file; nothing in it is executed.

    Args:
        path: of the file.
        named: classes and functions that inert ones take the place of, and what is made of them.

    Raises:
        Exception: of any kind, for a file that is damaged or names anything else.
    """
    classes = [_stand_in(one, use) for one, use in (named or {}).items()]
    with _admitted(classes), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols
        return torch.load(path, map_location="cpu", weights_only=True)


def _stand_in(named: Named, use: Use) -> type:
    place = {"__module__": named.module, "__qualname__": named.name, "__slots__": ()}
    return type(named.name, (BASES[use],), place)


@contextmanager
def _admitted(classes: Iterable[type]) -> Iterator[None]:
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(list(classes))
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
