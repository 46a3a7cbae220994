"""Effects of the size of floating-point rounding, which are no effects.

Networks run in float32, whose unit roundoff is 6e-8. Sums over many products and layers enlarge
it: outputs of the bundled networks and of published ones are off by 1e-7 to 1e-6 of their size,
compared with float64. Two networks that are the same function, say a filter in one step or two, so
differ by about as much. Where the difference has the same sign on every photograph, as it can have
for linear maps, an interval over photographs, which knows of no other error, would exclude 0.
"""

from __future__ import annotations

import math

RELATIVE = 1e-5
"""A difference below this share of the values compared is taken as rounding: ten times what was
measured of outputs."""


def covered(low: float, high: float, value: float, scale: float) -> tuple[float, float]:
    """An interval that includes 0 if the effect may be rounding alone.

    If it does not and |value| ≤ `RELATIVE` · scale, both ends are moved outwards by `RELATIVE` ·
    scale; otherwise they stay as they are.

    Args:
        low: lower bound.
        high: upper bound.
        value: the effect between them.
        scale: size of the values that were compared, not that of their difference.

    >>> covered(1e-8, 3e-8, 2e-8, 0.0), covered(0.001, 0.003, 0.002, 1.0)
    ((1e-08, 3e-08), (0.001, 0.003))
    >>> low, high = covered(1e-8, 3e-8, 2e-8, 1.0)
    >>> low < 0 < high
    True
    """
    room = RELATIVE * scale
    if low <= 0 <= high or not math.isfinite(room) or not abs(value) <= room:
        return low, high
    return low - room, high + room
