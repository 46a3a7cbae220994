"""The sensitivity to noise as a command, and its record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.commands.index import Index, index_values
from analysis.sensitivity.settings import SensitivitySettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch
    from analysis.sensitivity.observer import LayerChanges
    from analysis.sensitivity.result import SensitivityResult
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.sensitivity baseline.pth masked.pth
  python -m analysis.sensitivity mine.pth theirs.pth --images photos --limit 64 \\
      --noise gaussian:15 --noise gaussian:50 --noise spatial:60
  python -m analysis.sensitivity mine.pth --layers 'layers.*.residual_group.blocks.*'
"""

PIXELS = 2**15
"""Pixels that go through a network together: the clean layers of a batch are held in memory."""


def batches(inputs: RunInputs, settings: SensitivitySettings) -> list[Batch]:
    """Batches of crops whose clean layers fit into memory."""
    from analysis.engine.run import batches

    assert settings.crop is not None
    return batches(inputs.crops, settings.batch_size or max(1, PIXELS // settings.crop**2))


def observer(
    inputs: RunInputs, settings: SensitivitySettings, batches: Sequence[Batch]
) -> LayerChanges:
    """The observer of the layers' changes."""
    from analysis.commands.inputs import choose_layers
    from analysis.sensitivity.observer import LayerChanges

    layers = choose_layers(inputs.models, settings.layers)
    return LayerChanges(layers, int(settings.memory * 2**30))


def manifest(
    inputs: RunInputs, settings: SensitivitySettings, observer: LayerChanges
) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    from analysis.commands.inputs import choose_layers

    return {"layers": choose_layers(inputs.models, settings.layers)}


def tables(sums: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of changes and gains, and of ratios between models."""
    from analysis.sensitivity import tables

    return tables.tables(sums, job.inputs)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Gain over depth."""
    from analysis.sensitivity import figures

    single = frames.get("sensitivity_by_training")
    return {"sensitivity": figures.gain_over_depth(frames["sensitivity"], single)}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The strongest layer and the output of each model under each noise, as a table."""
    from analysis.sensitivity import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the table."""
    from analysis.sensitivity import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    from analysis.sensitivity import reading

    frame = frames["sensitivity"]
    return [*reading.small_spreads(frame), *reading.conditions(frame, manifest)]


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.sensitivity import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """How much of the noise each model leaves in its output."""
    from analysis.sensitivity import reading

    return reading.main(frames)


def result() -> type[SensitivityResult]:
    """The class of its results."""
    from analysis.sensitivity.result import SensitivityResult

    return SensitivityResult


def output_gain(frame: pd.DataFrame, reference: str, trained: Collection[str]) -> pd.DataFrame:
    """Gain of the denoised image under each noise but the reference and those trained on."""
    unseen = frame[~frame.noise.isin([reference, *trained])]
    last = unseen.groupby(["model", "noise"])["index"].transform("max") == unseen["index"]
    return index_values(unseen[last], "gain")


ANALYSIS = Analysis(
    name="sensitivity",
    title="Sensitivity",
    description="Measure how far each layer moves from a clean image to its noisy version, "
    "relative to how much the layer varies over clean images, and to how far the image itself "
    "moves: whether a network dampens a noise on the way through, or amplifies it.",
    examples=EXAMPLES,
    settings=SensitivitySettings,
    batches=batches,
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
    table_names=("sensitivity", "sensitivity_by_training", "sensitivity_ratio"),
    trainings=True,
    keys={"sensitivity": ("model", "noise", "layer")},
    report_crops=48,
    version=3,
    index=Index(
        name="sensitivity",
        label="gain of the output",
        short="gain of the output",
        table="sensitivity",
        read=output_gain,
    ),
)


def measure_sensitivity(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> SensitivityResult:
    """Measure how far each layer moves from a clean image to its noisy version.

    The change of a layer f is √(Σ ‖f(noisy) − f(clean)‖² / Σ ‖f(clean) − m‖²), sums over crops and
    positions, m being the channels' means over them; its gain is the change over that of the noisy
    image. Below 1 a network dampens the noise, above 1 it amplifies it. The command
    `python -m analysis.sensitivity` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.sensitivity.settings.SensitivitySettings`.

    Returns:
        Data frame `sensitivity`; `plot_gain`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = measure_sensitivity(
        ...     "masked.pth", noises=["gaussian:50"], crop=32, limit=4, progress=False
        ... )
        >>> result.sensitivity.layer.iloc[-1], bool(result.sensitivity.gain.iloc[-1] < 1)
        ('denoised image', True)
    """
    from analysis.sensitivity.result import SensitivityResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, SensitivityResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
