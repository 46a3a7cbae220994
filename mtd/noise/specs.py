"""Noise specifications such as `gaussian:15`: parsing, and every kind of noise by its name.

Other packages add kinds by an entry point of the group `mtd.noises` that names a concrete subclass
of `mtd.noise.Noise`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from inspect import isabstract

from mtd.noise.base import Levelled, Noise, number
from mtd.noise.camera_pipeline import ISP
from mtd.noise.matched import MatchedGaussian
from mtd.noise.mixture import Mixture
from mtd.noise.synthetic import Gaussian, Poisson, SaltPepper, Spatial, Speckle
from mtd.utils import plugins
from mtd.utils.errors import BadInput, close_to, nearest
from mtd.utils.printable import shortened

GROUP = "mtd.noises"

BUILT_IN: tuple[type[Noise], ...] = (Gaussian, Poisson, Speckle, Spatial, SaltPepper, Mixture, ISP)

NAME = re.compile(r"[\w.+-]+")
"""What a kind of noise may be called, so that a specification can be parsed."""

FOLDER = "folder:"
"""How the name of recorded noise begins, before its folder; see `mtd.data.recorded_noise`."""

MATCHED = ":="
"""Between `gaussian` and the noise whose strength it has."""

LONGEST = 1000
"""Characters of a specification."""

LONGEST_WORD = 100
"""Characters from which on a specification is compared with no other."""

DRAW = re.compile(r"[0-9]{1,9}")
"""A draw in a specification."""


@cache
def kinds() -> dict[str, type[Noise]]:
    """Every kind of noise by name: the built-in ones, then those of other packages.

    Raises:
        BadInput: an entry point that cannot be used, or whose name is taken.

    >>> kinds()["poisson"].label, kinds()["poisson"].level_unit
    ('Poisson', 'α')
    """
    return plugins.registered(
        GROUP,
        BUILT_IN,
        _is_kind,
        expected="a concrete subclass of mtd.noise.Noise with a name",
        plural="kinds of noise",
    )


def kind_of(name: str) -> type[Noise] | None:
    """The kind of a name, or None; other packages are imported only where no built-in one has it.

    >>> kind_of("gaussian"), kind_of("gausian")
    (<class 'mtd.noise.synthetic.Gaussian'>, None)
    """
    built_in = {kind.name: kind for kind in BUILT_IN}
    return built_in.get(name) or kinds().get(name)


def _is_kind(entry: object) -> bool:
    if not isinstance(entry, type) or not issubclass(entry, Noise) or isabstract(entry):
        return False
    name = getattr(entry, "name", None)
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def parse(spec: str) -> Noise:
    """The noise of a specification, `kind[:level][@draw][,option=value…]`.

    All built-in kinds but `isp` have a level; `poisson` and `isp` have options. A draw, from 0 (the
    default), is another sample of the same noise for every image, and may come last, too. The
    `spec` of the result is canonical: it is the same for every spelling, and parses to an equal
    noise. `gaussian:=SPEC` is Gaussian noise as strong as a synthetic noise; see
    `mtd.noise.matched`.

    Raises:
        BadInput: an unknown kind, or a level, draw or option that is missing, unknown or out of
            range.

    >>> parse("gaussian:15")
    Gaussian(level=15.0)
    >>> parse("poisson:3.50, values=256").spec
    'poisson:3.5'
    >>> parse("gaussian:15@1").spec
    'gaussian:15@1'
    >>> parse("gaussian:=poisson:3.0").spec
    'gaussian:=poisson:3'
    """
    if not isinstance(spec, str):
        raise BadInput(f"noise {spec!r}: expected a specification such as 'gaussian:15'")
    if len(spec) > LONGEST:
        raise BadInput(
            f"noise {shortened(spec)!r}: {len(spec)} characters; expected up to {LONGEST}, such as "
            "'gaussian:15'"
        )
    if MATCHED in spec:
        return _matched(spec)
    before, at, after = spec.partition("@")
    draw, comma, options = after.partition(",")
    head, *rest = f"{before}{comma}{options}".split(",")
    name, colon, level = head.strip().partition(":")
    kind = kind_of(name)
    if kind is None:
        hint = _meant(spec) or f"no kind {name!r}; {nearest(name, kinds())}"
        raise BadInput(f"noise {spec!r}: {hint}")
    noise = kind.from_parts(spec, level if colon else None, _options(spec, kind, rest))
    if at and not DRAW.fullmatch(draw.strip()):
        raise BadInput(
            f"noise {spec!r}: draw {draw.strip()!r} after @; expected a whole number from 0, as in "
            "gaussian:15@1"
        )
    return noise.redrawn(int(draw)) if at else noise


LOOSE = re.compile(r"\s*+(?P<word>[^\W\d][^\d:=@,.]*+)[\s:=_-]*+(?P<rest>[\d.].*)?", re.DOTALL)
"""A specification as people write it from memory: a word, and perhaps a level and what follows."""


def _meant(spec: str) -> str:
    """What a specification of no known kind may have meant, as a question; "" if that is unknown.

    >>> _meant("gaussian=15"), _meant("Gausian15"), _meant("waves:3")
    ('write gaussian:15', 'did you mean gaussian:15?', '')
    """
    found = LOOSE.fullmatch(spec) if len(spec) < LONGEST_WORD else None
    if found is None:
        return ""
    word, rest = re.sub(r"[\s-]+", "_", found["word"]).lower(), found["rest"]
    close = close_to(word, kinds())
    if not close:
        return ""
    meant = f"{close[0]}:{rest}" if rest else close[0]
    try:
        parse(meant)
    except BadInput:
        return ""
    same = spec.replace(" ", "").startswith(f"{close[0]}=")
    return f"write {meant}" if same else f"did you mean {meant}?"


def _matched(spec: str) -> MatchedGaussian:
    """The noise of `gaussian:=SPEC`."""
    name, _, other = (text.strip() for text in spec.partition(MATCHED))
    kind = re.split("[:,@]", other)[0].strip()
    if name == Gaussian.name and re.fullmatch(r"[\d.]+", kind):
        raise BadInput(f"noise {spec!r}: write {name}:{other}")
    if name != Gaussian.name or kind_of(kind) is None:
        hint = f"no kind {kind!r}; {nearest(kind, kinds())}" if name == Gaussian.name else ""
        expected = "expected gaussian:= and a synthetic noise, as in gaussian:=poisson:3"
        raise BadInput(f"noise {spec!r}: {'; '.join(filter(None, (expected, hint)))}")
    if MATCHED in other:
        raise BadInput(f"noise {spec!r}: expected a noise of its own strength after {MATCHED}")
    return MatchedGaussian(parse(other))


def _options(spec: str, kind: type[Noise], parts: Sequence[str]) -> dict[str, str]:
    """The options of a specification by name; unknown and repeated ones are refused."""
    options: dict[str, str] = {}
    for part in parts:
        option, equals, value = (text.strip() for text in part.partition("="))
        if option not in kind.options:
            owners = [name for name, other in kinds().items() if option in other.options]
            hint = f"{option} is for {' and '.join(owners)}" if owners else "it has none"
            if not owners and kind.options:
                hint = nearest(option, kind.options)
            raise BadInput(f"noise {spec!r}: {kind.name} has no option {option!r}; {hint}")
        if not equals or option in options:
            wrong = "is given twice" if option in options else "has no value"
            meaning = kind.options[option]
            raise BadInput(f"noise {spec!r}: {option} {wrong}; expected one {option}={meaning}")
        options[option] = value
    return options


def check_scale(noise: Noise, rounded: bool = True) -> None:
    """Check that a level of 255 is not given as a share of 1.

    A level below 1 is weaker than what rounding to 8 bits does, so that it is refused, unless
    images are not rounded. Level 0 is the clean image.

    Args:
        noise: as it was given.
        rounded: whether its images are rounded to 8 bits.

    Raises:
        BadInput: it is.

    >>> check_scale(parse("gaussian:0.06"))
    Traceback (most recent call last):
    mtd.utils.errors.BadInput: noise gaussian:0.06: levels are 0 to 255; did you mean gaussian:15 \
(0.06 × 255)? --no-quantize allows levels below 1
    >>> check_scale(parse("speckle:0.06")), check_scale(parse("gaussian:0"))
    (None, None)
    """
    if (
        not rounded
        or not isinstance(noise, Levelled)
        or not noise.of_255
        or not 0 < noise.level < 1
    ):
        return
    assert noise.level
    level = noise.level * 255
    meant = replace(noise, level=float(round(level) if level > 1 else f"{level:.2g}"))
    raise BadInput(
        f"noise {noise.spec}: levels are 0 to 255; did you mean {meant.spec} ({number(noise.level)}"
        " × 255)? --no-quantize allows levels below 1"
    )
