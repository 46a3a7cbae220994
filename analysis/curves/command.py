"""Training and test curves of runs as a command, and its record.

`python -m analysis.curves RUN …` reads logs; with `--checkpoints FOLDER …` it evaluates what a run
has saved on the way. The record describes that evaluation, one pass through the checkpoints; logs
are read without a pass.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.commands.parser import (
    ConfiguredParser,
    OutputOptions,
    add_output,
    add_settings,
    flag_of,
    output_options,
    settings_from,
)
from analysis.curves.settings import OF_LOGS, CurvesSettings
from mtd.utils import cli, messages, near_paths, output_folders
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.curves.checkpoint_evaluation import CheckpointInputs
    from analysis.curves.result import CurvesResult
    from analysis.curves.run_sources import Places
    from analysis.engine.image_quality import ImageQuality
    from analysis.engine.observer import Batch
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.curves runs/baseline runs/masked
  python -m analysis.curves 'baseline=runs/b*' 'masked=runs/m*'    # several trainings of each
  python -m analysis.curves runs/masked denoising/swinir/train.log tb/events.out.tfevents.1700.host
  python -m analysis.curves runs/baseline runs/masked --checkpoints runs/baseline runs/masked
  python -m analysis.curves --checkpoints denoising/swinir/models --images photos \\
      --noise gaussian:15 --noise gaussian:50 --noise poisson:3.5
"""

STRIP = 8
"""Side of the squares that the observer keeps for comparison strips, which are not made here."""


def load_inputs(
    sources: Any, settings: CurvesSettings, photographs: Any = None
) -> CheckpointInputs:
    """Folders of checkpoints, and logs of their runs if there are any, loaded and checked."""
    from analysis.curves import checkpoint_evaluation

    return checkpoint_evaluation.load_inputs(sources, settings, photographs)


def batches(inputs: RunInputs, settings: CurvesSettings) -> list[Batch]:
    """Batches of crops or whole images, those of one size together."""
    from analysis.curves import checkpoint_evaluation

    return checkpoint_evaluation.batches(inputs, settings)


def observer(inputs: RunInputs, settings: CurvesSettings, batches: Sequence[Batch]) -> ImageQuality:
    """The observer of the PSNR of every image."""
    from analysis.engine.image_quality import ImageQuality

    return ImageQuality(list(inputs.models), window=STRIP)


def manifest(inputs: RunInputs, settings: CurvesSettings, observer: ImageQuality) -> dict[str, Any]:
    """What the logs hold, and run and step of each checkpoint."""
    from analysis.curves.checkpoint_evaluation import CheckpointInputs

    assert isinstance(inputs, CheckpointInputs)
    steps = {model: [run, step] for model, (run, step) in inputs.steps.items()}
    return {**inputs.runs.manifest(settings.smooth), "checkpoints": steps}


def tables(scores: pd.DataFrame, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """Curves of logs and checkpoints, and a summary of each run."""
    from analysis.curves.checkpoint_evaluation import CheckpointInputs, evaluated_curves

    assert isinstance(job.inputs, CheckpointInputs)
    return job.inputs.runs.with_curves(evaluated_curves(scores, job.inputs)).tables()


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Training loss, and PSNR under each noise, over the steps of training."""
    from analysis.curves import figures
    from analysis.curves.tables import trained_curves

    trained, single = trained_curves(manifest["trained"]), frames.get("curves_by_training")
    return {"curves": figures.figure(frames["curves"], trained, manifest["smooth"], single)}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The best and the last steps of each run."""
    from analysis.curves import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.curves import reading

    return reading.sentences(frames, manifest)


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.curves import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """The step of each run that is best under unseen noise."""
    from analysis.curves import reading

    return reading.main(frames)


def result() -> type[CurvesResult]:
    """The class of its results."""
    from analysis.curves.result import CurvesResult

    return CurvesResult


ANALYSIS = Analysis(
    name="curves",
    title="Training curves",
    description="Draw training loss, and PSNR under each noise, over the steps of one or many runs "
    "(the paper's Figure 13), and say which step is best in and out of distribution.",
    examples=EXAMPLES,
    settings=CurvesSettings,
    load_inputs=load_inputs,
    observer=observer,
    batches=batches,
    manifest=manifest,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    answer=answer,
    result=result,
    table_names=("summary", "summary_by_training", "curves", "curves_by_training"),
    trainings=True,
    keys={"curves": ("run", "source", "quantity", "noise", "step"), "summary": ("run",)},
)


def parser() -> ConfiguredParser:
    """The command's options."""
    measure = cli.inside(ANALYSIS.title)
    p = ConfiguredParser(
        "analysis.curves", ANALYSIS.description, EXAMPLES, measure, "RUN [RUN ...]"
    )
    p.group("models").add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="folder of mtd.train, TensorBoard events, log of KAIR or BasicSR, or a folder of one; "
        "NAME=PATTERN, or several of one NAME, are the trainings of one run",
    )
    p.group("models").add_argument(
        "--checkpoints",
        action="extend",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folder of a run's checkpoints, each of which is evaluated, or NAME=PATTERN as for "
        "RUN; if it is a RUN too, they are its test curves; options of images, masks and compute, "
        "and --noise, are for this evaluation (repeatable)",
    )
    add_settings(p, CurvesSettings)
    add_output(p, "runs/curves-RUNS-DIGEST")
    return p


