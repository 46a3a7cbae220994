"""One variant of the race: training steps of the full-size network; see race.py, which starts it.

`race_variant.py SETTINGS.json`; the results are `result.json` beside it. A compiled network is
compiled before the file `ready` is written, and measured once there is a file `go`: variants are
compiled side by side, but measured alone.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from mtd.training import config
from mtd.training.trainer import Trainer
from mtd.utils import distributed

KERNELS = ("kernel", "gpu_memcpy", "gpu_memset")
"""Categories of what runs on a GPU in PyTorch's traces."""


def milliseconds(trainer: Trainer, steps: int) -> list[float]:
    """Duration of each of some steps in ms, between marks on the device."""
    if trainer.device.type != "cuda":
        times = [time.perf_counter()]
        for _ in range(steps):
            trainer.advance()
            times.append(time.perf_counter())
        return [1000 * (b - a) for a, b in pairwise(times)]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
    marks[0].record()
    for mark in marks[1:]:
        trainer.advance()
        mark.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) for a, b in pairwise(marks)]


def peak_bytes(device: torch.device) -> int:
    """The most memory held at a time: by PyTorch on the GPU, or by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def kernels(trainer: Trainer, steps: int, trace: Path) -> list[dict[str, Any]]:
    """What took longest in some steps, by name: kernels of the GPU, or operators on the CPU."""
    cuda = trainer.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as profiler:
        for _ in range(steps):
            trainer.advance()
        if cuda:
            torch.cuda.synchronize()
    if cuda:
        profiler.export_chrome_trace(str(trace))
        spent = of_trace(json.loads(trace.read_text()))
        trace.unlink()
    else:
        found = profiler.key_averages()
        spent = {one.key: (one.count, one.self_cpu_time_total / 1000) for one in found}
    total = sum(ms for _, ms in spent.values())
    longest = sorted(spent.items(), key=lambda item: -item[1][1])[:10]
    return [
        {
            "kernel": name,
            "calls_per_step": calls / steps,
            "ms_per_step": ms / steps,
            "share": ms / total,
        }
        for name, (calls, ms) in longest
    ]


def of_trace(trace: dict[str, Any]) -> dict[str, tuple[int, float]]:
    """Number of calls and milliseconds of each kernel in a trace of PyTorch's profiler."""
    spent: dict[str, tuple[int, float]] = {}
    for event in trace["traceEvents"]:
        if event.get("cat") in KERNELS:
            calls, ms = spent.get(event["name"], (0, 0.0))
            spent[event["name"]] = calls + 1, ms + event["dur"] / 1000
    return spent


def wait_for(path: Path) -> None:
    """Sleep until a file is there."""
    while not path.exists():
        time.sleep(0.05)


def prepared(settings: dict[str, Any], folder: Path) -> tuple[Trainer, float]:
    """The training, with what has to be compiled, and the seconds that this took."""
    _, device = distributed.start(settings["device"], steady=False)
    recipe = config.load("full.toml", settings["changes"], folders=[settings["data"]])
    trainer = Trainer(recipe, folder / "run", device, "")
    start = time.perf_counter()
    if recipe.run.compile or recipe.run.attention == "flex":
        float(trainer.advance())
    seconds = time.perf_counter() - start
    if trainer.device.type == "cuda":
        torch.cuda.empty_cache()
    return trainer, seconds


def measured(trainer: Trainer, warm_up: int, steps: int) -> dict[str, Any]:
    """Times of steps and memory, after some steps that are not counted."""
    milliseconds(trainer, warm_up)
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times = torch.tensor(milliseconds(trainer, steps), dtype=torch.float64)
    trainer.check()
    return {
        "ms_median": float(times.quantile(0.5)),
        "ms_p95": float(times.quantile(0.95)),
        "peak_gib": peak_bytes(trainer.device) / 2**30,
        "accumulate": trainer.parts.accumulate,
        "kernels": [],
    }


def write(result: dict[str, Any], folder: Path) -> None:
    """Write the result in one step."""
    (folder / "written.json").write_text(json.dumps(result))
    (folder / "written.json").replace(folder / "result.json")


def main() -> None:
    """Prepare, wait, measure; write the result, or in one line why there is none."""
    folder = Path(sys.argv[1]).parent
    settings = json.loads(Path(sys.argv[1]).read_text())
    try:
        trainer, seconds = prepared(settings, folder)
        (folder / "ready").touch()
        wait_for(folder / "go")
        result = measured(trainer, settings["warm_up"], settings["steps"])
    except Exception as error:
        traceback.print_exc()
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        write({"error": f"{type(error).__name__}: {' '.join(lines[:2])}"[:300]}, folder)
        return
    result["first_step_s"] = seconds
    write(result, folder)  # which a profiler that fails leaves as it is
    write(result | {"kernels": kernels(trainer, 3, folder / "trace.json")}, folder)


if __name__ == "__main__":
    main()
