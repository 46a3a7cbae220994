"""Functions of a module that has been imported, given the code of another source of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

Key = tuple[str, int]
"""Name of a function, with those around it, and its first line."""


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code and all that are defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def by_key(code: CodeType) -> dict[Key, CodeType]:
    """The codes of a module by name and line."""
    return {(of.co_qualname, of.co_firstlineno): of for of in codes(code)}


def own(code: CodeType) -> tuple[Any, ...]:
    """What a code is, but for what is defined in it."""
    constants = [repr(value) for value in code.co_consts if not isinstance(value, CodeType)]
    return (code.co_code, constants, code.co_names, code.co_varnames)


def functions(path: Path) -> dict[Key, list[FunctionType]]:
    """The functions that were defined in a file and are in memory."""
    found: dict[Key, list[FunctionType]] = {}
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename == str(path):
            code = one.__code__
            found.setdefault((code.co_qualname, code.co_firstlineno), []).append(one)
    return found


def replaced(path: Path, before: str, after: str) -> bool:
    """Give the functions in memory the code of another source; False where that is not all that
    differs, as for a constant of the module or a default, or a line more."""
    old, new = (by_key(compile(source, str(path), "exec")) for source in (before, after))
    if old.keys() != new.keys():
        return False
    changed = [key for key in old if own(old[key]) != own(new[key])]
    if not changed or any("<lambda>" in name or name == "<module>" for name, _ in changed):
        return False
    live = functions(path)
    roots = {name.split(".<locals>")[0] for name, _ in live}
    if any(name.split(".<locals>")[0] not in roots for name, _ in changed):
        return False
    for key, of in live.items():
        for function in of:
            if key in new:
                function.__code__ = new[key]
    return True
