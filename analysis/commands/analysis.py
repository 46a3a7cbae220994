"""The record of an analysis: its settings, observer, tables, figures and sentences.

An analysis is a package with one such record, `ANALYSIS` in its `command.py`, and a name in
`analysis.commands.registry`. Commands, reports, `--verify` and the fingerprint of a page read the
record; another package adds an analysis by an entry point of the group `mtd.analyses`.

Functions of a record import what is heavy when they are called, so that `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analysis.text import matched_noises
from analysis.text import trainings as trainings_text
from analysis.text.equal_weights import same_weights

if TYPE_CHECKING:
    from argparse import Namespace

    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.index import Index
    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.result import Result
    from analysis.engine.observer import Batch, Observer
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]
    Files = Mapping[str, pd.DataFrame | bytes]
    Attachments = Mapping[str, bytes]


def no_entries(inputs: RunInputs, settings: Any, observer: Any) -> dict[str, Any]:
    """No entries of the manifest beside those that all analyses share."""
    return {}


def no_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """No sentences."""
    return []


def no_figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """No figures."""
    return {}


def no_pictures(frames: Frames, manifest: Manifest, attachments: Attachments) -> dict[str, Figure]:
    """No figures that show pixels."""
    return {}


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    Attributes:
        name: of its package, command, section of a report and notebook.
        title: heading of its section.
        description: what it does, for `--help`.
        examples: command lines, for `--help`.
        settings: the class of its settings.
        tables: makes its tables, and other files, from what the observer computes, by file name;
            called in every process.
        observer: makes its observer for given inputs, settings and batches; None for an analysis
            that has a pass of its own, see `compute`.
        figures: draws its figures from tables and manifest alone, by file name without ending.
        attachments: names of its files that are no tables, such as pixels.
        main_figure: the one to look at first, by file name; else the first by name.
        pictures: draws those figures that need the attachments, given by name, as well.
        sentences: what follows from tables and manifest, as Markdown; the terminal shows the same
            sentences without markup.
        notes: those of its sentences that must be known wherever its numbers are shown.
        main_sentences: those that matter most, for the top of a report; by default the first.
        answer: the answer to the heading in one sentence; by default the first main sentence.
        terminal_table: the tables in short, as plain text.
        prepare: checks and completes the settings once the inputs are known.
        draws: how many other draws of each noise its controls need, for given noises, the first
            of which is the reference; by default one of each.
        batches: cuts crops into batches; by default as many crops as suit their size.
        manifest: entries of the manifest beside those that all analyses share.
        load_inputs: loads and checks models, noises and crops; by default the shared rule.
        compute: replaces the pass through the networks, for an analysis that has its own.
        table_names: its tables in order; by default all that a run folder holds.
        keys: columns that identify a row, by table; `--verify` computes rows of the first again.
        report_crops: crops of its section in a report; None for an analysis without a section.
        report_settings: adapts its settings to a report's crops and noises; of an analysis with a
            pass of its own also the side of its crops, which are then cut from the report's.
        report_default: whether a report has its section where none is named; False for one that
            takes long.
        index: one number of each model, for `analysis.compare` and a report's leaderboard.
        version: of what its observer extracts; part of every cache key.
        package: where its code and figures are, for the fingerprint of a page.
        result: the class of its results.
        mode: the record of the run that settings ask for, where an option of the command stands
            for another kind of run; by default this one.
        requests: takes the models of a command line in another way than as checkpoints.
        trainings: whether its tables have the mean over several trainings of a model.
        needs_layers: whether it needs networks; otherwise a report shows it for classical
            denoisers, too.
        about_trainings: what its intervals speak of where a model has several.
    """

    name: str
    title: str
    description: str
    examples: str
    settings: type[Any]
    tables: Callable[[Any, AnalysisJob], Files]
    sentences: Callable[[Frames, Manifest], list[str]]
    observer: Callable[[RunInputs, Any, Sequence[Batch]], Observer] | None = None
    figures: Callable[[Frames, Manifest], Mapping[str, Figure]] = no_figures
    main_figure: str = ""
    attachments: tuple[str, ...] = ()
    pictures: Callable[[Frames, Manifest, Attachments], Mapping[str, Figure]] = no_pictures
    notes: Callable[[Frames, Manifest], list[str]] = no_sentences
    main_sentences: Callable[[Frames, Manifest], list[str]] | None = None
    answer: Callable[[Frames, Manifest], Answer] | None = None
    terminal_table: Callable[[Frames, Manifest], str] | None = None
    prepare: Callable[[RunInputs, Any], Any] | None = None
    draws: Callable[[Sequence[str]], Mapping[str, int]] | None = None
    batches: Callable[[RunInputs, Any], list[Batch]] | None = None
    manifest: Callable[[RunInputs, Any, Any], dict[str, Any]] = no_entries
    load_inputs: Callable[[Any, Any, Any], RunInputs] | None = None
    compute: Callable[[AnalysisJob, Any, bool], Files] | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table_names: tuple[str, ...] = ()
    report_crops: int | None = None
    report_settings: Callable[[Any], Any] | None = None
    report_default: bool = True
    index: Index | None = None
    version: int = 1
    package: str = ""
    result: Callable[[], type[Result]] | None = None
    mode: Callable[[Any], Analysis] | None = None
    requests: Callable[[Any, Namespace], Models] | None = None
    trainings: bool = False
    needs_layers: bool = True
    about_trainings: Callable[[Manifest], list[str]] = trainings_text.units

    def all_sentences(self, frames: Frames, manifest: Manifest) -> list[str]:
        """Its sentences, and what concerns models and noises of every analysis."""
        about_noises = matched_noises.sentences(frames)
        about_models = [*same_weights(manifest), *self.about_trainings(manifest)]
        return [*about_models, *self.sentences(frames, manifest), *about_noises]

    def answered(self, frames: Frames, manifest: Manifest) -> Answer:
        """The answer to its heading; without a function for it, the first main sentence."""
        from analysis.text.answers import of_sentences

        if self.answer is not None:
            return self.answer(frames, manifest)
        return of_sentences((self.main_sentences or self.sentences)(frames, manifest))

    @property
    def all_table_names(self) -> tuple[str, ...]:
        """Its tables in order, and those of every analysis; none for all that a folder holds."""
        return self.table_names and (*self.table_names, matched_noises.NAME)

    @property
    def home(self) -> str:
        """The package or module that holds its code: by default that of its settings."""
        return (
            self.package
            or self.settings.__module__.rpartition(".")[0]
            or (self.settings.__module__)
        )
