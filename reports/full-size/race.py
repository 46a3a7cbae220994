"""The race of attention paths: training steps of the full-size network, eager and compiled.

`python3 reports/full-size/race.py --data PHOTOGRAPHS --seconds N --output-dir DIR` writes race.csv
and kernels.csv and prints both. Each variant is a process of its own (race_variant.py), so that
one that fails or hangs is a row with its reason and ends nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from children import leave_when_told
from rates import copy_rate, matrix_rate, step_flops
from tables import aligned
from waves import EAGER, Variant, in_waves

ATTENTION = ("matmul", "sdpa", "flex")
FASTEST = ("reduce-overhead", "max-autotune")
"""Modes of compilation that only the fastest path is tried with, as they take long to compile."""

COLUMNS = ("kernel", "calls_per_step", "ms_per_step", "share")

AT_ONCE = 3
"""Variants that are compiled side by side, at most."""
ROOM = 0.85
"""Share of the GPU's memory that they may fill."""
QUICK = 0.75
"""Share of the time left that each quick mode may take, so that some is left for the slow ones."""

FULL = ("data.crop=64", "run.batch_size=64")
TOY = (
    *("network.embed_dim=12", "network.depths=[2]", "network.num_heads=[2]"),
    *("network.mlp_hidden=16", "data.crop=16", "run.batch_size=4"),
)
"""Sizes of the full network's step, and of a rehearsal on the CPU."""


def race(
    paths: list[str],
    modes: list[str],
    folder: Path,
    settings: dict[str, Any],
    deadline: float,
) -> list[Variant]:
    """Every path in one quick mode after the other, then the fastest in the slow modes."""
    slow = [mode for mode in modes if mode in FASTEST]
    variants: list[Variant] = []
    for mode in modes:
        if mode not in slow:
            now = time.monotonic()
            until = now + QUICK * (deadline - now) if slow else deadline
            wave = [Variant(path, mode) for path in paths]
            in_waves(wave, side_by_side(variants), folder, settings, until)
            variants += wave
    best = fastest(variants)
    if best is not None:
        last = [Variant(best.attention, mode) for mode in slow]
        in_waves(last, side_by_side(variants), folder, settings, deadline)
        variants += last
    return variants


def side_by_side(variants: list[Variant]) -> int:
    """How many variants fit into the GPU's memory together, judged by the smallest so far."""
    if not torch.cuda.is_available():
        return AT_ONCE
    peaks = [one.result["peak_gib"] for one in variants if "peak_gib" in one.result]
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    return max(1, min(AT_ONCE, int(ROOM * total / min(peaks)))) if peaks else AT_ONCE


def table(variants: list[Variant], flops: float, rate: float) -> pd.DataFrame:
    """A row for each variant, the fastest first."""
    rows = []
    for one in sorted(variants, key=lambda one: one.ms):
        measured = one.result
        rows.append(
            {
                "attention": one.attention,
                "mode": one.mode,
                "ms_median": measured.get("ms_median"),
                "ms_p95": measured.get("ms_p95"),
                "share_of_bf16_rate": flops / (one.ms / 1000) / rate
                if "ms_median" in measured
                else None,
                "peak_gib": measured.get("peak_gib"),
                "first_step_s": measured.get("first_step_s"),
                "accumulate": measured.get("accumulate"),
                "reason": measured.get("error", ""),
            }
        )
    return pd.DataFrame(rows)


def verdict(variants: list[Variant], device: str) -> str:
    """Which rows of the table of paths to set, and which mode of compilation."""
    best = fastest(variants)
    if best is None:
        return "no variant could be measured"
    lines = [
        f"fastest: {best.attention}, {best.mode}, {best.ms:.2f} ms a step",
        f"in FASTEST of mtd/networks/window_attention.py, for training on {device}, set",
    ]
    for compiled in (False, True):
        first = fastest([one for one in variants if (one.mode != EAGER) == compiled])
        if first is not None:
            row = f'("{device}", True, {compiled}), {"" if compiled else "not "}compiled'
            lines.append(f"  {row}: {first.attention!r} ({first.mode}, {first.ms:.2f} ms)")
    mode = f'compile = true, compile_mode = "{best.mode}"'
    mode = "compile = false" if best.mode == EAGER else mode
    return "\n".join([*lines, f"in [run] of mtd/training/configs/full.toml, set {mode}"])


def fastest(variants: list[Variant]) -> Variant | None:
    """The variant with the least median, of those that were measured."""
    return min((one for one in variants if one.measured), key=lambda one: one.ms, default=None)


def options() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", required=True, help="photographs: a folder, or a file of mtd.pack")
    p.add_argument("--seconds", type=float, default=200, help="for all of it (default 200)")
    p.add_argument("--output-dir", default="reports/full-size/check")
    p.add_argument("--paths", default=",".join(ATTENTION))
    # what a long training needs to know first
    p.add_argument("--modes", default=",".join(["default", EAGER, *FASTEST]))
    p.add_argument("--toy", action="store_true", help="a small network, as a rehearsal")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return p.parse_args()


def main() -> None:
    """Race, write the tables, print them."""
    leave_when_told()
    args, start = options(), time.monotonic()
    output, kind = Path(args.output_dir), args.device.partition(":")[0]
    output.mkdir(parents=True, exist_ok=True)
    sizes = list(TOY if args.toy else FULL)
    settings = {
        "device": args.device,
        "data": str(Path(args.data).resolve()),
        "changes": sizes,
        "warm_up": 10 if kind == "cuda" else 1,
        "steps": 50 if kind == "cuda" else 3,
    }
    rate, copies, flops = matrix_rate(kind), copy_rate(kind), step_flops(sizes)
    if kind == "cuda":
        torch.cuda.empty_cache()
    print(f"bf16 matrix rate {rate / 1e12:.4g} TFLOP/s")
    print(f"copies {copies / 1e12:.4g} TB/s, bytes read and written")
    print(
        f"a step: {flops / 1e12:.4g} TFLOP, {1000 * flops / rate:.3g} ms at that rate", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        paths, modes = args.paths.split(","), args.modes.split(",")
        variants = race(paths, modes, Path(folder), settings, start + args.seconds)
        logs = [
            f"== {log.parent.name}\n{log.read_text()}" for log in Path(folder).glob("*/log.txt")
        ]
    (output / "race.txt").write_text("\n".join(logs))
    found = table(variants, flops, rate)
    found.to_csv(output / "race.csv", index=False)
    best = fastest(variants)
    longest = pd.DataFrame(best.result["kernels"] if best else [], columns=list(COLUMNS))
    longest.to_csv(output / "kernels.csv", index=False)
    print(aligned(found.to_dict("records")))
    if best is not None:
        print(f"\nlongest kernels of {best.attention}, {best.mode}:")
        longest["kernel"] = longest["kernel"].str.slice(0, 90)
        print(aligned(longest.to_dict("records")))
    print(f"\n{verdict(variants, kind)}")
    sys.exit(0 if best else 1)


if __name__ == "__main__":
    main()
