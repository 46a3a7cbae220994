"""The check before a long training: see check.sh.

Tests and 200 training steps of each network side by side, then the race of attention paths alone on
the machine, then one summary. A part that fails is reported, and the others are done all the same.
"""

from __future__ import annotations

import csv
import os
import re
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NoReturn

from children import ROOT, Child, leave_when_told
from tables import aligned

HERE = Path(__file__).resolve().parent
FIRST = 0.55
"""Share of the time that tests and training may take, so that some is left for the race."""
LEAVING = 6.0
"""Seconds kept free for the summary."""
LEAST = 60
"""Seconds that the whole check needs at least."""

RUNS = {
    ("masked", "bf16"): (),
    ("baseline", "bf16"): (),
    ("masked", "float32"): ("run.accumulate=8", "run.compile=false"),
    ("baseline", "float32"): ("run.accumulate=8", "run.compile=false"),
}
"""Settings of the training runs beside the recipe's: float32 in small parts, to share the memory.

In bf16 batches are whole, so that the race, and a training on the same machine, find the compiled
code in PyTorch's cache on disk.
"""

FULL = {"steps": 200, "warm_up": 20}
TOY = {"steps": 8, "warm_up": 2}
SMALL = (
    *("network.embed_dim=12", "network.depths=[2]", "network.num_heads=[2]"),
    *("network.mlp_hidden=16", "data.crop=16", "run.batch_size=8", "run.compile=false"),
)
"""Steps of a training run, and settings at toy size."""


