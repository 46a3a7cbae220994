"""Readers of training logs: the CSV files of `mtd.train`, TensorBoard events, text logs.

Text logs are those of KAIR and of BasicSR. Whatever the program, a log becomes points of losses,
learning rates and test PSNR by step, in the order in which they were logged.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from mtd.utils.errors import BadInput

LOSS, RATE, PSNR = "loss", "learning_rate", "psnr"
"""Quantities."""

LOG, VALIDATION, RECIPE = "log.csv", "validation.csv", "recipe.json"
EVENTS = "events.out.tfevents"
MODELS = (".pth", ".pt", ".ckpt", ".safetensors")
EXPECTED = (
    f"expected a folder of mtd.train ({LOG}), TensorBoard events ({EVENTS}.*), or a text log of "
    "KAIR or BasicSR"
)
DIGITS = 18
"""Most digits of a step, which is stored in 64 bits."""
NUMBER = r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf))"
COUNT = r"(\d[\d,_']*)"
HEADS = {
    "kair": re.compile(rf"<\s*epoch\s*:[\d\s,]*iter\s*:\s*{COUNT}", re.I),
    "basicsr": re.compile(rf"\[\s*epoch\s*:[\d\s,]*iter\s*:\s*{COUNT}", re.I),
}
"""How a line of training begins, by program."""

TIME = re.compile(r"^\s*[\d:., T-]*\d\s*:?\s+")
LEARNING = re.compile(rf"\blr\s*:\s*\(?\s*{NUMBER}", re.I)
PAIR = re.compile(rf"([A-Za-z_][\w./-]*)\s*:\s*{NUMBER}", re.I)
AVERAGE = re.compile(rf"Average\s*:?\s*PSNR\w*\s*[:=]\s*{NUMBER}", re.I)
BEST = re.compile(r"\bbest\b", re.I)
"""The published code of masked training repeats the best test so far after each one."""
VALIDATED = re.compile(r"\bValidation\s+([^\s,#]+)", re.I)
METRIC = re.compile(rf"#\s*(psnr\w*)\s*:\s*{NUMBER}(?:\s*Best\s*:\s*\S+\s*@\s*{COUNT})?", re.I)


class Point(NamedTuple):
    """A value that was logged; `name` is the loss's, or the noise or test set of a PSNR in dB."""

    source: str
    quantity: str
    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Log:
    """What one run has logged.

    Attributes:
        points: in the order in which they were logged.
        trained: the test curve that counts as trained on; empty without test curves.
        files: SHA-256 of what was read, by name.
        guessed: the log does not say so; it is the first one.
        restart_together: all points are of one text, so that where the steps of one curve go back,
            all curves do.
    """

    points: list[Point]
    trained: str
    files: dict[str, str]
    guessed: bool = False
    restart_together: bool = False


def read(place: str | Path) -> Log:
    """The log of a run, whatever the program.

    The noise trained on is that of `recipe.json` if it was tested, else the first one tested.

    Args:
        place: a folder of `mtd.train`, an event file or a folder with some, a text log of KAIR or
            BasicSR or a folder with some (`*.log`; several are one run that was resumed).

    Raises:
        BadInput: no such path, a file of another kind, a folder with none of them, or no values.
    """
    path = Path(place)
    if not path.exists():
        raise BadInput(f"{place}: no such file or folder; {EXPECTED}")
    if path.name in (LOG, VALIDATION):
        path = path.parent
    files, kind = _in_folder(path) if path.is_dir() else ([path], _kind(path))
    if not kind:
        wrong = "no log in it" if path.is_dir() else "not a log of a known program"
        files = list(path.iterdir()) if path.is_dir() else [path]
        checkpoints = any(file.suffix in MODELS for file in files)
        hint = "; for checkpoints, --checkpoints FOLDER" if checkpoints else ""
        raise BadInput(f"{place}: {wrong}; {EXPECTED}{hint}")
    points = [point for file in files for point in READERS[kind](file)]
    if not points:
        raise BadInput(f"{place}: no loss, learning rate or PSNR in it")
    tested = [point.name for point in points if point.quantity == PSNR]
    recipe = _recipe_noise(path)
    trained = recipe if recipe in tested else next(iter(tested), "")
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    guessed = kind in HEADS or (kind == "events" and "psnr" in trained.lower())
    return Log(points, trained, digests, guessed and bool(trained), kind in HEADS)


def _in_folder(path: Path) -> tuple[list[Path], str]:
    if tables := [path / name for name in (LOG, VALIDATION) if (path / name).is_file()]:
        return tables, "mtd"
    if events := sorted(path.glob(f"{EVENTS}.*")):
        return events, "events"
    kinds = {file: _kind(file) for file in sorted(path.glob("*.log"))}
    kind = next(filter(None, kinds.values()), "")
    return [file for file, own in kinds.items() if own == kind], kind


def _kind(path: Path) -> str:
    if path.name.startswith(EVENTS):
        return "events"
    heads = ((kind, head.search(line)) for line in _lines(path) for kind, head in HEADS.items())
    return next((kind for kind, match in heads if match), "")


