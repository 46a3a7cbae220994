"""Test curves from the checkpoints that a run has saved, evaluated in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import pandas as pd

from analysis.commands import inputs as commands_inputs
from analysis.commands import matched_noises
from analysis.commands.controls import network_key
from analysis.commands.inputs import RunInputs
from analysis.commands.job import PIXELS
from analysis.commands.trainings import several
from analysis.curves.logged import PSNR, Point
from analysis.curves.run_curves import RunCurves, read_logs
from analysis.curves.run_sources import Places, RunSources
from analysis.curves.settings import CurvesSettings
from analysis.curves.tables import CHECKPOINTS, curves_from_points
from analysis.engine import run as engine_run
from analysis.engine.observer import Batch
from analysis.text.markdown import code
from mtd.data.photographs import Photograph
from mtd.loading.snapshots import checkpoint_files, step_of
from mtd.networks.base import Denoiser
from mtd.utils.errors import BadInput

Steps = Mapping[str, tuple[str, int]]
"""Training of a run, and step, of each model."""


@dataclass(frozen=True)
class CheckpointInputs(RunInputs):
    """Checkpoints of training runs, and what decides their evaluation.

    Attributes:
        steps: the training of a run, and the step, of each model.
        runs: what the logs hold, and the noises that each run was trained on.
        sources: the paths that were given.
    """

    steps: Steps = field(kw_only=True)
    runs: RunCurves = field(kw_only=True)
    sources: RunSources = field(kw_only=True)

    @property
    def label(self) -> str:
        """The names of the runs."""
        return self.sources.label


def load_inputs(
    sources: RunSources | Places,
    settings: CurvesSettings,
    photographs: Sequence[Photograph] | None = None,
) -> CheckpointInputs:
    """Read the logs, and load and check the checkpoints, before anything is computed.

    Args:
        sources: logs and folders of checkpoints, or the folders alone.
        settings: of the curves.
        photographs: the clean images; by default those of `settings.images`.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    if not isinstance(sources, RunSources):
        sources = RunSources.of(checkpoints=sources)
    if not sources.checkpoints:
        raise BadInput("no folder of checkpoints to evaluate; logs alone are read")
    runs = read_logs(sources.logs, sources.trainings)
    run_of = {
        str(file): run
        for run, folder in sources.checkpoints.items()
        for file in checkpoint_files(folder)
    }
    inputs = commands_inputs.load_inputs(list(run_of), settings, photographs)
    with inputs.ranks.raise_on_all_ranks():
        steps, notes = choose_steps(inputs.models, run_of)
        check_trainings(inputs.models, steps, sources)
        levels = cache(partial(matched_noises.levels, inputs))
        runs = runs.evaluated(inputs.specs, said_by_checkpoints(inputs.models, steps))
        return CheckpointInputs(
            **vars(inputs) | {"models": {name: inputs.models[name] for name in steps}},
            steps=steps,
            runs=runs.decided(settings.in_distribution, notes, levels),
            sources=sources,
        )


def choose_steps(
    models: Mapping[str, Denoiser], run_of: Mapping[str, str]
) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Run and step of each model, and sentences on those that are left out.

    A model is left out if it has no step, or one that another model of its run has.

    Raises:
        BadInput: none of a run is left.
    """
    steps: dict[str, tuple[str, int]] = {}
    notes = []
    for name, model in models.items():
        path = model.source["path"]
        step = step_of(Path(path), model.source["training"])
        if step is None:
            notes.append(f"{code(path)} is left out: no step in its name or metadata.")
        elif (run_of[path], step) in steps.values():
            notes.append(f"{code(path)} is left out: another file is of step {step:,}.")
        else:
            steps[name] = run_of[path], step
    for run in dict.fromkeys(run_of.values()):
        if run not in {own for own, _ in steps.values()}:
            raise BadInput(
                f"--checkpoints: none of {run} has a step in its name or metadata; expected names "
                "such as snapshot-002500.pth or 5000_G.pth"
            )
    return steps, notes


def check_trainings(models: Mapping[str, Denoiser], steps: Steps, sources: RunSources) -> None:
    """Check that the trainings of a run are different ones, with checkpoints of the same steps.

    Raises:
        BadInput: equal weights, or no step of which all have a checkpoint.
    """
    for run, names in several(sources.trainings).items():
        own = {model: models[model] for model, (name, _) in steps.items() if name in names}
        if len({network_key(network) for network in own.values()}) > 1:
            raise BadInput(
                f"--checkpoints: those of {run} differ in more than their weights; expected "
                "trainings of one network"
            )
        at: dict[str, set[int]] = {}
        weights: dict[str, str] = {}
        for model, network in own.items():
            name, step = steps[model]
            at.setdefault(name, set()).add(step)
            other = weights.setdefault(network.source["weights_sha256"], name)
            if other != name:
                raise BadInput(f"{other} and {name} hold equal weights; give each training once")
        if at and not set.intersection(*at.values()):
            raise BadInput(
                f"--checkpoints: no step of which every training of {run} has a checkpoint; "
                "expected checkpoints of the same steps"
            )


def said_by_checkpoints(models: Mapping[str, Denoiser], steps: Steps) -> dict[str, list[str]]:
    """The noises that each training was on, as the metadata of its checkpoints say."""
    said: dict[str, dict[str, None]] = {run: {} for run, _ in steps.values()}
    for name, (run, _) in steps.items():
        noise = models[name].source["training"].get("noise")
        if isinstance(noise, str):
            said[run][noise] = None
    return {run: list(noises) for run, noises in said.items()}


def batches(inputs: RunInputs, settings: CurvesSettings) -> list[Batch]:
    """Batches of crops or whole images, those of one size together."""
    cut: list[Batch] = []
    for shape in dict.fromkeys(crop.pixels.shape for crop in inputs.crops):
        same = [crop for crop in inputs.crops if crop.pixels.shape == shape]
        size = settings.batch_size or max(1, PIXELS // (shape[0] * shape[1]))
        cut += [
            replace(batch, index=len(cut) + batch.index) for batch in engine_run.batches(same, size)
        ]
    return cut


def evaluated_curves(scores: pd.DataFrame, inputs: CheckpointInputs) -> list[pd.DataFrame]:
    """Curves of each training's mean PSNR over images.

    Args:
        scores: a row for each model, noise, image and metric.
        inputs: of the evaluation.
    """
    psnr = scores[scores.metric == PSNR].groupby(["model", "noise"], sort=False).value
    means = psnr.agg(lambda values: values.mean(skipna=False))
    curves = []
    for run in dict.fromkeys(run for run, _ in inputs.steps.values()):
        points = [
            Point(CHECKPOINTS, PSNR, spec, step, float(means[model, spec]))
            for spec in inputs.specs
            for model, (own, step) in sorted(inputs.steps.items(), key=lambda item: item[1])
            if own == run
        ]
        curves.append(curves_from_points(run, points))
    return curves
