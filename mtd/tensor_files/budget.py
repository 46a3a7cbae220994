"""A bound on the memory and time that reading one file takes."""

from __future__ import annotations

from mtd.utils.limits import CHECKPOINT_RATIO

LEAST = 2**20
"""Size in bytes of a file that is smaller: what is packed in it may be larger, such as zeros."""


class Budget:
    """Bytes to unpack, values to copy and values to visit, which are counted down together.

    Without a bound, few bytes could name one long list many times, each to be copied or searched.

    Attributes:
        left: what is still to be spent.
        without_weights: identities of the objects that were searched for weights in vain.
    """

    def __init__(self, size: int, name: object = "a file") -> None:
        """Start to read a file, or another source, of a size in bytes, with a name for messages."""
        self._size, self._name = max(size, LEAST), name
        self._most = self.left = CHECKPOINT_RATIO.value * self._size
        self.without_weights: set[int] = set()

    def spend(
        self, steps: int, reason: str = "contents that refer to each other too often"
    ) -> None:
        """Count bytes or steps before they are taken.

        Raises:
            AboveLimit: there are more than a file of this size needs; `reason` says of what.
        """
        self.left -= steps
        if self.left < 0:
            spent = (self._most - self.left) / self._size
            CHECKPOINT_RATIO.check(spent, f"{self._name}: {reason}")
