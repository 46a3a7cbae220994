"""What requested models are called, one file being several models if its settings differ."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtd.loading.classical import stem
from mtd.utils.errors import BadInput, nearest
from mtd.utils.user_folders import expanded


def details(paths: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells each model from the others of its file; empty where nothing has to.

    The settings that differ, without an equals sign, which ends a model's name in options; a number
    where no setting does.

    Args:
        paths: of the models' files.
        settings: of each model, those that were given.

    >>> details(["a.pth", "a.pth", "b.pth"], [{"depth": 3}, {}, {}])
    ['depth 3', '', '']
    >>> details(["a.pth", "./a.pth"], [{}, {}])
    ['#1', '#2']
    """
    files = [Path(path).resolve() for path in paths]
    texts = []
    for file, own in zip(files, settings, strict=True):
        others = [s for f, s in zip(files, settings, strict=True) if f == file]
        differ = [k for k in own if any(k not in s or s[k] != own[k] for s in others)]
        texts.append(", ".join(f"{k} {own[k]}" for k in differ).replace("=", ":"))
    numbers = numbers_of_equals(list(zip(files, texts, strict=True)))
    return [
        text if number is None else f"{text} #{number}".strip()
        for text, number in zip(texts, numbers, strict=True)
    ]


def numbers_of_equals(values: Sequence[Hashable]) -> list[int | None]:
    """The number of each value among those equal to it, from 1; None where there is no other.

    >>> numbers_of_equals(["a", "b", "a"])
    [1, None, 2]
    """
    counts, before = Counter(values), Counter[Hashable]()
    numbers: list[int | None] = []
    for value in values:
        before[value] += 1
        numbers.append(before[value] if counts[value] > 1 else None)
    return numbers


CHECKPOINTS = "the checkpoints of one model's trainings, as in NAME=runs/b*/model.pth"
"""What a pattern is expected to match."""


def named_files(text: str, expected: str = CHECKPOINTS) -> list[tuple[str, str]]:
    """Name and path of every file that `NAME=FILE` or `NAME=PATTERN` stands for.

    A text without a name stands for itself, and so do the name of a file that exists, and specs
    such as `classical:blur:0.9`. Files of a pattern are in the order of the numbers in their names.

    Args:
        text: as it was given.
        expected: what a pattern is to match, for the message.

    Raises:
        BadInput: no file matches the pattern.

    >>> named_files("masked.pth"), named_files("masked=runs/m1/model.pth")
    ([('', 'masked.pth')], [('masked', 'runs/m1/model.pth')])
    """
    text = expanded(text)
    name, equals, pattern = text.partition("=")
    if not equals or not name or set(name) & set("/\\:") or Path(text).exists():
        return [("", text)]
    if not pattern:
        raise BadInput(f"{text}: expected NAME=FILE, or NAME=PATTERN for several trainings")
    return [(name, path) for path in matching(pattern, text, expected)]


