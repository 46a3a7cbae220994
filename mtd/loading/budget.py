"""A bound on the memory and time that reading one file takes."""

from __future__ import annotations

from pickle import UnpicklingError

LEAST = 2**20
"""Size in bytes up to which a part of a file may be larger than the file, such as packed zeros."""

TIMES = 4
"""Bytes and steps for each byte of a file."""


class Budget:
    """Bytes to unpack, values to copy and values to visit, which are counted down together.

    Without a bound, few bytes could name one long list many times, each to be copied or searched.

    Attributes:
        left: what is still to be spent.
        without_weights: identities of the objects that were searched for weights in vain.
    """

    def __init__(self, size: int) -> None:
        """Start to read a file, or another source, of a size in bytes."""
        self.left = TIMES * max(size, LEAST)
        self.without_weights: set[int] = set()

    def spend(
        self, steps: int, reason: str = "contents that refer to each other too often"
    ) -> None:
        """Count bytes or steps before they are taken.

        Raises:
            UnpicklingError: there are more than a file of this size needs; its text is `reason`.
        """
        self.left -= steps
        if self.left < 0:
            raise UnpicklingError(reason)
