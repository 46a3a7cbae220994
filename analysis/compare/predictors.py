"""Numbers that might predict how a model generalizes, read from the tables of other analyses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.registry import analysis
from analysis.commands.run_folder import read_manifest, read_tables
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

DROP, UNSEEN = "ood_drop", "unseen"

TARGETS = {
    DROP: "PSNR drop from trained to unseen noise (dB)",
    UNSEEN: "PSNR under unseen noise (dB)",
}
"""The targets of the prediction, with their labels."""

Trained = AbstractSet[str]


@dataclass(frozen=True)
class Index:
    """A number that might predict how a model generalizes.

    Attributes:
        name: its column.
        analysis: that computes it.
        table: of that analysis, which holds it.
        label: for figures.
        read: one value for each model, from that table and the noises that count as trained on.
    """

    name: str
    analysis: str
    table: str
    label: str
    read: Callable[[pd.DataFrame, Trained], pd.Series]


def _srga(frame: pd.DataFrame, trained: Trained) -> pd.Series:
    unseen = frame[(frame.noise != frame.reference) & ~frame.noise.isin(trained)]
    return unseen.groupby("model").srga.mean()


def _cka(frame: pd.DataFrame, _: Trained) -> pd.Series:
    same = (frame.model_a == frame.model_b) & (frame.noise_a != frame.noise_b)
    return frame[same].groupby("model_a").cka.mean()


def _separability(frame: pd.DataFrame, _: Trained) -> pd.Series:
    return frame[frame.last_features.astype(bool)].groupby("model").ch_noise.mean()


def _distance(frame: pd.DataFrame, trained: Trained) -> pd.Series:
    unseen = frame[(frame.noise != frame.reference) & ~frame.noise.isin(trained)]
    last: pd.DataFrame = unseen[unseen.last_features.astype(bool)]
    return last.groupby("model").w1_relative.mean()


def _sensitivity(frame: pd.DataFrame, trained: Trained) -> pd.Series:
    unseen = frame[~frame.noise.isin(trained)]
    last = unseen.groupby(["model", "noise"])["index"].transform("max") == unseen["index"]
    return unseen[last].groupby("model").gain.mean()


INDICES = (
    Index("srga", "srga", "srga", "SRGA, mean over unseen noises", _srga),
    Index("cka", "cka", "last_quarter", "CKA of the last quarter between noises", _cka),
    Index("separability", "degradation", "degradation", "CH of the last features", _separability),
    Index("distance", "distributions", "distributions", "W1 of the last features (σ)", _distance),
    Index("sensitivity", "sensitivity", "sensitivity", "gain of the output", _sensitivity),
)

PREDICTED = "generalization"
"""The analysis that measures the targets."""

KNOWN = tuple(dict.fromkeys((PREDICTED, *(index.analysis for index in INDICES))))
"""The analyses whose runs are compared."""


@dataclass(frozen=True)
class Run:
    """The tables of an analysis, from a run folder or in memory.

    Attributes:
        place: the folder, or a name, for messages.
        manifest: see `analysis.commands.run_folder`.
        frames: its tables by name.
    """

    place: str
    manifest: Mapping[str, Any]
    frames: Mapping[str, pd.DataFrame]

    @classmethod
    def read(cls, path: Path) -> Run:
        """The run of a folder.

        Raises:
            BadInput: no run folder, or of an analysis without an index.
        """
        manifest = read_manifest(path)
        kind = str(manifest.get("analysis"))
        if kind not in KNOWN:
            names = ", ".join(sorted(KNOWN))
            raise BadInput(f"{path}: a run of {kind}; expected one of {names}")
        return cls(str(path), manifest, read_tables(path, analysis(kind).table_names))

    @property
    def kind(self) -> str:
        """The name of its analysis."""
        return str(self.manifest["analysis"])

    @property
    def models(self) -> dict[str, str]:
        """The names of its models, by the SHA-256 of their files."""
        return {about["sha256"]: name for name, about in self.manifest["models"].items()}

    def table(self, name: str) -> pd.DataFrame:
        """One of its tables.

        Raises:
            BadInput: it is missing.
        """
        if name not in self.frames:
            raise BadInput(f"{self.place}: {name}.csv is missing; finish the run with --resume")
        return self.frames[name]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context in which its tables are read.

        Raises:
            BadInput: a table or column is missing, as in a run of another version.
        """
        try:
            yield
        except (KeyError, AttributeError, StopIteration) as error:
            raise BadInput(f"{self.place}: incomplete ({error}); run it again") from None


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs of several folders.

    Raises:
        BadInput: see `Run.read`.
    """
    return [Run.read(path) for path in paths]


def gather(runs: Sequence[Run]) -> pd.DataFrame:
    """One row for each model: its PSNR drop, and every index that the runs hold.

    Models are the same if their files are, whatever they are called; names are those of the
    generalization run. An index may come from several runs of its analysis, on other models each.

    Raises:
        BadInput: a model twice in runs of one analysis, not just one run of generalization, no
            index, or runs that differ in networks or noise.
    """
    by_kind = grouped(runs)
    predicted = by_kind[PREDICTED][0]
    scores = predicted.table("generalization")
    psnr = scores[scores.metric == "psnr"].set_index("model")
    for run in runs:
        if run is not predicted and (difference := differing(predicted, run)):
            raise BadInput(f"{run.place} and {predicted.place} differ in {difference}: use one")
    trained = set(predicted.manifest.get("in_distribution", ()))
    models = predicted.models
    frame = pd.DataFrame({"model": list(models.values()), "checkpoint": list(models)})
    with predicted.reading():
        frame[DROP] = frame.model.map(psnr.ood_drop)
        frame[UNSEEN] = frame.model.map(psnr.out_of_distribution)
    for index in (index for index in INDICES if index.analysis in by_kind):
        by_file: dict[str, Any] = {}
        for run in by_kind[index.analysis]:
            table = run.table(index.table)
            with run.reading():
                values = index.read(table, trained)
            by_file |= {digest: values.get(name) for digest, name in run.models.items()}
        frame[index.name] = frame.checkpoint.map(by_file).astype(float)
    return frame


def grouped(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by their analysis.

    Raises:
        BadInput: see `gather`.
    """
    by_kind: dict[str, list[Run]] = {}
    for run in runs:
        measure = run.manifest.get("measure", "cka")
        if measure != "cka":
            raise BadInput(f"{run.place}: a run of {measure}; CKA is compared")
        for other in by_kind.get(run.kind, ()):
            if run.kind == PREDICTED or set(other.models) & set(run.models):
                raise BadInput(
                    f"{run.place}: a second run of {run.kind}, after {other.place}; give one"
                )
        by_kind.setdefault(run.kind, []).append(run)
    if PREDICTED not in by_kind:
        raise BadInput(f"no run of analysis.{PREDICTED} among them: PSNR drops are taken from it")
    if len(by_kind) < 2:
        raise BadInput(f"no index: give a run of {', '.join(sorted({*KNOWN} - {PREDICTED}))}")
    return by_kind


