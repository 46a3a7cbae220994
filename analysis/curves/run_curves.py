"""The curves of training runs, and what the runs were trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands import training_noises
from analysis.commands.run_folder import versions
from analysis.commands.trainings import Trainings, several
from analysis.curves import log_readers, tables, trainings
from analysis.curves.logged import PSNR
from analysis.curves.tables import Trained
from analysis.text.markdown import code, codes
from mtd.noise.training_noise import TrainingNoise
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class RunCurves:
    """The curves of training runs.

    Attributes:
        curves: a row for each value of each training, columns `analysis.curves.tables.COLUMNS`.
        tested: by training, the noises and test sets of its test curves.
        said: by training, the noises that it was trained on, as its log or checkpoints say.
        logs: SHA-256 of each training's log files, by name.
        trainings: by run, in order; a single one has the name of its run.
        notes: what a reader must know of how they were made, as Markdown sentences.
        trained: by run, those of its test curves that are of noises trained on; None where that is
            unknown; see `decided`.
        crops: by training, what its logged test curves are means over, where its recipe says so.
    """

    curves: pd.DataFrame
    tested: Mapping[str, Sequence[str]]
    said: Mapping[str, Sequence[str]]
    logs: Mapping[str, Mapping[str, str]]
    trainings: Trainings
    notes: tuple[str, ...] = ()
    trained: Trained = field(default_factory=dict)
    crops: Mapping[str, str] = field(default_factory=dict)

    def evaluated(self, specs: Sequence[str], said: Mapping[str, Sequence[str]]) -> RunCurves:
        """The same with runs whose checkpoints are evaluated, in place of their logged tests.

        Args:
            specs: the noises.
            said: by training, the noises that it was trained on; where there is none, its log says
                so.
        """
        more = {run: noises or self.said.get(run, ()) for run, noises in said.items()}
        tested = {**self.tested, **dict.fromkeys(said, specs)}
        crops = {run: own for run, own in self.crops.items() if run not in said}
        return replace(self, tested=tested, said={**self.said, **more}, crops=crops)

    def decided(
        self,
        given: Sequence[str],
        notes: Iterable[str] = (),
        levels: training_noises.LevelsOf = dict,
    ) -> RunCurves:
        """The same with the test curves that are of noises trained on, and further notes.

        Args:
            given: values of `--in-distribution`, `[RUN=]SPEC[..SPEC]` or a test set; they go before
                what logs and checkpoints say.
            notes: further ones.
            levels: see `analysis.commands.training_noises.within`.

        Raises:
            BadInput: no such run or noise, or trainings that are none of one run.
        """
        names = {run: [run] for run in self.trainings}
        every = list(dict.fromkeys(noise for noises in self.tested.values() for noise in noises))
        of_all, of_one = training_noises.by_name(given, names, every, "run")
        trained: dict[str, tuple[str, ...] | None] = {}
        for run, tested in self.tests.items():
            own = self.trainings[run]
            noise = training_noises.recorded_by_checkpoint(
                *trainings.said_together(run, self.said, own)
            )
            if texts := of_one.get(run) or of_all:
                noise = TrainingNoise.parse(texts, every)
            known = noise != TrainingNoise() or not tested
            trained[run] = training_noises.within(noise, tested, levels) if known else None
        return replace(self, trained=trained, notes=(*self.notes, *notes))

    @property
    def tests(self) -> dict[str, list[str]]:
        """By run, the noises and test sets of the test curves of all its trainings."""
        return {
            run: trainings.common_tests(self.tested, own) for run, own in self.trainings.items()
        }

    def with_curves(self, curves: Iterable[pd.DataFrame]) -> RunCurves:
        """The same with more curves."""
        return replace(self, curves=tables.concatenated([self.curves, *curves]))

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of a run folder, by file name."""
        if several(self.trainings):
            return trainings.tables_of(self.curves, self.trainings, self.tests, self.trained)
        return {
            "curves.csv": self.curves,
            "summary.csv": tables.summary(self.curves, self.trained),
        }

    def manifest(self, smooth: float) -> dict[str, Any]:
        """The part of a manifest that decides them, evaluations aside."""
        of_several = {run: list(names) for run, names in several(self.trainings).items()}
        return {
            "logs": {run: dict(files) for run, files in self.logs.items()},
            "trained": {run: tables.trained_entry(of) for run, of in self.trained.items()},
            **({"trainings": of_several} if of_several else {}),
            **({"test_crops": dict(self.crops)} if self.crops else {}),
            "smooth": smooth,
            "notes": list(self.notes),
        }

    def manifest_of_logs(self, smooth: float) -> dict[str, Any]:
        """The whole manifest, where nothing is evaluated."""
        return {"analysis": "curves", "versions": versions(), **self.manifest(smooth)}


def read_logs(logs: Mapping[str, Path], of: Trainings | None = None) -> RunCurves:
    """The curves that logs hold, before it is decided which noises runs were trained on.

    Args:
        logs: by the names of their trainings; see `analysis.curves.log_readers.read`.
        of: by run, its trainings; by default each is a run.

    Raises:
        BadInput: not a log, or logs that are not of different trainings.
    """
    curves, tested, said, files, recipes = [], {}, {}, {}, {}
    crops: dict[str, str] = {}
    notes: list[str] = []
    for run, path in logs.items():
        log = log_readers.read(path)
        try:
            frame, notes_of_run = tables.curves_of_log(run, log.lines)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
        curves.append(frame)
        tested[run] = [str(n) for n in dict.fromkeys(frame[frame.quantity == PSNR].noise)]
        said[run], files[run] = [log.trained] if log.trained else [], log.files
        recipes[run] = log.recipe
        if log.test_crops and tested[run]:
            crops[run] = log.test_crops
        notes += [*notes_of_run, *log.notes]
        if log.cut:
            notes.append(
                f"Of {code(run)}, the last line of {codes(log.cut)} is left out: it has no end, as "
                "where a run was killed or still writes."
            )
    of = {run: (run,) for run in logs} if of is None else of
    frames = dict(zip(logs, curves, strict=True))
    for run, names in several(of).items():
        logged = [name for name in names if name in frames]
        trainings.check_recipes(run, {name: recipes[name] for name in logged})
        trainings.check(run, {name: frames[name] for name in logged})
    return RunCurves(
        tables.concatenated(curves), tested, said, files, of, tuple(notes), crops=crops
    )
