"""Noise specifications such as `gaussian:15`: parsing and listing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from mtd.noise.base import Noise
from mtd.noise.synthetic import Gaussian, Poisson, SaltPepper, Spatial, Speckle
from mtd.utils.errors import BadInput, nearest


@cache
def kinds() -> dict[str, type[Noise]]:
    """Every kind of noise by its name."""
    # imported here, because both build on this module
    from mtd.noise.camera_pipeline import ISP
    from mtd.noise.mixture import Mixture

    known = (Gaussian, Poisson, Speckle, Spatial, SaltPepper, Mixture, ISP)
    return {kind.name: kind for kind in known}


def parse(spec: str) -> Noise:
    """The noise that a text names: `kind[:level][,option=value…]`.

    All kinds but `isp` have a level; `poisson` and `isp` have options, see there. The `spec` of
    what is returned is the same for every spelling, and parses to an equal noise.

    >>> parse("gaussian:15")
    Gaussian(level=15.0)
    >>> parse("poisson:3.50, values=256").spec
    'poisson:3.5'

    Raises:
        BadInput: unknown kind, missing or impossible level, unknown or impossible option.
    """
    head, *rest = spec.split(",")
    name, colon, level = head.strip().partition(":")
    if name not in kinds():
        raise BadInput(f"noise {spec!r}: no kind {name!r}; {nearest(name, kinds())}")
    kind = kinds()[name]
    return kind.from_parts(spec, level if colon else None, _options(spec, kind, rest))


def _options(spec: str, kind: type[Noise], parts: Sequence[str]) -> dict[str, str]:
    """The options of a spec by name, each one that the kind has, given once."""
    given: dict[str, str] = {}
    for part in parts:
        option, equals, value = (text.strip() for text in part.partition("="))
        if option not in kind.options:
            owners = [name for name, other in kinds().items() if option in other.options]
            hint = f"{option} is for {' and '.join(owners)}" if owners else "it has none"
            if not owners and kind.options:
                hint = nearest(option, kind.options)
            raise BadInput(f"noise {spec!r}: {kind.name} has no option {option!r}; {hint}")
        if not equals or option in given:
            wrong = "is given twice" if option in given else "has no value"
            meaning = kind.options[option]
            raise BadInput(f"noise {spec!r}: {option} {wrong}; expected one {option}={meaning}")
        given[option] = value
    return given
