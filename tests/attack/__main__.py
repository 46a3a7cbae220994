"""Attack readers, or write one of their inputs: `python -m tests.attack [READER ...]`."""

from __future__ import annotations

import argparse
import multiprocessing
from importlib import import_module
from pathlib import Path

from tests.attack import readers
from tests.attack.forked_children import outcomes
from tests.attack.outcomes import Counts
from tests.attack.reader import Reader, input_of

MODULE = "tests.attack.readers"

LIBRARIES = ("mtd.loading.load", "mtd.training.state", "analysis.curves.command", "PIL.Image")
LIBRARIES += ("analysis.srga.command", "analysis.report.verify", "torch._dynamo")
"""What is imported before processes are forked; none of it starts a thread."""

FORK = multiprocessing.get_context("fork")


def main() -> None:
    """Attack the readers that are named, all by default, and print a row of counts for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=main.__doc__)
    parser.add_argument("reader", nargs="*", help="names; all by default")
    parser.add_argument("--count", type=int, default=10_000, help="inputs of each (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (default 0)")
    parser.add_argument("--input", type=int, help="number of one input, which is written and read")
    parser.add_argument("--to", type=Path, default=Path("input"), help="its folder (default input)")
    parser.add_argument("--list", action="store_true", help="list the readers")
    given = parser.parse_args()
    known = {one.name: one for one in readers.READERS}
    if unknown := [name for name in given.reader if name not in known]:
        parser.error(f"no reader {unknown[0]}; --list lists them")
    chosen = [known[name] for name in given.reader or known]
    if given.list:
        print(*known, sep="\n")
    elif given.input is not None:
        for one in chosen:
            write(one, given.seed, given.input, given.to)
    else:
        attack(chosen, given.seed, given.count)


def write(reader: Reader, seed: int, number: int, folder: Path) -> None:
    """Write the files of an input, and print what becomes of it."""
    for name, content in input_of(reader, reader.seeds(), seed, number).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (found,) = outcomes(reader, MODULE, seed, 1, first=number, context=FORK)
    print(f"{folder}: {found.kind} {found.detail}")


def attack(chosen: list[Reader], seed: int, count: int) -> None:
    """Attack readers; print a row of the table for each, and its defects."""
    for name in LIBRARIES:
        import_module(name)
    print(f"| reader | inputs | refused | accepted | defects | CPU seconds |\n|{' --- |' * 6}")
    for one in chosen:
        counts = Counts.of(outcomes(one, MODULE, seed, count, context=FORK))
        row = (one.name, count, counts.refused, counts.accepted, len(counts.defects))
        print(f"| {' | '.join(map(str, row))} | {counts.seconds:.0f} |", flush=True)
        for line in counts.lines(one.name, seed):
            print(line, flush=True)


if __name__ == "__main__":
    main()