ALIKE = ("attention_mask", "mask_samples", "input_mask", "quantize")
"""Settings of networks and noise that must be equal for runs to be compared."""

NOTED = ("noises", "crops", "seed", "mask_draws")
"""Settings in which runs may differ; a note says so."""


def differing(one: Run, other: Run) -> str:
    """The first difference that makes two runs incomparable; "" if there is none."""
    for name in ALIKE:
        if one.manifest.get(name) != other.manifest.get(name):
            return name.replace("_", " ")
    for name, about in one.manifest["models"].items():
        same = other.models.get(about["sha256"])
        for what in ("policy", "usage"):
            if same and other.manifest["models"][same].get(what) != about.get(what):
                return f"{what} of {name}"
    return ""


def notes(runs: Sequence[Run]) -> pd.DataFrame:
    """Notes on the runs: how they differ, and the notes of each.

    Columns: `analysis`, the analyses concerned, with commas; `note`, a sentence in Markdown.
    """
    predicted = next(run for run in runs if run.kind == PREDICTED)
    analyses: dict[str, dict[str, None]] = {}
    for run in runs:
        for name in NOTED:
            own, others = (without_clean(r.manifest.get(name)) for r in (run, predicted))
            if own != others:
                note = f"Computed with other {name.replace('_', ' ')} than the PSNR."
                analyses.setdefault(note, {})[run.kind] = None
    for run in runs:
        with run.reading():
            for note in analysis(run.kind).notes(run.frames, run.manifest):
                analyses.setdefault(note, {})[run.kind] = None
    rows = [(", ".join(kinds), note) for note, kinds in analyses.items()]
    return pd.DataFrame(rows, columns=["analysis", "note"])


def without_clean(value: Any) -> Any:
    """A manifest's entry; of a list of noises their set, without the clean image."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return sorted(set(value) - {CLEAN})
    return value
