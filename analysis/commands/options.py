"""The command-line option of a field of settings, and the values that the field may have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from mtd.utils import user_folders
from mtd.utils.cli import LARGEST, OWN
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class Option:
    """The command-line option of a field, and the values that it may take.

    Attributes:
        help: for `--help`; the default is appended.
        flag: the option; by default the field's name. Of a field whose default is True, the option
            that turns it off.
        metavar: the value's name in `--help`; of an option with several values, theirs.
        aliases: older spellings, understood but not shown.
        synonyms: older values, by value, that stand for one of today's.
        minimum: smallest number.
        maximum: largest number.
        above: a number must be larger than this.
        below: a number must be smaller than this.
        parse: makes the value from a text, raising `ValueError` with what was expected.
        listed: whether the parser adds the option; otherwise it is among those of the models.
        shown: the default in words, or a function that gives them when help is built.
        group: of options in `--help`, one of `mtd.utils.cli.GROUPS`.
    """

    help: str
    flag: str = ""
    metavar: str | tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    parse: Callable[[str], Any] | None = None
    listed: bool = True
    shown: str | Callable[[], str] | None = None
    group: str = OWN


def plain(kind: Any) -> tuple[Any, bool]:
    """A field's type without `None`, and whether it may be None."""
    if get_origin(kind) in (Union, UnionType):
        rest = tuple(part for part in get_args(kind) if part is not NoneType)
        return (rest[0] if len(rest) == 1 else Union[rest]), NoneType in get_args(kind)  # noqa: UP007
    return kind, False


def checked(name: str, kind: Any, about: Option, value: Any) -> Any:
    """A value as its field holds it.

    Raises:
        BadInput: it cannot be one.
    """
    inner, optional = plain(kind)
    if value is None and optional:
        return None
    try:
        if get_origin(inner) is tuple and about.parse is None:
            entry = get_args(inner)[0]
            texts = isinstance(value, str | PathLike)
            if get_origin(entry) is tuple and not texts:  # one pair, rather than several
                texts = bool(value) and all(isinstance(part, str | PathLike) for part in value)
            return tuple(convert(entry, about, v) for v in ([value] if texts else value))
        return convert(inner, about, value)
    except (TypeError, ValueError) as error:
        text = str(error) if isinstance(error, ValueError) else ""
        raise BadInput(f"{name} {value!r}: {text or expected(kind)}") from None


def convert(kind: Any, about: Option, value: Any) -> Any:
    """A single value of a type, from a text or from Python.

    Raises:
        ValueError: it is none, or out of range; the message says what was expected.
    """
    if about.parse is not None and isinstance(value, str):
        return about.parse(value)
    if about.parse is not None and get_origin(kind) is not tuple:
        return value
    if get_origin(kind) is tuple:
        about = replace(about, parse=None)
        parts, kinds = () if isinstance(value, str | PathLike) else tuple(value), get_args(kind)
        if len(parts) != len(kinds):
            raise ValueError(expected(kind))
        return tuple(convert(k, about, part) for k, part in zip(kinds, parts, strict=True))
    if get_origin(kind) is Literal:
        word = about.synonyms.get(value, value) if isinstance(value, str) else value
        if word not in get_args(kind):
            *first, last = map(str, get_args(kind))
            raise ValueError(f"expected {' or '.join(filter(None, [', '.join(first), last]))}")
        return word
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError("expected True or False")
        return value
    if kind in (int, float):
        return number(kind, about, value)
    if kind is str and isinstance(value, str | PathLike):
        return user_folders.expanded(fspath(value))
    raise ValueError(expected(kind))


def number(kind: type, about: Option, value: Any) -> int | float:
    """A number within its range.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    what = range_of(kind, about)
    try:
        converted = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(what) from None
    exact = isinstance(value, str) or (not isinstance(value, bool) and converted == value)
    inside = (
        (about.minimum is None or converted >= about.minimum)
        and (about.maximum is None or converted <= about.maximum)
        and (about.above is None or converted > about.above)
        and (about.below is None or converted < about.below)
    )
    too_large = kind is int and not -LARGEST < converted < LARGEST
    if not exact or not inside or too_large or not math.isfinite(converted):
        raise ValueError(what)
    return int(converted) if kind is int else float(converted)


def range_of(kind: type, about: Option) -> str:
    """The allowed range of a number, in words."""
    text = "expected a whole number" if kind is int else "expected a number"
    if about.minimum is not None and about.maximum is None and about.below is None:
        return f"{text} from {about.minimum:g} up"
    start = "to " if about.minimum is not None else "and " if about.above is not None else ""
    parts = [
        f"from {about.minimum:g}" if about.minimum is not None else "",
        f"above {about.above:g}" if about.above is not None else "",
        f"up to {about.maximum:g}" if about.maximum is not None else "",
        f"{start}below {about.below:g}" if about.below is not None and about.below < 1e9 else "",
    ]
    return " ".join([text, *filter(None, parts)])


def expected(kind: Any) -> str:
    """The expected value of a field, in words."""
    inner, optional = plain(kind)
    many = get_origin(inner) is tuple and get_args(inner)[-1] is Ellipsis
    entry = get_args(inner)[0] if many else inner
    if get_origin(entry) is tuple:
        kinds = dict.fromkeys(get_args(entry))
        what = f"{len(get_args(entry))} values, each {' or '.join(named(kind) for kind in kinds)}"
    else:
        what = named(entry)
    what = f"several of: {what}" if many else what
    return f"expected {what}" + (" or None" if optional else "")


def named(kind: Any) -> str:
    """A single value's type, in words."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    words = {str: "a text", int: "a whole number", float: "a number", bool: "True or False"}
    return words.get(kind, str(kind))
