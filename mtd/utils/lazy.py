"""Names and modules that are imported on first use, so that `--help` answers without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__` for names that live in its modules.

    Args:
        package: `__name__` of the package.
        names: module by public name; a module that ends in the name itself is that module.

    Example:
        >>> get, names = lazy_exports("mtd", {"parse": "mtd.noise.specs", "noise": "mtd.noise"})
        >>> get("parse").__module__, get("noise").__name__
        ('mtd.noise.specs', 'mtd.noise')
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(names[name])
        return module if names[name] == f"{package}.{name}" else getattr(module, name)

    def listed() -> list[str]:
        return sorted(names)

    return get, listed


class LazyModule:
    """A module that is imported when its first attribute is asked for.

    Modules that say what is possible, beside what computes it, have it instead of torch or NumPy,
    so that wrong input is refused before these are imported. Type checkers see the module itself:
    it stands in the `else` of `if TYPE_CHECKING: import torch`.

    Args:
        name: of the module.

    >>> LazyModule("math").floor(1.5)
    1
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self.__name__), attribute)
        setattr(self, attribute, value)  # the next time it is found at once
        return value
