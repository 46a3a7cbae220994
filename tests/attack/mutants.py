"""Mutation testing of the numeric core: does a test fail when the arithmetic is changed?

Mutants are made by the operators of cosmic-ray, which is no dependency of the project:

    pip install cosmic-ray
    python tests/attack/mutants.py run mutants.jsonl
    python tests/attack/mutants.py table mutants.jsonl

Places are drawn by a hash of the seed and of what stands there, so that a change elsewhere leaves
the others in the sample; at each place one mutant is drawn. Docstrings, annotations, messages and
what an exception says are left alone, and so are replacements that merely end in a TypeError, such
as a bit shift for a sum. Each mutant is run in a process forked from one that holds the libraries,
which gives the import of the one module the changed source; no file is changed. A run that is cut
off goes on where it stopped. `README.md` beside this file holds the results.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import importlib
import importlib.machinery
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.attack.core_tests import CORE  # noqa: E402
from tests.attack.replaced_code import replaced  # noqa: E402

EQUIVALENT = Path(__file__).with_name("equivalent_mutants.json")
SEED, COUNT = 21, 400
NOT_HERE = 71
"""Exit status where more than functions must be replaced."""
CPU_FACTOR, CPU_LEAST = 5, 20
"""A mutant has timed out after `CPU_FACTOR` times the processor time of its tests, and as many
seconds more as `CPU_LEAST`."""

LIBRARIES = (
    *("pytest", "hypothesis", "_hypothesis_pytestplugin", "torch._dynamo", "torchvision", "lpips"),
    *(
        "pandas",
        "scipy.stats",
        "scipy.optimize",
        "sklearn.manifold",
        "safetensors.torch",
        "skimage",
    ),
    *("skimage.metrics", "matplotlib.figure", "seaborn", "spandrel", "PIL.Image"),
)
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
        occurrence: the how-manieth of this operator in the module.
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


def serve(path: Path, source: str) -> None:
    """Let the import of one module find another source."""
    get_code = importlib.machinery.SourceFileLoader.get_code

    def changed(self: Any, fullname: str) -> CodeType | None:
        if Path(self.path).resolve() == path:
            return compile(source, str(path), "exec")
        return get_code(self, fullname)

    importlib.machinery.SourceFileLoader.get_code = changed  # type: ignore[method-assign]


class Quick:
    """A plugin of pytest: failing examples need not be small, the first failure is noted, and what
    is done with the collected tests may be another thing than to run them once."""

    def __init__(self, each: Callable[[Callable[[], int]], None] | None = None) -> None:
        self.failed, self.each = "", each

    def pytest_collection(self) -> None:
        import hypothesis

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", hypothesis.settings(), phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_runtestloop(self, session: Any) -> bool | None:
        """Give `each` a function that runs the tests: 0 where all pass."""
        if self.each is None:
            return None

        def once() -> int:
            from _pytest.main import pytest_runtestloop

            with contextlib.suppress(session.Failed):
                pytest_runtestloop(session)
            return 1 if session.testsfailed else 0

        self.each(once)
        return True


def collected(tests: Sequence[str], folder: Path, plugin: Quick) -> int:
    """Collect tests and run them, or do with them what the plugin does."""
    import pytest

    options = ["-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    options += ["--assert=plain"]  # else modules with doctests are read from their files
    options += ["-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"]
    options += [f"--basetemp={folder / 'tmp'}"]
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
    return int(pytest.main([*options, *tests], plugins=[plugin]))


def forked(work: Callable[[], int], failed: Callable[[], str], cpu: int) -> dict[str, Any]:
    """Fork, work, wait: what came of it, the first failing test and the processor time."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, began = Path(scratch), time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.setpgrp()
                out = os.open(folder / "out", os.O_WRONLY | os.O_CREAT)
                os.dup2(out, 1)
                os.dup2(out, 2)
                resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
                resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
                code = work()
                (folder / "failed").write_text(failed())
            finally:
                os._exit(code)
        while True:
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended:
                break
            if time.monotonic() - began > max(600, 20 * cpu):
                os.killpg(pid, signal.SIGKILL)
            time.sleep(0.02)
        code = os.waitstatus_to_exitcode(status)
        what = "timed out" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "killed"
        by = folder / "failed"
        return {
            "outcome": "survived" if code == 0 else what,
            "exit": code,
            "by": by.read_text() if by.exists() else "",
            "cpu": round(used.ru_utime + used.ru_stime, 2),
        }


def imported_anew(path: str, source: str | None, cpu: int) -> dict[str, Any]:
    """The tests of a module in a process that imports it from another source."""
    plugin = Quick()

    def work() -> int:
        if source is not None:
            serve(ROOT / path, source)
        with tempfile.TemporaryDirectory() as folder:
            return collected([*CORE[path], path], Path(folder), plugin)

    return forked(work, lambda: plugin.failed, cpu)


