"""Noise models: `parse` makes one of a specification such as `gaussian:15`.

>>> parse("gaussian:15")
Gaussian(level=15.0)

`gaussian:15@1` is another draw of it, `gaussian:=poisson:3` Gaussian noise that is as strong for
each image as another noise (`mtd.noise.matched`):

>>> parse("gaussian:=poisson:3@1").redrawn(0)
MatchedGaussian(other=Poisson(level=3.0, values=256))
"""

from mtd.noise.base import Noise
from mtd.noise.specs import kinds, parse

__all__ = ["Noise", "kinds", "parse"]
