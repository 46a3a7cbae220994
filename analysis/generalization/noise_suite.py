"""Suites: which noises, on which test sets, drawn and scored how, under one name.

A suite is a TOML file with the keys `KEYS`; those of the package are in the folder `suites`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from analysis.engine.protocol import DEFAULT, DOMAINS, PROTOCOLS, Protocol
from mtd.data.test_sets import RECIPES
from mtd.noise import specs as noise_specs
from mtd.noise.base import Noise
from mtd.noise.drawing import Drawing, SeedPolicy
from mtd.noise.training_noise import PREPARED, TrainingNoise
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput, nearest, one_of
from mtd.utils.printable import shortened

FOLDER = Path(__file__).parent / "suites"

ALIASES = {"paper": "masked"}
"""Older names of suites."""

WIDEST = 128
"""The widest border that a suite may leave out, in pixels."""


@dataclass(frozen=True)
class Suite:
    """A benchmark's noises and images, and its small print.

    Attributes:
        name: of the suite.
        about: one line that says what it is.
        noises: their texts, in the order of tables and figures.
        in_distribution: those that models were trained on of which nothing else is known.
        crop: side of crops; None for whole images.
        limit: number of crops or images; None for all.
        version: raised when its numbers change their meaning.
        test_sets: names of recipes of `mtd.data.test_sets`; without any it runs on all images.
        protocol: how noisy images are drawn and stored, and how outputs are scored.
    """

    name: str
    about: str = ""
    noises: tuple[str, ...] = ()
    in_distribution: tuple[str, ...] = ()
    crop: int | None = None
    limit: int | None = None
    version: int = 1
    test_sets: tuple[str, ...] = ()
    protocol: Protocol = DEFAULT

    def of(self, specs: Collection[str]) -> Suite:
        """The same with those of its noises that have one of these specifications.

        Without any it has no noises; else folders, whose names differ from their texts, stay.
        """
        if not specs:
            return replace(self, noises=())
        kept = [n for n in self.noises if n.startswith("folder:") or _spec(n) in specs]
        return replace(self, noises=tuple(kept))


def names() -> list[str]:
    """The suites that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def check_name(name: str, *more: str) -> None:
    """Check that there is a suite of a name, or that it is that of a file.

    Args:
        name: of a suite.
        more: what else may stand in its place.

    Raises:
        BadInput: neither.
    """
    known = [*names(), *ALIASES, *more]
    if Path(name).suffix != ".toml" and name not in known:
        raise BadInput(
            f"suite {name!r}: no suite of the package, and no file that ends in .toml; "
            f"{nearest(name, known)}"
        )


def load(name: str) -> Suite:
    """A suite by its name, or from a TOML file.

    Raises:
        BadInput: no such suite or file, damaged, unknown keys, or values that cannot be used.
    """
    check_name(name)
    path, packaged = Path(name), False
    if path.suffix != ".toml":
        path, packaged = FOLDER / f"{ALIASES.get(name, name)}.toml", True
    try:
        values = input_files.toml(path)
    except BadInput as error:
        raise BadInput(f"suite {error}") from None
    for key in values:
        if key not in KEYS:
            raise BadInput(f"suite {name}: no key {key!r}; {nearest(key, KEYS)}")
    try:
        checked = {"name": path.stem} | {key: KEYS[key](key, values[key]) for key in values}
        if not packaged:
            _check_own_name(checked["name"])
        return _suite(checked)
    except BadInput as error:
        raise BadInput(f"suite {name}: {error}") from None


def _check_own_name(name: str) -> None:
    """Check that the name of a user's suite is one line, and none that has another meaning.

    Raises:
        BadInput: it is not.
    """
    if not name.strip() or not name.isprintable() or {"/", "\\"} & set(name):
        raise BadInput(f"name {shown(name)}: expected a name in one line without slashes")
    if name.strip().casefold() in {*names(), *ALIASES, *PROTOCOLS}:
        raise BadInput(
            f'name {name!r} has a meaning of its own; set another one, such as name = "my {name}"'
        )