def of_module(path: str, mutants: Sequence[Mutant], results: Path) -> None:
    """Run the mutants of a module: those that change functions after its tests were collected, the
    others, and those that survive this, in processes that import it anew."""
    original = (ROOT / path).read_text()
    sources = {m.key: mutated(path, "core/" + m.operator, m.occurrence) or "" for m in mutants}
    left: list[Mutant] = []

    def done(mutant: Mutant, found: dict[str, Any]) -> None:
        with results.open("a") as file:
            file.write(json.dumps(mutant._asdict() | found) + "\n")
        said = f"{found['outcome']} {path}:{mutant.line} {mutant.before} -> {mutant.after}"
        say(f"{found['cpu']} s {said} [{found['by']}]")

    def each(once: Callable[[], int]) -> None:
        importlib.import_module(path.removesuffix(".py").replace("/", "."))
        plain = forked(once, lambda: plugin.failed, 600)
        if plain["outcome"] != "survived":
            say(f"{path}: its tests fail as it is: {plain}")
            return
        limits.append(int(CPU_FACTOR * plain["cpu"]) + CPU_LEAST)
        say(f"{path}: {plain['cpu']} s")
        for mutant in mutants:

            def work(source: str = sources[mutant.key]) -> int:
                return once() if replaced(ROOT / path, original, source) else NOT_HERE

            found = forked(work, lambda: plugin.failed, limits[0])
            if found["exit"] in (0, NOT_HERE):
                left.append(mutant)
            else:
                done(mutant, found)

    plugin, limits = Quick(each), list[int]()
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        pid = os.fork()  # so that this process never imports the module
        if pid == 0:
            try:
                collected([*CORE[path], path], Path(folder), plugin)
                notes.write_text(json.dumps([limits, [mutant.key for mutant in left]]))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        limits, keys = json.loads(notes.read_text())
    if not limits:
        sys.exit(f"{path}: its tests cannot be collected, or fail as it is")
    for mutant in mutants:
        if mutant.key in keys:
            done(mutant, imported_anew(path, sources[mutant.key], limits[0]))


def say(text: str) -> None:
    """A line of progress, on the terminal's own stream although pytest holds stdout."""
    sys.__stderr__.write(f"{text}\n")
    sys.__stderr__.flush()


def run(results: Path, seed: int, count: int, again: Sequence[str], workers: int) -> None:
    """Run the sample, of which a smaller one is the beginning.

    Those in the file of results already, but for the outcomes in `again`, are not run anew.
    """
    known = read(results)
    sample = drawn(seed, count)
    for name in LIBRARIES:
        importlib.import_module(name)
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
    os.chdir(ROOT)
    paths = list(CORE)
    missing = [
        mutant
        for mutant in sample
        if mutant.key not in known or known[mutant.key]["outcome"] in again
    ]
    for number in range(workers):
        if os.fork() == 0:
            for path in paths[number::workers]:
                here = [mutant for mutant in missing if mutant.path == path]
                if here:
                    of_module(path, here, results)
            os._exit(0)
    for _ in range(workers):
        os.wait()


def key(found: dict[str, Any]) -> str:
    """`Mutant.key` of what was written of it."""
    return "|".join(found[name] for name in ("path", "scope", "before", "after"))


def read(results: Path) -> dict[str, dict[str, Any]]:
    """What a file of results says of each mutant, the last run last."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {key(found): found for found in map(json.loads, lines)}


def table(results: Path, seed: int, count: int) -> None:
    """Print the table of a README: modules, and the mutants that survived."""
    known = read(results)
    equal = {key(found): found["reason"] for found in json.loads(EQUIVALENT.read_text())}
    names = ("mutants", "killed", "timed out", "survived", "equivalent")
    counts: dict[str, Counter[str]] = {}
    left, reasons = [], []
    for mutant in drawn(seed, count):
        found = known[mutant.key]
        same = found["outcome"] == "survived" and mutant.key in equal
        what = "equivalent" if same else found["outcome"]
        for of in (mutant.path, "together"):
            counts.setdefault(of, Counter()).update({"mutants": 1, what: 1})
        change = f"| `{mutant.path}`, `{mutant.scope}` | `{mutant.before}` | `{mutant.after}` |"
        if what == "survived":
            left.append(change)
        elif same:
            reasons.append(f"{change} {equal[mutant.key]} |")
    lines = [f"| module | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for of in [*sorted(set(counts) - {"together"}), "together"]:
        lines.append(f"| {of} | " + " | ".join(str(counts[of][name]) for name in names) + " |")
    print("\n".join([*lines, "", *left, "", *reasons]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=("list", "run", "table"))
    parser.add_argument("results", type=Path, nargs="?", default=Path("mutants.jsonl"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--again", nargs="*", default=[], help="outcomes to run anew")
    given = parser.parse_args()
    if given.do == "list":
        for mutant in drawn(given.seed, given.count):
            print(f"{mutant.path}:{mutant.line} {mutant.before}  ->  {mutant.after}")
    elif given.do == "run":
        os.nice(2)
        run(given.results.resolve(), given.seed, given.count, given.again, given.workers)
    else:
        table(given.results, given.seed, given.count)


if __name__ == "__main__":
    main()
