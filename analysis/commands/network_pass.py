"""The pass through the networks, with its progress and messages on stderr."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtd.loading.listing import weights_line
from mtd.utils import progress
from mtd.utils.device import described
from mtd.utils.errors import BadInput
from mtd.utils.messages import note, plural

LOADING, PASS, STATISTICS, FIGURES = "loading", "running the networks", "statistics", "figures"
"""The steps of an analysis, as its progress names them."""

STEPS = (LOADING, PASS, STATISTICS, FIGURES)

if TYPE_CHECKING:
    from analysis.commands.controls import ControlInputs
    from analysis.commands.inputs import RunInputs
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import Batch, Watch


def run_pass(
    inputs: RunInputs,
    batches: Sequence[Batch],
    watches: Sequence[Watch],
    folder: RunFolder | None = None,
    *,
    controls: ControlInputs | None = None,
    quiet: bool = False,
) -> None:
    """Run all batches under all noises through all networks.

    Args:
        inputs: models, noises and how networks are run.
        batches: of the crops.
        watches: observers with what they observe.
        folder: whose cache keeps activations until the run is finished; None for memory.
        controls: whose networks and noises are run, too.
        quiet: no messages.

    Raises:
        BadInput: in all processes, if a layer cannot be used or the cache not be written in any.
        Failed: in all processes, if memory runs out in any.
    """
    from analysis.engine import failures
    from analysis.engine import run as engine_run
    from analysis.engine.cache import ActivationCache

    ranks, talks = inputs.ranks, inputs.ranks.first and not quiet
    cache = folder.cache if folder is not None else ActivationCache()
    cached = cache.count()
    if cached:
        found = plural(cached, "cached result")
        note(f"found {found}, not to be computed again", quiet=not talks)
    whole = inputs.of_pass(controls)
    models, noises = whole.models, whole.noises
    views = engine_run.run_batches(
        models, noises, batches, watches, whole.forward, cache=cache, ranks=ranks
    )
    own = [batches[index] for index in ranks.indices_for_rank(len(batches))]
    counts = [len(engine_run.observed_views(models, noises, b, watches)) for b in own]
    with ranks.raise_on_all_ranks(), failures.memory():
        first = next(views, None)  # the first view shows whether the layers can be used
    if ranks.first and folder is not None:
        report_models(inputs, quiet)
    progress.step(PASS, sum(counts), "passes", done=int(first is not None))
    with ranks.raise_on_all_ranks(), failures.memory():
        for done, _ in enumerate(views, 2):
            progress.advance()
            if folder is not None and done <= counts[0] and not cached:
                check_space(folder, ranks.size * sum(counts) / done)
            if ranks.another_failed:
                break  # its error is raised in all processes


def report_models(inputs: RunInputs, quiet: bool = False) -> None:
    """Print each model's mask policy and its source, the device, and what was left out, on stderr.

    With `quiet` they are in the object of `--json` alone.
    """
    for name, model in inputs.models.items():
        if source := model.source:
            note(f"{name}: {describe(source)}", quiet=quiet)
    note(described(inputs.forward.device), quiet=quiet)
    for message in inputs.messages:
        note(message, quiet=quiet)


def describe(source: Mapping[str, Any]) -> str:
    """A loaded model in one line: architecture, input format, and masks."""
    usage = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in source["usage"].items())
    weights = weights_line(source)
    usage = ", ".join(filter(None, [usage, weights and f"weights: {weights}"]))
    what = source["architecture"] + (f" ({usage})" if usage else "")
    return f"{what}, {source['policy']} ({source['policy_source']})"


def check_space(folder: RunFolder, share: float) -> None:
    """Check that the cached activations of a run fit on the disk.

    Args:
        folder: of the run, with a part of its cache.
        share: the final size of the cache, as a multiple of its present size.

    Raises:
        BadInput: they do not fit; the cache is kept.
    """
    size = folder.cache.bytes()
    needed, free = size * (share - 1), shutil.disk_usage(folder.path).free
    if needed > 0.95 * free:
        raise BadInput(
            f"{folder.path}: features take about {(size + needed) / 2**30:.1f} GiB while the run "
            f"goes on, {free / 2**30:.1f} are free: free some space, lower --limit or --crop, or "
            "choose another --output-dir"
        )
