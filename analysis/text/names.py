"""Short, unambiguous names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mtd.loading.classical import CLASSICAL, FILTER, filter_spec
from mtd.utils.errors import BadInput
from mtd.utils.printable import one_line

Key = TypeVar("Key")

LEVEL = r"(?:(?<=variance\s)|(?<=density\s)|(?<=level\s))\d"
"""The level of a noise, after the word that it stays with."""


def shortest(parts: Mapping[Key, Sequence[str]]) -> dict[Key, str]:
    """The last part of each path, with as many parts before it as make it unique.

    >>> shortest({1: ("runs", "a", "model"), 2: ("runs", "b", "model"), 3: ("runs", "other")})
    {1: 'a/model', 2: 'b/model', 3: 'other'}
    """
    names = {}
    for key, own in parts.items():
        name = ""
        for length in range(1, len(own) + 1):
            name = "/".join(own[-length:])
            if ["/".join(part[-length:]) for part in parts.values()].count(name) == 1:
                break
        names[key] = name
    return names


def wrapped(name: str, width: int, lines: int = 3) -> str:
    """A name over several lines, and cut if it is still too long.

    It is broken after `_`, `-`, `/`, `,`, `:=` and spaces, but not beside an equals sign or before
    the level of a noise.

    >>> wrapped("swinir_masked_80_90", 10), wrapped("gaussian:=poisson:3.5", 18)
    ('swinir_\\nmasked_80_\\n90', 'gaussian:=\\npoisson:3.5')
    >>> wrapped("Gaussian, σ = 50", 12)
    'Gaussian,\\nσ = 50'
    >>> wrapped("speckle, variance 0.04", 18)
    'speckle,\\nvariance 0.04'
    """
    parts, rows = re.findall(rf".*?(?::=|[_/,-]|(?<!=)\s(?!=)(?!{LEVEL})|$)", name), [""]
    for part in filter(None, parts):
        if rows[-1] and len(rows[-1]) + len(part.rstrip()) > width:
            rows.append("")
        rows[-1] += part
    cut = [row.strip() if len(row) <= width + 1 else row[: width - 1] + "…" for row in rows]
    return "\n".join(cut[:lines]) + ("…" if len(cut) > lines else "")


def unique_names(paths: Sequence[str]) -> list[str]:
    r"""Short, unambiguous names of checkpoints; models that are no files keep their own.

    >>> unique_names(["runs/a/model.pth", "filter:runs/b/model.pth", "classical:blur:0.9"])
    ['a/model', 'filter:b/model', 'classical:blur:0.9']
    >>> print(*unique_names(["a\nb.pth"]))
    a\nb

    Raises:
        BadInput: two are the same file, however it is spelled.
    """
    places = [Path(path) for path in paths]
    spellings: dict[Path, str] = {}
    for path, place in zip(paths, places, strict=True):
        if (file := place.resolve()) in spellings:
            raise BadInput(f"{spellings[file]} and {path} are the same model: give it once")
        spellings[file] = path
    files = {place_of(path): None for path in paths if not path.startswith(CLASSICAL)}
    names = shortest({file: (*file.parts[:-1], file.stem) for file in files})
    if len(set(names.values())) < len(names):  # two files that differ in their ending alone
        names = {file: str(file) for file in files}
    shown = {file: one_line(name) for file, name in names.items()}
    if len(set(shown.values())) == len(names):  # names are printed, and stand in every table
        names = shown
    return [path if path.startswith(CLASSICAL) else named(path, names) for path in paths]


def place_of(path: str) -> Path:
    """The file of a model, or of the one that a filter is of."""
    return Path(filter_spec(path).model if path.startswith(FILTER) else path)


def named(path: str, names: Mapping[Path, str]) -> str:
    """The name of a file's model, or of a filter: that of its model with a prefix.

    >>> named("filter:runs/a/model.pth@gaussian:15", {Path("runs/a/model.pth"): "a/model"})
    'filter:a/model@gaussian:15'
    """
    name = names[place_of(path)]
    if not path.startswith(FILTER):
        return name
    noise = filter_spec(path).noise
    return f"{FILTER}{name}" + (f"@{noise}" if noise else "")
