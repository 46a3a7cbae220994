"""The noises that a model was trained on: single ones, and ranges of levels of one kind."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from mtd.noise.specs import parse
from mtd.utils.errors import BadInput

DOTS = ".."
"""Between the ends of a range of levels, as in `gaussian:0..gaussian:55`."""

PREPARED = "idf_"
"""How the names of noises of prepared folders begin, before a specification."""


@dataclass(frozen=True)
class TrainingNoise:
    """Noises that a model was trained on.

    Attributes:
        names: specifications in their canonical form, or names of recorded noise.
        ranges: kind, lowest and highest level, both included.
    """

    names: tuple[str, ...] = ()
    ranges: tuple[tuple[str, float, float], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str], recorded: Collection[str] = ()) -> TrainingNoise:
        """The noises of several texts, `SPEC` or `SPEC..SPEC`.

        Args:
            texts: such as `gaussian:15`, `gaussian:0..gaussian:55`, or shorter `gaussian:0..55`.
            recorded: names of noises that have no specification.

        Raises:
            BadInput: an unknown noise, or ends of a range that are of different kinds.

        >>> blind = TrainingNoise.parse(["gaussian:0..55"])
        >>> blind.holds("gaussian:50"), blind.holds("gaussian:60"), blind.holds("poisson:3")
        (True, False, False)
        """
        names: list[str] = []
        ranges = []
        for text in texts:
            first, dots, last = text.partition(DOTS)
            if text in recorded:
                names.append(text)
            elif dots:
                ranges.append(_range(text, first.strip(), last.strip()))
            else:
                names.append(parse(text).redrawn(0).spec if "@" in text else parse(text).spec)
        return cls(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(ranges)))

    def holds(self, spec: str, levels: tuple[float, float] | None = None) -> bool:
        """Whether a noise is one of them, in whatever draw, or drawn in advance.

        Args:
            spec: of the noise; with `PREPARED` before it for that of prepared folders.
            levels: the lowest and the highest level that images have, of a noise without a level
                of its own, such as one of matched strength.
        """
        if spec in self.names:
            return True
        with suppress(BadInput):
            noise = parse(spec.removeprefix(PREPARED))
            if (noise.redrawn(0) if noise.draw else noise).spec in self.names:
                return True
            own = levels if noise.level is None else (noise.level, noise.level)
            return own is not None and any(
                noise.name == kind and low <= own[0] and own[1] <= high
                for kind, low, high in self.ranges
            )
        return False


def _range(text: str, first: str, last: str) -> tuple[str, float, float]:
    """Kind, lowest and highest level.

    Raises:
        BadInput: not two levels of one kind, the lower one first.
    """
    expected = BadInput(
        f"noises {text!r}: expected two levels of one kind, the lower one first, as in "
        "gaussian:0..gaussian:55"
    )
    if not first or not last:
        raise expected
    kind = first.partition(":")[0]
    level_alone = re.fullmatch(r"[-+\d.e]+", last) is not None
    low, high = parse(first), parse(f"{kind}:{last}" if level_alone else last)
    if low.level is None or high.level is None or low.name != high.name or low.level > high.level:
        raise expected
    return low.name, low.level, high.level


def changes_nothing(spec: str) -> bool:
    """Whether a noise leaves images as they are: level 0, which counts neither as trained on nor
    as unseen.

    >>> changes_nothing("gaussian:0"), changes_nothing("gaussian:15")
    (True, False)
    """
    with suppress(BadInput):
        noise = parse(spec)
        return noise.level == 0 and not noise.level_falls
    return False
