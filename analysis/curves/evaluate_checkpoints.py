"""Test curves from what a run has saved on the way: its checkpoints, evaluated in one pass."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from analysis.commands.job import AnalysisJob, carry_out
from analysis.curves.log_readers import MODELS, PSNR, Point
from analysis.curves.summary import report
from analysis.curves.tables import CHECKPOINTS, settle
from analysis.engine.run import batches
from analysis.generalization.observer import ImageQuality
from mtd.networks.base import Denoiser
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from analysis.curves.run_curves import Found

TOGETHER = 2**16
"""Pixels that go through a network together."""


def saved(place: str) -> list[Path]:
    """The checkpoints in a folder; not what is there for resuming.

    Raises:
        BadInput: no such folder, or none in it.
    """
    folder, hint = Path(place), "expected a folder of checkpoints such as snapshot-002500.pth"
    if not folder.is_dir():
        raise BadInput(f"--checkpoints {place}: no such folder; {hint}")
    found = [
        file
        for file in folder.iterdir()
        if file.suffix in MODELS and not re.match(r"\.|state|.*optimizer", file.name)
    ]
    if not found:
        raise BadInput(f"--checkpoints {place}: no checkpoints in it; {hint}")
    return sorted(found, key=lambda file: (file.stem.endswith("_E"), file.name))


def evaluate(
    args: argparse.Namespace, files: Mapping[Path, str], found: Found, name: str, command: str
) -> Path:
    """Evaluate all checkpoints in one pass; write and report them with what logs hold.

    Args:
        args: the command's.
        files: checkpoints, and their runs.
        found: of the logs; what is evaluated is added.
        name: of the run folder.
        command: the command line.
    """
    args.models = [str(file) for file in files]
    args.batch_size = args.batch_size or max(1, TOGETHER // args.crop**2)
    given = options.like(args, options.parser("analysis.curves", "", ""))
    asked = commands_inputs.check(given)
    with asked.ranks.raise_on_all_ranks():
        whose = {str(file): run for file, run in files.items()}
        steps = ordered(asked.models, whose, found)
        asked = replace(asked, models={model: asked.models[model] for model in steps})
        specs = [noise.spec for noise in asked.noises]
        inside = args.in_distribution or specs[0]
        if inside not in specs:
            raise BadInput(f"--in-distribution {inside}: not evaluated; {nearest(inside, specs)}")
        for run in dict.fromkeys(run for run, _ in steps.values()):
            found.trained[run] = inside
        say_trained(asked.models, steps, inside, found)

    def make(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
        psnr = results[results.metric == PSNR].groupby(["model", "noise"], sort=False).value
        each = psnr.agg(lambda values: values.mean(skipna=False))
        for run in dict.fromkeys(run for run, _ in steps.values()):
            points = [
                Point(CHECKPOINTS, PSNR, spec, step, float(each[model, spec]))
                for spec in specs
                for model, (own, step) in sorted(steps.items(), key=lambda item: item[1])
                if own == run
            ]
            found.frames.append(settle(run, points, together=False)[0])
        return found.tables()

    manifest = commands_inputs.describe("curves", given, asked) | found.manifest(args)
    manifest["checkpoints"] = {model: [run, step] for model, (run, step) in steps.items()}
    work = AnalysisJob(asked, ImageQuality(list(asked.models), window=8), manifest, make, report)
    return carry_out(given, batches(asked.crops, args.batch_size), work, name, command)


def ordered(
    models: Mapping[str, Denoiser], whose: Mapping[str, str], found: Found
) -> dict[str, tuple[str, int]]:
    """Run and step of each model; those without a step, or with one that is there, are left out.

    Raises:
        BadInput: none of a run is left.
    """
    steps: dict[str, tuple[str, int]] = {}
    for name, model in models.items():
        path = model.source["path"]
        step = step_of(Path(path), model.source["training"])
        if step is None:
            found.notes.append(f"{path}: left out, no step in its name or metadata")
        elif (place := (whose[path], step)) in steps.values():
            found.notes.append(f"{path}: left out, another file is of step {step:,}")
        else:
            steps[name] = place
    for run in dict.fromkeys(whose.values()):
        if run not in {own for own, _ in steps.values()}:
            raise BadInput(
                f"--checkpoints: none of {run} has a step in its name or metadata; expected names "
                "such as snapshot-002500.pth or 5000_G.pth"
            )
    return steps


def step_of(path: Path, training: Mapping[str, Any]) -> int | None:
    """The step of a checkpoint: of its metadata, else after `step` or `iter`, else the last number.

    >>> step_of(Path("5000_G.pth"), {}), step_of(Path("x2_iter_300_v1.pth"), {})
    (5000, 300)
    """
    if isinstance(training.get("steps"), int):
        return int(training["steps"])
    found = re.findall(r"(?:step|iter)s?[-_=]?(\d+)", path.stem, re.I) or re.findall(
        r"\d+", path.stem
    )
    return int(found[-1]) if found else None


def say_trained(
    models: Mapping[str, Denoiser], steps: Mapping[str, tuple[str, int]], inside: str, found: Found
) -> None:
    """Note runs whose checkpoints say that they were trained on another noise."""
    for run, noise in dict.fromkeys(
        (run, models[model].source["training"].get("noise")) for model, (run, _) in steps.items()
    ):
        if noise and noise != inside:
            found.notes.append(f"{run}: trained on {noise} by its checkpoints, not on {inside}")
