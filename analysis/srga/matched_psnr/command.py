"""SRGA of snapshots of equal PSNR as a run of `analysis.srga --matched-psnr`, and its record."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.commands.command import run_in_memory
from analysis.srga import command as srga
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.srga.matched_psnr.result import MatchedResult
    from analysis.srga.settings import SRGASettings
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

NAME = "srga_matched_psnr"

OPTION = "--matched-psnr"


def requests(settings: SRGASettings, parsed: Namespace) -> Models:
    """The folders of runs, of a command line without models.

    Raises:
        BadInput: models beside them.
    """
    if given := [*parsed.models, *(model.factory for model in parsed.custom_models)]:
        raise BadInput(f"{given[0]}: {OPTION} takes the snapshots of runs; leave the model out")
    return list(settings.matched_psnr)


def load_inputs(
    models: Models, settings: SRGASettings, photographs: Sequence[Photograph] | None
) -> RunInputs:
    """All snapshots of the runs as models."""
    from analysis.commands import snapshots

    return snapshots.load(settings.matched_psnr, settings, photographs, OPTION, together=False)


def tables(features: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """PSNR and scores of all snapshots, and the tables of SRGA of those that are compared."""
    from analysis.commands import snapshots
    from analysis.engine.observer import View
    from analysis.srga import tables as srga_tables
    from analysis.srga.fits import AllFits
    from analysis.srga.matched_psnr import tables as own
    from analysis.stats import jackknife

    inputs = job.inputs
    assert job.observer is not None
    draws = jackknife.draws([crop.scene or crop.image for crop in inputs.crops])
    fits = AllFits.of(features, job.settings, draws)
    without = AllFits.of(features, replace(job.settings, intervals=False), draws)
    where = snapshots.of_models(inputs)
    first = inputs.specs[0]
    psnr = {name: float(features[View(name, first)].psnr.mean()) for name in inputs.models}
    folders = snapshots.folders_of(job.settings.matched_psnr)
    model_of = {training: model for model, each in folders.items() for training in each}
    scores = srga_tables.measured(without, replace(inputs, controls=None))
    frame = own.snapshots(scores, psnr, where, model_of, inputs.specs)
    compared = own.chosen(inputs, frame, where)
    layers = {name: job.observer.layers[name][0] for name in compared.models}
    return {f"{own.NAME}.csv": frame, **srga.written(fits, compared, layers)}


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Scores of the snapshots that are compared, and of all against PSNR."""
    from analysis.srga.matched_psnr import figures, tables

    return {**srga.figures(frames, manifest), tables.NAME: figures.figure(frames[tables.NAME])}


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """Which snapshots are compared, and what follows."""
    from analysis.srga.matched_psnr import reading

    return reading.sentences(frames, manifest)


def result() -> type[MatchedResult]:
    """The class of its results."""
    from analysis.srga.matched_psnr.result import MatchedResult

    return MatchedResult


ANALYSIS = replace(
    srga.ANALYSIS,
    name=NAME,
    title="SRGA at equal PSNR",
    description="Score snapshots of training runs that have equal PSNR under the reference.",
    requests=requests,
    load_inputs=load_inputs,
    tables=tables,
    figures=figures,
    sentences=sentences,
    answer=None,
    result=result,
    table_names=("matched_psnr", *srga.ANALYSIS.table_names),
    keys={"matched_psnr": ("training", "step", "noise")},
    report_crops=None,
    index=None,
    mode=None,
    package="analysis.srga",
)


def score_snapshots(
    runs: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> MatchedResult:
    """Score snapshots of training runs that have equal PSNR under the reference noise.

    SRGA compares models of similar PSNR. Of every training that snapshot is taken whose mean PSNR
    over the patches is nearest to the highest that all trainings reach. The command
    `python -m analysis.srga --matched-psnr RUN` calls the same code.

    Args:
        runs: folders of snapshots such as `snapshot-002500.pth`: a path, several, or a mapping from
            names to a folder, or to several that are trainings of one model.
        images: clean photographs, as for `analysis.srga.score_models`.
        progress: show a progress bar.
        settings: fields of `analysis.srga.settings.SRGASettings`.

    Returns:
        Data frames `snapshots` and those of `score_models`; figures; `save`.

    Raises:
        BadInput: a run without two snapshots, an image or a setting that cannot be used.
    """
    from analysis.commands.snapshots import as_texts
    from analysis.srga.matched_psnr.result import MatchedResult

    texts = as_texts(runs)
    made = run_in_memory(ANALYSIS, texts, images, progress, matched_psnr=texts, **settings)
    assert isinstance(made, MatchedResult)
    return made
