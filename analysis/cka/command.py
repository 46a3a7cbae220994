"""The CKA comparison as a command, and its record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.cka.measures import MEASURES
from analysis.cka.settings import CKASettings
from analysis.commands import command, trainings
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.commands.index import Index, index_values
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.cka.observer import Representations
    from analysis.cka.result import CKAResult
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.cka baseline.pth masked.pth
  python -m analysis.cka baseline.pth masked.pth --noise gaussian:15 --noise poisson:3.5
  python -m analysis.cka mine.pth theirs.pth --images photos --crop 128 --limit 256
  python -m analysis.cka 'mine=runs/mine*/model.pth' 'theirs=runs/theirs*/model.pth'
  python -m analysis.cka --over-training runs/mine --over-training runs/theirs
  python -m analysis.cka mine.pth theirs.pth --images photos --untrained 10
  python -m analysis.cka mine.pth theirs.pth --images photos --centering clean --no-controls
  python -m analysis.cka masked.pth --layers 're:layers\\.\\d+\\.conv' --unit image
  python -m analysis.cka mine.pth --images clean --noise gaussian:15 --noise folder:noisy
  torchrun --nproc-per-node 4 -m analysis.cka mine.pth theirs.pth --device cuda --compare all
"""


def prepare(inputs: RunInputs, settings: CKASettings) -> CKASettings:
    """The settings with unit, estimator and permutations chosen.

    Raises:
        BadInput: too few crops, or nothing to compare.
    """
    from analysis.cka import compute

    compute.chosen_pairs(inputs, settings)
    if several := trainings.several(inputs.trainings):
        if settings.permutations:
            raise BadInput(
                f"--permutations {settings.permutations}: {next(iter(several))} has several "
                "trainings, and p-values are of single networks; leave it out"
            )
        settings = replace(settings, permutations=0)
    return settings.completed(len(inputs.crops))


def mode(settings: CKASettings) -> Analysis:
    """Models compared, or with `over_training` the snapshots of training runs."""
    if not settings.over_training:
        return ANALYSIS
    from analysis.commands.registry import analysis

    return analysis("cka_over_training")


def batches(inputs: RunInputs, settings: CKASettings) -> list[Batch]:
    """Batches of crops, none too small for the estimator."""
    from analysis.cka import compute

    return compute.make_batches(inputs.crops, settings)


def observer(inputs: RunInputs, settings: CKASettings, batches: Sequence[Batch]) -> Representations:
    """The observer of the representations."""
    from analysis.cka import compute

    return compute.observer(inputs, settings, batches)


def manifest(inputs: RunInputs, settings: CKASettings, observer: Representations) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    rbf = settings.kernel == "rbf"
    return {
        "layers": {
            model: list(observer.layers[names[0]]) for model, names in inputs.trainings.items()
        },
        "compare": settings.compare,
        "measure": settings.measure,
        **({} if settings.measure == "cka" else declared(settings.measure)),
        "estimator": settings.estimator if settings.measure == "cka" else None,
        "kernel": settings.kernel,
        "sigma": f"{settings.bandwidth} x median distance in batch 0" if rbf else None,
        "centering": settings.centering,
        **({"given": settings.given} if settings.given else {}),
        **({"remove_components": settings.remove_components} if settings.remove_components else {}),
        "unit": settings.unit,
        "positions": settings.positions if settings.unit == "position" else None,
        "permutations": settings.permutations,
        "intervals": observer.leave_out if settings.measure == "cka" else settings.intervals,
        "least": settings.least,
    }


def declared(measure: str) -> dict[str, Any]:
    """What a measure declares of itself; see `analysis.cka.measures`."""
    of = MEASURES[measure]
    return {
        "higher_is_more_similar": of.higher_is_more_similar,
        "symmetric": of.symmetric,
        "invariant_to": list(of.invariant_to),
    }


def tables(comparison: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of a comparison, by file name."""
    from analysis.cka import compute

    return compute.tables(comparison, job)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Heat maps of every kind of pair, and the diagonals over depth."""
    from analysis.cka import figures

    single = frames.get("depth_by_training")
    return figures.figures(figures.cells(frames), frames["depth"], single)


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over the last quarter of the blocks, as a table."""
    from analysis.cka import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.cka import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    from analysis.cka import reading
    from analysis.text.intervals import illustration

    return [*reading.biased(frames), *reading.missing(frames), *illustration(manifest)]


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.cka import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """The last quarter of the blocks under two noises."""
    from analysis.cka import reading_quarter

    return reading_quarter.main(frames, manifest)


def result() -> type[CKAResult]:
    """The class of its results."""
    from analysis.cka.result import CKAResult

    return CKAResult


VIEWS = ("model_a", "noise_a", "model_b", "noise_b")


def last_quarter_between_noises(
    frame: pd.DataFrame, reference: str, trained: Collection[str]
) -> pd.DataFrame:
    """CKA of the last quarter of the blocks between the reference and each noise but those trained
    on."""
    unseen = ~frame.noise_b.isin([reference, *trained])
    same = frame[(frame.model_a == frame.model_b) & (frame.noise_a == reference) & unseen]
    return index_values(same, "cka", "model_a", "noise_b")


ANALYSIS = Analysis(
    name="cka",
    title="CKA",
    description="Compare the layers of denoisers by CKA: model against model under the "
    "reference noise, and each model under it against itself under the others.",
    examples=EXAMPLES,
    settings=CKASettings,
    prepare=prepare,
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
    trainings=True,
    mode=mode,
    table_names=(
        *MEASURES,
        *("layers", "depth", "last_quarter", "quarter_difference", "difference"),
        *("influence", "controls", "depth_by_training", "last_quarter_by_training"),
    ),
    keys={
        "cka": ("model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b"),
        "last_quarter": VIEWS,
        "depth": ("model", "noise_a", "noise_b", "layer"),
        "layers": ("model", "noise", "layer"),
    },
    report_crops=48,
    version=2,
    index=Index(
        name="cka",
        label="CKA of the last quarter between noises",
        short="CKA, last quarter",
        table="last_quarter",
        read=last_quarter_between_noises,
        from_reference=True,
        by_model=True,  # between models there are too many pairs
        value="cka",
        untrained="untrained",
    ),
)


def compare(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> CKAResult:
    """Compare the layers of denoisers by CKA, across models and across noises.

    Linear CKA of the activations of two layers on the same samples (see `analysis.cka.cka`), for
    every two models under the first noise, and for each model between the first noise and every
    other; the command `python -m analysis.cka` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name. A list, or a pattern
            of paths, in a mapping is several trainings of one model.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.cka.settings.CKASettings`.

    Returns:
        Data frames `cells`, `depth`, `last_quarter`, …; `plot_matrix`, `plot_depth`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = compare(["baseline.pth", "masked.pth"], crop=32, limit=4, progress=False)
        >>> list(result.last_quarter.model_a)
        ['baseline', 'baseline', 'masked']

    Reference: Kornblith et al. 2019, *Similarity of Neural Network Representations Revisited*.
    """
    from analysis.cka.result import CKAResult

    if settings.get("over_training"):
        raise BadInput("over_training: call analysis.cka.compare_snapshots(runs) instead")
    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, CKAResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
