"""What other packages add to a registry: objects named by entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import Any, Protocol, TypeVar

from mtd.utils.errors import BadInput


def of_group(group: str) -> EntryPoints:
    """The entry points of one group, of all installed packages."""
    found: EntryPoints = _all(tuple(sys.path)).select(group=group)
    return found


@cache
def _all(_: tuple[str, ...]) -> Any:  # another class in every version of Python
    """Those of all groups, once for each search path: every package's metadata is read for it."""
    return entry_points()


class Named(Protocol):
    """What a registry holds: anything with a name."""

    @property
    def name(self) -> str:
        """Under which it is registered."""
        ...


Entry = TypeVar("Entry", bound=Named)


def registered(
    group: str,
    built_in: Iterable[Entry],
    is_valid: Callable[[Any], bool],
    *,
    expected: str,
    plural: str,
) -> dict[str, Entry]:
    """All entries of a registry by name: the built-in ones, then those of other packages.

    Args:
        group: of entry points, such as `mtd.models`.
        built_in: the entries of this package.
        is_valid: whether an entry point's object can be registered.
        expected: what it should be, for the error message.
        plural: what the entries are, for the error message.

    Raises:
        BadInput: an entry point that cannot be imported, names something else, or whose name is
            taken.
    """
    entries = list(built_in)
    for point in of_group(group):
        try:
            entry = point.load()
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BadInput(f"entry point {point.name} ({point.value}): {reason}") from None
        if not is_valid(entry):
            raise BadInput(f"entry point {point.name} ({point.value}): not {expected}")
        entries.append(entry)
    by_name: dict[str, Entry] = {}
    for entry in entries:
        if entry.name in by_name:
            raise BadInput(f"two {plural} are named {entry.name}")
        by_name[entry.name] = entry
    return by_name
