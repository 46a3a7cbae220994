"""Similarity over training as a run of `analysis.cka --over-training`, and its record."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.cka import command as cka
from analysis.cka.measures import MEASURES
from analysis.commands.command import run_in_memory
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.cka.over_training.result import OverTrainingResult
    from analysis.cka.settings import CKASettings
    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

NAME = "cka_over_training"

OPTION = "--over-training"


def requests(settings: CKASettings, parsed: Namespace) -> Models:
    """The folders of runs, of a command line without models.

    Raises:
        BadInput: models beside them.
    """
    if given := [*parsed.models, *(model.factory for model in parsed.custom_models)]:
        raise BadInput(f"{given[0]}: {OPTION} takes the snapshots of runs; leave the model out")
    return list(settings.over_training)


def load_inputs(
    models: Models, settings: CKASettings, photographs: Sequence[Photograph] | None
) -> RunInputs:
    """The snapshots of runs as models."""
    from analysis.commands import snapshots

    return snapshots.load(settings.over_training, settings, photographs, OPTION)


def manifest(inputs: RunInputs, settings: CKASettings, observer: Any) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    return {**cka.manifest(inputs, settings, observer), "over_training": True}


def tables(comparison: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """Those of a comparison of models, and means of the last quarter by run and step."""
    from analysis.cka import compute
    from analysis.cka.over_training import tables as own
    from analysis.commands import snapshots

    written, means = compute.tables_and_quarters(comparison, job)
    measure, of = job.settings.measure, snapshots.of_models(job.inputs)
    several = written.pop("last_quarter_by_training.csv", None)
    frames = {f"{own.NAME}.csv": own.over_training(means, of, measure, several is not None)}
    if several is not None:
        frames[f"{own.NAME}_by_training.csv"] = own.by_training(several, of, measure)
    kept = {"layers.csv", f"{measure}.csv", "controls.csv", "depth.csv", "last_quarter.csv"}
    return frames | {name: table for name, table in written.items() if name in kept}


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Similarity by step."""
    from analysis.cka.over_training import figures

    return figures.figures(dict(frames))


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Every snapshot, with its values."""
    from analysis.cka.over_training import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.cka.over_training import reading

    return reading.sentences(frames, manifest)


def result() -> type[OverTrainingResult]:
    """The class of its results."""
    from analysis.cka.over_training.result import OverTrainingResult

    return OverTrainingResult


ANALYSIS = replace(
    cka.ANALYSIS,
    name=NAME,
    title="Similarity over training",
    description="Compare the layers of a training run's snapshots by CKA: each between the noises, "
    "and each with the end of training.",
    requests=requests,
    load_inputs=load_inputs,
    manifest=manifest,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    answer=None,
    main_sentences=None,
    result=result,
    table_names=(
        *("over_training", "over_training_by_training"),
        *(*MEASURES, "layers", "depth", "last_quarter", "controls"),
    ),
    keys={"over_training": ("run", "step", "against", "noise_a", "noise_b")},
    report_crops=None,
    index=None,
    mode=None,
    package="analysis.cka",
)


def compare_snapshots(
    runs: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> OverTrainingResult:
    """Compare the snapshots of training runs by CKA, each between noises and with the last one.

    The values are means over the last quarter of the blocks, each layer with itself, under the
    first noise against every other, and under the first noise against the run's last snapshot. The
    command `python -m analysis.cka --over-training RUN` calls the same code.

    Args:
        runs: folders of snapshots such as `snapshot-002500.pth`: a path, several, or a mapping from
            names to a folder, or to several that are trainings of one model.
        images: clean photographs, as for `analysis.cka.compare`.
        progress: show a progress bar.
        settings: fields of `analysis.cka.settings.CKASettings`.

    Returns:
        Data frames `over_training`, …; `plot`; `save`.

    Raises:
        BadInput: a run without two snapshots, an image or a setting that cannot be used.

    Reference: Raghu et al. 2017, *SVCCA*, for layers compared with the end of training.
    """
    from analysis.cka.over_training.result import OverTrainingResult
    from analysis.commands.snapshots import as_texts

    texts = as_texts(runs)
    made = run_in_memory(ANALYSIS, texts, images, progress, over_training=texts, **settings)
    assert isinstance(made, OverTrainingResult)
    return made
