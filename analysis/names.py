"""Short names that tell things apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key")


def shortest(parts: Mapping[Key, Sequence[str]]) -> dict[Key, str]:
    """The last part of each path, with as many parts before it as tell it from the others.

    >>> shortest({1: ("runs", "a", "model"), 2: ("runs", "b", "model"), 3: ("runs", "other")})
    {1: 'a/model', 2: 'b/model', 3: 'other'}
    """
    found = {}
    for key, own in parts.items():
        name = ""
        for length in range(1, len(own) + 1):
            name = "/".join(own[-length:])
            if ["/".join(part[-length:]) for part in parts.values()].count(name) == 1:
                break
        found[key] = name
    return found
