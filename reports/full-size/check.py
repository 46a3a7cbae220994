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

from children import ROOT, Child, leave_when_told

HERE = Path(__file__).resolve().parent
TESTS = ("-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "--import-mode=importlib")
FIRST = 0.55
"""Share of the time that tests and training may take, so that some is left for the race."""
LEAVING = 5.0
"""Seconds kept free for the summary."""

STEPS, WARM_UP = 200, 20
RUNS = {
    ("masked", "bf16"): ("run.accumulate=4",),
    ("baseline", "bf16"): ("run.accumulate=4",),
    ("masked", "float32"): ("run.accumulate=8", "run.compile=false"),
    ("baseline", "float32"): ("run.accumulate=8", "run.compile=false"),
}
"""Training runs beside the recipe, in small parts, since they share the GPU's memory."""

TOY = (
    *("network.embed_dim=12", "network.depths=[2]", "network.num_heads=[2]"),
    *("network.mlp_hidden=16", "data.crop=16", "run.batch_size=8", "run.compile=false"),
)


def photographs(folder: Path) -> str:
    """Where the photographs are: those given, the packed ones, or copies of the bundled ones."""
    packed = HERE / "photographs.zip"
    if given := os.environ.get("PHOTOGRAPHS", str(packed) if packed.exists() else ""):
        return str(Path(given).resolve())
    from PIL import Image

    from mtd.data.photographs import photographs as bundled

    for photo in bundled():
        Image.fromarray(photo.load()).save(folder / f"{photo.name}.png")
    return str(folder)


def training(
    network: str, precision: str, data: str, folder: Path, device: str, toy: bool, seconds: float
) -> Child:
    """Start a training run."""
    steps, warm_up = (8, 2) if toy else (STEPS, WARM_UP)
    changes = [
        *(f"run.steps={steps}", f"run.precision='{precision}'", f"run.log_every={steps // 4}"),
        *(f"optimizer.warmup={warm_up}", f"validation.every={steps}", "validation.crops=4"),
        *RUNS[network, precision],
        *(TOY if toy else ()),
    ]
    arguments = ["-m", "mtd.train", "full.toml", "--data", data, "--device", device]
    arguments += ["--output-dir", str(folder), "--seconds", f"{seconds:.0f}"]
    arguments += [word for change in changes for word in ("--set", change)]
    if network == "baseline":
        arguments.append("--baseline")
    return Child(arguments, folder.with_suffix(".txt"))


def trained(folder: Path) -> dict[str, str]:
    """What a training run came to: steps, ms a step, and the loss at its start and end."""
    if not (folder / "slices.csv").exists() or not (folder / "log.csv").exists():
        return {}
    last = list(csv.DictReader((folder / "slices.csv").open()))[-1:]
    losses = [row["loss"] for row in csv.DictReader((folder / "log.csv").open())]
    if not last or not losses:
        return {}
    names = ("ms_median", "ms_p95", "accumulate", "out_of_memory")
    found = {"steps": last[0]["step_to"], "first_loss": losses[0], "last_loss": losses[-1]}
    return found | {name: last[0][name] for name in names}


def counts(report: Path) -> dict[str, int]:
    """Number of tests, failures, errors and skipped ones in a report of pytest."""
    if not report.exists():
        return {}
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    return {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}


def describe_tests(child: Child, status: int | None, report: Path) -> tuple[bool, str]:
    """Whether all tests passed, and a line, with the names of those that did not."""
    found = counts(report)
    if not found:
        why = "stopped for lack of time" if status is None else f"exit status {status}"
        return False, f"tests: {why}; {child.last_line}"
    bad = found["failures"] + found["errors"]
    passed = found["tests"] - bad - found["skipped"]
    line = f"tests: {passed} passed, {bad} failed, {found['skipped']} skipped"
    names = re.findall(r"^(?:FAILED|ERROR) .*", child.said, re.MULTILINE)
    return status == 0 and passed > 0, "\n".join([line, *(f"  {name[:200]}" for name in names)])


def main() -> None:
    """Check, write the results, print a summary; exit status 1 if anything failed."""
    leave_when_told()
    start, limit = time.monotonic(), float(os.environ.get("CHECK_SECONDS", "330"))
    sys.path.insert(0, str(ROOT))
    import torch

    cuda = torch.cuda.is_available()
    toy, device = os.environ.get("TOY") == "1" or not cuda, "cuda" if cuda else "cpu"
    results = Path(os.environ.get("RESULTS", HERE / "check")).resolve()
    results.mkdir(parents=True, exist_ok=True)
    name = torch.cuda.get_device_name() if cuda else "CPU"
    size = ", toy size" if toy else ""
    lines = [f"{name}, PyTorch {torch.__version__}, Python {sys.version.split()[0]}{size}"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "photographs").mkdir()
        data = photographs(folder / "photographs")
        deadline = start + FIRST * limit
        report = results / "tests.xml"
        report.unlink(missing_ok=True)
        tests = Child(
            [*TESTS, "-o", "addopts=", "-rfE", f"--junitxml={report}", "tests/gpu"],
            results / "tests.txt",
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        )
        seconds = deadline - time.monotonic()
        runs = {
            key: training(*key, data, folder / "-".join(key), device, toy, seconds) for key in RUNS
        }
        status = tests.wait(deadline)
        fine, line = describe_tests(tests, status, report)
        lines.append(line)
        fine = trainings(runs, folder, results, deadline + LEAVING, lines) and fine
        first = time.monotonic() - start
        left = limit - first - LEAVING
        arguments = [str(HERE / "race.py"), "--data", data, "--seconds", f"{left:.0f}"]
        arguments += ["--output-dir", str(results), *(["--toy"] if toy else [])]
        if modes := os.environ.get("RACE_MODES", "eager" if toy else ""):
            arguments += ["--modes", modes]
        race = Child(arguments, results / "race.txt")
        raced = race.wait(start + limit)
        fine = fine and raced == 0
        lines += ["", "race of attention paths:", race.said.rstrip()]
        if raced != 0:
            lines.append(f"race: exit status {raced}")
        seconds = time.monotonic() - start
        lines += ["", f"{seconds:.0f} s of {limit:.0f}, {first:.0f} of them tests and training"]
    lines.append("all is well" if fine else "SOMETHING FAILED")
    text = "\n".join(lines)
    (results / "summary.txt").write_text(text + "\n")
    print(text)
    sys.exit(0 if fine else 1)


def trainings(
    runs: dict[tuple[str, str], Child],
    folder: Path,
    results: Path,
    deadline: float,
    lines: list[str],
) -> bool:
    """Wait for the training runs, and write what they came to; whether all ended well."""
    fine, rows, logs = True, [], []
    for (network, precision), child in runs.items():
        status = child.wait(deadline)
        found = trained(folder / f"{network}-{precision}")
        fine = fine and status == 0 and bool(found)
        reason = "" if status == 0 else f"exit status {status}: {child.last_line}"
        rows.append({"network": network, "precision": precision} | found | {"reason": reason})
        logs.append(f"== {network}, {precision}\n{child.said}")
    (results / "training.txt").write_text("\n".join(logs))
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (results / "training.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, names, restval="")
        table.writeheader()
        table.writerows(rows)
    lines.append("training:")
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in names}
    for row in ({name: name for name in names}, *rows):
        lines.append("  ".join(row.get(name, "").rjust(widths[name]) for name in names).rstrip())
    return fine


if __name__ == "__main__":
    main()