def read_curves(
    runs: Places, *, smooth: float = 0.9, in_distribution: str | Sequence[str] = ()
) -> CurvesResult:
    """Read the training and test curves of runs from their logs.

    Args:
        runs: folders of `mtd.train`, TensorBoard events, text logs of KAIR or BasicSR, or folders
            of one: a mapping from names, a sequence, or one. In a mapping a list, or a pattern such
            as "runs/b*", is the trainings of one run.
        smooth: decay β of the loss's exponential average, from 0 (none) to below 1.
        in_distribution: noises or test sets that the runs, or a run, were trained on, as
            `[RUN=]SPEC[..SPEC]`; by default what a `recipe.json` says, else it is unknown.

    Returns:
        Data frames `curves` and `summary`; `plot_loss`, `plot_psnr`; `save`.

    Raises:
        BadInput: a log or setting that cannot be used; the message says what to do.

    Example:
        >>> from pathlib import Path
        >>> import mtd
        >>> runs = Path(mtd.__file__).parent / "pretrained"
        >>> result = read_curves([runs / "baseline", runs / "masked"])
        >>> result.summary[["run", "last_loss_step"]].values.tolist()
        [['baseline', 19000], ['masked', 19000]]
    """
    from analysis.curves.result import CurvesResult
    from analysis.curves.run_curves import read_logs
    from analysis.curves.run_sources import RunSources

    settings = CurvesSettings.of(smooth=smooth, in_distribution=in_distribution)
    sources = RunSources.of(runs)
    curves = read_logs(sources.logs, sources.trainings).decided(settings.in_distribution)
    return CurvesResult(ANALYSIS, curves.tables(), curves.manifest_of_logs(settings.smooth))


def evaluate_checkpoints(
    folders: Places,
    *,
    runs: Places = (),
    images: Any = None,
    progress: bool = True,
    **settings: Any,
) -> CurvesResult:
    """Evaluate the checkpoints that training runs have saved: mean PSNR by step and noise.

    The command `python -m analysis.curves --checkpoints` calls the same code.

    Args:
        folders: of each run's checkpoints, such as `snapshot-002500.pth`: a mapping from names, a
            sequence, or one; of several trainings as in `read_curves`.
        runs: logs, see `read_curves`; of a run that is among the folders, the evaluated
            checkpoints take the place of its logged test curves.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.curves.settings.CurvesSettings`.

    Returns:
        Data frames `curves` and `summary`; `plot_loss`, `plot_psnr`; `save`.

    Raises:
        BadInput: a checkpoint, image or setting that cannot be used; the message says what to do.

    Example:
        >>> from pathlib import Path
        >>> from shutil import copy
        >>> from tempfile import TemporaryDirectory
        >>> import mtd
        >>> weights = Path(mtd.__file__).parent / "pretrained" / "masked.pth"
        >>> with TemporaryDirectory() as folder:
        ...     _ = copy(weights, Path(folder) / "snapshot-019000.pth")
        ...     result = evaluate_checkpoints(
        ...         {"masked": folder}, crop=32, limit=4, progress=False,
        ...         noises=["gaussian:15", "poisson:3.5"],
        ...     )
        >>> result.curves[["noise", "step"]].values.tolist()
        [['gaussian:15', 19000], ['poisson:3.5', 19000]]
    """
    from analysis.curves.result import CurvesResult
    from analysis.curves.run_sources import RunSources

    sources: Any = RunSources.of(runs, folders)
    result = run_in_memory(ANALYSIS, sources, images, progress, **settings)
    assert isinstance(result, CurvesResult)
    return result


