"""Noisy pictures without a clean one: the record, and its pass.

`python -m analysis.generalization MODEL... --noisy DIR` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands.analysis import Analysis
from analysis.generalization.settings import PICTURES, GeneralizationSettings
from mtd.utils import progress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.generalization.noisy.inputs import NoisyInputs
    from analysis.generalization.noisy.observer import Denoised, Seen
    from analysis.generalization.noisy.result import NoisyResult
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

NAME = "noisy_pictures"
"""Of the analysis, in manifests and run folders."""


def load_inputs(
    models: Models, settings: GeneralizationSettings, photographs: Sequence[Photograph] | None
) -> NoisyInputs:
    """Models, noisy pictures and the noises to compare with, loaded and checked."""
    from analysis.generalization.noisy import inputs

    return inputs.load_inputs(models, settings, photographs)


def manifest(inputs: RunInputs, settings: GeneralizationSettings, observer: None) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    from analysis.generalization import metrics
    from analysis.generalization.metrics import sizes_of
    from analysis.generalization.noisy import features
    from analysis.generalization.noisy.inputs import SIGMA, NoisyInputs

    assert isinstance(inputs, NoisyInputs)
    return {
        "synthetic": [noise.spec for noise in inputs.synthetic] or [features.ESTIMATED],
        "blur": SIGMA,
        "tile": settings.tile,
        "memory": settings.memory,
        "batch_size": settings.batch_size,
        **metrics.entries_of_further(inputs.metrics, inputs.not_run, sizes_of(inputs.crops)),
    }


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> dict[str, Any]:
    """Outputs and tables; called in every process.

    Outputs are written into the run folder as soon as they are known, one after the other; without
    a folder they are among the files that are returned.
    """
    from analysis.commands import matched_noises, network_pass
    from analysis.engine.observer import Watch
    from analysis.engine.run import compute_result
    from analysis.generalization.noisy import features, inputs, outputs

    given, settings = job.inputs, job.settings
    assert isinstance(given, inputs.NoisyInputs)
    observer = watcher(given)
    together = inputs.batches(given, settings)
    watch = Watch(observer, version=job.analysis.version)
    network_pass.run_pass(given, together, [watch], folder, quiet=quiet)
    files = outputs.name_files(list(given.models), given.crops, settings.crop is None)
    kept: dict[str, bytes] = {}
    with given.ranks.raise_on_all_ranks():
        for name, content in outputs.encoded(observer, given.crops, files):
            if folder is not None:
                folder.write(name, content)
            else:
                kept[name] = content
    seen: Seen = compute_result(observer, given.ranks)
    progress.step(network_pass.STATISTICS)
    made = features.contents(seen.patches, given)
    compared, depth = features.compare(made, given, settings, folder)
    kept = given.ranks.merge(kept)
    if not given.ranks.first:
        return {}
    return {
        **job.analysis.tables((seen, files), job),
        "features.csv": compared,
        "depth.csv": depth,
        **matched_noises.table(made.sigmas),
        **kept,
    }


def watcher(inputs: NoisyInputs) -> Denoised:
    """The observer, with the pictures that strips show and the patches that are compared."""
    from analysis.generalization.noisy import features, strips
    from analysis.generalization.noisy.observer import Denoised, Patch

    patches: dict[str, list[Patch]] = {}
    for patch in features.choose_patches(inputs.crops):
        patches.setdefault(inputs.crops[patch.crop].digest, []).append(patch)
    shown = frozenset(crop.digest for crop in strips.shown(inputs.crops))
    return Denoised(list(inputs.models), shown, patches, inputs.trainings, inputs.metrics)


def tables(results: Any, job: AnalysisJob) -> dict[str, pd.DataFrame | bytes]:
    """The tables of what was seen, and the pixels of strips, by file name."""
    from analysis.commands.trainings import several
    from analysis.generalization.noisy import strips
    from analysis.generalization.noisy import tables as noisy_tables
    from analysis.generalization.trainings import with_trainings

    seen, files = results
    crops = job.inputs.crops
    places = {crop.digest: i for i, crop in enumerate(crops)}
    trainings = job.inputs.trainings
    quantities = noisy_tables.no_reference(seen.rows, files, places)
    agreement = noisy_tables.agreement(seen.agreement, places)
    quantities = with_trainings(quantities, trainings)
    agreement = with_trainings(agreement, trainings, ("model_a", "model_b"))
    means = noisy_tables.means(quantities, agreement)
    by_training = noisy_tables.means_by_training(quantities)
    return {
        "no_reference.csv": quantities,
        "agreement.csv": agreement,
        "means.csv": means,
        **({"means_by_training.csv": by_training} if several(trainings) else {}),
        "strips.csv": strips.table(crops, trainings, files.stems),
        PICTURES: strips.to_bytes(crops, seen.squares, trainings),
    }


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Quantities by model, agreement between models, CKA and SRGA."""
    from analysis.generalization.noisy import figures

    return figures.figures(frames)


