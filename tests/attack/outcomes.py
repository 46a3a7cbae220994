"""What became of inputs: refused in one line, accepted, or one of the kinds of defect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mtd.utils.printable import of_error

REFUSED, ACCEPTED = "refused", "accepted"

DEFECTS = {
    "seed": "a sound file is refused",
    "traceback": "an exception that is not BadInput, which commands show with its traceback",
    "message": "a refusal of more than one line, with control characters, or of endless length",
    "printed": "something printed that is no note of the program",
    "time": "more time than its limit",
    "memory": "more memory than its limit",
    "disk": "more written than its limit",
    "crash": "the process ended",
    "code": "code was run, or a process or connection started",
    "outside": "a file outside its folder was opened or changed",
    "left open": "files are still open",
}
"""Kinds of defect."""

LONGEST = 2100
"""Characters of the longest refusal."""

CONTROL = {*map(chr, range(32)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u2028", "\u2029"}
"""Characters that are never in a line on a terminal."""


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        number: of the input.
        kind: `refused`, `accepted` or one of `DEFECTS`.
        detail: the message, or what happened.
        seconds: of the processor, to make the input and to read it.
    """

    number: int
    kind: str
    detail: str = ""
    seconds: float = 0


def of_message(message: str) -> str:
    """What is wrong with a refusal as commands print it; empty for one good line."""
    text = of_error(message)
    if "\n" in message.strip():
        return f"several lines: {message[:300]!r}"
    if not text.strip():
        return "no text"
    if len(text) > LONGEST:
        return f"{len(text)} characters: {text[:100]!r}"
    if set(text) & CONTROL:
        return f"control characters: {text[:300]!r}"
    return ""


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those in whose handling it was raised."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def out_of_memory(error: BaseException) -> str:
    """The exception in a chain that says that memory could not be had; empty if none does.

    A refusal that was made of it came too late: nothing was checked before it was allocated.
    """
    words = ("allocate", "out of memory", "bad_alloc", "not enough memory")
    for one in chain(error):
        said = str(one).lower()
        if isinstance(one, MemoryError) or any(word in said for word in words):
            return f"{type(one).__name__}: {str(one)[:200]}"
    return ""


@dataclass
class Counts:
    """How many inputs were refused and accepted, the defects, and the seconds of all."""

    refused: int
    accepted: int
    defects: list[Outcome]
    seconds: float

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Counts:
        """Counts of some outcomes."""
        found = list(outcomes)
        kinds = Counter(one.kind for one in found)
        defects = [one for one in found if one.kind in DEFECTS]
        return cls(kinds[REFUSED], kinds[ACCEPTED], defects, sum(one.seconds for one in found))

    def lines(self, reader: str, seed: int) -> list[str]:
        """The first defects of each sort, each with how to make its input again."""
        sorts: dict[str, list[Outcome]] = {}
        for one in self.defects:
            sorts.setdefault(f"{one.kind} {one.detail[-40:]}", []).append(one)
        return [
            f"{len(same)} x {same[0].kind}: {same[0].detail}\n  python -m tests.attack {reader} "
            f"--seed {seed} --input {same[0].number}"
            for same in sorts.values()
        ]
