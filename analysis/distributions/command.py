"""The distributions of features as a command, and its record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.commands.index import Index, index_values
from analysis.distributions.settings import DistributionsSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.distributions.observer import FeatureHistograms
    from analysis.distributions.result import DistributionsResult
    from analysis.engine.observer import Batch
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.distributions baseline.pth masked.pth
  python -m analysis.distributions mine.pth theirs.pth --images photos --limit 200 \\
      --reference gaussian:15 --noise poisson:3.5 --noise speckle:0.04 --noise mixture:4
  python -m analysis.distributions mine.pth --layers 'layers.*.residual_group.blocks.*'
"""


def observer(
    inputs: RunInputs, settings: DistributionsSettings, batches: Sequence[Batch]
) -> FeatureHistograms:
    """The observer of the histograms: of what goes into the last convolution, and of `layers`.

    Raises:
        BadInput: a pattern that matches no layer, or a model without a convolution.
    """
    from analysis.commands.inputs import choose_layers
    from analysis.distributions.observer import FeatureHistograms
    from analysis.distributions.tables import last_features

    layers: dict[str, list[str]] = {}
    for name, model in inputs.models.items():
        patterns = [last_features(name, model), *settings.layers]
        layers |= choose_layers({name: model}, patterns)
    if inputs.controls is not None:
        layers = inputs.controls.controls.with_untrained(layers)
    return FeatureHistograms(layers)


def draws(noises: Sequence[str]) -> dict[str, int]:
    """The reference is drawn again, once."""
    return {noises[0]: 1}


def manifest(
    inputs: RunInputs, settings: DistributionsSettings, observer: FeatureHistograms
) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    from analysis.distributions import controls, tables
    from analysis.stats import histograms

    return {
        "layers": {
            model: list(observer.layers[names[0]]) for model, names in inputs.trainings.items()
        },
        "grid": {
            "linear": histograms.LINEAR,
            "limit": histograms.LIMIT,
            "bins": histograms.BINS,
            "divergence": controls.SHARES,
            "shown": tables.SHOWN,
        },
    }


def tables(activations: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """Distances and moments, and the curves of the figure, by file name."""
    from analysis.distributions import tables

    return tables.tables(activations, job.inputs)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Histograms under each noise over those under the reference."""
    from analysis.distributions import figures

    single = frames.get("histograms_by_training")
    drawn = figures.figure(frames["distributions"], frames["histograms"], single)
    return {"distributions": drawn}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Distances with intervals, moments and fitted shape, as a table."""
    from analysis.distributions import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.distributions import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    from analysis.distributions import reading

    which = (reading.missing, reading.coarse, reading.comparable, reading.presets)
    return [note for notes in which for note in notes(frames)]


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.distributions import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """The distance of each model's features from those under the reference."""
    from analysis.distributions import reading

    return reading.main(frames)


def result() -> type[DistributionsResult]:
    """The class of its results."""
    from analysis.distributions.result import DistributionsResult

    return DistributionsResult


def distance_by_noise(
    frame: pd.DataFrame, reference: str, trained: Collection[str]
) -> pd.DataFrame:
    """Wasserstein-1 distance of the last features, in σ, under each noise but the reference and
    those trained on."""
    unseen = frame[~frame.noise.isin([reference, *trained])]
    return index_values(unseen[unseen.last_features.astype(bool)], "w1_relative")


ANALYSIS = Analysis(
    name="distributions",
    title="Feature distributions",
    description="Show how each model's features before the last convolution are distributed under "
    "other noises and under a reference, as a rule the noise it was trained on: histograms, fitted "
    "densities, distances with 95% intervals.",
    examples=EXAMPLES,
    settings=DistributionsSettings,
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
    table_names=(
        *("distributions", "distributions_difference", "histograms"),
        *("distributions_by_training", "histograms_by_training"),
    ),
    keys={"distributions": ("model", "noise", "layer")},
    report_crops=48,
    index=Index(
        name="distance",
        label="W1 of the last features (σ)",
        short="W1 of last features (σ)",
        table="distributions",
        read=distance_by_noise,
        from_reference=True,
        value="w1_relative",
        untrained="w1_relative_untrained",
    ),
)


def measure_distances(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> DistributionsResult:
    """Measure how far features under unseen noise are distributed from those under a reference.

    All channels and positions of a layer are pooled into one histogram for each noise, and compared
    with that under the reference: Wasserstein-1 distance, Jensen-Shannon divergence, moments, and
    the shape of a fitted generalized Gaussian. The layer is what goes into the last convolution,
    and others that `layers` names. The command `python -m analysis.distributions` calls the same
    code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.distributions.settings.DistributionsSettings`.

    Returns:
        Data frames `distances` and `histograms`; `plot_histogram`, `sentences`, `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = measure_distances(
        ...     ["baseline.pth", "masked.pth"],
        ...     noises=["poisson:3.5"],
        ...     crop=32,
        ...     limit=4,
        ...     progress=False,
        ... )
        >>> wide = result.distances.pivot(index="noise", columns="model", values="w1_relative")
        >>> bool(wide.masked["poisson:3.5"] < wide.baseline["poisson:3.5"])
        True
    """
    from analysis.distributions.result import DistributionsResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, DistributionsResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
