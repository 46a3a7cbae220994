"""What can be changed in the numeric core, and a sample of it; see `tests.attack.mutants`."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.attack.core_tests import CORE
from tests.helpers.paths import ROOT

GROUPS = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitOr", "BitAnd", "BitXor", "RShift", "LShift"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
)
"""Operators that replace each other."""


class Mutant(NamedTuple):
    """One change of one place.

    Attributes:
        path: of the module, from the root of the checkout.
        scope: function around it.
        line: that is changed, counted from 1.
        operator: of cosmic-ray.
        occurrence: the number of this operator's place in the module.
        before: the line.
        after: the line as it is changed.
    """

    path: str
    scope: str
    line: int
    operator: str
    occurrence: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """What stays the same when lines elsewhere change."""
        return "|".join((self.path, self.scope, self.before, self.after))


def operators() -> list[str]:
    """The operators of cosmic-ray that are used."""
    import parso.python  # noqa: F401  cosmic-ray imports its parts in another order
    from cosmic_ray.plugins import operator_names

    used = []
    for name in operator_names():
        kind, *ends = name.removeprefix("core/").split("_")
        if kind in ("VariableReplacer", "VariableInserter", "NoOp"):
            continue
        if kind.startswith(("ReplaceBinary", "ReplaceComparison")) and not any(
            set(ends) <= group for group in GROUPS
        ):
            continue
        used.append(name)
    return used


def spans_left_alone(tree: ast.Module) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Annotations, aliases of types, exceptions that are raised, texts with values in them."""
    alone: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            alone.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            alone.append(node.annotation)
        elif isinstance(node, ast.Raise | ast.JoinedStr) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            alone.append(node)
    for node in tree.body:  # aliases of types
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            alone.append(node)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]
        for node in alone
        if node is not None
    ]


def scopes(tree: ast.Module) -> list[tuple[int, int, str]]:
    """First and last line of every function and class, and its name; outer ones first."""
    found: list[tuple[int, int, str]] = []

    def add(node: ast.AST, above: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = above
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{above}.{child.name}" if above else child.name
                found.append((child.lineno, child.end_lineno or child.lineno, name))
            add(child, name)

    add(tree, "")
    return found


def nodes(node: Any) -> Iterator[Any]:
    """A tree of parso in the order in which cosmic-ray walks it."""
    yield node
    for child in getattr(node, "children", ()):
        yield from nodes(child)


class Place(NamedTuple):
    """Where something can be changed, and by which operators."""

    rank: str
    path: str
    scope: str
    line: int
    choices: list[tuple[str, int]]


def places(path: str, seed: int) -> list[Place]:
    """The places of a module that can be changed, each with its rank in the draw."""
    from cosmic_ray.ast import get_ast
    from cosmic_ray.plugins import get_operator

    source = (ROOT / path).read_text()
    lines, tree = source.splitlines(), ast.parse(source)
    alone, around = spans_left_alone(tree), scopes(tree)
    walked = list(nodes(get_ast(source)))
    choices: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for name in operators():
        operator, occurrence = get_operator(name)(), 0
        for node in walked:
            for start, end in operator.mutation_positions(node):
                if not any(first <= start and end <= last for first, last in alone):
                    choices.setdefault(start, []).append((name, occurrence))
                occurrence += 1
    found, seen = [], Counter[str]()
    for (line, column), known in sorted(choices.items()):
        text = lines[line - 1]
        if text[column : column + 2] == "*,":
            continue  # what follows is given by keyword
        scope = next((n for a, b, n in reversed(around) if a <= line <= b), "")
        what = f"{path}|{scope}|{text.strip()}|{column - len(text) + len(text.lstrip())}"
        seen[what] += 1
        rank = hashlib.sha256(f"{seed}|{what}|{seen[what]}".encode()).hexdigest()
        found.append(Place(rank, path, scope, line, known))
    return found


def mutated(path: str, operator: str, occurrence: int) -> str | None:
    """The source of a module with one change."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    return mutate_code((ROOT / path).read_text(), get_operator(operator)(), occurrence)


def drawn(seed: int, count: int) -> list[Mutant]:
    """The sample: of the places with the first ranks, one mutant each that compiles."""
    every = sorted(place for path in CORE for place in places(path, seed))
    chosen: list[Mutant] = []
    for place in every:
        if len(chosen) == count:
            break
        order = sorted(
            place.choices,
            key=lambda choice: hashlib.sha256(f"{place.rank}|{choice[0]}".encode()).hexdigest(),
        )
        for name, occurrence in order:
            source = (ROOT / place.path).read_text()
            changed = mutated(place.path, name, occurrence)
            if changed is None or changed == source or not compiles(changed):
                continue
            pairs = zip(source.splitlines(), changed.splitlines(), strict=False)
            at, (before, after) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
            if name.endswith("RemoveDecorator"):
                at, before, after = place.line, source.splitlines()[place.line - 1], ""
            where = (place.path, place.scope, at, name.removeprefix("core/"), occurrence)
            chosen.append(Mutant(*where, before.strip(), after.strip()))
            break
    return chosen


def compiles(source: str) -> bool:
    """Whether a source is Python."""
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True
