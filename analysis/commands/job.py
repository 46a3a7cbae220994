"""Analyses ready to run: planned, computed in one pass, each to its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from analysis.commands import controls, matched_noises, repeated_draws, trainings
from analysis.commands.changes import Changes
from analysis.commands.inputs import manifest_of
from analysis.commands.network_pass import STATISTICS
from analysis.engine import failures
from analysis.engine.observer import Batch, Observer, View, Watch
from analysis.engine.run import batches, compute_result
from mtd.utils import progress
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from analysis.commands.analysis import Analysis
    from analysis.commands.inputs import RunInputs
    from analysis.commands.run_folder import RunFolder
    from analysis.commands.settings import Settings

    Files = Mapping[str, pd.DataFrame | bytes]

PIXELS = 2**16
"""Pixels that go through a network together unless a batch size is given. Activations of more make
the C library return memory to the system and request it again at every layer: measured on two
cores, networks of 32 channels take three times longer at four times as many."""


@dataclass(frozen=True)
class AnalysisJob:
    """One analysis of given inputs, ready to run.

    Attributes:
        analysis: its record.
        inputs: its models, noises, crops and processes.
        settings: complete, see `Analysis.prepare`.
        batches: of the crops.
        observer: what it extracts from the networks; None where the analysis has a pass of its own.
        manifest: everything that decides its results.
        name: of its folder among others.
        changes: what differs from what was asked for.
        changed: plans it with changes; None where it shares its batches with others.
    """

    analysis: Analysis
    inputs: RunInputs
    settings: Any
    batches: Sequence[Batch]
    observer: Observer | None
    manifest: Mapping[str, Any]
    name: str
    changes: Changes = field(default_factory=Changes)
    changed: Callable[[Changes], AnalysisJob] | None = None

    @property
    def batch_size(self) -> int:
        """Crops of a batch, for an analysis that makes its own."""
        side = self.settings.crop or max(max(c.pixels.shape[:2]) for c in self.inputs.crops)
        return int(
            self.settings.batch_size or min(max(1, PIXELS // side**2), len(self.inputs.crops))
        )

    @property
    def views(self) -> list[View]:
        """Its models under its noises, then their controls."""
        assert self.observer is not None
        more = self.inputs.controls
        models = [m for m in self.observer.layers if more is None or m not in more.models]
        own = [View(model, noise) for model in models for noise in self.inputs.specs]
        return own if more is None else [*own, *more.controls.views(own)]

    @property
    def watch(self) -> Watch:
        """The observer with the views and batches that it observes."""
        assert self.observer is not None
        return Watch(
            self.observer,
            frozenset(self.views),
            frozenset(batch.index for batch in self.batches),
            self.analysis.version,
        )

    def with_batches(self, together: Sequence[Batch]) -> dict[str, Any]:
        """The manifest with the sizes of those batches that it observes, if it has an observer."""
        if self.observer is None:
            return dict(self.manifest)
        watch = self.watch
        return {
            **self.manifest,
            "batches": [len(batch.crops) for batch in together if watch.observes_batch(batch)],
        }

    def files(self) -> Files:
        """Its tables, from what the observer has seen; called in every process.

        Raises:
            BadInput: in all processes, if any of them finds some.
        """
        ranks = self.inputs.ranks
        assert self.observer is not None
        with ranks.raise_on_all_ranks():
            return self.analysis.tables(compute_result(self.observer, ranks), self)

    def all_files(self, folder: RunFolder | None, quiet: bool) -> Files:
        """Its tables after the pass, or by its own computation; called in every process.

        σ of noises of matched strength is among them, see `analysis.commands.matched_noises`.
        """
        own = self.analysis.compute
        with failures.memory():
            if own is None:
                progress.step(STATISTICS)
            made = self.files() if own is None else own(self, folder, quiet)
        return {**made, **matched_noises.files(self.inputs)}


def plan(
    analysis: Analysis,
    inputs: RunInputs,
    settings: Settings,
    together: Sequence[Batch] | None = None,
    name: str = "",
) -> AnalysisJob:
    """An analysis of given inputs.

    Args:
        analysis: its record.
        inputs: loaded and checked.
        settings: as given; they are completed here.
        together: batches of the crops, if several analyses share them.
        name: of its folder among others; that of the analysis by default.

    Raises:
        BadInput: settings and inputs that do not go together.
    """
    several = trainings.several(inputs.trainings)
    if several and not analysis.trainings:
        raise BadInput(
            f"{next(iter(several))}: {analysis.name} takes single networks; give each training as "
            "a model of its own, without a name"
        )
    again = None if together is not None else partial(_changed, analysis, inputs, settings, name)
    if analysis.prepare is not None:
        settings = analysis.prepare(inputs, settings)
    inputs = controls.add(inputs, settings)
    if analysis.draws is not None:
        inputs = controls.drawn(inputs, analysis.draws(inputs.specs))
    inputs = repeated_draws.add(inputs, settings)
    cut: list[Batch] = []
    observer = None
    if analysis.observer is not None:
        cut = list(together) if together is not None else batches_of(analysis, inputs, settings)
        observer = analysis.observer(inputs, settings, cut)
    manifest = manifest_of(analysis.name, settings, inputs)
    manifest |= analysis.manifest(inputs, settings, observer)
    called = name or analysis.name
    return AnalysisJob(analysis, inputs, settings, cut, observer, manifest, called, changed=again)


def _changed(
    analysis: Analysis, inputs: RunInputs, settings: Settings, name: str, changes: Changes
) -> AnalysisJob:
    """An analysis of given inputs, with changes.

    Raises:
        BadInput: see `plan`; or nothing is left.
    """
    if changes.batch_size is not None:
        settings = replace(settings, batch_size=changes.batch_size)
    if changes.left_out:
        kept = [model for model in inputs.models if model not in changes.left_out]
        inputs = inputs.subset(models=kept)
        if not inputs.models:
            raise BadInput("no model is left")
    return replace(plan(analysis, inputs, settings, name=name), changes=changes)


def batches_of(analysis: Analysis, inputs: RunInputs, settings: Settings) -> list[Batch]:
    """Batches of the crops, by the analysis' own rule or by their size."""
    if analysis.batches is not None:
        return analysis.batches(inputs, settings)
    side = settings.crop or max(max(crop.pixels.shape[:2]) for crop in inputs.crops)
    return batches(inputs.crops, settings.batch_size or max(1, PIXELS // side**2))
