"""What an analysis does once its options are settled: run folder, pass, tables, report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands import inputs, progress
from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import TEXT_FILE, RunFolder, finished
from analysis.engine.observer import Batch, Observer, Watch

Files = Mapping[str, pd.DataFrame | bytes]
"""What is written, by file name: tables as CSV, anything else as it is."""


@dataclass(frozen=True)
class AnalysisJob:
    """One analysis.

    Attributes:
        asked: its models, noises, crops and processes.
        observer: what it extracts from the networks.
        manifest: everything that decides its results.
        make: what is written, from what the observer computes; called in every process, so that
            they can share the work.
        report: writes figures and returns the text for a reader, from the files alone.
        name: of its folder; that of the analysis unless given.
    """

    asked: RunInputs
    observer: Observer
    manifest: Mapping[str, Any]
    make: Callable[[Any], Files]
    report: Callable[[RunFolder], str]
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", str(self.manifest["analysis"]))

    def write(self, folder: RunFolder) -> None:
        """Compute and write everything but the figures, all processes together."""
        from analysis.engine.run import compute_result

        ranks = self.asked.ranks
        with ranks.raise_on_all_ranks():
            files = self.make(compute_result(self.observer, ranks))
        with ranks.raise_on_all_ranks():
            if ranks.first:
                for name, content in files.items():
                    folder.write(name, content)

    @property
    def watch(self) -> Watch:
        """Its observer, for its own noises and crops among those of several analyses."""
        noises = {noise.spec for noise in self.asked.noises}
        return Watch(self.observer, noises, {crop.digest for crop in self.asked.crops})


def carry_out(
    args: argparse.Namespace,
    groups: Sequence[Batch],
    work: AnalysisJob,
    name: str = "",
    command: str = "",
) -> Path:
    """Do one analysis in a folder of its own; returns the folder.

    With --resume a run that is done is only reported again.

    Args:
        args: the shared options.
        groups: batches of the crops.
        work: the analysis.
        name: of the folder, but for its digest; default: that of the analysis and its models.
        command: the command line.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    ranks = work.asked.ranks
    folder = RunFolder(
        args.output_dir,
        name or f"{work.name}-{'-'.join(work.asked.models)}",
        {**work.manifest, "batches": [len(batch.crops) for batch in groups]},
        resume=args.resume,
        command=command,
        ranks=ranks,
    )
    with folder.resumable():
        if not ranks.gather(args.resume and folder.complete())[0]:
            progress.observe(args, work.asked, groups, [Watch(work.observer)], folder)
            work.write(folder)
        report(folder, work.report)
    ranks.leave()
    return folder.path


def run(
    args: argparse.Namespace,
    plan: Callable[[argparse.Namespace, RunInputs], tuple[list[Batch], AnalysisJob]],
    command: str = "",
) -> Path:
    """A command whose noises are settled: check, plan, do; returns the run folder.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    asked = inputs.check(args)
    with asked.ranks.raise_on_all_ranks():
        groups, work = plan(args, asked)
    return carry_out(args, groups, work, command=command)


def carry_out_together(
    args: argparse.Namespace,
    groups: Sequence[Batch],
    works: Sequence[AnalysisJob],
    whole: AnalysisJob,
    command: str = "",
) -> Path:
    """Do several analyses in one pass, each in a folder within one; returns the outer folder.

    Args:
        args: the shared options.
        groups: batches of the crops, the same for all.
        works: the analyses.
        whole: what is made of them: its `asked` has every model and noise of theirs, its `make`
            is given their folders; its observer is not used.
        command: the command line.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    ranks = whole.asked.ranks
    parts = {work.name: _differences(work.manifest, whole.manifest) for work in works}
    sizes = [len(batch.crops) for batch in groups]
    folder = RunFolder(
        args.output_dir,
        f"{whole.name}-{'-'.join(whole.asked.models)}",
        {**whole.manifest, "batches": sizes, "parts": parts},
        resume=args.resume,
        command=command,
        ranks=ranks,
    )
    with folder.resumable():
        if not ranks.gather(args.resume and folder.complete())[0]:
            inner = one_pass(args, whole.asked, groups, works, folder, command)
            with ranks.raise_on_all_ranks():
                if ranks.first:
                    for name, content in whole.make(inner).items():
                        folder.write(name, content)
        report(folder, whole.report)
    ranks.leave()
    return folder.path


def one_pass(
    args: argparse.Namespace,
    asked: RunInputs,
    groups: Sequence[Batch],
    works: Sequence[AnalysisJob],
    folder: RunFolder,
    command: str = "",
) -> list[Path]:
    """Do those of several analyses that are not done yet, in one pass; returns their folders.

    Each observes its own models, noises and crops.

    Args:
        args: the shared options.
        asked: every model, noise and crop of theirs.
        groups: batches of all crops; each analysis observes whole batches.
        works: the analyses.
        folder: in which each has a folder; the cache is kept there until all are done.
        command: the command line.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    ranks = asked.ranks
    manifests = {work.name: _with_batches(work, groups) for work in works}
    with ranks.raise_on_all_ranks():
        lacking = [w for w in works if not finished(folder.path / w.name, manifests[w.name])]
    if lacking:
        progress.observe(args, asked, groups, [work.watch for work in lacking], folder)
    for work in lacking:
        held = RunFolder(
            folder.path / work.name, work.name, manifests[work.name], command=command, ranks=ranks
        )
        work.write(held)
        report(held, work.report, quiet=True)
    return [folder.path / work.name for work in works]


def _with_batches(work: AnalysisJob, groups: Sequence[Batch]) -> dict[str, Any]:
    sizes = [len(batch.crops) for batch in groups if work.watch.observes_batch(batch)]
    return {**work.manifest, "batches": sizes}


def report(folder: RunFolder, write: Callable[[RunFolder], str], quiet: bool = False) -> None:
    """Figures and text of a folder whose files are written; it is finished then."""
    with folder.ranks.raise_on_all_ranks():
        if folder.ranks.first:
            text = write(folder)
            folder.write(TEXT_FILE, f"{text}\n".encode())
            if not quiet:
                print(f"{text}\n\nwritten to {folder.path}")
            folder.finish()


def _differences(manifest: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if shared.get(name) != value}


PIXELS = 2**16
"""Pixels that go through a network together unless --batch-size says otherwise. Activations of more
make the C library return memory to the system and ask for it again at every layer: measured on two
cores, the bundled networks take three times longer at four times as many."""
