"""What an analysis does once its options are settled: run folder, one pass, tables, report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import options
from analysis.engine import Batch, Observer
from analysis.options import Asked
from analysis.runs import RunFolder

Tables = dict[str, pd.DataFrame]


def carry_out(
    args: argparse.Namespace,
    asked: Asked,
    groups: Sequence[Batch],
    observer: Observer,
    manifest: Mapping[str, Any],
    make: Callable[[Any], Tables],
    report: Callable[[RunFolder], None],
    command: str = "",
) -> Path:
    """Show everything to an observer, write its tables, report; returns the run folder.

    With --resume a run that is done is only reported again.

    Args:
        args: the shared options.
        asked: what they name.
        groups: batches of the crops.
        observer: of the analysis; if it has a `spill`, it is told where and how many crops.
        manifest: everything that decides the results.
        make: the tables, by name, from what the observer computes; called in every process,
            so that they can share the work.
        report: writes figures and prints, from the tables alone.
        command: the command line.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    ranks = asked.ranks
    folder = RunFolder(
        args.output_dir,
        f"{manifest['analysis']}-{'-'.join(asked.models)}",
        {**manifest, "batches": [len(batch.crops) for batch in groups]},
        resume=args.resume,
        command=command,
        ranks=ranks,
    )
    if hasattr(observer, "spill") and not folder.units.count():
        views = len(asked.models) * len(asked.noises)
        observer.spill = (folder.path, len(asked.crops) * views)
    with folder.resumable():
        unfinished = folder.units.folder is not None and folder.units.folder.exists()
        done = args.resume and not unfinished and any(folder.path.glob("*.csv"))
        if not ranks.gather(done)[0]:
            options.observe(args, asked, groups, [observer], folder)
            found = observer.compute(ranks)
            with ranks.agreed():
                tables = make(found)
            if ranks.first:
                for name, frame in tables.items():
                    folder.table(f"{name}.csv", frame)
        if ranks.first:
            report(folder)
            folder.finish()
    ranks.leave()
    return folder.path
