"""SRGA as a command, and its record.

Reference: Liu et al., *Evaluating the Generalization Ability of Super-Resolution Networks*, IEEE
TPAMI 2023.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import command, trainings
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.commands.index import Index, index_values
from analysis.srga.settings import SRGASettings
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import nn

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch
    from analysis.srga.fits import AllFits
    from analysis.srga.observer import DeepFeatures
    from analysis.srga.result import SRGAResult
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.srga baseline.pth masked.pth
  python -m analysis.srga mine.pth theirs.pth --images photos --limit 800 \\
      --reference gaussian:15 --noise poisson:3.5 --noise speckle:0.04 --noise mixture:4
  python -m analysis.srga --matched-psnr runs/mine --matched-psnr runs/theirs
  python -m analysis.srga mine.pth --images clean --noise folder:noisy
"""

FEWEST = 3
"""Patches without which there is no score."""


def prepare(inputs: RunInputs, settings: SRGASettings) -> SRGASettings:
    """The settings, once it is clear that there are patches enough.

    Raises:
        BadInput: too few patches.
    """
    from analysis.srga.score import PATCHES
    from analysis.text.terminal import plural

    if len(inputs.crops) < FEWEST:
        raise BadInput(
            f"{plural(len(inputs.crops), 'patch', 'es')}: SRGA needs {FEWEST}, and is usually "
            f"computed from {PATCHES} or more; raise --limit or give more images"
        )
    return settings


def mode(settings: SRGASettings) -> Analysis:
    """Models compared, or with `matched_psnr` snapshots of training runs."""
    if not settings.matched_psnr:
        return ANALYSIS
    from analysis.commands.registry import analysis

    return analysis("srga_matched_psnr")


def one_layer(models: Mapping[str, nn.Module], pattern: str | None) -> dict[str, str]:
    """The layer of each model that a pattern names; None for what goes into the last convolution.

    Raises:
        BadInput: a pattern that names no layer, or several.
    """
    from analysis.engine.layers import INPUT, choose, last_convolution

    layers = {}
    for name, model in models.items():
        try:
            chosen = choose(model, pattern or INPUT + last_convolution(model))
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
        if len(chosen) != 1:
            raise BadInput(f"--layer {pattern}: {len(chosen)} layers of {name}; name one")
        layers[name] = chosen[0]
    return layers


def observer(inputs: RunInputs, settings: SRGASettings, batches: Sequence[Batch]) -> DeepFeatures:
    """The observer of one layer's features and of the output's PSNR."""
    from analysis.srga.observer import DeepFeatures
    from mtd.utils.device import exact

    layers = one_layer(inputs.models, settings.layer)
    if inputs.controls is not None:
        layers = inputs.controls.controls.with_untrained(layers)
    return DeepFeatures(layers, int(settings.memory * 2**30), exact(inputs.forward.device))


def manifest(inputs: RunInputs, settings: SRGASettings, observer: DeepFeatures) -> dict[str, Any]:
    """What decides the scores beside the shared settings."""
    return {
        "layers": {
            model: observer.layers[names[0]][0] for model, names in inputs.trainings.items()
        },
        "components": min(settings.components, len(inputs.crops) - 1),
        "fit": settings.fit,
        "intervals": settings.intervals,
    }


def tables(features: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of scores, of their differences and of their robustness, by file name."""
    from analysis.srga.fits import AllFits
    from analysis.stats import jackknife

    assert job.observer is not None
    inputs = job.inputs
    layers = {name: job.observer.layers[name][0] for name in inputs.models}
    draws = jackknife.draws([crop.scene or crop.image for crop in inputs.crops])
    fits = AllFits.of(features, job.settings, draws)
    return written(fits, inputs, layers)


def written(fits: AllFits, inputs: RunInputs, layers: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """The tables by file name.

    Args:
        fits: of every view.
        inputs: models with their trainings, and noises.
        layers: the layer of each network.
    """
    from analysis.srga import robustness, tables

    of = tables.measured(fits, inputs)
    single = tables.scores(fits, inputs, layers, of)
    found = {
        "srga.csv": single,
        "srga_difference.csv": tables.differences(fits, inputs, of),
        "robustness.csv": trainings.averaged(robustness.table(fits, inputs), inputs.trainings),
    }
    if any(names != (model,) for model, names in inputs.trainings.items()):
        found["srga.csv"] = tables.over_trainings(single, fits, inputs, of)
        found["srga_by_training.csv"] = trainings.by_training(single, inputs.trainings)
    return found


def draws(noises: Sequence[str]) -> dict[str, int]:
    """The reference is drawn again, once."""
    return {noises[0]: 1}


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Scores of each model under each noise."""
    from analysis.srga import figures

    return {"srga": figures.figure(frames["srga"], frames.get("srga_by_training"))}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Scores with intervals, fitted densities and PSNR, as a table."""
    from analysis.srga import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the scores."""
    from analysis.srga import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    from analysis.srga import reading

    scores = frames["srga"]
    which = (reading.missing, reading.few_patches, reading.presets)
    return [*reading.comparable(scores), *(note for notes in which for note in notes(frames))]


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.srga import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """The score of each model under noises other than the reference."""
    from analysis.srga import reading

    return reading.main(frames)


def result() -> type[SRGAResult]:
    """The class of its results."""
    from analysis.srga.result import SRGAResult

    return SRGAResult


def srga_by_noise(frame: pd.DataFrame, reference: str, trained: Collection[str]) -> pd.DataFrame:
    """SRGA under each noise but the reference and those trained on."""
    return index_values(frame[~frame.noise.isin([reference, *trained])], "srga")


ANALYSIS = Analysis(
    name="srga",
    title="SRGA",
    description="Score how far each model's features before the last convolution under other "
    "noises are from those under a reference, as a rule the noise it was trained on (SRGA): 0 is "
    "no distance, more is worse. Scores compare noises within a model, and models of similar PSNR.",
    examples=EXAMPLES,
    settings=SRGASettings,
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
    mode=mode,
    trainings=True,
    table_names=("srga", "srga_difference", "robustness", "srga_by_training"),
    keys={"srga": ("model", "noise")},
    report_crops=48,
    index=Index(
        name="srga",
        label="SRGA, mean over other noises",
        short="SRGA",
        table="srga",
        read=srga_by_noise,
        from_reference=True,
        value="srga",
        untrained="untrained",
    ),
)


def score_models(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> SRGAResult:
    """Score how far the features of denoisers under unseen noise are from those under a reference.

    Of each model and noise, the features before the last convolution are projected on their
    principal components, and a generalized Gaussian is fitted to all projections; SRGA is
    log₁₀(KL(reference ‖ noise) + 10⁻⁵) + 5 (see `analysis.srga.srga`). 0 is no distance, more is
    worse. Scores compare noises within a model, and models of similar PSNR. The command
    `python -m analysis.srga` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.srga.settings.SRGASettings`.

    Returns:
        A data frame `scores`; `plot_scores`, `sentences`, `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> noises = ["poisson:3.5", "gaussian:50"]
        >>> result = score_models("baseline.pth", noises=noises, crop=32, limit=4, progress=False)
        >>> dict(zip(result.scores.noise, result.scores.srga > 1))
        {'gaussian:15': False, 'poisson:3.5': True, 'gaussian:50': True}

    Reference: Liu et al., *Evaluating the Generalization Ability of Super-Resolution Networks*,
    IEEE TPAMI 2023.
    """
    from analysis.srga.result import SRGAResult

    if settings.get("matched_psnr"):
        raise BadInput("matched_psnr: call analysis.srga.score_snapshots(runs) instead")
    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, SRGAResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