def main() -> None:
    """Read or evaluate, write the run folder, print the summary.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    known = parser()
    arguments = known.parse_args()
    check_evaluation_options(arguments)
    output = output_options(arguments, known.command(cli.command("analysis.curves")))
    settings = settings_from(CurvesSettings, arguments)
    check_places(arguments.runs, arguments.checkpoints)
    settings.check_names()
    output_folders.check(output.output_dir)
    messages.importing(quiet=output.quiet)
    run(arguments.runs, arguments.checkpoints, settings, output)


def check_places(runs: Places, checkpoints: Places = ()) -> None:
    """Check that there are logs and folders of checkpoints, without importing PyTorch.

    Raises:
        BadInput: there is none of a path.
    """
    from analysis.curves.log_readers import EXPECTED
    from analysis.curves.run_sources import RunSources

    sources = RunSources.of(runs, checkpoints)
    for path in sources.logs.values():
        if not os.path.lexists(path):
            raise BadInput(f"{near_paths.absent(path, 'file or folder')}; {EXPECTED}")
    for path in sources.checkpoints.values():
        if not os.path.lexists(path):
            raise BadInput(near_paths.absent(path, "folder"))


def check_evaluation_options(arguments: argparse.Namespace) -> None:
    """See that options of the evaluation are given with checkpoints only.

    Raises:
        BadInput: one is given without.
    """
    for item in fields(CurvesSettings):
        if item.name in arguments and item.name not in OF_LOGS and not arguments.checkpoints:
            raise BadInput(f"{flag_of(item)}: it is for evaluation, give --checkpoints FOLDER")


def run(
    runs: Places = (),
    checkpoints: Places = (),
    settings: CurvesSettings | None = None,
    output: OutputOptions | None = None,
) -> Path:
    """Draw curves into a run folder, and print their summary; returns the folder.

    Args:
        runs: see `analysis.curves.read_curves`.
        checkpoints: see `analysis.curves.evaluate_checkpoints`.
        settings: the defaults if not given.
        output: where and how the results are written.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    from analysis.curves.run_sources import RunSources

    settings, output = settings or CurvesSettings(), output or OutputOptions()
    sources: Any = RunSources.of(runs, checkpoints)
    if not sources.checkpoints:
        return from_logs(runs, output, settings)
    return command.run(ANALYSIS, sources, settings, output)


def from_logs(
    runs: Places, output: OutputOptions | None = None, settings: CurvesSettings | None = None
) -> Path:
    """Draw the curves of logs into a run folder, and print their summary; returns the folder.

    Raises:
        BadInput: no log, or a run folder that cannot be written.
    """
    from analysis.commands import printed
    from analysis.commands.result import finish, write_tables
    from analysis.commands.run_folder import RunFolder
    from analysis.curves.run_curves import read_logs
    from analysis.curves.run_sources import RunSources

    settings, output = settings or CurvesSettings(), output or OutputOptions()
    sources = RunSources.of(runs)
    curves = read_logs(sources.logs, sources.trainings).decided(settings.in_distribution)
    folder = RunFolder(
        output.output_dir,
        f"curves-{sources.label}",
        curves.manifest_of_logs(settings.smooth),
        resume=output.resume,
        command=output.command,
        drawing=output.drawing,
    )
    write_tables(folder, curves.tables())
    text = finish(folder, ANALYSIS)
    if output.printed:
        printed.show(folder.path, ANALYSIS, text)
    return folder.path