def pictures(
    frames: Frames, manifest: Manifest, attachments: Mapping[str, bytes]
) -> dict[str, Figure]:
    """Strips of the pictures."""
    from analysis.generalization.noisy import strips

    if PICTURES not in attachments:
        return {}
    return strips.figures(attachments[PICTURES], frames["strips"])


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The means of every quantity by model."""
    from analysis.generalization.noisy import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables, and what does not."""
    from analysis.generalization.noisy import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """That there is no clean image."""
    from analysis.generalization.noisy import reading

    return reading.no_clean_image(frames)


def result() -> type[NoisyResult]:
    """The class of its results."""
    from analysis.generalization.noisy.result import NoisyResult

    return NoisyResult


ANALYSIS = Analysis(
    name=NAME,
    title="Noisy pictures",
    description="Denoise noisy pictures that have no clean one, and say what can be said without "
    "PSNR.",
    examples="",
    settings=GeneralizationSettings,
    load_inputs=load_inputs,
    manifest=manifest,
    compute=compute,
    tables=tables,
    figures=figures,
    attachments=(PICTURES,),
    pictures=pictures,
    terminal_table=terminal_table,
    sentences=sentences,
    notes=notes,
    result=result,
    table_names=(
        *("no_reference", "means", "agreement", "features", "depth", "strips"),
        "means_by_training",
    ),
    keys={"no_reference": ("model", "image", "top", "left", "sha256")},
    package="analysis.generalization.noisy",
    trainings=True,
)


def noisy_pictures(
    models: Any, images: Any, *, progress: bool = True, **settings: Any
) -> NoisyResult:
    """Denoise noisy pictures that have no clean one, and measure what can be measured.

    There is no PSNR, which needs a clean image. Of every output: the noise level before and after,
    the strength and autocorrelation of what was removed, its correlation with the output's detail
    (see `analysis.generalization.noisy.no_reference`); how far the outputs of models are apart; and
    CKA and SRGA between the recorded noise and synthetic noise of the same strength (see
    `analysis.generalization.noisy.features`). None of them is a measure of quality.

    Args:
        models: as for `benchmark`.
        images: noisy pictures: a folder, files, arrays (H, W, 3) or tensors (3, H, W).
        progress: show a progress bar.
        **settings: of `analysis.generalization.settings.GeneralizationSettings` those that need no
            clean image, such as `crop`, `limit`, `noises` (to compare with), `tile`.

    Returns:
        Data frames, outputs, figures and sentences. Nothing is written; `save` does.

    Raises:
        BadInput: a model, picture or setting that cannot be used.

    Example:
        >>> import numpy as np
        >>> import analysis
        >>> pictures = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)
        >>> result = analysis.generalization.noisy_pictures(
        ...     "baseline.pth", pictures, progress=False
        ... )
        >>> list(dict.fromkeys(result.no_reference.model))
        ['baseline', 'Gaussian blur', 'noisy input']
        >>> result.output("baseline", "image 0").shape
        (40, 40, 3)
    """
    from pathlib import Path

    from analysis.commands import command
    from analysis.generalization.noisy.result import NoisyResult
    from mtd.utils.errors import BadInput

    if "noisy" in settings:
        raise BadInput("noisy: give the pictures as the second argument, images")
    if isinstance(images, str | Path) and Path(images).is_dir():
        settings, images = {**settings, "noisy": str(images)}, None
    result = command.run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, NoisyResult)
    return result
