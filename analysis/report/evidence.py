"""The tables that the verdict of a report and its main figure are read from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.generalization.pairwise_tests import PairedDifference, paired_differences
from analysis.generalization.summary import scores_of_models
from analysis.report import sections
from analysis.report.settings import BENCHMARK
from analysis.stats.jackknife import ENOUGH
from mtd.utils.errors import BadInput

ERROR = "error"
"""The section of the error decomposition."""

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Evidence:
    """The tables that a verdict is read from.

    Attributes:
        scores: of the benchmark; none without that section.
        about: the manifest of the benchmark.
        error: of the error decomposition; none without that section.
        models: names of the report's models.
        metric: by which models are compared.
    """

    scores: Frames
    about: Mapping[str, Any]
    error: Frames
    models: Sequence[str]
    metric: str = "psnr"

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """The tables in a report's folder."""
        tables: dict[str, Frames] = {}
        manifests: dict[str, Mapping[str, Any]] = {}
        for name in (BENCHMARK, ERROR):
            try:
                manifests[name] = read_manifest(folder / name)
                tables[name] = read_tables(folder / name, sections.records()[name].table_names)
            except BadInput:
                manifests[name], tables[name] = {}, {}
        models = list(next((m["models"] for m in manifests.values() if m.get("models")), ()))
        found = tables[BENCHMARK].get(BENCHMARK)
        metrics = [] if found is None else list(dict.fromkeys(found.metric))
        metric = "psnr" if "psnr" in metrics or not metrics else str(metrics[0])
        return cls(tables[BENCHMARK], manifests[BENCHMARK], tables[ERROR], models, metric)

    @cached_property
    def ranked(self) -> list[str]:
        """The networks, the best first; without references."""
        if BENCHMARK not in self.scores:
            return list(self.models)
        return [str(name) for name in scores_of_models(self.scores, self.metric).model]

    @cached_property
    def tested(self) -> pd.DataFrame:
        """The rows of the benchmark's table of noises by the metric."""
        frame = self.scores["noises"]
        return frame[frame.metric == self.metric]

    @cached_property
    def tests(self) -> dict[tuple[str, str], dict[str, PairedDifference]]:
        """The paired tests of every two networks, in both orders, by noise."""
        return {
            (a, b): paired_differences(self.scores["tests"], self.metric, a, b)
            for a, b in permutations(self.ranked, 2)
        }

    @cached_property
    def photographs(self) -> int:
        """Photographs of the benchmark, the smallest number where it differs between noises."""
        return fewest([self.tested] if BENCHMARK in self.scores else [])

    @cached_property
    def decomposed(self) -> int:
        """Photographs of the error decomposition, the smallest number where it differs."""
        return fewest([frame for frame in self.error.values() if "photographs" in frame])

    @cached_property
    def few(self) -> bool:
        """Whether the benchmark rests on too few photographs for something to be shown."""
        weak = any(
            test.undecidable
            for of in (self.tests.values() if BENCHMARK in self.scores else ())
            for test in of.values()
            if math.isfinite(test.value)
        )
        return weak or self.photographs < ENOUGH


def fewest(frames: Sequence[pd.DataFrame]) -> int:
    """The smallest number of photographs in some tables; 0 for none."""
    return min((int(frame.photographs.min()) for frame in frames if len(frame)), default=0)
