"""The pass through the networks with a progress bar, and what is reported on stderr meanwhile."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import Watch
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import Batch


def run_pass(
    inputs: RunInputs,
    batches: Sequence[Batch],
    watches: Sequence[Watch],
    folder: RunFolder | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Show every view to the observers, with a bar.

    Args:
        inputs: models, noises and how networks are run.
        batches: of the crops.
        watches: observers with what they observe.
        folder: keeps activations until the run is finished; None for memory.
        quiet: no bar and no messages.

    Raises:
        BadInput: a layer cannot be used, or activations cannot be written.
    """
    from tqdm.auto import tqdm

    from analysis.engine import run as engine_run
    from analysis.engine.cache import ActivationCache

    ranks, talks = inputs.ranks, inputs.ranks.first and not quiet
    cache = folder.units if folder is not None else ActivationCache()
    cached = cache.count()
    if cached and talks:
        print(f"found {cached} finished units; they are not computed again", file=sys.stderr)
    observers = [watch.applied() for watch in watches]
    views = engine_run.walk(
        inputs.models, inputs.noises, batches, observers, inputs.forward, units=cache, ranks=ranks
    )
    mine = [batches[index] for index in ranks.indices_for_rank(len(batches))]
    counts = [len(engine_run.wanted(inputs.models, inputs.noises, b, observers)) for b in mine]
    with ranks.raise_on_all_ranks():
        first = next(views, None)  # shows that the layers can be used
    if talks and folder is not None:
        report_models(inputs)
    hide = None if talks else True
    with tqdm(initial=int(first is not None), total=sum(counts), unit="view", disable=hide) as bar:
        for done, _ in enumerate(views, 2):
            bar.update()
            if folder is not None and done <= counts[0] and not cached:
                check_space(folder, ranks.size * sum(counts) / done)


def report_models(inputs: RunInputs) -> None:
    """On stderr: each model's mask policy and where it comes from, and what was left out."""
    for name, model in inputs.models.items():
        if source := model.source:
            print(f"{name}: {describe(source)}", file=sys.stderr)
    for message in inputs.messages:
        print(message, file=sys.stderr)


def describe(source: Mapping[str, Any]) -> str:
    """A loaded model in a line: what it is, how it is called, and its masks."""
    called = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in source["usage"].items())
    what = source["architecture"] + (f" ({called})" if called else "")
    return f"{what}, {source['policy']} ({source['policy_source']})"


def check_space(folder: RunFolder, share: float) -> None:
    """See that the cached activations of a run find room on the disk.

    Args:
        folder: where some of them are.
        share: how many times as many there will be.

    Raises:
        BadInput: they will not.
    """
    here = folder.units.bytes()
    needed, free = here * (share - 1), shutil.disk_usage(folder.path).free
    if needed > 0.95 * free:
        raise BadInput(
            f"{folder.path}: features take about {(here + needed) / 2**30:.1f} GiB while the run "
            f"goes on, {free / 2**30:.1f} are free: lower --limit or --crop, or choose another "
            "--output-dir"
        )
