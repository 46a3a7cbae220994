"""Local attribution as a command, and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.attribution.settings import MAPS, PHOTOGRAPHS, AttributionSettings
from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.attribution.result import AttributionResult
    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.text.answers import Answer
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.attribution baseline.pth masked.pth
  python -m analysis.attribution mine.pth theirs.pth --images photos --crop 128 --limit 8 \\
      --noise gaussian:50 --noise spatial:60
  python -m analysis.attribution mine.pth --window 24,24 --side 8 --steps 200 --attention-mask off
  python -m analysis.attribution baseline.pth masked.pth --map cem --noise gaussian:50
"""


def mode(settings: AttributionSettings) -> Analysis:
    """Local attribution maps, or with `map` causal effect maps."""
    if settings.map == "lam":
        return ANALYSIS
    from analysis.commands.registry import analysis

    return analysis("causal_effects")


def load_inputs(
    models: Models, settings: AttributionSettings, photographs: Sequence[Photograph] | None = None
) -> RunInputs:
    """What the settings name: unless they say how many crops, one of each photograph.

    Raises:
        BadInput: see `analysis.commands.inputs.load_inputs`.
    """
    from analysis.commands.inputs import one_of_each

    return one_of_each(models, settings, PHOTOGRAPHS, photographs)


def prepare(inputs: RunInputs, settings: AttributionSettings) -> AttributionSettings:
    """The settings, once it is seen that the blur fits into the crops, and models have gradients.

    Raises:
        BadInput: it does not, or a model is no network.
    """
    from analysis.attribution import integrated_gradients
    from analysis.commands.inputs import check_networks

    check_networks(inputs)
    assert settings.crop is not None
    integrated_gradients.check_blur(settings.crop, settings.blur)
    return settings


def manifest(inputs: RunInputs, settings: AttributionSettings, observer: None) -> dict[str, Any]:
    """What decides the values beside the shared settings; windows are in the order of the crops.

    Raises:
        BadInput: a window that does not fit into its crop.
    """
    from analysis.attribution import maps

    windows = [
        maps.place(crop.pixels, settings.window_side, settings.window) for crop in inputs.crops
    ]
    return {
        "windows": [list(window) for window in windows],
        "steps": settings.steps,
        "sigma": settings.blur,
        "together": settings.together,
    }


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> Mapping[str, Any]:
    """The maps, which need gradients and so a pass of their own, and the table of them."""
    from analysis.attribution import maps

    return job.analysis.tables(maps.collect(job, folder), job)


def tables(maps: Any, job: AnalysisJob) -> dict[str, pd.DataFrame | bytes]:
    """The table of the maps, that of differences between models, and the file of the maps."""
    from analysis.attribution import tables
    from analysis.attribution.trainings import of_models
    from analysis.commands.trainings import by_training, several

    frame, models = (
        tables.table(maps, job.inputs, tables.windows(job.manifest)),
        job.inputs.trainings,
    )
    single = {"attribution_by_training.csv": by_training(frame, models)} if several(models) else {}
    return {
        "attribution.csv": of_models(frame, models),
        **single,
        "attribution_difference.csv": tables.differences(frame, models),
        MAPS: tables.maps_file(maps, models),
    }


def pictures(
    frames: Frames, manifest: Manifest, attachments: Mapping[str, bytes]
) -> dict[str, Figure]:
    """The maps of an example over its inputs."""
    from analysis.attribution import figures, tables

    if MAPS not in attachments:
        return {}
    return {"attribution": figures.maps(frames["attribution"], tables.read_maps(attachments[MAPS]))}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over crops of each model under each noise, as a table."""
    from analysis.attribution import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the table."""
    from analysis.attribution import reading

    return reading.sentences(frames, manifest)


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.attribution import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """How many pixels each model uses, and how many of them from outside the window."""
    from analysis.attribution import reading

    return reading.main(frames)


def result() -> type[AttributionResult]:
    """The class of its results."""
    from analysis.attribution.result import AttributionResult

    return AttributionResult


def report_settings(settings: AttributionSettings) -> AttributionSettings:
    """The settings of a report's section."""
    return settings.for_report()


ANALYSIS = Analysis(
    name="attribution",
    title="Attribution",
    description="Map which pixels of its input each model uses to restore one window of its "
    "output, for clean images and under each noise (local attribution maps), and how far they lie "
    "from it; or by how much the window's PSNR falls where a block of the input is replaced "
    "(causal effect maps).",
    examples=EXAMPLES,
    settings=AttributionSettings,
    load_inputs=load_inputs,
    prepare=prepare,
    manifest=manifest,
    compute=compute,
    tables=tables,
    attachments=(MAPS,),
    pictures=pictures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    answer=answer,
    result=result,
    mode=mode,
    table_names=("attribution", "attribution_by_training", "attribution_difference"),
    trainings=True,
    keys={"attribution": ("model", "noise", "crop")},
    report_crops=10,
    report_settings=report_settings,
)


def attribute(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> AttributionResult:
    """Map which pixels of its input each model uses to restore one window of its output.

    Integrated gradients of the window's detail along a path from the blurred input to the input
    itself, for the clean crop and under each noise; see
    `analysis.attribution.integrated_gradients`. The command `python -m analysis.attribution` calls
    the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.attribution.settings.AttributionSettings`.

    Returns:
        Data frames `attribution` and `means`, arrays `maps`; `plot_map`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = attribute(
        ...     "masked.pth", noises="gaussian:50", crop=32, limit=1, steps=4, progress=False
        ... )
        >>> list(result.attribution.noise), result.maps["masked", "gaussian:50", 0].shape
        (['gaussian:0', 'gaussian:50'], (3, 32, 32))

    Reference: Gu and Dong 2021, *Interpreting Super-Resolution Networks with Local Attribution
    Maps*.
    """
    from analysis.attribution.result import AttributionResult
    from mtd.utils.errors import BadInput

    if settings.get("map", "lam") == "cem":
        raise BadInput("map 'cem': call analysis.attribution.causal_effects(models) instead")
    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, AttributionResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
