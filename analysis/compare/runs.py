"""Runs of analyses that are compared, from run folders or from memory, and what must be alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd

from analysis.commands import training_noises
from analysis.commands.registry import analysis
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables, reading
from analysis.commands.trainings import TRAINING
from mtd.utils.errors import BadInput

ALIKE = ("channels", "input_mask", "quantize", "autocast")
"""Settings that must be equal for runs to be compared."""


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
    def read(cls, path: Path, kinds: Collection[str]) -> Self:
        """The run of a folder.

        Args:
            path: the folder.
            kinds: names of the analyses that it may be of.

        Raises:
            BadInput: no run folder, another analysis, or damaged tables.
        """
        empty = cls(str(path), read_manifest(path), {})
        if empty.kind not in kinds:
            names = ", ".join(sorted(kinds))
            raise BadInput(f"{path}: a run of {empty.kind}; expected one of {names}")
        with empty.reading():
            return replace(empty, frames=read_tables(path, analysis(empty.kind).table_names))

    @property
    def kind(self) -> str:
        """The name of its analysis."""
        return str(self.manifest.get("analysis"))

    @property
    def models(self) -> dict[str, str]:
        """The names of its models, of copies the first, by the SHA-256 of what decides outputs."""
        names: dict[str, str] = {}
        with self.reading():
            for name, about in self.manifest["models"].items():
                names.setdefault(about.get("identity", about["sha256"]), name)
        return names

    @property
    def trainings(self) -> dict[str, str]:
        """The names of the trainings of models with several, by the same digest of each."""
        with self.reading():
            return {
                own.get("identity", own["sha256"]): name
                for about in self.manifest["models"].values()
                for name, own in about.get("trainings", {}).items()
            }

    @property
    def trained(self) -> list[str]:
        """Those of its noises that some of its models were trained on, as far as that is known."""
        with self.reading():
            known = training_noises.from_entry(
                self.manifest.get("in_distribution", ()), self.manifest["models"]
            )
            noises: list[str] = self.manifest["noises"]
            return [n for n in noises if any(n in of for of in known.values() if of is not None)]

    @property
    def reference(self) -> str:
        """Its first noise, with which an analysis that needs a reference compares the others."""
        with self.reading():
            return str(self.manifest["noises"][0])

    def single_trainings(self, name: str) -> pd.DataFrame | None:
        """One of its tables, of single trainings under their own names; None if it has none."""
        frame = self.frames.get(f"{name}_by_{TRAINING}")
        if frame is None:
            return None
        names = [str(name) for name in frame if str(name).startswith(TRAINING)]
        own = {name: name.replace(TRAINING, "model") for name in names}
        return frame.drop(columns=list(own.values())).rename(columns=own)

    def table(self, name: str) -> pd.DataFrame:
        """One of its tables.

        Raises:
            BadInput: it is missing.
        """
        if name not in self.frames:
            raise BadInput(f"{self.place}: {name}.csv is missing; finish the run with --resume")
        return self.frames[name]

    def network(self, name: str) -> dict[str, Any]:
        """What decides the outputs of one of its models beside the weights, by name."""
        about = self.manifest["models"][name]
        own = {"policy": about.get("policy"), "usage": about.get("usage")}
        for setting in ("attention_mask", "mask_samples"):
            value = self.manifest.get(setting)
            own[setting] = value.get(name) if isinstance(value, Mapping) else value
        return own | {"loading": about.get("identity")}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context in which its manifest and tables are read.

        Raises:
            BadInput: an entry, table or column is missing or damaged, as in a run of another
                version or a folder that was edited.
        """
        with reading(self.place):
            yield


def difference(one: Run, other: Run) -> str:
    """The first difference that makes two runs incomparable; "" if there is none.

    Raises:
        BadInput: a damaged manifest.
    """
    for name in ALIKE:
        if one.manifest.get(name) != other.manifest.get(name):
            return name.replace("_", " ")
    with one.reading():
        names_by_file: dict[str, list[str]] = {}
        for name, about in one.manifest["models"].items():
            names_by_file.setdefault(about["sha256"], []).append(name)
    with other.reading():
        for name, about in other.manifest["models"].items():
            same = names_by_file.get(about["sha256"], [])
            changes = [network_change(one.network(own), other.network(name)) for own in same]
            if changes and all(changes):
                return f"{changes[0].replace('_', ' ')} of {same[0]}"
    return ""


def network_change(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first entry of `Run.network` in which two networks differ; "" if they do not."""
    return next((name for name, value in one.items() if other[name] != value), "")
