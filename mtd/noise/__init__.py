"""Noise models: `parse` makes one of a specification such as `gaussian:15`.

>>> parse("gaussian:15")
Gaussian(level=15.0)
"""

from mtd.noise.base import Noise
from mtd.noise.specs import kinds, parse

__all__ = ["Noise", "kinds", "parse"]
