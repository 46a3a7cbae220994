"""How many steps a regular expression takes: a backtracking matcher that counts them.

It tries what Python's own matcher tries, in the same order, without that one's short cuts, so that
a test can see how the time to read a text grows without measuring time.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

MAXREPEAT = codes.MAXREPEAT
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
SINGLE = (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN)
CATEGORIES = {
    codes.CATEGORY_DIGIT: (re.compile(r"\d"), True),
    codes.CATEGORY_NOT_DIGIT: (re.compile(r"\d"), False),
    codes.CATEGORY_SPACE: (re.compile(r"\s"), True),
    codes.CATEGORY_NOT_SPACE: (re.compile(r"\s"), False),
    codes.CATEGORY_WORD: (re.compile(r"\w"), True),
    codes.CATEGORY_NOT_WORD: (re.compile(r"\w"), False),
}
SAMPLES = " 0a1A_-,.:/[](){}<>\"'\\#@=*+|&;\n\t\x1bxyz9"
"""Characters of which one of a class is an example."""

Continue = Callable[[int], bool]


@cache
def _parsed(pattern: str, flags: int) -> tuple[list[Any], int, dict[Any, bool]]:
    """The tree of a pattern, its flags, and which characters its classes hold, as far as known."""
    parsed = _parser.parse(pattern, flags)
    return list(parsed), parsed.state.flags, {}


class Steps:
    """Counts the steps of one pattern.

    Args:
        pattern: a regular expression.
        flags: of `re`.
        most: steps from which on `Exceeded` is raised.
    """

    def __init__(self, pattern: str, flags: int = 0, most: int = 10**6) -> None:
        self.tree, own, self.known = _parsed(pattern, flags)
        self.fold = bool(own & re.IGNORECASE)
        self.dot = bool(flags & re.DOTALL)
        self.lines = bool(flags & re.MULTILINE)
        self.most, self.count = most, 0
        self.groups: dict[int, tuple[int, int]] = {}
        self.text = ""

    def spans(self, text: str, method: str) -> list[tuple[int, int]]:
        """What `findall`, `search`, `match` or `fullmatch` finds; `count` has the steps."""
        self.text, self.count = text, 0
        found, begin = [], 0
        with deep():
            while begin <= len(text):
                self.groups, ends = {}, []

                def end(position: int, ends: list[int] = ends) -> bool:
                    if method == "fullmatch" and position < len(text):
                        return False
                    ends.append(position)
                    return True

                self._step()
                if self._match(self.tree, 0, begin, end):
                    found.append((begin, ends[-1]))
                    if method != "findall":
                        return found
                    begin = max(ends[-1], begin + 1)
                elif method in ("match", "fullmatch"):
                    return []
                else:
                    begin += 1
        return found

    def _step(self, number: int = 1) -> None:
        self.count += number
        if self.count > self.most:
            raise Exceeded

    def _match(self, nodes: Sequence[Any], at: int, begin: int, then: Continue) -> bool:
        """Whether nodes from one on match from a position, and what follows does."""
        while at < len(nodes):
            op, argument = nodes[at]
            self._step()
            if op not in SINGLE:
                return self._match_other(nodes, at, begin, then)
            if begin >= len(self.text) or not self._is_one(op, argument, self.text[begin]):
                return False
            at, begin = at + 1, begin + 1
        return then(begin)

    def _match_other(self, nodes: Sequence[Any], at: int, begin: int, then: Continue) -> bool:
        op, argument = nodes[at]

        def rest(position: int) -> bool:
            return self._match(nodes, at + 1, position, then)

        if op in REPEATS:
            return self._repeat(op, argument, begin, rest)
        if op is codes.BRANCH:
            return any(self._match(branch, 0, begin, rest) for branch in argument[1])
        if op is codes.SUBPATTERN:
            group, inner = argument[0], argument[-1]

            def close(position: int) -> bool:
                before = self.groups.get(group)
                self.groups[group] = (begin, position)
                if rest(position):
                    return True
                self.groups.pop(group, None)
                if before:
                    self.groups[group] = before
                return False

            return self._match(inner, 0, begin, close if group is not None else rest)
        if op is codes.ATOMIC_GROUP:
            end = self._first_end(argument, begin)
            return end is not None and rest(end)
        if op in (codes.ASSERT, codes.ASSERT_NOT):
            where = begin if argument[0] > 0 else begin - argument[1].getwidth()[0]
            holds = where >= 0 and self._first_end(argument[1], where) is not None
            return holds == (op is codes.ASSERT) and rest(begin)
        if op is codes.AT:
            return self._is_at(argument, begin) and rest(begin)
        if op is codes.GROUPREF:
            first, last = self.groups.get(argument, (0, -1))
            same = last >= first and self.text.startswith(self.text[first:last], begin)
            return same and rest(begin + last - first)
        raise NotImplementedError(op)

    def _first_end(self, nodes: Any, begin: int) -> int | None:
        ends: list[int] = []
        matched = self._match(nodes, 0, begin, lambda end: ends.append(end) is None)
        return ends[-1] if matched else None

    def _repeat(self, op: Any, argument: Any, begin: int, rest: Continue) -> bool:
        least, most, body = argument
        if len(body) == 1 and body[0][0] in SINGLE:
            return self._repeat_single(op, argument, begin, rest)
        if op is codes.POSSESSIVE_REPEAT:
            count, position = 0, begin
            while count < most and (end := self._first_end(body, position)) is not None:
                count += 1
                if end == position:
                    break
                position = end
            return count >= least and rest(position)

        def again(count: int, position: int) -> bool:
            def more() -> bool:
                return count < most and self._match(
                    body,
                    0,
                    position,
                    lambda end: (end > position or count < least) and again(count + 1, end),
                )

            if op is codes.MAX_REPEAT:
                return more() or (count >= least and rest(position))
            return (count >= least and rest(position)) or more()

        return again(0, begin)

    def _repeat_single(self, op: Any, argument: Any, begin: int, rest: Continue) -> bool:
        least, most, body = argument
        kind, of = body[0]
        end, last = begin, len(self.text) if most is MAXREPEAT else begin + most
        lazy = op is codes.MIN_REPEAT
        while end < min(last, len(self.text)) and self._is_one(kind, of, self.text[end]):
            self._step()
            if lazy and end - begin >= least and rest(end):
                return True
            end += 1
        if end - begin < least:
            return False
        if op is codes.MAX_REPEAT:
            return any(rest(stop) for stop in range(end, begin + least - 1, -1))
        return rest(end)

    def _is_one(self, op: Any, argument: Any, character: str) -> bool:
        key = (id(argument) if op is codes.IN else argument, op, character)
        if key not in self.known:
            self.known[key] = self._holds(op, argument, character)
        return self.known[key]

    def _holds(self, op: Any, argument: Any, character: str) -> bool:
        if op is codes.ANY:
            return self.dot or character != "\n"
        if op is codes.NOT_LITERAL:
            return not self._is_one(codes.LITERAL, argument, character)
        if op is codes.LITERAL:
            same = character == chr(argument)
            return same or (self.fold and character.lower() == chr(argument).lower())
        wanted = argument[0][0] is not codes.NEGATE
        cases = {character, character.lower(), character.upper()} if self.fold else {character}
        return any(_in_class(item, case) for item in argument for case in cases) == wanted

    def _is_at(self, place: Any, position: int) -> bool:
        text = self.text
        if place in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING):
            after_line = self.lines and place is codes.AT_BEGINNING and text[:position][-1:] == "\n"
            return position == 0 or after_line
        if place is codes.AT_END_STRING:
            return position == len(text)
        if place is codes.AT_END:
            return text[position:] in ("", "\n") or (self.lines and text[position] == "\n")
        sides = [
            bool(re.match(r"\w", text[i])) for i in (position - 1, position) if 0 <= i < len(text)
        ]
        between = (len(sides) == 2 and sides[0] != sides[1]) or (len(sides) == 1 and sides[0])
        return between == (place is codes.AT_BOUNDARY)


def _in_class(item: Any, character: str) -> bool:
    op, argument = item
    if op is codes.LITERAL:
        return ord(character[0]) == argument
    if op is codes.RANGE:
        return argument[0] <= ord(character[0]) <= argument[1]
    if op is codes.CATEGORY:
        pattern, wanted = CATEGORIES[argument]
        return bool(pattern.match(character)) == wanted
    return False


class Exceeded(Exception):
    """More steps than allowed."""


@contextmanager
def deep() -> Iterator[None]:
    """Allow deep recursion."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def attacks(pattern: str, flags: int = 0) -> Iterator[tuple[str, str]]:
    """Texts that a pattern may need very long for: what is before, and what is repeated."""
    steps = Steps(pattern, flags)
    seen = set()
    for preferred in ("", _example(steps, steps.tree, "")[:1]):
        texts = [("", _example(steps, steps.tree, preferred)), ("", " ")]
        for before, body in _repeated(steps, steps.tree, "", preferred):
            texts += [(before, body), ("", before + body)]
        for text in texts:
            if text not in seen and text[1]:
                seen.add(text)
                yield text