def start_tests(results: Path) -> Child:
    """Start the tests; the report is `tests.xml` in the folder."""
    options = ["-v", "-rfE", "--durations=10", "--continue-on-collection-errors"]
    options += ["-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib"]
    report = results / "tests.xml"
    report.unlink(missing_ok=True)
    arguments = ["-m", "pytest", "-m", "gpu", *options, f"--junitxml={report}", "tests/gpu"]
    return Child(arguments, results / "tests.txt", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


def end_tests(child: Child, deadline: float, results: Path) -> tuple[bool, str]:
    """Whether all tests passed; and how many did, with the names of those that did not."""
    status, report = child.wait(deadline), results / "tests.xml"
    if not report.exists():
        why = "stopped for lack of time" if status is None else f"exit status {status}"
        passed, bad = (child.said.count(f" {word} ") for word in ("PASSED", "FAILED"))
        return False, f"tests: {why} after {passed} passed, {bad} failed; {child.last_line}"
    suite = ElementTree.parse(report).getroot().find("testsuite")
    report.unlink()
    assert suite is not None
    all_of_them, *others = (
        int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")
    )
    passed, bad, skipped = all_of_them - sum(others), others[0] + others[1], others[2]
    names = re.findall(r"^(?:FAILED|ERROR) .*", child.said, re.MULTILINE)
    line = f"tests: {passed} passed, {bad} failed, {skipped} skipped"
    return status == 0 and passed > 0, "\n".join([line, *(f"  {name[:200]}" for name in names)])


def photographs_given() -> str:
    """Where the photographs are: those of PHOTOGRAPHS, or the packed ones; empty if there are none.

    Raises:
        SystemExit: with status 2, for a path to nothing.
    """
    packed = HERE / "photographs.zip"
    given = os.environ.get("PHOTOGRAPHS", str(packed) if packed.exists() else "")
    if given and not Path(given).exists():
        refuse(f"PHOTOGRAPHS={given}: no such folder or file")
    return str(Path(given).resolve()) if given else ""


def bundled_photographs(folder: Path) -> str:
    """Copies of the bundled photographs, in a new folder; returns its path."""
    from PIL import Image

    from mtd.data.photographs import photographs as bundled

    folder.mkdir()
    for photo in bundled():
        Image.fromarray(photo.load()).save(folder / f"{photo.name}.png")
    return str(folder)


def results_given() -> Path:
    """The folder of the results.

    Raises:
        SystemExit: with status 2, for one that cannot be created.
    """
    given = os.environ.get("RESULTS", str(HERE / "check"))
    try:
        Path(given).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(f"RESULTS={given}: not a folder to write to ({error.strerror})")
    return Path(given).resolve()


def start_training(
    network: str, precision: str, data: str, folder: Path, device: str, toy: bool, seconds: float
) -> Child:
    """Start a training run, which ends by itself before the time is up."""
    size = TOY if toy else FULL
    steps = size["steps"]
    changes = [
        *(f"run.steps={steps}", f"run.precision='{precision}'", f"run.log_every={steps // 4}"),
        *(f"optimizer.warmup={size['warm_up']}", f"validation.every={steps}"),
        *("validation.crops=4", *RUNS[network, precision], *(SMALL if toy else ())),
    ]
    arguments = ["-m", "mtd.train", "full.toml", "--data", data, "--device", device]
    arguments += ["--output-dir", str(folder), "--seconds", f"{seconds:.0f}"]
    arguments += [word for change in changes for word in ("--set", change)]
    arguments += ["--baseline"] if network == "baseline" else []
    return Child(arguments, folder.with_suffix(".txt"))


def end_training(child: Child, deadline: float, folder: Path) -> dict[str, str]:
    """What a training run came to: steps, ms a step, its first and last loss, why it failed."""
    status, found = child.wait(deadline), {}
    logs = [folder / name for name in ("slices.csv", "log.csv")]
    if all(log.exists() for log in logs):
        slices, losses = (list(csv.DictReader(log.open())) for log in logs)
        names = ("ms_median", "ms_p95", "accumulate", "out_of_memory")
        if slices and losses:
            found = {"steps": slices[-1]["step_to"]} | {name: slices[-1][name] for name in names}
            found |= {"first_loss": losses[0]["loss"], "last_loss": losses[-1]["loss"]}
    if status == 0 and found:
        return found
    what = "stopped for lack of time" if status is None else f"exit status {status}"
    return found | {"reason": f"{what}: {child.last_line}"}


def write_training(rows: list[dict[str, str]], results: Path) -> str:
    """Write `training.csv`, and return it as text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (results / "training.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, names, restval="")
        table.writeheader()
        table.writerows(rows)
    return f"training:\n{aligned(rows)}"


def race(data: str, seconds: float, toy: bool, results: Path, log: Path) -> tuple[bool, str]:
    """Run the race; whether there is a winner, and what it said."""
    arguments = [str(HERE / "race.py"), "--data", data, "--seconds", f"{seconds:.0f}"]
    arguments += ["--output-dir", str(results), *(["--toy"] if toy else [])]
    if modes := os.environ.get("RACE_MODES", "eager" if toy else ""):
        arguments += ["--modes", modes]
    child = Child(arguments, log)
    status = child.wait(child.started + seconds + LEAVING / 2)
    ended = "" if status == 0 else f"\nrace: exit status {status}"
    return status == 0, f"race of attention paths:\n{child.said.rstrip()}{ended}"


def refuse(line: str) -> NoReturn:
    """End the check with status 2, for settings that cannot be."""
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)


def say(line: str) -> None:
    """What is done now, on stderr; the summary is on stdout."""
    print(line, file=sys.stderr, flush=True)


def check(
    data: str, results: Path, device: str, toy: bool, start: float, limit: float
) -> tuple[bool, str]:
    """All parts, within `limit` seconds from `start`; whether all is well, and the summary."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = data or bundled_photographs(folder / "photographs")
        deadline = start + FIRST * limit
        tests, seconds = start_tests(results), deadline - time.monotonic()
        say(
            f"tests and {len(RUNS)} trainings, at most {seconds:.0f} s (tests: {results}/tests.txt)"
        )
        runs = {
            key: start_training(*key, data, folder / "-".join(key), device, toy, seconds)
            for key in RUNS
        }
        fine, tested = end_tests(tests, deadline, results)
        rows = [
            {"network": network, "precision": precision}
            | end_training(child, deadline + LEAVING, folder / f"{network}-{precision}")
            for (network, precision), child in runs.items()
        ]
        trained, first = write_training(rows, results), time.monotonic() - start
        say(f"race of attention paths, at most {limit - first - LEAVING:.0f} s")
        won, raced = race(data, limit - first - LEAVING, toy, results, folder / "race.txt")
        logs = [f"== {' '.join(key)}\n{child.said}" for key, child in runs.items()]
    (results / "training.txt").write_text("\n".join(logs))
    fine = fine and won and not any("reason" in row for row in rows)
    took = f"{time.monotonic() - start:.0f} s of {limit:.0f}, {first:.0f} before the race"
    return fine, "\n\n".join([tested, trained, raced, took])


def seconds_given() -> float:
    """The time for all.

    Raises:
        SystemExit: with status 2, for text that is no number of seconds, or too few of them.
    """
    text = os.environ.get("CHECK_SECONDS", "330")
    if not text.isdecimal() or int(text) < LEAST:
        refuse(f"CHECK_SECONDS={text}: expected whole seconds, {LEAST} or more")
    return float(text)


def main() -> None:
    """Check, write the results, print the summary; exit status 1 if anything failed."""
    leave_when_told()
    start, limit = time.monotonic(), seconds_given()
    data, results = photographs_given(), results_given()
    say(f"check of this machine, at most {limit:.0f} s")
    sys.path.insert(0, str(ROOT))
    import torch

    cuda = torch.cuda.is_available()
    toy, device = os.environ.get("TOY") == "1" or not cuda, "cuda" if cuda else "cpu"
    name = torch.cuda.get_device_name() if cuda else "CPU"
    title = f"{name}, PyTorch {torch.__version__}, Python {sys.version.split()[0]}"
    fine, text = check(data, results, device, toy, start, limit)
    text = "\n\n".join([title + ", toy size" * toy, text, "passed" if fine else "FAILED"])
    (results / "summary.txt").write_text(text + "\n")
    print(text)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
