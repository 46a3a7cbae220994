"""Reading a pickled checkpoint whose trainer stored objects of its own classes beside the weights.

PyTorch's `weights_only` reader refuses every class that it does not know. Here each of them is
replaced by an inert class of this file, so that nothing that the checkpoint names is imported or
called; what such an object held is lost, unless it is a mapping or a list, which become plain ones.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mtd.loading.pickle_scan import Named, Use


class _Object:
    """Takes the place of an object, and keeps nothing of it."""

    __slots__ = ()

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Ignore the object's attributes."""


class _Mapping:
    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


class _List:
    def __new__(cls, *_: Any, **__: Any) -> Any:
        return []


BASES: Mapping[Use, type] = {"object": _Object, "mapping": _Mapping, "list": _List}


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
