"""A study: the run folders behind the page, by name, and what of them the page keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_manifest import MANIFEST, read_manifest
from analysis.commands.run_tables import read_tables
from analysis.generalization import conditions
from analysis.generalization.conditions import Table
from mtd.utils import folder_files
from mtd.utils.errors import BadInput

NAME = "findings"

CLAIMS, CELLS, SNAPSHOTS, BY_TRAINING = "claims", "cells", "snapshots", "trainings"

ABLATION, BRIGHTNESS, LEVELS, RENDERED = "ablations", "brightness", "levels", "monte_carlo"
TISSUE, HIDDEN, CURVES = "tissue", "tissue_hidden", "curves"
PAIR, LONGER = "pair", "pair_longer"
"""Names of runs; those of the pair are reports. The pair of `pair_longer` and `curves` is trained
four times as long. `RUN-seed2` is a run of the same kind, of trainings with seed 2."""

SCORES = "scores"
"""Folder of the page with the tables that its numbers are computed from."""

STORED = "stored"
"""Table of contrasts whose scores were not kept; see `Study.stored`."""

TABLES = {
    "benchmark": (f"{PAIR}/generalization", "noises"),
    "levels": (LEVELS, "noises"),
    "monte_carlo": (RENDERED, "noises"),
    "brightness": (BRIGHTNESS, "brightness"),
    "brightness_images": (BRIGHTNESS, "images"),
    "completion_80": ("completion_80", "noises"),
    "completion_90": ("completion_90", "noises"),
    "tissue": (TISSUE, "noises"),
    "tissue_hidden": (HIDDEN, "noises"),
    "curves": (CURVES, "curves"),
    "summary": (CURVES, "summary"),
    "last_quarter": (f"{PAIR}/cka", "last_quarter"),
    "srga": (f"{PAIR}/srga", "srga"),
    "distributions": (f"{PAIR}/distributions", "distributions"),
}
"""Tables that the page copies from runs, by name: run and table."""

DERIVED = {
    CELLS: (ABLATION,),
    SNAPSHOTS: ("snapshots_visible", "snapshots_hidden"),
    BY_TRAINING: (PAIR, LONGER, CURVES),
}
"""Tables that are computed from several runs, with these runs."""

PICTURES = {
    "figure1": (f"{PAIR}/generalization", "strip_mixture_4"),
    "figure2": (TISSUE, "strip_gaussian_15"),
    "figure2_hidden": (HIDDEN, "strip_gaussian_15"),
    "figure3_80": ("completion_80", "strip_gaussian_0"),
    "figure3_90": ("completion_90", "strip_gaussian_0"),
    "figure5": (BRIGHTNESS, "brightness"),
    "figure9": (RENDERED, "strip_monte_carlo_16"),
    "figure12_models": (f"{PAIR}/cka", "cross_model"),
    "figure12_noises": (f"{PAIR}/cka", "depth"),
    "figure13": (CURVES, "curves"),
    "figure14": (f"{PAIR}/srga", "srga"),
    "figure15": (f"{PAIR}/distributions", "distributions"),
}
"""Figures that the page copies from runs, by name: run and figure."""

KEPT = {
    "generalization": ("results", "noises"),
    "brightness": ("brightness", "images"),
    "curves": ("curves", "summary"),
    "cka": ("last_quarter", "cka"),
    "srga": ("srga",),
    "distributions": ("distributions",),
}
"""Tables of a run that verdicts and tables of the page are computed from, by analysis."""

COLUMNS = {
    "results": (
        *("model", "noise", "kind", "level", "image", "scene", "top", "left", "height", "width"),
        *("sha256", "metric", "value"),
    ),
    "images": ("model", "noise", "image", "sha256", "shift", "distance"),
    "last_quarter": (
        *("model_a", "noise_a", "model_b", "noise_b", "cka", "low", "high", "photographs"),
    ),
    "cka": ("model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b", "cka"),
    "srga": ("model", "noise", "reference", "srga", "low", "high", "photographs"),
    "distributions": (
        *("model", "noise", "reference", "last_features", "w1_relative", "photographs"),
    ),
    "curves": ("run", "source", "quantity", "noise", "step", "value"),
    "noises": ("model", "noise", "kind", "level", "metric", "mean", "low", "high"),
    STORED: ("finding", "quantity", "value", "low", "high", "draws", "weakest", "strongest"),
}
"""Columns that are read, by table."""

NUMERIC = ("value", "cka", "srga", "low", "high", "w1_relative", "shift", "distance", "mean")


@dataclass
class Study:
    """A folder of run folders, or the scores that a page keeps of them; each table is read once.

    Attributes:
        path: the folder.
    """

    path: Path
    frames: dict[tuple[str, str], pd.DataFrame | None] = field(default_factory=dict)
    score_tables: dict[tuple[str, str], Table | None] = field(default_factory=dict)

    def runs(self) -> list[str]:
        """The run folders that the page knows, those of other seeds after each."""
        known = [run for run, _ in (*TABLES.values(), *PICTURES.values())]
        known += [run for name in (CELLS, SNAPSHOTS) for run in DERIVED[name]]
        known += [run.replace(PAIR, LONGER, 1) for run in known if run.startswith(f"{PAIR}/")]
        every = [name for run in dict.fromkeys(known) for name in (run, *self.repeats(run))]
        return [name for name in every if folder_files.holds(self.path, f"{name}/{MANIFEST}")]

    def repeats(self, run: str) -> list[str]:
        """The runs of the same kind with trainings of other seeds, in the order of the seeds.

        `pair-seed2/cka` repeats `pair/cka`.
        """
        first, _, rest = run.partition("/")
        folders = [path.name for path in self.path.glob(f"{first}-seed*")]
        folders = [name for name in folders if name.removeprefix(f"{first}-seed").isdigit()]
        folders.sort(key=lambda name: int(name.removeprefix(f"{first}-seed")))
        return [f"{name}/{rest}".rstrip("/") for name in folders]

    def table(self, run: str, name: str) -> pd.DataFrame | None:
        """A table of a run; None if the run is missing, or has no such table.

        Raises:
            BadInput: it cannot be read, or lacks a column.
        """
        key = run, name
        if key not in self.frames:
            folder = folder_files.path_of(self.path, run) if run else self.path
            self.frames[key] = self._read(folder, name)
        return self.frames[key]

    def _read(self, folder: Path, name: str) -> pd.DataFrame | None:
        path = folder / f"{name}.csv"
        try:
            frame = read_tables(folder, [name]).get(name)
        except ValueError as error:
            raise BadInput(f"{path}: damaged ({error})") from None
        if frame is None:
            return None
        for column in COLUMNS.get(name, ()):
            if column not in frame:
                raise BadInput(f"{path}: damaged (no column {column})")
            if column in NUMERIC and not pd.api.types.is_numeric_dtype(frame[column]):
                raise BadInput(f"{path}: damaged ({column} holds no numbers)")
        return frame

    def manifest(self, run: str) -> dict[str, Any]:
        """The manifest of a run.

        Raises:
            BadInput: it is missing or damaged.
        """
        return read_manifest(folder_files.path_of(self.path, run))

    def scores(self, run: str, metric: str) -> Table | None:
        """The scores of a benchmark's images by one metric; None if there are none.

        Raises:
            BadInput: the networks were not all evaluated on the same images.
        """
        key = run, metric
        if key not in self.score_tables:
            self.score_tables[key] = self._scores(run, metric)
        return self.score_tables[key]

    def _scores(self, run: str, metric: str) -> Table | None:
        frame = self.table(run, "results")
        if frame is None or metric not in set(frame.metric):
            return None
        rows = frame[frame.metric == metric]
        counts = rows.groupby(["model", "noise"]).size().unstack()
        if counts.isna().any(axis=None) or (counts.nunique() > 1).any():
            raise BadInput(f"{self.path / run}/results.csv: damaged (rows are missing)")
        return conditions.table(rows, metric, self.manifest(run)["in_distribution"])

    def mean(self, run: str, metric: str, model: str, noise: str) -> float:
        """The mean score of a model under a noise, or over all levels of a kind of noise.

        Of the scores; of the table of means if no scores were kept. NaN if it has neither.
        """
        scores = self.scores(run, metric)
        if scores is not None:
            if model not in scores.models:
                return math.nan
            place = scores.models.index(model)
            found = [c for c in scores.conditions if noise in (c.noise, c.kind)]
            values: Sequence[float] = [float(c.values[:, place].mean()) for c in found]
        else:
            frame = self.table(run, "noises")
            if frame is None:
                return math.nan
            rows = frame[(frame.model == model) & (frame.metric == metric)]
            values = list(rows["mean"][(rows.noise == noise) | (rows.kind == noise)])
        return sum(values) / len(values) if values else math.nan

    def models(self, run: str, metric: str) -> list[str]:
        """The models of a benchmark, the noisy input included."""
        scores = self.scores(run, metric)
        if scores is not None:
            return scores.models
        frame = self.table(run, "noises")
        return [] if frame is None else [str(name) for name in frame.model.unique()]

    def stored(self, finding: str, quantity: str) -> dict[str, Any] | None:
        """A contrast of one training of each network, whose scores were not kept, as measured.

        Columns `value`, `low`, `high`, `draws`, `weakest` and `strongest` of `stored.csv`.
        """
        frame = self.table("", STORED)
        if frame is None:
            return None
        rows = frame[(frame.finding == finding) & (frame.quantity == quantity)]
        return None if rows.empty else {str(k): v for k, v in rows.iloc[0].items()}
