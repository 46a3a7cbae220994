"""A reader under attack: what it reads, how that is damaged, and how it is called."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.attack.mutations import Mutation

Files = Mapping[str, bytes]
"""Files by their path in a folder."""


@dataclass(frozen=True)
class Reader:
    """A reader under attack.

    Attributes:
        name: in tables and test ids.
        seeds: sound files, which it accepts; each mapping is the content of one folder.
        read: what a command or function does with the folder; it returns, or raises `BadInput`.
        mutations: of the file that is damaged.
        damaged: names of the files that are damaged; all if empty.
        starts: whether it may start processes of its own.
    """

    name: str
    seeds: Callable[[], Sequence[Files]]
    read: Callable[[Path], Any]
    mutations: Sequence[Mutation]
    damaged: Sequence[str] = ()
    starts: bool = False


LARGEST_INPUT = 2**22
"""Bytes of the largest file."""

MOST = 3
"""Mutations of one input."""


def input_of(reader: Reader, seeds: Sequence[Files], seed: int, number: int) -> dict[str, bytes]:
    """The files of one input, which its reader, seed and number decide alone.

    The first inputs are the sound files themselves.
    """
    if number < len(seeds):
        return dict(seeds[number])
    draw = random.Random(f"{reader.name}/{seed}/{number}")
    files = dict(draw.choice(seeds))
    name = draw.choice(
        sorted(name for name in files if not reader.damaged or name in reader.damaged)
    )
    for _ in range(draw.choice((1,) * MOST + tuple(range(2, MOST + 1)))):
        changed = draw.choice(reader.mutations)(files[name], draw)
        if len(changed) <= LARGEST_INPUT:
            files[name] = changed
    return files


def one_file(
    name: str,
    file: str,
    contents: Callable[[], Sequence[bytes]],
    read: Callable[[Path], Any],
    mutations: Sequence[Mutation],
    starts: bool = False,
) -> Reader:
    """A reader of single files.

    Args:
        name: of the reader.
        file: the name of its files.
        contents: of sound files.
        read: gets the path of the file.
        mutations: of its content.
        starts: whether it may start processes of its own.
    """

    def seeds() -> Sequence[Files]:
        return [{file: content} for content in contents()]

    return Reader(name, seeds, lambda folder: read(folder / file), mutations, starts=starts)
