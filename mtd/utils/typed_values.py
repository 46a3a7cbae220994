"""Dataclasses from plain values of files, each checked against the type of its default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from mtd.utils.errors import BadInput, nearest

T = TypeVar("T")

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
}
"""The types of settings in words."""

LARGEST, SHOWN = 10**15, 80
"""The largest number of a setting, and characters of a value that a message shows."""


def build(cls: type[T], values: Mapping[str, Any], section: str) -> T:
    """A section's dataclass from plain values, each checked against the type of its default.

    Raises:
        BadInput: an unknown name, or a value of another type.
    """
    defaults = {
        f.name: f.default_factory() if f.default_factory is not MISSING else f.default
        for f in fields(cls)  # type: ignore[arg-type]
    }
    checked = {}
    for name, value in values.items():
        if name not in defaults:
            raise BadInput(f"[{section}] has no {name!r}; {nearest(name, defaults)}")
        checked[name] = typed(value, defaults[name], f"[{section}] {name}")
    return cls(**checked)


def typed(value: Any, default: Any, where: str) -> Any:
    """A plain value that has the type of another one, a list of values for a tuple.

    Args:
        value: as a file gives it.
        default: of the type that is expected; any value takes the place of None.
        where: the value's name in messages.

    Raises:
        BadInput: another type, or a number that is not finite or very large.
    """
    if default is None:
        return value
    shown = repr(value) if len(repr(value)) <= SHOWN else f"{repr(value)[:SHOWN]}…"
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            raise BadInput(f"{where} = {shown}: expected a list")
        return tuple(typed(item, default[0] if default else "", where) for item in value)
    kind = type(default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) > LARGEST:
        raise BadInput(f"{where} = {shown}: expected a number up to {LARGEST:g}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise BadInput(f"{where} = {shown}: expected {KINDS.get(kind, kind.__name__)}")
    return value
