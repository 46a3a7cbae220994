"""The pass through the networks with a progress bar, and what is said on stderr meanwhile."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING, Any

from analysis.commands.inputs import RunInputs
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import Batch, Observer


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
    observers: Sequence[Observer],
    folder: RunFolder,
) -> None:
    """Show everything that is asked to the observers, with a bar.

    Raises:
        BadInput: a layer cannot be used, or a unit not be written.
    """
    from tqdm import tqdm

    from analysis.engine import run as engine_run

    ranks, talks = asked.ranks, asked.ranks.first and not args.quiet
    kept = folder.units.count()
    if kept and talks:
        print(f"found {kept} finished units; they are not computed again", file=sys.stderr)
    walk = engine_run.walk(
        asked.models,
        asked.noises,
        groups,
        observers,
        asked.setting,
        units=folder.units,
        ranks=ranks,
    )
    mine = [groups[index] for index in ranks.indices_for_rank(len(groups))]
    counts = [len(engine_run.wanted(asked.models, asked.noises, b, observers)) for b in mine]
    with ranks.raise_on_all_ranks():
        first = next(walk, None)  # shows that the layers can be used
    if talks:
        tell(asked)
    hide = None if talks else True
    with tqdm(initial=int(first is not None), total=sum(counts), unit="view", disable=hide) as bar:
        for done, _ in enumerate(walk, 2):
            bar.update()
            if done <= counts[0] and not kept:
                check_space(folder, ranks.size * sum(counts) / done)


def check_space(folder: RunFolder, share: float) -> None:
    """See that the units of a run find room on the disk.

    Args:
        folder: where some of them are.
        share: how many times as many there will be.

    Raises:
        BadInput: they will not.
    """
    here = folder.units.bytes()
    needed, free = here * (share - 1), shutil.disk_usage(folder.path).free
    if needed > 0.95 * free:
        if folder.ranks.size == 1:
            folder.units.clear()
        raise BadInput(
            f"{folder.path}: features take about {(here + needed) / 2**30:.1f} GiB while the run "
            f"goes on, {free / 2**30:.1f} are free: lower --limit or --crop, or choose another "
            "--output-dir"
        )
