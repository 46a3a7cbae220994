"""Causal effect maps as a run of `analysis.attribution --map cem`, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.attribution import command as attribution
from analysis.commands.command import run_in_memory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.attribution.effects.result import CausalEffectsResult
    from analysis.attribution.settings import AttributionSettings
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

REPORT_CROPS = 12
"""Number of crops in a report."""

NAME = "causal_effects"
"""Of the analysis, in manifests and run folders."""


def prepare(inputs: RunInputs, settings: AttributionSettings) -> AttributionSettings:
    """The settings, once it is seen that there are patches for every crop.

    Raises:
        BadInput: there are none, or blocks are larger than the crops.
    """
    from analysis.attribution.effects.maps import others
    from mtd.utils.errors import BadInput

    assert settings.crop is not None
    if settings.block > settings.crop:
        raise BadInput(
            f"--block {settings.block}: crops have {settings.crop} pixels a side; choose less"
        )
    for crop in inputs.crops:
        others(list(inputs.crops), crop)
    return settings


def manifest(inputs: RunInputs, settings: AttributionSettings, observer: None) -> dict[str, Any]:
    """What decides the values beside the shared settings; windows are in the order of the crops.

    Raises:
        BadInput: a window that does not fit into its crop.
    """
    from analysis.attribution import maps

    side = settings.window_side
    windows = [maps.place(crop.pixels, side, settings.window) for crop in inputs.crops]
    return {
        "windows": [list(window) for window in windows],
        "block": settings.block,
        "coarse": settings.coarse,
        "patches": settings.patches,
        "least": settings.least,
        "together": settings.together,
    }


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> Mapping[str, Any]:
    """The maps, which need many passes of altered inputs, and the tables of them."""
    from analysis.attribution.effects import maps

    return job.analysis.tables(maps.collect(job, folder), job)


def tables(maps: Any, job: AnalysisJob) -> dict[str, pd.DataFrame | bytes]:
    """The table of the maps, that of differences between models, and the file of the maps."""
    from analysis.attribution import tables as of_maps
    from analysis.attribution.effects import tables
    from analysis.attribution.trainings import of_models
    from analysis.commands.trainings import by_training, several

    models = job.inputs.trainings
    windows = of_maps.windows(job.manifest)
    frame = tables.table(maps, job.inputs, windows, job.settings.block)
    single = {"effects_by_training.csv": by_training(frame, models)} if several(models) else {}
    return {
        "effects.csv": of_models(frame, models, tables.MEASURED),
        **single,
        "effects_difference.csv": of_maps.differences(frame, models, tables.COMPARED),
        tables.MAPS: of_maps.maps_file(maps, models),
    }


def pictures(
    frames: Frames, manifest: Manifest, attachments: Mapping[str, bytes]
) -> dict[str, Figure]:
    """The maps of an example over its inputs."""
    from analysis.attribution.effects import figures, tables
    from analysis.attribution.tables import read_maps

    if tables.MAPS not in attachments:
        return {}
    maps = read_maps(attachments[tables.MAPS], tables.MAPS)
    return {"effects": figures.maps(frames["effects"], maps)}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over crops of each model under each noise, as a table."""
    from analysis.attribution.effects import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the table."""
    from analysis.attribution.effects import reading

    return reading.sentences(frames, manifest)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """How much of the effects comes from outside the window."""
    from analysis.attribution.effects import reading

    return reading.main(frames)


def report_settings(settings: AttributionSettings) -> AttributionSettings:
    """The settings of a report's section."""
    return settings.effects_for_report()


def result() -> type[CausalEffectsResult]:
    """The class of its results."""
    from analysis.attribution.effects.result import CausalEffectsResult

    return CausalEffectsResult


ANALYSIS = replace(
    attribution.ANALYSIS,
    name=NAME,
    title="Causal effect maps",
    description="Map by how much the PSNR of one window of the output falls where a block of the "
    "input is replaced.",
    prepare=prepare,
    manifest=manifest,
    compute=compute,
    tables=tables,
    attachments=("effects.safetensors",),
    pictures=pictures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    answer=None,  # the first of these
    result=result,
    table_names=("effects", "effects_by_training", "effects_difference"),
    keys={"effects": ("model", "noise", "crop")},
    report_crops=REPORT_CROPS,
    report_settings=report_settings,
    report_default=False,
    needs_layers=False,
    mode=None,
    package="analysis.attribution",
)


def causal_effects(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> CausalEffectsResult:
    """Map by how much the PSNR of one window of the output falls where a block is replaced.

    Each block of the noisy input is replaced by noisy patches of other photographs; see
    `analysis.attribution.effects.effects`. No gradients are needed, so that classical denoisers are
    taken too. The command `python -m analysis.attribution --map cem` calls the same code.

    Args:
        models: as for `analysis.attribution.attribute`.
        images: clean photographs, two or more: a folder, files, arrays (H, W, 3) or tensors
            (3, H, W), `uint8` or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.attribution.settings.AttributionSettings`.

    Returns:
        Data frames `effects`, `means` and `difference`, arrays `maps`; `plot_map`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = causal_effects(
        ...     "classical:median:3", noises="gaussian:50", crop=32, side=8, limit=2, progress=False
        ... )
        >>> list(result.effects.noise), result.maps["classical:median:3", "gaussian:50", 0].shape
        (['gaussian:50', 'gaussian:50'], (1, 32, 32))
        >>> bool((result.effects.reach90 <= 8).all())
        True

    Reference: Hu et al. 2025, *Interpreting Low-level Vision Models with Causal Effect Maps*.
    """
    from analysis.attribution.effects.result import CausalEffectsResult

    result = run_in_memory(ANALYSIS, models, images, progress, **{**settings, "map": "cem"})
    assert isinstance(result, CausalEffectsResult)
    return result