def matching(pattern: str, given: str = "", expected: str = CHECKPOINTS) -> list[str]:
    """The files that a pattern matches, runs/b2 before runs/b10; a file's own name is itself.

    A pattern that matches no file stands for the models of the zoo that it matches.

    Args:
        pattern: as for `glob`.
        given: what the user gave, for the message; by default the pattern.
        expected: what it is to match, for the message.

    Raises:
        BadInput: none matches.
    """
    from mtd.loading import zoo

    if Path(pattern).exists() or not glob.has_magic(pattern):
        return [pattern]
    start = Path(pattern).anchor
    found = [str(path) for path in Path(start).glob(pattern[len(start) :])] or zoo.matching(pattern)
    if not found:
        raise BadInput(f"{given or pattern}: no file matches; expected {expected}")
    return sorted(found, key=natural)


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in texts by their value."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def spellings(
    paths: Sequence[str], settings: Sequence[Mapping[str, Any]], given: Sequence[str] = ()
) -> list[set[str]]:
    """What each model may be called in options: its file, also without folder and ending.

    Where a file is given several times, that means all of its models. `FILE#2` is the second, and
    `FILE (depth 3)` the one of this setting. A name that models were given means all of them.

    Args:
        paths: of the models' files.
        settings: of each model, those that were given.
        given: the name that each was given; empty where it has none.

    >>> sorted(spellings(["n/a.pth", "n/a.pth"], [{"depth": 3}, {}])[0])
    ['a', 'a (depth 3)', 'a#1', 'n/a.pth', 'n/a.pth (depth 3)', 'n/a.pth#1']
    """
    numbers = numbers_of_equals([Path(path).resolve() for path in paths])
    found = []
    for i, (path, detail) in enumerate(zip(paths, details(paths, settings), strict=True)):
        names = {path, stem(path)}
        if numbers[i] is not None:
            names |= {f"{name}#{numbers[i]}" for name in (path, stem(path))}
        if detail:
            names |= {f"{name} ({detail})" for name in (path, stem(path))}
        if given and given[i]:
            names.add(given[i])
        found.append(names)
    return found


def prefixed(text: str, names: Collection[str]) -> tuple[str, str]:
    """Name and value of `NAME=VALUE`, where it begins with a name that is known; else "" and text.

    Names and values may have equals signs of their own; the longest name counts.

    >>> prefixed("a=gaussian:=poisson:3", ["a"]), prefixed("gaussian:=poisson:3", ["a"])
    (('a', 'gaussian:=poisson:3'), ('', 'gaussian:=poisson:3'))
    """
    places = [i for i, character in enumerate(text) if character == "="]
    for i in reversed(places):
        if text[:i] in names:
            return text[:i], text[i + 1 :]
    return "", text


def values_by_model(
    option: str,
    texts: Sequence[str],
    paths: Sequence[str],
    names: Sequence[set[str]],
    choices: Sequence[str] = (),
    shared: bool = True,
) -> list[Any]:
    """An option's value for each model, or None.

    One for all is overruled by one for all models of a file, and that by one for a single model.

    Args:
        option: its name.
        texts: `VALUE` or `MODEL=VALUE`.
        paths: of the models' files.
        names: see `spellings`.
        choices: the possible values; any without.
        shared: whether a value may be for all models.

    Raises:
        BadInput: another value, no such model, a name of several files, or a value for all.

    >>> paths, names = ["a.pth", "b.pth"], spellings(["a.pth", "b.pth"], [{}, {}])
    >>> values_by_model("--sigma", ["b=25", "15"], paths, names)
    ['15', '25']
    """
    given: list[tuple[list[int], str]] = []
    for text in texts:
        name, value = prefixed(text, set().union(*names))
        if not name and not Path(text).exists():  # a file's name may have an equals sign
            name, _, value = text.rpartition("=")
        if choices and value not in choices:
            raise BadInput(f"{option} {text}: expected {' or '.join(choices)}")
        named = [i for i in range(len(paths)) if name in names[i]]
        if not named and value != text:
            numbers = zip(paths, numbers_of_equals(paths), strict=True)
            known = [path if number is None else f"{path}#{number}" for path, number in numbers]
            raise BadInput(f"{option} {text}: no such model; {nearest(name, known)}")
        trainings = all(name not in (paths[i], stem(paths[i])) for i in named)
        if len({Path(paths[i]).resolve() for i in named}) > 1 and not trainings:
            several = " and ".join(paths[i] for i in named)
            raise BadInput(f"{option} {text}: names {several}; give one with its folder")
        if not named and not shared:
            raise BadInput(f"{option} {text}: with several models, say which: MODEL={value}")
        given.append((named, value))
    values: list[Any] = [None] * len(paths)
    for named, value in sorted(given, key=lambda item: -len(item[0] or [*paths, ""])):
        for i in named or range(len(paths)):
            values[i] = value
    return values