def _repeated(
    steps: Steps, nodes: Sequence[Any], before: str, preferred: str
) -> Iterator[tuple[str, str]]:
    """What stands before each part that is repeated, and what is repeated."""
    for op, argument in nodes:
        inner: list[Any] = []
        if op in REPEATS:
            inner = [argument[-1]]
            if argument[1] > 1:
                yield before, _example(steps, argument[-1], preferred)
                for branch in _branches(argument[-1]):
                    yield before, _example(steps, branch, preferred)
        elif op is codes.BRANCH:
            inner = argument[1]
        elif op is codes.SUBPATTERN:
            inner = [argument[-1]]
        elif op is codes.ATOMIC_GROUP:
            inner = [argument]
        for part in inner:
            yield from _repeated(steps, part, before, preferred)
        before += _example(steps, [(op, argument)], preferred)


def _branches(nodes: Sequence[Any]) -> list[Any]:
    """The alternatives that a repeated part consists of."""
    if len(nodes) == 1 and nodes[0][0] is codes.SUBPATTERN:
        return _branches(nodes[0][1][-1])
    return list(nodes[0][1][1]) if len(nodes) == 1 and nodes[0][0] is codes.BRANCH else []


def _example(steps: Steps, nodes: Sequence[Any], preferred: str) -> str:
    """A text that nodes match, as a rule.

    Args:
        steps: of the pattern.
        nodes: of its tree.
        preferred: the character that stands for a class, where it is in it.
    """
    text = ""
    for op, argument in nodes:
        if op in SINGLE:
            ones = [chr(argument)] if op is codes.LITERAL else [*preferred, *SAMPLES]
            if op is codes.IN:
                known = [of for kind, of in argument if kind in (codes.LITERAL, codes.RANGE)]
                ones += [chr(of if isinstance(of, int) else of[0]) for of in known]
            text += next((one for one in ones if steps._is_one(op, argument, one)), "")
        elif op in REPEATS:
            text += _example(steps, argument[-1], preferred) * int(argument[0])
        elif op is codes.BRANCH:
            text += _example(steps, argument[1][0], preferred)
        elif op is codes.SUBPATTERN:
            text += _example(steps, argument[-1], preferred)
        elif op is codes.ATOMIC_GROUP:
            text += _example(steps, argument, preferred)
    return text


def grows(pattern: str, flags: int, method: str, attack: tuple[str, str]) -> bool:
    """Whether the steps grow faster than the text that is attacked with.

    They are counted for texts of three sizes, each twice the one before, and of either end.
    """
    return any(_grows(pattern, flags, method, attack, end) for end in ENDS)


ENDS = ("\0", " ")
"""What follows a text, since it decides whether a pattern that has come so far fails."""


def _grows(pattern: str, flags: int, method: str, attack: tuple[str, str], end: str) -> bool:
    last = _steps(pattern, flags, method, attack, 128, end)
    if last <= FEW * 128:
        return False
    first, middle = (_steps(pattern, flags, method, attack, size, end) for size in (32, 64))
    return last > MANY * 128 or last - middle > 2.5 * (middle - first)


FEW, MANY = 11, 100
"""Steps for each character that are no reason to worry, and that are always too many."""


def _steps(
    pattern: str, flags: int, method: str, attack: tuple[str, str], size: int, end: str
) -> int:
    steps = Steps(pattern, flags, MANY * size + 1)
    before, body = attack
    with suppress(Exceeded):
        steps.spans(before + body * (size // 32 * (32 // len(body) + 1)) + end, method)
    return steps.count
