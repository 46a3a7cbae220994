"""The pass through the networks, with a progress bar and messages on stderr."""

from __future__ import annotations

import argparse
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from analysis.commands.inputs import RunInputs
from mtd.utils.errors import BadInput, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import Batch, Watch


def tell(asked: RunInputs) -> None:
    """On stderr: each model's mask policy and where it comes from, and what was left out."""
    for name, model in asked.models.items():
        if source := model.source:
            print(f"{name}: {about(source)}", file=sys.stderr)
    if asked.repeated:
        print(
            f"left out {asked.repeated} images or crops whose pixels are those of another one",
            file=sys.stderr,
        )


def about(source: Mapping[str, Any]) -> str:
    """A loaded model in a line: what it is, how it is called, and its masks."""
    called = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in source["usage"].items())
    what = source["architecture"] + (f" ({called})" if called else "")
    return f"{what}, {source['policy']} ({source['policy_source']})"


def observe(
    args: argparse.Namespace,
    asked: RunInputs,
    groups: Sequence[Batch],
    watches: Sequence[Watch],
    folder: RunFolder,
) -> None:
    """Run all batches under all noises through all networks, with a progress bar.

    Raises:
        BadInput: in all processes, if a layer cannot be used or the cache not be written in any.
        Failed: in all processes, if memory runs out in any.
    """
    from tqdm import tqdm

    from analysis.engine import run as engine_run

    ranks, talks = asked.ranks, asked.ranks.first and not args.quiet
    cached = folder.cache.count()
    if cached and talks:
        print(f"found {cached} cached results; they are not computed again", file=sys.stderr)
    views = engine_run.run_batches(
        asked.models,
        asked.noises,
        groups,
        watches,
        asked.setting,
        cache=folder.cache,
        ranks=ranks,
    )
    own = [groups[index] for index in ranks.indices_for_rank(len(groups))]
    counts = [len(engine_run.observed_views(asked.models, asked.noises, b, watches)) for b in own]
    with ranks.raise_on_all_ranks(), out_of_memory():
        first = next(views, None)  # the first view shows whether the layers can be used
    if talks:
        tell(asked)
    hide = None if talks else True
    with (
        ranks.raise_on_all_ranks(),
        out_of_memory(),
        tqdm(initial=int(first is not None), total=sum(counts), unit="view", disable=hide) as bar,
    ):
        for done, _ in enumerate(views, 2):
            bar.update()
            if done <= counts[0] and not cached:
                check_space(folder, ranks.size * sum(counts) / done)
            if ranks.another_failed:
                break  # its error is raised in all processes


@contextmanager
def out_of_memory() -> Iterator[None]:
    """Around the networks: without enough memory, say what to do."""
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise Failed("out of memory: lower --batch-size, --crop or --memory") from None


def check_space(folder: RunFolder, share: float) -> None:
    """Check that the cache of a run will fit on the disk.

    Args:
        folder: of the run, with a part of its cache.
        share: the final size of the cache, as a multiple of its present size.

    Raises:
        BadInput: it will not; what is cached stays.
    """
    size = folder.cache.bytes()
    needed, free = size * (share - 1), shutil.disk_usage(folder.path).free
    if needed > 0.95 * free:
        raise BadInput(
            f"{folder.path}: features take about {(size + needed) / 2**30:.1f} GiB while the run "
            f"goes on, {free / 2**30:.1f} are free: free some space, lower --limit or --crop, or "
            "choose another --output-dir"
        )
