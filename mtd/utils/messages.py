"""What commands say: counts with their nouns, and notes on stderr."""

from __future__ import annotations

import os
import sys

from mtd.utils import output, progress, temporary
from mtd.utils.printable import printable


def plural(count: int, noun: str, ending: str = "s") -> str:
    """A count with its noun.

    >>> plural(1, "crop"), plural(2, "crop"), plural(12000, "patch", "es")
    ('1 crop', '2 crops', '12000 patches')
    """
    return f"{count} {noun}" + ("" if count == 1 else ending)


def verb(count: int, one: str, many: str) -> str:
    """The form of a verb that agrees with a count.

    >>> verb(1, "was", "were"), verb(2, "was", "were")
    ('was', 'were')
    """
    return one if count == 1 else many


def waiting(text: str, *, quiet: bool = False) -> None:
    """Say at a terminal, before what takes seconds, that the command is at work.

    Of several processes, only the first one says it.
    """
    if sys.stderr.isatty() and os.environ.get("RANK", "0") == "0" and not quiet:
        say(text)


def importing(*, quiet: bool = False) -> None:
    """Say, once a command line is checked, that PyTorch is imported, which takes seconds.

    It is said where stderr is a file, too; not where PyTorch is there already.
    """
    if "torch" not in sys.modules and os.environ.get("RANK", "0") == "0" and not quiet:
        say("loading PyTorch …")


def note(text: str, *, quiet: bool = False) -> None:
    """Print a note on stderr, unless the user wants none; errors are not notes.

    Args:
        text: one line, or several.
        quiet: `--quiet` was given, or another process speaks.
    """
    text = temporary.named(text)
    output.message(text)
    if not quiet:
        say(text)


def say(text: str) -> None:
    """Print on stderr, whatever characters the text holds; see `mtd.utils.printable`."""
    with progress.hidden():
        print(printable(text), file=sys.stderr, flush=True)


def once(text: str) -> None:
    """Print a warning on stderr, the first time in this process and by the first of several.

    It is printed with `--quiet` as well, which is about notes.
    """
    if text not in _SAID and os.environ.get("RANK", "0") == "0":
        _SAID.add(text)
        note(text)


_SAID = set[str]()
