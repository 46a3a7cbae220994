"""Snapshots of training runs as models of a run, by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from analysis.commands import trainings
from analysis.commands.controls import network_key
from analysis.commands.inputs import load_inputs
from analysis.text.names import unique_names
from mtd.loading.model_names import named_files
from mtd.loading.snapshots import checkpoint_files, step_of
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.settings import Settings
    from mtd.data.photographs import Photograph
    from mtd.networks.base import Denoiser

SNAPSHOT = "snapshot"
"""The entry of a network's source that says of which run and step it is."""


class Snapshot(NamedTuple):
    """Where a model is in a training.

    Attributes:
        run: name of the run, or of the model that several runs are trainings of.
        step: of the training.
    """

    run: str
    step: int


def folders_of(runs: Sequence[str]) -> dict[str, dict[str, Path]]:
    """The folders of runs by the run's name, and there by the training's.

    Args:
        runs: folders, `NAME=FOLDER`, or `NAME=PATTERN` for several trainings of one model.

    Raises:
        BadInput: no match, or a name twice.
    """
    given = [entry for text in runs for entry in named_files(text.rstrip("/"))]
    by_name: dict[str, list[str]] = {}
    for name, path in given:
        if name:
            by_name.setdefault(name, []).append(path)
    plain = [path for name, path in given if not name]
    unnamed = dict(zip(plain, unique_names(plain), strict=True))
    found: dict[str, dict[str, Path]] = {}
    for name, path in given:
        own = name or unnamed[path]
        if own in found and (not name or own in unnamed.values()):
            raise BadInput(
                f"two runs are named {own!r}: give one of them another name, NAME=FOLDER"
            )
        if own not in found:
            paths = by_name.get(name, [path])
            several = trainings.names_for(own, paths) if len(paths) > 1 else [own]
            found[own] = dict(zip(several, map(Path, paths), strict=True))
    return found


def load(
    runs: Sequence[str],
    settings: Settings,
    photographs: Sequence[Photograph] | None,
    option: str,
    together: bool = True,
) -> RunInputs:
    """The snapshots of training runs as models, in the order of their steps.

    Of several trainings of one model those steps are kept that all have; they are trainings of the
    model at that step.

    Args:
        runs: see `folders_of`.
        settings: of the analysis.
        photographs: the clean images; by default those of `settings.images`.
        option: that names the runs, for messages.
        together: otherwise each training is a run of its own, with all its snapshots.

    Raises:
        BadInput: a folder without snapshots, fewer than two steps, or anything that cannot be used.
    """
    folders = folders_of(runs)
    if not together:
        folders = {name: {name: path} for own in folders.values() for name, path in own.items()}
    files = {
        f"{training}, {file.name}": (run, training, file)
        for run, own in folders.items()
        for training, folder in own.items()
        for file in checkpoint_files(folder, option)
    }
    inputs = load_inputs(
        {name: file for name, (_, _, file) in files.items()}, settings, photographs
    )
    with inputs.ranks.raise_on_all_ranks():
        models: dict[str, Denoiser] = {}
        left_out: list[str] = []
        for run, own in folders.items():
            of_run = {
                training: {
                    name: model
                    for name, model in inputs.models.items()
                    if files[name][:2] == (run, training)
                }
                for training in own
            }
            steps, unused = by_step(run, of_run, option)
            models |= steps
            left_out += unused
        if not together:
            check_trainings(folders_of(runs), models)
        named = replace(inputs, models=models, skipped=(*inputs.skipped, *left_out))
        return named.with_models({})


def check_trainings(
    folders: Mapping[str, Mapping[str, Path]], models: Mapping[str, Denoiser]
) -> None:
    """Check that the snapshots of each model's trainings are of different trainings of one network.

    Args:
        folders: see `folders_of`.
        models: every snapshot of every training.

    Raises:
        BadInput: see `trainings.check`.
    """
    for model, own in folders.items():
        if len(own) > 1:
            of = {n: copy(one) for n, one in models.items() if one.source[SNAPSHOT]["run"] in own}
            trainings.mark(of, dict.fromkeys(of, model))
            trainings.check(of, network_key)


def by_step(
    run: str, of_run: Mapping[str, Mapping[str, Denoiser]], option: str
) -> tuple[dict[str, Denoiser], list[str]]:
    """A run's networks by step and training, and lines on those that are left out.

    Raises:
        BadInput: fewer than two steps that all trainings have.
    """
    left_out: list[str] = []
    steps: dict[str, dict[int, Denoiser]] = {training: {} for training in of_run}
    for training, networks in of_run.items():
        for name, network in networks.items():
            source = network.source
            step = step_of(Path(source["path"]), source.get("training") or {})
            if step is None:
                left_out.append(f"left out {name}: no step in its name or metadata")
            elif step in steps[training]:
                left_out.append(f"left out {name}: another file is of step {step:,}")
            else:
                steps[training][step] = network
    common = sorted(set.intersection(*(set(own) for own in steps.values())))
    if len(common) < 2:
        raise BadInput(
            f"{option} {run}: {plural(len(common), 'step')} with a snapshot of every training; "
            "expected two or more, such as snapshot-000500.pth"
        )
    left_out += [
        f"left out {training}, step {step:,}: not all trainings of {run} have this step"
        for training, own in steps.items()
        for step in sorted(set(own) - set(common))
    ]
    found = {}
    for step in common:
        model = f"{run}, step {step:,}"
        for training, own in steps.items():
            network = own[step]
            name = model if len(steps) == 1 else f"{training}, step {step:,}"
            network.source = {**network.source, SNAPSHOT: Snapshot(run, step)._asdict()}
            if name != model:
                trainings.mark({name: network}, {name: model})
            found[name] = network
    trainings.check(found, network_key)
    return found, left_out


def of_models(inputs: RunInputs) -> dict[str, Snapshot]:
    """Run and step of every model, or of those of several trainings."""
    return {
        model: Snapshot(**inputs.models[names[0]].source[SNAPSHOT])
        for model, names in inputs.trainings.items()
    }


def from_manifest(manifest: Mapping[str, Any]) -> dict[str, Snapshot]:
    """Run and step of every model, from a run's manifest."""
    return {name: Snapshot(**about[SNAPSHOT]) for name, about in manifest["models"].items()}


NOT_IN_NAMES = "=/\\:"
"""Characters that no name of a run may have, since `NAME=FOLDER` would mean something else."""


def as_texts(runs: Any) -> list[str]:
    """Folders of runs as the command line has them.

    Raises:
        BadInput: no run, a name without a folder, or a name with one of `NOT_IN_NAMES`.
    """
    if isinstance(runs, Mapping | list | tuple) and not runs:
        raise BadInput(f"runs {runs!r}: none given; expected folders of snapshots of training runs")
    if isinstance(runs, Mapping):
        each = {
            str(name): list(of) if isinstance(of, list | tuple) else [of]
            for name, of in runs.items()
        }
        for name, folders in each.items():
            if not name or set(name) & set(NOT_IN_NAMES):
                raise BadInput(f"run {name!r}: expected a name without {' '.join(NOT_IN_NAMES)}")
            if not folders:
                raise BadInput(f"run {name!r}: no folder given; expected one or more of snapshots")
        return [f"{name}={folder}" for name, folders in each.items() for folder in folders]
    if isinstance(runs, list | tuple):
        return [str(run) for run in runs]
    return [str(runs)]
