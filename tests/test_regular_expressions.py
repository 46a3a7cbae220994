"""Every regular expression of both packages reads a text in time that grows with its length alone.

Texts come from other people: a pattern that needs the square of their length hangs on a file of
some kilobytes. Steps are counted, not seconds.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.regex_steps import Steps, attacks, grows

WHOLE = {name: name for name in ("fullmatch", "match", "search", "pattern")}
METHODS = ("fullmatch", "match", "search", "compile", "findall", "finditer", "split", "sub", "subn")

NO_FOREIGN_TEXT = {
    "mtd/networks/block_names.py: self.marker": "of an architecture",
    "mtd/networks/block_names.py: self.path": "of an architecture",
    "mtd/networks/block_names.py: f'^(?:{beginning}){END}'": "of an architecture",
    "analysis/engine/layers.py: rest": "--layers 're:PATTERN' is the user's own",
    "analysis/engine/layers.py: _glob(selector)": "--layers PATTERN is the user's own",
}
"""Patterns that are made of what a user or a programmer gives, by file and code."""


@dataclass(frozen=True)
class Use:
    """A pattern in the code.

    Attributes:
        place: file and line.
        pattern: its text.
        flags: of `re`.
        method: by which it is used, as far as that decides where it may begin and end.
    """

    place: str
    pattern: str | bytes
    flags: int
    method: str


def sources() -> Iterator[tuple[Path, str]]:
    for package in ("mtd", "analysis"):
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if re.search(r"\bre\.\w", text):
                yield path, text


def method_of(name: str, text: str) -> str:
    """How a compiled pattern is used in its file; as `findall` where that is not known.

    `pattern` if only its text is used, in others.
    """
    used = set(re.findall(rf"\b{name}\.(\w+)", text))
    used = used - {"pattern"} or used
    return WHOLE.get(used.pop(), "findall") if len(used) == 1 else "findall"


def uses(path: Path, text: str) -> Iterator[Use]:
    tree = ast.parse(text)
    names = {
        id(node.value): node.targets[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    place = path.relative_to(ROOT)
    for node in filter(is_call, ast.walk(tree)):
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if named(path, node) in NO_FOREIGN_TEXT:
            continue
        method = WHOLE.get(node.func.attr, "findall")
        if node.func.attr == "compile":
            method = method_of(names.get(id(node), ""), text)
        for pattern in values(node.args[0], tree, constants(path)) if method != "pattern" else ():
            compiled = re.compile(pattern, flags_of(node))
            yield Use(f"{place}:{node.lineno}", compiled.pattern, compiled.flags, method)


def named(path: Path, call: ast.Call) -> str:
    """The file and code of a pattern, as `NO_FOREIGN_TEXT` has them."""
    return f"{path.relative_to(ROOT)}: {ast.unparse(call.args[0])}"


def is_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in METHODS
    )


@cache
def constants(path: Path) -> dict[str, Any]:
    """The constants of a module, and those that it imports, without importing it."""
    known: dict[str, Any] = {"re": re}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            origin = (ROOT / node.module.replace(".", "/")).with_suffix(".py")
            there = constants(origin) if origin.is_file() else {}
            known |= {one.asname or one.name: there.get(one.name) for one in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with suppress(Exception):
                known[node.targets[0].id] = value(node.value, known)
    return known


def value(expression: ast.expr, known: Mapping[str, Any]) -> Any:
    return eval(compile(ast.Expression(expression), "pattern", "eval"), dict(known))


def flags_of(node: ast.Call) -> int:
    """The flags of a call: `re.I` and the like, wherever they stand."""
    given = [*node.args[1:], *(word.value for word in node.keywords if word.arg == "flags")]
    flags = [one for one in given if ast.unparse(one).startswith("re.")]
    return sum(int(value(one, {"re": re})) for one in flags)


def values(expression: ast.expr, tree: ast.Module, known: Mapping[str, Any]) -> list[str | bytes]:
    """What an expression is: a constant of its module, or a variable that is set by constants.

    Arguments of functions within it are taken for the text `x`.
    """
    if isinstance(expression, ast.IfExp):
        either = (expression.body, expression.orelse)
        return [one for part in either for one in values(part, tree, known)]
    if isinstance(expression, ast.Name) and expression.id not in known:
        return [
            one
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == expression.id
            for one in values(node.value, tree, known)
        ]
    names = (node.id for node in ast.walk(expression) if isinstance(node, ast.Name))
    return [value(expression, {**dict.fromkeys(names, "x"), **known})]


EVERY = dict(sources())


def test_all_uses_are_found():
    assert {ROOT / "analysis/curves/text_logs.py", ROOT / "mtd/noise/specs.py"} <= EVERY.keys()
    assert len(EVERY) > 40
    calls = {
        named(path, node)
        for path, text in EVERY.items()
        for node in filter(is_call, ast.walk(ast.parse(text)))
        if isinstance(node, ast.Call)
    }
    assert NO_FOREIGN_TEXT.keys() <= calls, "others are no exceptions any more"


@pytest.mark.parametrize("path", EVERY, ids=lambda path: str(path.relative_to(ROOT)))
def test_steps_grow_with_the_length_of_a_text(path):
    slow = []
    for use in uses(path, EVERY[path]):
        text = use.pattern if isinstance(use.pattern, str) else use.pattern.decode("latin-1")
        for attack in attacks(text, use.flags):
            if grows(text, use.flags, use.method, attack):
                slow.append((use.place, text, attack))
    assert not slow


@pytest.mark.parametrize(
    "pattern",
    [
        r"\s*x\s*$",
        r"(a+)+b",
        r"lr\s*:\s*\(?\s*\d",
        r"a.*b.*c",
        r"([A-Za-z_]\w*)\s*:",
        r"#.*?@",
        r'"(?:\\.|[^"\\])*"',
        r"\S*[^\d\s]\S*",
    ],
)
def test_patterns_that_need_the_square_are_found(pattern):
    assert any(grows(pattern, 0, "findall", attack) for attack in attacks(pattern))


@pytest.mark.parametrize(
    "pattern, text",
    [
        (r"(a|ab)(c|bcd)*+d?", "abcd abcbcdd xac"),
        (r"(?<![\w.])(\w+?)\s*+:\s*(\d+)\b", "a: 12 b :3c, .d:4 e\n: 5"),
        (r"(['\"])(?:(?!\1).)*\1", "'a\"b' \"c'd\" 'e"),
        (r"(?i)^\s*[^\d,]{2,3}(?=x)|Z$", "  ABx abX z"),
        (r"(?>a+)b|a(b?)(?:a\1)*", "aab aba abab aaa"),
        (r"(\d{1,3}(?:,\d{3})+|\d+)", "1,234 12,34 1234,567"),
    ],
)
@pytest.mark.parametrize("method", ["findall", "search", "match", "fullmatch"])
def test_the_counting_matcher_finds_what_pythons_does(pattern, text, method):
    compiled = re.compile(pattern)
    if method == "findall":
        expected = [match.span() for match in compiled.finditer(text)]
    else:
        found = getattr(compiled, method)(text)
        expected = [found.span()] if found else []
    assert Steps(pattern, compiled.flags).spans(text, method) == expected
