"""What the command prints of a finished report: its pages, or its parts for `--json`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analysis.commands import printed
from analysis.commands.run_tables import read_tables
from analysis.generalization import metrics
from analysis.report import contents, leaderboard, reading
from analysis.report.settings import BENCHMARK
from analysis.report.verdict import headline
from analysis.text.markdown import plain
from mtd.utils import output, progress
from mtd.utils.messages import say


def show(folder: Path, pages: Iterable[Path], quiet: bool = False) -> None:
    """Print the verdict, metrics that were not run, and where the pages of a report are; with
    `--json` its tables, sentences and files."""
    lines = metrics.lines(contents.sections(folder).get(BENCHMARK, {}))
    text = "\n".join([headline(folder), *lines, *(f"written to {path}" for path in pages)])
    output.show(text, **(parts(folder) if output.collecting() else {}))
    if not quiet:
        say(f"done in {progress.spent()}")


def parts(folder: Path) -> dict[str, Any]:
    """The rows of the leaderboard, the names of other tables, the verdict and the sections' main
    sentences."""
    results = printed.tables(folder, read_tables(folder, [Path(leaderboard.LEADERBOARD).stem]))
    sentences = [headline(folder)]
    for name in contents.sections(folder):
        own = printed.tables(folder / name, read_tables(folder / name, ()), most=0)
        results |= {f"{name}/{table}": about for table, about in own.items()}
        sentences += map(plain, reading.main_sentences(folder / name, name))
    return {
        "run": folder,
        "results": results,
        "sentences": sentences,
        "files": printed.files(folder),
    }
