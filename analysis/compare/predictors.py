"""Numbers that might tell how a model generalizes, read from run folders of other analyses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_folder import read_manifest, read_notes, read_tables
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

TARGETS = {
    "gap": "PSNR lost from trained to unseen noise (dB)",
    "unseen": "PSNR under unseen noise (dB)",
}
"""What is to be predicted."""

Trained = AbstractSet[str]


@dataclass(frozen=True)
class Index:
    """A number that might tell how a model generalizes.

    Attributes:
        name: its column.
        analysis: whose run folder has it.
        table: which of its tables.
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
    values: pd.Series = (
        unseen[unseen.last_features.astype(bool)].groupby("model").w1_relative.mean()
    )
    return values


def _sensitivity(frame: pd.DataFrame, trained: Trained) -> pd.Series:
    unseen = frame[~frame.noise.isin(trained)]
    last = unseen.groupby(["model", "noise"])["index"].transform("max") == unseen["index"]
    return unseen[last].groupby("model").gain.mean()


INDICES = (
    Index("srga", "srga", "srga", "SRGA, mean over unseen noises", _srga),
    Index("cka", "cka", "deep", "CKA of the deepest blocks between noises", _cka),
    Index("separability", "degradation", "degradation", "CH of the last features", _separability),
    Index("distance", "distributions", "distributions", "W1 of deep features (σ)", _distance),
    Index("sensitivity", "sensitivity", "sensitivity", "gain of the output", _sensitivity),
)

PREDICTED = "generalization"


def gather(paths: Sequence[Path]) -> pd.DataFrame:
    """One row for each model: what it loses, and every index that the run folders hold.

    Models are the same if their files are, whatever they are called; names are those of the
    generalization run. An index may come from several runs of its analysis, on other models each.

    Raises:
        BadInput: no run folder, another analysis, a model twice in runs of one kind, not just one
            run of generalization, or no index.
    """
    known = {PREDICTED, *(index.analysis for index in INDICES)}
    found: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for path in paths:
        manifest = read_manifest(path)
        kind = str(manifest.get("analysis"))
        if kind not in known:
            raise BadInput(f"{path}: a run of {kind}; expected one of {', '.join(sorted(known))}")
        if manifest.get("measure", "cka") != "cka":
            raise BadInput(f"{path}: a run of {manifest['measure']}; CKA is compared")
        for before, other in found.get(kind, ()):
            if kind == PREDICTED or set(digests(other)) & set(digests(manifest)):
                raise BadInput(f"{path}: a second run of {kind}, after {before}; give one")
        found.setdefault(kind, []).append((path, manifest))
    if PREDICTED not in found:
        raise BadInput("no run of analysis.generalization among them: what is to be predicted?")
    if len(found) < 2:
        raise BadInput("no index: give a run of " + ", ".join(sorted(known - {PREDICTED})))
    path, manifest = found[PREDICTED][0]
    scores = _table(path, "generalization")
    psnr = scores[scores.metric == "psnr"].set_index("model")
    for place, about in (pair for kind in found if kind != PREDICTED for pair in found[kind]):
        if difference := differing(manifest, about):
            raise BadInput(f"{place} and {path} differ in {difference}: make them alike")
    models = digests(manifest)
    trained = set(manifest.get("in_distribution", ()))
    frame = pd.DataFrame({"model": list(models.values()), "checkpoint": list(models)})
    frame["gap"] = frame.model.map(psnr.gap)
    frame["unseen"] = frame.model.map(psnr.out_of_distribution)
    for index in (index for index in INDICES if index.analysis in found):
        held: dict[str, Any] = {}
        for path, manifest in found[index.analysis]:
            values = index.read(_table(path, index.table), trained)
            held |= {digest: values.get(name) for digest, name in digests(manifest).items()}
        frame[index.name] = frame.checkpoint.map(held).astype(float)
    return frame


def digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """A run's models: what they are called there, by their files' digests."""
    return {about["sha256"]: name for name, about in manifest["models"].items()}


ALIKE = ("attention_mask", "mask_samples", "input_mask", "quantize")
"""What decides which network and which noise is looked at: runs that differ cannot be joined."""

NOTED = ("noises", "crops", "seed", "mask_pairing")
"""What runs may differ in, with a note."""


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """In what two runs of other analyses differ so that they cannot be joined, or nothing."""
    for name in ALIKE:
        if one.get(name) != other.get(name):
            return name.replace("_", " ")
    names = digests(other)
    for name, about in one["models"].items():
        same = names.get(about["sha256"])
        for what in ("policy", "usage"):
            if same and other["models"][same].get(what) != about.get(what):
                return f"{what} of {name}"
    return ""


def remarks(paths: Sequence[Path]) -> list[str]:
    """What must be known of runs that are compared: where they differ, what each says itself."""
    manifests = {path: read_manifest(path) for path in paths}
    predicted = next(m for m in manifests.values() if m["analysis"] == PREDICTED)
    found: dict[str, None] = {}
    for path, manifest in manifests.items():
        for name in NOTED:
            mine, theirs = (_plain(m.get(name)) for m in (manifest, predicted))
            if mine != theirs:
                what = name.replace("_", " ")
                found[f"{path} has other {what} than PSNR was measured with"] = None
    said: dict[str, dict[str, None]] = {}
    for path, manifest in manifests.items():
        for note in read_notes(path):
            if not note.startswith("[ ]"):  # of intervals, which are not shown here
                said.setdefault(note, {})[manifest["analysis"]] = None
    return [*found, *(f"{note} ({', '.join(kinds)})" for note, kinds in said.items())]


def _plain(value: Any) -> Any:
    """A manifest's entry, but for what analyses differ in by their nature."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return sorted(set(value) - {CLEAN})
    return value


def _table(path: Path, name: str) -> pd.DataFrame:
    tables = read_tables(path, [name])
    if name not in tables:
        raise BadInput(f"{path}: {name}.csv is missing; run it to its end, with --resume")
    return tables[name]
