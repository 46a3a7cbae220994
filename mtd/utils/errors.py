"""Exceptions that a command turns into one line on stderr, and its exit status."""

from __future__ import annotations

from collections.abc import Iterable


class BadInput(ValueError):
    """Input that cannot be used: the message says what was given and expected, and what to do.

    Commands exit with status 2.
    """


class Unwritable(BadInput):
    """A file cannot be written, usually because the disk is full."""


class NetworkError(BadInput):
    """A network raised an error on an image."""


class Failed(RuntimeError):
    """Work that could not be finished although the input was fine; commands exit with status 1."""


class OutOfMemory(Failed):
    """The memory of a device does not suffice."""


class Partial(RuntimeError):
    """Some parts of the work failed and are listed, the others are done; exit status 3."""


LONGEST = 200
"""Characters from which on a word is compared with no other: the time grows with their square."""


def close_to(word: str, known: Iterable[str]) -> list[str]:
    """Up to three of the known words that a given one may have meant, the closest first.

    >>> close_to("Gausian", ["gaussian", "poisson"])
    ['gaussian']
    """
    import difflib

    if len(word) >= LONGEST:
        return []
    by_lower: dict[str, str] = {}
    for name in known:
        by_lower.setdefault(name.lower(), name)
    return [
        by_lower[one] for one in difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.6)
    ]


def nearest(word: str, known: Iterable[str]) -> str:
    """The known words closest to a given one, for the end of an error message.

    >>> nearest("gausian", ["gaussian", "poisson"])
    'did you mean gaussian?'
    >>> nearest("xyz", ["gaussian", "poisson"])
    'known: gaussian, poisson'
    """
    names = list(known)
    close = close_to(word, names)
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
    return f"known: {shown}"


def one_of(what: str, value: object, known: Iterable[object]) -> None:
    """Check that a value is one of the known ones.

    Args:
        what: the value's name in the message, such as "crop rule".
        value: what was given.
        known: what is accepted.

    Raises:
        BadInput: it is none of them; the message names the closest.

    >>> one_of("noise", "gausian", ["gaussian", "poisson"])
    Traceback (most recent call last):
    mtd.utils.errors.BadInput: noise 'gausian': did you mean gaussian?
    """
    values = list(known)
    if value not in values:
        raise BadInput(f"{what} {value!r}: {nearest(str(value), map(str, values))}")
