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
import importlib
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from tests.attack.core_tests import CORE  # noqa: E402
from tests.attack.mutant_places import drawn  # noqa: E402
from tests.attack.mutant_runs import of_module  # noqa: E402
from tests.helpers.paths import ROOT  # noqa: E402

EQUIVALENT = Path(__file__).with_name("equivalent_mutants.json")
SEED, COUNT = 21, 400

LIBRARIES = (
    *("pytest", "hypothesis", "_hypothesis_pytestplugin", "torch._dynamo", "torchvision", "lpips"),
    *("pandas", "scipy.stats", "scipy.optimize", "sklearn.manifold", "safetensors.torch"),
    *("skimage.metrics", "matplotlib.figure", "seaborn", "spandrel", "PIL.Image"),
)


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
