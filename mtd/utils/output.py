"""What a command prints on stdout: text, or with `--json` one JSON object.

Commands call `show` with both forms. Under `--json` the parts that it is given are collected, and
`written` prints them as one object when the command ends; all else that is printed goes to stderr.
docs/json.md describes the object.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import mtd
from mtd.utils import progress
from mtd.utils.printable import printable

SCHEMA = "mtd-output/1"
"""Name and version of the object's form."""

FLAG = "--json"

STATUS = {0: "done", 1: "failed", 2: "bad_input", 3: "partial"}
STATUS |= dict.fromkeys((129, 130, 143), "interrupted")
"""What exit codes mean."""


@dataclass
class Output:
    """The JSON object of a command, while the command runs.

    Attributes:
        stream: the stdout of the command.
        command: its module, such as `analysis.cka`.
        run: the run folder, if it has one.
        results: values and tables by name.
        sentences: what follows from the results, as plain text.
        messages: notes that were printed on stderr, or left out by `--quiet`.
        files: paths that it wrote.
        errors: of what failed while the command went on.
        saved: a copy of the process's file descriptor 1; None if it is not one's own.
    """

    stream: IO[str]
    command: str = "mtd"
    run: str | None = None
    results: dict[str, Any] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    saved: int | None = None

    def record(self, code: int, error: str | None) -> dict[str, Any]:
        """The object, ready for JSON."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "arguments": sys.argv[1:],
            "version": mtd.__version__,
            "status": STATUS.get(code, "failed"),
            "exit_code": code,
            "error": error or "; ".join(self.errors) or None,
            "run": self.run,
            "results": plain(self.results),
            "sentences": self.sentences,
            "messages": self.messages,
            "files": self.files,
        }


_current: Output | None = None


def wanted() -> bool:
    """Whether this process's command line asks for JSON, and not for help.

    It is read here, since an option before `--json` may end the parsing.
    """
    options = sys.argv[1:]
    options = options[: options.index("--")] if "--" in options else options
    return FLAG in options and not {"-h", "--help"} & set(options)


def begin() -> None:
    """From now on what is printed on stdout goes to stderr, by programs started from here too."""
    global _current
    _current = Output(sys.stdout)
    with suppress(OSError, ValueError):  # stdout is not a file, as in a notebook
        if sys.stdout.fileno() == 1:
            sys.stdout.flush()
            _current.saved = os.dup(1)
            os.dup2(2, 1)
    sys.stdout = sys.stderr


def end(code: int, error: str | None = None) -> None:
    """Print the object in the first process, and give stdout back; nothing without `begin`."""
    global _current
    output, _current = _current, None
    if output is None:
        return
    sys.stdout = output.stream
    if output.saved is not None:
        os.dup2(output.saved, 1)
        os.close(output.saved)
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(output.record(code, error), allow_nan=False), flush=True)


def collecting() -> bool:
    """Whether the command's results are printed as JSON; then text need not be made."""
    return _current is not None


def named(command: str) -> None:
    """Say which command it is; the first one that says so is it."""
    if _current is not None and _current.command == "mtd":
        _current.command = command


def message(text: str) -> None:
    """Keep a note that is printed on stderr."""
    if _current is not None:
        _current.messages.append(text)


def fail(error: str) -> None:
    """Say what failed where a command goes on with the rest, and exits with a status of its own."""
    if _current is not None:
        _current.errors.append(error)


def show(
    text: str,
    *,
    run: str | Path | None = None,
    results: Mapping[str, Any] | None = None,
    sentences: Iterable[str] = (),
    files: Iterable[str | Path] = (),
) -> None:
    """Print text, or with `--json` add the same to the object; called once or several times.

    It is the result of what was done until then, whose progress is not shown any longer.

    Args:
        text: what is printed without `--json`.
        run, results, sentences, files: see `add`.
    """
    progress.end()
    if _current is None:
        print(printable(text), flush=True)
    add(run=run, results=results, sentences=sentences, files=files)


def add(
    *,
    run: str | Path | None = None,
    results: Mapping[str, Any] | None = None,
    sentences: Iterable[str] = (),
    files: Iterable[str | Path] = (),
) -> None:
    """Add to the JSON object; nothing without `--json`.

    Args:
        run: the run folder.
        results: values by name, added to those that were given before; see `plain`.
        sentences: plain text.
        files: that were written; paths that can be opened from the working folder.
    """
    if _current is None:
        return
    if run is not None:
        _current.run = str(run)
    _current.results |= results or {}
    _current.sentences += sentences
    _current.files += map(str, files)


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN is null, infinities are the texts "inf" and "-inf".

    >>> plain({"psnr": float("inf"), "p": float("nan"), "at": Path("runs/a"), 3: (1, True)})
    {'psnr': 'inf', 'p': None, 'at': 'runs/a', '3': [1, True]}
    """
    if hasattr(value, "item") and not isinstance(value, Mapping):  # a number of NumPy
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return str(value)
