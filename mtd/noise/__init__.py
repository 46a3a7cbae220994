"""Noise models, each made from a text such as `gaussian:15` by `parse`.

>>> parse("gaussian:15")
Gaussian(level=15.0)
"""

from mtd.noise.base import Noise
from mtd.noise.specs import kinds, parse

__all__ = ["Noise", "kinds", "parse"]
