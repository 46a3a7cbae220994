"""The generalization benchmark as a command and as a Python function, and its record."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.parser import given_options, refuse, settings_from
from analysis.generalization.settings import CHECK, LIST, PICTURES, GeneralizationSettings
from mtd.utils import output

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.image_quality import ImageQuality
    from analysis.engine.observer import Batch
    from analysis.generalization.inputs import BenchmarkInputs
    from analysis.generalization.result import GeneralizationResult
    from analysis.text.answers import Answer
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.generalization baseline.pth masked.pth
  python -m analysis.generalization --suite list
  python -m analysis.generalization mine.pth theirs.pth --suite masked --testset kodak24=Kodak24
  python -m analysis.generalization mine.pth theirs.pth --suite clipdenoising
  python -m analysis.generalization mine.pth theirs.pth --images photos --noise gaussian:15 \\
      --noise poisson:2 --noise poisson:3.5 --protocol paper
  python -m analysis.generalization mine.pth --paired-images 'cc/*_real.png' 'cc/*_mean.png'
  python -m analysis.generalization mine.pth --paired-images monte_carlo:64=render/64spp \\
      render/clean
  python -m analysis.generalization mine.pth theirs.pth --noisy photographs
  torchrun --nproc-per-node 4 -m analysis.generalization mine.pth theirs.pth --device cuda
"""


def mode(settings: GeneralizationSettings) -> Analysis:
    """The benchmark, or with `noisy` what is done with pictures that have no clean one."""
    if not settings.noisy:
        return ANALYSIS
    from analysis.generalization.noisy.command import ANALYSIS as NOISY_PICTURES

    return NOISY_PICTURES


def load_inputs(
    models: Models, settings: GeneralizationSettings, photographs: Sequence[Photograph] | None
) -> BenchmarkInputs:
    """Models, noises, test sets and LPIPS, loaded and checked."""
    from analysis.generalization import inputs

    return inputs.load_inputs(models, settings, photographs)


def prepare(inputs: RunInputs, settings: GeneralizationSettings) -> GeneralizationSettings:
    """The settings with the noises and crops of the suite."""
    from analysis.generalization.inputs import BenchmarkInputs

    assert isinstance(inputs, BenchmarkInputs)
    return settings.completed(inputs.suite)


def batches(inputs: RunInputs, settings: GeneralizationSettings) -> list[Batch]:
    """Batches of equal sizes, those of paired images under their own noise."""
    from analysis.generalization import inputs as benchmark_inputs

    assert isinstance(inputs, benchmark_inputs.BenchmarkInputs)
    return benchmark_inputs.batches(inputs, settings)


def observer(
    inputs: RunInputs,
    settings: GeneralizationSettings,
    batches: Sequence[Batch],
) -> ImageQuality:
    """The observer of image quality."""
    from analysis.engine.image_quality import ImageQuality
    from analysis.generalization.inputs import BenchmarkInputs

    assert isinstance(inputs, BenchmarkInputs)
    models, chosen = list(inputs.models), inputs.chosen
    return ImageQuality(models, inputs.protocol, chosen.perceptual, further=chosen.further)


def manifest(
    inputs: RunInputs, settings: GeneralizationSettings, observer: ImageQuality
) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    from analysis.generalization.inputs import BenchmarkInputs
    from analysis.generalization.manifest import manifest

    assert isinstance(inputs, BenchmarkInputs)
    return manifest(inputs, settings)


def tables(results: Any, job: AnalysisJob) -> dict[str, Any]:
    """The tables of a benchmark and the pixels of its strips, by file name."""
    from analysis.generalization import tables

    return tables.tables(results, job)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Level curves of every metric, and the rank map."""
    from analysis.generalization import figures

    return figures.figures(frames, manifest)


def pictures(
    frames: Frames, manifest: Manifest, attachments: Mapping[str, bytes]
) -> dict[str, Figure]:
    """Comparison strips of every kind of noise."""
    from analysis.generalization import comparison_strips, summary

    if PICTURES not in attachments or "strips" not in frames:
        return {}
    models = summary.best_first(frames["generalization"], "psnr")
    hidden = float(manifest.get("input_mask", 0))
    return comparison_strips.figures(attachments[PICTURES], frames["strips"], models, hidden)


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Scores by every metric, and PSNR by noise."""
    from analysis.generalization import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.generalization import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    from analysis.generalization import reading

    return reading.notes(frames, manifest)


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.generalization import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """Which model is best under unseen noise, whether that is decided, and what is below a blur."""
    from analysis.generalization import beyond, reading

    return [*reading.main(frames), *beyond.main(frames)]


def result() -> type[GeneralizationResult]:
    """The class of its results."""
    from analysis.generalization.result import GeneralizationResult

    return GeneralizationResult


