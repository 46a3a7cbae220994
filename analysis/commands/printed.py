"""What a command prints of a finished run folder: its text, or its parts for `--json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.engine.cache import FOLDER
from analysis.text.markdown import plain
from mtd.utils import output

if TYPE_CHECKING:
    import pandas as pd

    from analysis.commands.analysis import Analysis

MOST_ROWS = 1000
"""Rows of the longest table that is printed; of a longer one, its file is named."""


AFTER = 6
"""Lines of a terminal with what follows a text: where it is written, time, where to look."""


def show(path: Path, analysis: Analysis, text: str) -> None:
    """Print the text of a finished run; with `--json` its tables, sentences and files."""
    parts: dict[str, Any] = {}
    if output.collecting():
        frames, manifest = read_tables(path, analysis.all_table_names), read_manifest(path)
        parts = {
            "run": path,
            "results": tables(path, frames),
            "sentences": [plain(one) for one in analysis.all_sentences(frames, manifest)],
            "files": files(path),
        }
    output.show(f"{text}\n\nwritten to {path}", **parts)


def headline(path: Path, analysis: Analysis) -> str:
    """The first of the sentences that matter most."""
    frames, manifest = read_tables(path, analysis.all_table_names), read_manifest(path)
    sentences = (analysis.main_sentences or analysis.sentences)(frames, manifest)
    return plain(sentences[0]) if sentences else analysis.title


def on_screen(text: str, sentence: str) -> bool:
    """Whether a sentence of the text that `show` has printed can still be seen at a terminal."""
    found = text.rfind(sentence)
    try:
        terminal = found >= 0 and sys.stdout.isatty()
        lines = os.get_terminal_size(sys.stdout.fileno()).lines if terminal else 0
    except (OSError, ValueError):  # closed
        return False
    return text.count("\n", found) + AFTER < lines


def first_files(path: Path, analysis: Analysis) -> list[str]:
    """The main figure, or the first by name, and the first table of a run folder; those that it
    has."""
    names = sorted(file.name for file in path.iterdir())
    figures = [name for name in names if name.endswith((".png", ".pdf", ".svg"))]
    figures.sort(key=lambda name: Path(name).stem != analysis.main_figure)
    tables = [name for name in names if name.endswith(".csv")]
    main = [f"{name}.csv" for name in analysis.table_names if f"{name}.csv" in tables]
    return [*figures[:1], *(main or tables)[:1]]


def tables(path: Path, frames: Mapping[str, pd.DataFrame], most: int = MOST_ROWS) -> dict[str, Any]:
    """Tables of a run folder for `--json`: file, number of rows, and the rows if they are few.

    Args:
        path: of the run folder.
        frames: tables by file name without ending.
        most: rows of the longest table whose rows are given; those of others are null.
    """
    return {
        name: {
            "file": str(next(iter(path.glob(f"{name}.csv*")))),
            "rows": len(frame),
            "records": frame.to_dict("records") if len(frame) <= most else None,
        }
        for name, frame in frames.items()
    }


def files(path: Path, without: Sequence[str] = (FOLDER,)) -> Iterator[Path]:
    """All files of a folder in order of their names, but for those of some folders in it."""
    for file in sorted(path.rglob("*")):
        if file.is_file() and not set(file.relative_to(path).parts) & set(without):
            yield file
