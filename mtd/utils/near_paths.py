"""Paths that a misspelt one may have meant, and patterns that no file matches."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from mtd.utils.errors import close_to

MOST = 1000
"""Files of a folder that a misspelt name is compared with."""

Close = Callable[[str, Iterable[str]], list[str]]
"""The names that are close to a given one."""


def near(path: Path, last: Close = close_to) -> list[Path]:
    """Paths that exist and differ in one name, of the file or of a folder, by a few letters.

    Args:
        path: of nothing.
        last: which names are close to the last one of the path; those of folders are compared by
            `mtd.utils.errors.close_to`.
    """
    parents = [parent for parent in path.parents if parent.is_dir()]
    if not parents:
        return []
    first, *rest = path.relative_to(parents[0]).parts
    try:
        with os.scandir(parents[0]) as entries:
            names = sorted(entry.name for entry in islice(entries, MOST))
    except OSError:
        return []
    names = [name for name in names if name.startswith(".") == first.startswith(".")]
    close = (close_to if rest else last)(first, names)
    found = [parents[0].joinpath(name, *rest) for name in close]
    return [one for one in found if one.exists()]


def absent(path: Path, kind: str) -> str:
    """What to say of a path of nothing: what it may have meant, or that no file matches a pattern.

    Args:
        path: that was given.
        kind: what was expected there, such as "folder".

    >>> absent(Path("*.pgn"), "folder"), absent(Path("/absent/a"), "folder")
    ('no file matches *.pgn', '/absent/a: no such folder')
    """
    if glob.has_magic(str(path)):
        matching = sorted(glob.glob(str(path)))  # noqa: PTH207
        if not matching:
            return f"no file matches {path}"
        one = Path(matching[0])
        example = one.parent if "folder" in kind else one
        return f"{path}: a pattern; expected one {kind}, such as {example}"
    found = " or ".join(map(str, near(path)))
    return f"{path}: no such {kind}" + (f"; did you mean {found}?" if found else "")