def _lines(path: Path) -> Iterator[str]:
    """The lines of a text file; none of a binary one."""
    with path.open("rb") as file:
        if b"\0" in file.read(4096):
            return
    with path.open(encoding="utf-8", errors="replace") as text:
        yield from text


def _recipe_noise(path: Path) -> str:
    try:
        return str(json.loads((path / RECIPE).read_text(encoding="utf-8"))["data"]["noise"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _mtd(file: Path) -> Iterator[Point]:
    if file.name == VALIDATION:
        for step, row in _rows(file, ("step", "noise", "psnr")):
            yield Point("validation", PSNR, row["noise"], step, _number(row["psnr"]))
        return
    for step, row in _rows(file, ("step", "loss", "learning_rate")):
        yield Point("log", LOSS, "loss", step, _number(row["loss"]))
        yield Point("log", RATE, "", step, _number(row["learning_rate"]))


def _rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with their steps; an incomplete last row, of a run that was killed, is left out."""
    text = file.read_bytes().decode("utf-8", "replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names, rows = reader.fieldnames or (), list(reader)
    except csv.Error as error:
        raise BadInput(f"{file}: damaged ({error}); expected {', '.join(columns)}") from None
    absent = [name for name in columns if name not in names]
    if absent:
        raise BadInput(f"{file}: no column {absent[0]}; expected {', '.join(columns)}")
    if rows and not all(rows[-1].get(name) for name in columns):
        rows.pop()
    for line, row in enumerate(rows, 2):
        step = (row["step"] or "").strip()
        if not step.isdecimal() or len(step) > DIGITS:
            raise BadInput(f"{file}, line {line}: step {step!r}; expected a whole number")
        yield int(step), row


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _events(file: Path) -> Iterator[Point]:
    try:
        module: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
        make_ndarray = import_module("tensorboard.util.tensor_util").make_ndarray
    except ImportError:
        raise BadInput(f"{file}: to read TensorBoard events, pip install tensorboard") from None
    everything = {"scalars": 0, "tensors": 0}
    events = module.EventAccumulator(str(file), everything, purge_orphaned_data=False).Reload()
    tags = events.Tags()
    rates: set[str] = set()
    for tag in (*tags["scalars"], *tags["tensors"]):
        quantity, name = of_tag(tag)
        rates |= {tag} if quantity == RATE else set()
        if not quantity or (quantity == RATE and len(rates) > 1):
            continue
        if tag in tags["scalars"]:
            values = [(event.step, event.value) for event in events.Scalars(tag)]
        else:
            arrays = [(e.step, make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
            values = [(step, value) for step, value in arrays if value.ndim == 0]
        for step, value in values:
            yield Point("tensorboard", quantity, name, step, float(value))


def of_tag(tag: str) -> tuple[str, str]:
    """Quantity and name of a TensorBoard tag; no quantity if it is neither.

    >>> of_tag("validation/gaussian:15/psnr"), of_tag("Kodak24 PSNR"), of_tag("images/s")
    (('psnr', 'gaussian:15'), ('psnr', 'Kodak24 PSNR'), ('', ''))
    """
    lower = tag.lower()
    if "psnr" in lower:
        own = re.fullmatch(r"validation/(.+)/psnr", tag)
        return PSNR, own[1] if own else tag
    if "loss" in lower:
        return LOSS, tag
    rate = re.search(r"learning[ _-]?rate|(^|[/_ ])lr($|[/_ \d])", lower)
    return (RATE, "") if rate else ("", "")


def _text(kind: str) -> Callable[[Path], Iterator[Point]]:
    """A reader of text logs; lines that are not about training are skipped."""

    def reader(file: Path) -> Iterator[Point]:
        step, test_set, repeated = 0, "test", dict[tuple[int, str], int]()

        def test(name: str, value: str) -> Point:
            """A PSNR; further ones of the same name in one step are of other test sets."""
            if any(at != step for at, _ in repeated):
                repeated.clear()
            count = repeated[step, name] = repeated.get((step, name), 0) + 1
            numbered = name if count == 1 else f"{name} {count}"
            return Point(kind, PSNR, numbered, step, float(value))

        for line in _lines(file):
            if head := HEADS[kind].search(line):
                step = _count(head[1])
            average = AVERAGE.search(line)
            if average and BEST.search(line[: average.start()]):
                continue
            if average:
                before = HEADS[kind].sub("", TIME.sub("", line[: average.start()]))
                yield test(before.strip(" \t,:;<>[]-") or "test", average[1])
                continue
            if validated := VALIDATED.search(line):
                test_set = validated[1].rstrip(":")
            for name, value, best in METRIC.findall(line):
                step = max(step, _count(best) if best else 0)
                yield test(test_set if name == "psnr" else f"{test_set} {name}", value)
            if not head:
                continue
            if rate := LEARNING.search(line):
                yield Point(kind, RATE, "", step, float(rate[1]))
            for name, value in PAIR.findall(line[head.end() :]):
                if "loss" in name.lower() or name.startswith("l_"):
                    yield Point(kind, LOSS, name, step, float(value))

    return reader


def _count(text: str) -> int:
    return int(re.sub(r"\D", "", text))


READERS = {"mtd": _mtd, "events": _events, "kair": _text("kair"), "basicsr": _text("basicsr")}