def _suite(values: dict[str, Any]) -> Suite:
    """A suite from its checked keys.

    Raises:
        BadInput: values that do not go together.
    """
    quantize = values.pop("quantize_noisy", True)
    clip = values.pop("clip_noisy", quantize)
    if quantize and clip is not True:
        raise BadInput(
            "quantize_noisy = true stores noisy images in 8 bits, which clips them: leave "
            "clip_noisy out, or set quantize_noisy = false"
        )
    drawing = Drawing(values.pop("seed_policy", "per_cell"), clip, quantize)
    protocol = Protocol(
        border=values.pop("border", 0),
        channel=DOMAINS[values.pop("metric_domain", "rgb")],
        round_output=values.pop("round_output", True),
        drawing=drawing,
    )
    if protocol != DEFAULT:
        protocol = Protocol(
            values["name"], protocol.border, protocol.channel, protocol.round_output, drawing
        )
    suite = Suite(**values, protocol=protocol)
    if not suite.noises and not suite.test_sets:
        raise BadInput("no noises in it, and no test sets with noise of their own")
    noises = _parsed(suite.noises)
    folders = [text for text in suite.noises if text.startswith("folder:")]
    _check_once("noises", [*folders, *(noise.spec for noise in noises)])
    drawing.check(noises)
    if suite.crop is not None and suite.crop <= 2 * protocol.border:
        raise BadInput(f"border {protocol.border} leaves no pixels of crops of side {suite.crop}")
    return suite


def _check_once(key: str, texts: Sequence[str]) -> None:
    """Check that a list has nothing twice.

    Raises:
        BadInput: it has.
    """
    if twice := next((text for text, count in Counter(texts).items() if count > 1), None):
        raise BadInput(f"{key}: {twice} is given twice; leave one out")


def _spec(text: str) -> str:
    return noise_specs.parse(text).spec


def _parsed(texts: tuple[str, ...]) -> list[Noise]:
    """The synthetic noises among some texts."""
    return [noise_specs.parse(text) for text in texts if not text.startswith("folder:")]


Check = Callable[[str, Any], Any]
"""From a key and its value to the value as it is kept; raises `BadInput`."""


def shown(value: Any) -> str:
    """A value as messages quote it."""
    return shortened(repr(value))


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{key} {shown(value)}: expected a string")
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        example = '["kodak24"]' if key == "test_sets" else '["gaussian:15"]'
        raise BadInput(f"{key} {shown(value)}: expected a list of strings such as {example}")
    limits.NOISES.check(len(value), key)
    return tuple(value)


def _test_sets(key: str, value: Any) -> tuple[str, ...]:
    texts = _texts(key, value)
    for text in texts:
        one_of("test set", text, RECIPES)
    _check_once(key, texts)
    return texts


def _trained_on(key: str, value: Any) -> tuple[str, ...]:
    texts = _texts(key, value)
    _check_once(key, texts)
    try:
        TrainingNoise.parse([text.removeprefix(PREPARED) for text in texts], RECIPES)
    except BadInput as error:
        raise BadInput(f"{key}: {error}") from None
    return texts


def _whole(least: int, most: int | None = None) -> Check:
    def check(key: str, value: Any) -> int:
        if type(value) is not int or value < least or (most is not None and value > most):
            ends = f"{least} up" if most is None else f"{least} to {most}"
            raise BadInput(f"{key} {shown(value)}: expected a whole number from {ends}")
        return value

    return check


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{key} {shown(value)}: expected true or false")
    return value


def _word(*known: str) -> Check:
    def check(key: str, value: Any) -> str:
        one_of(key, value, known)
        return str(value)

    return check


def _clip(key: str, value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise BadInput(f'{key} {shown(value)}: expected true, false or a list such as ["poisson"]')
    for kind in _texts(key, value):
        one_of(f"{key}: kind of noise", kind, noise_specs.kinds())
    _check_once(key, value)
    return tuple(value) or False


KEYS: dict[str, Check] = {
    "name": _text,
    "about": _text,
    "version": _whole(1),
    "noises": _texts,
    "in_distribution": _trained_on,
    "test_sets": _test_sets,
    "crop": _whole(8),
    "limit": _whole(1),
    "seed_policy": _word(*get_args(SeedPolicy)),
    "clip_noisy": _clip,
    "quantize_noisy": _flag,
    "round_output": _flag,
    "border": _whole(0, WIDEST),
    "metric_domain": _word(*DOMAINS),
}
"""The keys of a suite's file, and what each may be."""
