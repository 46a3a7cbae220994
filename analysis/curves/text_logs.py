"""Text logs of KAIR and of BasicSR, whatever surrounds their lines."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from pathlib import Path

from analysis.curves import text_files
from analysis.curves.log_budget import LogBudget
from analysis.curves.logged import COUNT, LOSS, NUMBER, PSNR, RATE, Line, Point, real, whole
from analysis.curves.progress import differing, two_processes, values
from mtd.utils import limits
from mtd.utils.errors import BadInput

EPOCH = rf"\s*+epoch\s*+:[\d\s.,'_]*+iter\s*+:\s*+{COUNT}"
HEADS = {
    "kair": re.compile(rf"<{EPOCH}", re.I),
    "basicsr": re.compile(rf"\[{EPOCH}", re.I),
}
"""How a line of training begins, by program.

These patterns read a line in time that grows with its length alone: what is repeated without a
limit is possessive (`*+`), and begins where no other match can.
"""

STARTS = {
    "kair": re.compile(r"^task\s*+:"),
    "basicsr": re.compile(
        rf"(?:Start|Resuming) training from epoch\s*+:\s*+[\d.,]++\s*+iter\s*+:\s*+{COUNT}", re.I
    ),
}
"""What a program writes when it starts: its options, or the step from which it goes on."""

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|\][^\x07\x1b]*+(?:\x07|\x1b\\)|[@-Z\\-_])")
"""A control sequence of a terminal, such as a color."""

CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d++)?(?:\s*+[AP]M\b)?"
DATE = r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}"
WORD_DATE = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*+,?\s++)?"
    r"(?:(?:\d{1,2}\s++)?"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*+\.?\s++\d{1,2})?"
)
STAMP = re.compile(
    rf"^[\s\[(]*+(?:{DATE}[T\s]*+(?:{CLOCK})?|{WORD_DATE}[,\s]*+{CLOCK})"
    r"(?:Z|\s*+[+-]\d{2}:?\d{2})?(?:\s++\d{4}\b)?[\s\])]*+(?:[:|-]\s++)?",
    re.I,
)
"""When a line was written, at its beginning."""

LEVEL = re.compile(r"^[\s\[(]*+(?:DEBUG|INFO|WARN(?:ING)?|ERROR)\b[\s\])]*+:?\s*+", re.I)
WRITTEN = re.compile(r"(\d{4}|\d{2})-(\d\d)-(\d\d)[ T](\d\d:\d\d:\d\d)")
RECORD = re.compile(WRITTEN.pattern + r"[.,]\d{3}\s++(?:[:-]\s|[A-Z]{4,8}\b)")
"""How a line of either program begins."""

LEARNING = re.compile(rf"\blr\s*+:\s*+\(?\s*+{NUMBER}", re.I)
PAIR = re.compile(rf"([A-Za-z_][\w./-]*+)(?:\s*+:\s*+{NUMBER})?", re.I)
"""A name, and the number after it if there is one."""
AVERAGE = re.compile(rf"Average\s*+:?\s*+PSNR\w{{0,20}}+\s*+[:=]\s*+{NUMBER}", re.I)
BEST = re.compile(r"(?<![a-z])best(?![a-z])", re.I)
"""The published code of masked training repeats the best test so far after each one."""
VALIDATED = re.compile(r"\bValidation\s++([^\s,#]++)", re.I)
METRIC = re.compile(
    rf"#\s*+(psnr\w*+)\s*+:\s*+{NUMBER}(?:\s*+Best\s*+:\s*+\S{{1,40}}\s*+@\s*+{COUNT})?", re.I
)


def kind(path: Path) -> str:
    """The program that wrote a text, or nothing."""
    found = ((name, head.search(text)) for text in lines(path) for name, head in HEADS.items())
    return next((name for name, match in found if match), "")


def lines(path: Path) -> Iterator[str]:
    """The lines of a text file without control sequences; of two in one, the later one.

    Where a program was killed, what is written later is in the line that it left without an end.
    """
    for text in text_files.lines(path):
        line = ESCAPE.sub("", text)
        begins = [match.start() for match in RECORD.finditer(line)]
        yield line[begins[-1] :] if begins else line


def written(path: Path) -> tuple[str, str]:
    """When the first and the last line with date and time were written, as texts that sort."""
    stamps = (match.groups() for line in lines(path) if (match := WRITTEN.search(line)))
    texts = (f"{year}"[-2:] + month + day + clock for year, month, day, clock in stamps)
    first = next(texts, "")
    return first, next(iter(deque(texts, maxlen=1)), first)


def read_run(files: Sequence[Path], program: str, budget: LogBudget) -> Iterator[Line]:
    """What the texts of one run hold, in the order in which they were begun, or of their names.

    Args:
        files: the logs.
        program: `kair` or `basicsr`.
        budget: of the run.

    Raises:
        BadInput: a log is too large, or two processes wrote other values at once.
    """
    times = {file: written(file) for file in files}
    known = all(begin for begin, _ in times.values())
    ordered = sorted(files, key=lambda file: (times[file][0] if known else "", file.name))
    parts = {file: list(budget.counted(read(file, program))) for file in ordered}
    held = {file: values(lines) for file, lines in parts.items()} if len(ordered) > 1 else {}
    for earlier, later in combinations(ordered if known else (), 2):
        at_once = times[later][0] < times[earlier][1]
        if at_once and (steps := differing(held[earlier], held[later])):
            raise BadInput(f"{later.parent}: {two_processes(steps)}")
    yield from chain.from_iterable(parts.values())


def read(file: Path, program: str) -> Iterator[Line]:
    """What a text log holds; lines that are not about training are skipped.

    Args:
        file: the log.
        program: `kair` or `basicsr`.

    Raises:
        BadInput: a step has too many digits.
    """
    try:
        yield from _lines_of(file, program)
    except OverflowError as error:
        raise BadInput(f"{file}: {error}") from None


def _lines_of(file: Path, program: str) -> Iterator[Line]:
    yield Line()  # whatever the file before it holds
    validation = Validation(program)
    for text in lines(file):
        line = without_stamp(text)
        start, head = STARTS[program].search(line), HEADS[program].search(line)
        if start or head:
            yield from validation.finish()
        if start:
            first = whole(start[1]) + 1 if start.groups() else None
            yield Line(first_step=first)
            validation.step = first - 1 if first is not None else validation.step
            continue
        if head:
            validation.step = whole(head[1])
        if average := AVERAGE.search(line):
            if not BEST.search(line[: average.start()]):
                before = HEADS[program].sub("", line[: average.start()])
                name = before.strip(" \t,:;<>[]-")
                yield Line((Point(program, PSNR, name, validation.step, real(average[1])),))
            continue
        yield from validation.read(line)
        if head and (points := training(line, head.end(), program, validation.step)):
            yield Line(tuple(points))
    yield from validation.finish()


class Validation:
    """One validation of BasicSR, whose step is not logged.

    It is of the last step of training that was logged or, if that is later, of the latest step at
    which one of its test sets was best; all its test sets are of the same step.
    """

    def __init__(self, program: str) -> None:
        self.program, self.step, self.test_set = program, 0, "test"
        self.values: dict[str, str] = {}
        self.copies: list[str] = []
        self.most = limits.CURVES.value

    def read(self, line: str) -> Iterator[Line]:
        """Take a line; returns the validation before, where a test set comes again.

        Raises:
            BadInput: there are too many test sets.
        """
        if validated := VALIDATED.search(line):
            self.test_set = validated[1].rstrip(":")
        for metric, value, best in METRIC.findall(line):
            name = self.test_set if metric == "psnr" else f"{self.test_set} {metric}"
            if self.values.get(name, value) != value:
                yield from self.finish()
            self.copies += [name] * (name in self.values)
            self.values[name] = value
            self.step = max(self.step, whole(best) if best else 0)
        if len(self.values) + len(self.copies) > self.most:
            limits.CURVES.check(len(self.values) + len(self.copies), "a validation")

    def finish(self) -> Iterator[Line]:
        """The lines of a validation that is complete, those that two processes wrote twice."""
        for name in (*self.values, *self.copies):
            value = real(self.values[name])
            yield Line((Point(self.program, PSNR, name, self.step, value),))
        self.values, self.copies = {}, []


def without_stamp(text: str) -> str:
    """A line without date, time and level of the message.

    >>> without_stamp("24-03-02 09:14:01.120 : <epoch:  0>")
    '<epoch:  0>'
    >>> without_stamp("Sat Mar  2 23:59:01 2024 [INFO] Validation Set5")
    'Validation Set5'
    """
    return LEVEL.sub("", STAMP.sub("", text)).strip()


def training(line: str, begin: int, program: str, step: int) -> list[Point]:
    """Learning rate and losses of a line of training, from where its head ends."""
    points = []
    if rate := LEARNING.search(line):
        points.append(Point(program, RATE, "", step, real(rate[1])))
    for name, value in PAIR.findall(line[begin:]):
        if value and ("loss" in name.lower() or name.startswith("l_")):
            points.append(Point(program, LOSS, name, step, real(value)))
    return points
