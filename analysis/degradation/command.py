"""The degradation clusters as a command, and their record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.commands.index import Index, index_values
from analysis.degradation.settings import DegradationSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.degradation.observer import PooledFeatures
    from analysis.degradation.result import DegradationResult
    from analysis.engine.observer import Batch
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.degradation baseline.pth masked.pth
  python -m analysis.degradation mine.pth theirs.pth --images photos --limit 200 \\
      --noise gaussian:15 --noise poisson:3.5 --noise mixture:4
  python -m analysis.degradation mine.pth --layers "**.blocks.5" --layers "input:conv_last"
"""


def prepare(inputs: RunInputs, settings: DegradationSettings) -> DegradationSettings:
    """The settings with no more components than there can be.

    Raises:
        BadInput: too few noises or crops.
    """
    return settings.completed(len(inputs.crops), len(inputs.noises))


def layers(inputs: RunInputs, settings: DegradationSettings) -> dict[str, list[str]]:
    """Layers by model: those of the patterns, or the default ones and the last features.

    Raises:
        BadInput: a pattern that matches nothing, or a model without a convolution.
    """
    from analysis.commands.inputs import choose_layers
    from analysis.engine.layers import INPUT, default_layers, last_convolution
    from mtd.utils.errors import BadInput

    if settings.layers:
        return choose_layers(inputs.models, settings.layers)
    chosen: dict[str, list[str]] = {}
    for name, model in inputs.models.items():
        try:
            patterns = [*default_layers(model), INPUT + last_convolution(model)]
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
        chosen |= choose_layers({name: model}, patterns)
    return chosen


def observer(
    inputs: RunInputs, settings: DegradationSettings, batches: Sequence[Batch]
) -> PooledFeatures:
    """The observer of pooled features."""
    from analysis.degradation.observer import PooledFeatures
    from mtd.utils.device import exact

    memory, device = int(settings.memory * 2**30), exact(inputs.forward.device)
    drawn: tuple[str, ...] = ()
    chosen = layers(inputs, settings)
    if inputs.controls is not None:
        chosen = inputs.controls.controls.with_untrained(chosen)
        drawn = inputs.controls.controls.draws(inputs.specs[0])
        drawn = drawn if len(drawn) == len(inputs.noises) else ()
    return PooledFeatures(chosen, settings.pool, memory, device, inputs.specs, drawn)


def draws(noises: Sequence[str]) -> dict[str, int]:
    """The reference is drawn again until there are as many draws as noises."""
    return {noises[0]: len(noises) - 1}


def manifest(
    inputs: RunInputs, settings: DegradationSettings, observer: PooledFeatures
) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    from analysis.degradation import separability, tables

    samples = len(inputs.crops) * len(inputs.noises)
    return {
        "layers": {model: observer.layers[names[0]] for model, names in inputs.trainings.items()},
        "pool": settings.pool,
        "components": settings.components,
        "intervals": settings.intervals,
        "folds_by": tables.folds_by(inputs.crops),
        "perplexity": separability.perplexity(samples),
    }


def tables(features: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of separability, of ratios between models and of embedded points."""
    from analysis.degradation import tables

    return tables.tables(features, job.inputs, job.settings)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Separability over depth, and the crops in the plane."""
    from analysis.degradation import figures

    frame = frames["degradation"]
    return {
        "degradation": figures.depth(frame, frames.get("degradation_by_training")),
        "embedding": figures.planes(frames["embedding"], frame, manifest),
    }


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The last features of each model, and its layer with the highest index, as a table."""
    from analysis.degradation import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.degradation import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    from analysis.degradation import reading

    frame = frames["degradation"]
    return [*reading.missing(frame), *reading.notes(frame, manifest)]


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.degradation import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """How much the last features sort by noise."""
    from analysis.degradation import reading

    return reading.main(frames)


def result() -> type[DegradationResult]:
    """The class of its results."""
    from analysis.degradation.result import DegradationResult

    return DegradationResult


def separability(frame: pd.DataFrame, reference: str, trained: Collection[str]) -> pd.DataFrame:
    """Calinski-Harabasz index of the last features grouped by noise; none for single noises."""
    last = frame[frame.last_features.astype(bool)]
    return index_values(last.assign(noise=""), "ch_noise")


ANALYSIS = Analysis(
    name="degradation",
    title="Degradation clusters",
    description="Measure, layer by layer, whether features group crops by their noise or by their "
    "content: Calinski-Harabasz index and silhouette on principal components, and a linear probe "
    "that identifies the noise; for the last features also t-SNE. Features that separate noises "
    "are read as a sign of poor generalization to unseen noise.",
    examples=EXAMPLES,
    settings=DegradationSettings,
    prepare=prepare,
    draws=draws,
    observer=observer,
    manifest=manifest,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    notes=notes,
    main_sentences=main_sentences,
    answer=answer,
    result=result,
    trainings=True,
    table_names=("degradation", "degradation_ratio", "embedding", "degradation_by_training"),
    keys={"degradation": ("model", "layer")},
    report_crops=48,
    version=2,
    index=Index(
        name="separability",
        label="CH of the last features",
        short="CH by noise",
        table="degradation",
        read=separability,
        value="ch_noise",
        untrained="untrained",
    ),
)


def measure_clusters(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> DegradationResult:
    """Measure, layer by layer, whether features group crops by their noise or by their content.

    The Calinski-Harabasz index [tr B / (k − 1)] / [tr W / (n − k)] of n samples in k classes, on
    principal components of features averaged to a few positions; the classes are noises, or crops.
    Beside it the silhouette, a linear probe, and t-SNE; see `analysis.degradation.separability`.
    The command `python -m analysis.degradation` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.degradation.settings.DegradationSettings`.

    Returns:
        Data frames `degradation`, `embedding`; `plot_ch`, `plot_ch_within`, `plot_probe`,
        `plot_plane`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = measure_clusters(
        ...     "masked.pth", layers="input:conv_last", crop=32, limit=4, progress=False
        ... )
        >>> result.degradation[["layer", "samples", "last_features"]].values.tolist()
        [['input:conv_last', 20, True]]

    Reference: Liu et al. 2021, *Discovering Distinctive "Semantics" in Super-Resolution Networks*.
    """
    from analysis.degradation.result import DegradationResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, DegradationResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
