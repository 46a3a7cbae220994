"""Logs of training, as other programs and this one write them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

KAIR = """\
24-03-02 09:14:01.120 :   task: denoising
24-03-02 09:20:11.871 : <epoch:  0, iter:     200, lr:2.000e-04> G_loss: 8.125e-02 F_loss: 1.5e+00
24-03-02 09:25:12.004 : <epoch:  1, iter:   1,000, lr:1.000e-04> G_loss: 3.250e-02 F_loss: 1.2e+00
24-03-02 09:25:13.100 : ---1--> one.png | 28.90dB
24-03-02 09:25:14.100 : <epoch:  1, iter:   1,000, Average PSNR : 29.75dB
24-03-02 09:25:15.100 : <epoch:  1, iter:   1,000, Average PSNR : 24.50dB
24-03-02 09:25:16.100 : poisson_20 <epoch:1,iter:1,000,Average PSNR: 23.25dB
24-03-02 09:30:16.100 : <epoch: 12, iter: 12,000, lr:5.0e-05> G_loss: 2.5e-02 F_loss: 1.0e+00
24-03-02 09:30:17.100 : <epoch: 12, iter: 12,000, Average PSNR : 30.25dB
"""


def own(folder: Path, validation: str = "", log: str = "", noise: str = "") -> Path:
    """The tables of `mtd.train`, and a recipe that names the training noise."""
    folder.mkdir(parents=True, exist_ok=True)
    header = "step,loss,learning_rate,images_per_second\n"
    (folder / "log.csv").write_text(header + (log or "100,0.5,0.001,20\n200,0.25,0.001,20\n"))
    if validation:
        (folder / "validation.csv").write_text("step,noise,psnr\n" + validation)
    if noise:
        (folder / "recipe.json").write_text(json.dumps({"data": {"noise": noise}}))
    return folder


Row = tuple[int, float, float, tuple[float, ...]]
"""A step, the loss and the learning rate there, and the PSNR of the test sets, if tested."""

FIRST: list[Row] = [
    (1000, 0.125, 2e-4, ()),
    (2000, 0.0625, 2e-4, (30.25, 25.5)),
    (3000, 0.05, 2e-4, ()),
    (4000, 0.046875, 1e-4, (29.0, 24.25)),
    (5000, 0.045, 1e-4, ()),
]
SECOND: list[Row] = [
    (3000, 0.0505, 2e-4, ()),
    (4000, 0.0475, 2e-4, (31.5, 26.75)),
    (5000, 0.044, 1e-4, ()),
    (6000, 0.043, 1e-4, (32.0, 22.5)),
]
HISTORIES = {
    "straight": [FIRST],
    "resumed": [FIRST, SECOND],
    "resumed to an earlier end": [[*FIRST, (6000, 0.04, 1e-4, (28.0, 23.0))], SECOND[:3]],
    "resumed at the end": [FIRST[:2], SECOND],
}
"""Starts of a run, each from the second row of the one before."""

COUNTED = {
    "straight": FIRST,
    "resumed": [*FIRST[:2], *SECOND],
    "resumed to an earlier end": [*FIRST[:2], *SECOND[:3]],
    "resumed at the end": [*FIRST[:2], *SECOND],
}
"""The rows that count, by hand."""


def kair_lines(starts: list[list[Row]], sets: tuple[str, ...], announced: bool) -> list[str]:
    """A KAIR log; test sets that are called `test` have no name in it."""
    lines = []
    for rows in starts:
        lines += ["  task: denoising", "  model: plain"] * announced
        for step, loss, rate, tests in rows:
            head = f"<epoch:{step // 500:3d}, iter:{step:8,d}"
            lines.append(f"{head}, lr:{rate:.3e}> G_loss: {loss:.4e} ")
            for name, value in zip(sets, tests, strict=False):
                prefix = "" if name.startswith("test") else f"{name} "
                lines.append(f"{prefix}{head}, Average PSNR : {value:.2f}dB")
    return lines


def basicsr_lines(starts: list[list[Row]], sets: tuple[str, ...], announced: bool) -> list[str]:
    """A BasicSR log; a test is of the step of training before it."""
    lines = []
    for number, rows in enumerate(starts):
        if announced:
            word, step = ("Resuming", 2000) if number else ("Start", 0)
            lines.append(f"{word} training from epoch: {step // 500}, iter: {step}")
        for step, loss, rate, tests in rows:
            head = f"[swin..][epoch:{step // 500:3d}, iter:{step:8,d}, lr:({rate:.3e},)]"
            eta = "[eta: 1 day, 2:03:04, time (data): 0.310 (0.002)]"
            lines.append(f"{head} {eta} l_pix: {loss:.4e} ")
            for name, value in zip(sets, tests, strict=False):
                lines += [f"Validation {name}", f"\t # psnr: {value:.4f}"]
    return lines


def stamped(lines: list[str], stamp: str) -> list[str]:
    """Lines with the times at which they were written, around midnight and the end of a year."""
    begin = datetime(2023, 12, 31, 23, 59, 50, 120_000)
    times = [begin + timedelta(seconds=3 * number) for number in range(len(lines))]
    return [
        line if line.startswith("\t") else time.strftime(stamp) + line
        for time, line in zip(times, lines, strict=True)
    ]


STAMPS = {
    "kair": "%y-%m-%d %H:%M:%S.120 : ",
    "basicsr": "%Y-%m-%d %H:%M:%S,120 INFO: ",
    "clock": "%H:%M:%S ",
    "words": "[%a %b %d %H:%M:%S %Y] ",
    "slashes": "%d/%m/%Y %I:%M:%S %p - ",
    "iso": "%Y-%m-%dT%H:%M:%S.120Z ",
    "none": "",
}


def colored(text: str) -> str:
    """As a terminal shows it: numbers bold, times green, lines erased before they are written."""
    numbers = re.sub(r"(PSNR : |psnr: |loss: |l_pix: )(\S+)", "\\1\x1b[1;31m\\2\x1b[0m", text)
    return "".join(f"\x1b[2K\x1b[32m{line}\x1b[0m\n" for line in numbers.splitlines())


def with_decimal_commas(text: str) -> str:
    """Points and commas of numbers exchanged."""
    return re.sub(r"(?<=\d)[.,](?=\d)", lambda mark: "," if mark[0] == "." else ".", text)


DECORATIONS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "colors": lambda text: colored(text).encode(),
    "decimal commas": lambda text: with_decimal_commas(text).encode(),
    "of PowerShell": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
}


def doubled(lines: list[str], lag: int) -> list[str]:
    """What two processes write that log the same, the second one some lines later."""
    pairs = [*enumerate(lines), *((number + lag + 0.5, line) for number, line in enumerate(lines))]
    return [line for _, line in sorted(pairs, key=lambda pair: pair[0])]
