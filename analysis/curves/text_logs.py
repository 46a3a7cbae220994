"""Text logs of KAIR and of BasicSR, whatever surrounds their lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from analysis.curves.logged import COUNT, LOSS, NUMBER, PSNR, RATE, Line, Point, real, whole

EPOCH = rf"\s*epoch\s*:[\d\s.,'_]*iter\s*:\s*{COUNT}"
HEADS = {
    "kair": re.compile(rf"<{EPOCH}", re.I),
    "basicsr": re.compile(rf"\[{EPOCH}", re.I),
}
"""How a line of training begins, by program."""

STARTS = {
    "kair": re.compile(r"^task\s*:"),
    "basicsr": re.compile(
        rf"(?:Start|Resuming) training from epoch\s*:\s*[\d.,]+\s*iter\s*:\s*{COUNT}", re.I
    ),
}
"""What a program writes when it starts: its options, or the step from which it goes on."""

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""A control sequence of a terminal, such as a color."""

CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?:\s*[AP]M\b)?"
DATE = r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}"
WORD_DATE = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?"
    r"(?:(?:\d{1,2}\s+)?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?\s+\d{1,2})?"
)
STAMP = re.compile(
    rf"^[\s\[(]*(?:{DATE}[T\s]*(?:{CLOCK})?|{WORD_DATE}[,\s]*{CLOCK})"
    r"(?:Z|\s*[+-]\d{2}:?\d{2})?(?:\s+\d{4}\b)?[\s\])]*(?:[:|-]\s+)?",
    re.I,
)
"""When a line was written, at its beginning."""

LEVEL = re.compile(r"^[\s\[(]*(?:DEBUG|INFO|WARN(?:ING)?|ERROR)\b[\s\])]*:?\s*", re.I)
WRITTEN = re.compile(r"(\d{4}|\d{2})-(\d\d)-(\d\d)[ T](\d\d:\d\d:\d\d)")
LEARNING = re.compile(rf"\blr\s*:\s*\(?\s*{NUMBER}", re.I)
PAIR = re.compile(rf"([A-Za-z_][\w./-]*)\s*:\s*{NUMBER}", re.I)
AVERAGE = re.compile(rf"Average\s*:?\s*PSNR\w*\s*[:=]\s*{NUMBER}", re.I)
BEST = re.compile(r"\bbest\b", re.I)
"""The published code of masked training repeats the best test so far after each one."""
VALIDATED = re.compile(r"\bValidation\s+([^\s,#]+)", re.I)
METRIC = re.compile(rf"#\s*(psnr\w*)\s*:\s*{NUMBER}(?:\s*Best\s*:\s*\S+\s*@\s*{COUNT})?", re.I)


def kind(path: Path) -> str:
    """The program that wrote a text, or nothing."""
    found = ((name, head.search(text)) for text in lines(path) for name, head in HEADS.items())
    return next((name for name, match in found if match), "")


def lines(path: Path) -> Iterator[str]:
    """The lines of a text file without control sequences; none of a binary one."""
    with path.open("rb") as file:
        head = file.read(4096)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not wide:
        return
    encoding = "utf-16" if wide else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace") as text:
        for line in text:
            yield ESCAPE.sub("", line)


def written(path: Path) -> str:
    """When the first line with date and time was written, such that later ones sort after it."""
    for line in lines(path):
        if match := WRITTEN.search(line):
            return f"{match[1]:0>2}"[-2:] + "".join(match.groups()[1:])
    return ""


def in_order(files: list[Path]) -> list[Path]:
    """The texts of one run in the order in which they were begun, or of their names."""
    begun = {file: written(file) for file in files}
    return sorted(files, key=lambda file: (begun[file] if all(begun.values()) else "", file.name))


def read(file: Path, program: str) -> Iterator[Line]:
    """What a text log holds; lines that are not about training are skipped.

    Args:
        file: the log.
        program: `kair` or `basicsr`.
    """
    yield Line()  # whatever the file before it holds
    step, test_set = 0, "test"
    for text in lines(file):
        line = without_stamp(text)
        if start := STARTS[program].search(line):
            first = whole(start[1]) + 1 if start.groups() else None
            yield Line(first_step=first)
            step = first - 1 if first is not None else step
            continue
        if head := HEADS[program].search(line):
            step = whole(head[1])
        if average := AVERAGE.search(line):
            if not BEST.search(line[: average.start()]):
                before = HEADS[program].sub("", line[: average.start()])
                name = before.strip(" \t,:;<>[]-") or "test"
                yield Line((Point(program, PSNR, name, step, real(average[1])),))
            continue
        if validated := VALIDATED.search(line):
            test_set = validated[1].rstrip(":")
        for name, value, best in METRIC.findall(line):
            step = max(step, whole(best) if best else 0)
            name = test_set if name == "psnr" else f"{test_set} {name}"
            yield Line((Point(program, PSNR, name, step, real(value)),))
        if head and (points := training(line, head.end(), program, step)):
            yield Line(tuple(points))


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
        if "loss" in name.lower() or name.startswith("l_"):
            points.append(Point(program, LOSS, name, step, real(value)))
    return points