ANALYSIS = Analysis(
    name="generalization",
    title="Generalization",
    description="Benchmark denoisers on noises they were and were not trained on: PSNR, SSIM and "
    "LPIPS of every image, scores with 95% intervals, paired tests, level curves, comparison "
    "strips.",
    examples=EXAMPLES,
    settings=GeneralizationSettings,
    load_inputs=load_inputs,
    prepare=prepare,
    batches=batches,
    observer=observer,
    manifest=manifest,
    tables=tables,
    figures=figures,
    main_figure="levels_psnr",
    attachments=(PICTURES,),
    pictures=pictures,
    terminal_table=terminal_table,
    sentences=sentences,
    notes=notes,
    main_sentences=main_sentences,
    answer=answer,
    result=result,
    table_names=(
        *("results", "generalization", "noises", "tests", "references", "strips"),
        *("generalization_by_training", "noises_by_training", "references_by_training"),
        *("testsets", "estimated_levels", "metrics"),
    ),
    keys={
        "results": ("model", "noise", "image", "top", "left", "sha256", "metric"),
        "noises": ("noise", "model", "metric"),
        "generalization": ("model", "metric"),
        "testsets": ("testset", "noise", "model", "metric"),
        "tests": ("noise", "metric", "model_a", "model_b"),
        "references": ("noise", "metric", "model", "compared_with"),
    },
    report_crops=24,
    mode=mode,
    trainings=True,
    needs_layers=False,
)


def main() -> None:
    """The command; with `--suite list` the list of suites, with `--suite check` what they draw."""
    parser = command.parser(ANALYSIS)
    parsed = parser.parse_args()
    suite = getattr(parsed, "suite", None)
    if suite is not None:
        from analysis.generalization import noise_suite

        noise_suite.check_name(suite, LIST, CHECK)
    if suite not in (LIST, CHECK):
        command.main(ANALYSIS)
        return
    check_alone(suite, given_options(parsed, parser.parse_args([]), GeneralizationSettings), parsed)
    if suite == CHECK:
        from analysis.generalization import pinned_noise

        output.show(pinned_noise.checked(), results={"digests": pinned_noise.every()})
    else:
        from analysis.generalization import suite_sets

        given = settings_from(GeneralizationSettings, parsed).testset
        output.show(suite_sets.listing(given), results={"suites": suite_sets.suites(given)})


def check_alone(suite: str, given: Mapping[str, str], parsed: Namespace) -> None:
    """Check that nothing is given beside `--suite list` or `--suite check` that they ignore.

    Args:
        suite: one of the two.
        given: see `analysis.commands.parser.given_options`.
        parsed: the command line.

    Raises:
        BadInput: something is.
    """
    flags = dict(given)
    if parsed.models:
        flags["models"] = parsed.models[0]
    heeded = ("suite", "quiet", *(["testset"] if suite == LIST else []))
    refuse(flags, heeded, f"has no effect with --suite {suite}; leave it out")


def benchmark(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> GeneralizationResult:
    """Compare denoisers on noise that they were and were not trained on.

    Every model denoises every image under every noise once. Scores are means over images, then
    over the levels of a kind of noise, then over kinds; 95% intervals leave out one photograph at
    a time.

    Args:
        models: a mapping from names, a sequence, or a single one of: an `nn.Module` from
            (B, C, H, W) in [0, 1] to the same, the path of a checkpoint, a bundled name.
        images: clean images: a folder, files, arrays (H, W, 3) or tensors (3, H, W); by default the
            bundled photographs, or the test sets that are named.
        progress: show a progress bar.
        **settings: see `analysis.generalization.settings.GeneralizationSettings`, such as
            `noises=["gaussian:15", "poisson:3.5"]`, `suite="masked"`,
            `paired_images=[("noisy", "clean")]`.

    Returns:
        Data frames, figures and sentences. Nothing is written; `save` does.

    Raises:
        BadInput: a model, image or setting that cannot be used.

    Reference: Chen et al., *Masked Image Training for Generalizable Deep Image Denoising*, CVPR
    2023, section 4.

    Example:
        >>> import analysis
        >>> result = analysis.generalization.benchmark(
        ...     ["baseline.pth", "masked.pth"],
        ...     noises=["gaussian:15", "poisson:2", "poisson:3.5"],
        ...     crop=32,
        ...     limit=4,
        ...     lpips=False,
        ...     progress=False,
        ... )
        >>> psnr = result.scores[result.scores.metric == "psnr"]
        >>> list(psnr.model)[:4]
        ['baseline', 'masked', 'classical:blur:0.8', 'classical:median:3']
        >>> float(psnr.in_distribution.iloc[0]) > float(psnr.out_of_distribution.iloc[0])
        True
        >>> result.plot_levels().get_xlabel()
        'α'
    """
    from analysis.generalization.result import GeneralizationResult
    from mtd.utils.errors import BadInput

    if settings.get("noisy"):
        raise BadInput("noisy: call analysis.generalization.noisy_pictures(models, images) instead")
    result = command.run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, GeneralizationResult)
    return result
