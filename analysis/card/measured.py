"""What a benchmark measured of one model: the part of a run that a card is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands import training_noises
from analysis.commands.run_lookup import open_run
from analysis.commands.run_manifest import MANIFEST, read_log, read_manifest
from analysis.generalization.conditions import CROP, contestants, references_in
from analysis.generalization.metrics import OWN, facts
from analysis.generalization.summary import OF_PROTOCOL
from analysis.stats.trainings import LEAST
from analysis.text.intervals import BUNDLED
from analysis.text.noise_labels import NOISY
from mtd.utils.errors import BadInput, one_of
from mtd.utils.messages import plural

BENCHMARK = "generalization"

NO_SUITE = "none"
"""Name of the suite of a run whose noises were given one by one."""

DOMAINS = {"y": "luma"}
"""What a manifest's `channel` is called in a protocol, where it is not called the same."""

OF_MODELS = ("tiled", "in_distribution_given", "in_distribution_assumed")
"""Entries of a manifest that say something of some of its models: by name, or a list of names."""


@dataclass(frozen=True)
class Measured:
    """What a run measured of one model.

    Attributes:
        model: its name.
        frames: the tables of the run, with rows of this model, the references and the noisy input.
        manifest: of the run, with this model alone.
        log: the entry of `run.json` for the start that finished it; empty if it was copied without.
        split: by noise, whether scores count it as trained on (True), as unseen (False) or as
            neither.
    """

    model: str
    frames: Mapping[str, pd.DataFrame]
    manifest: Mapping[str, Any]
    log: Mapping[str, Any]
    split: Mapping[str, bool | None]

    @property
    def about(self) -> Mapping[str, Any]:
        """What the manifest says of the model."""
        entry: Mapping[str, Any] = self.manifest["models"][self.model]
        return entry

    @property
    def trained(self) -> list[str] | None:
        """The noises of the run that it was trained on; None if that is unknown."""
        noises = training_noises.from_entry(self.manifest["in_distribution"], [self.model])
        own = noises[self.model]
        return None if own is None else list(own)

    @property
    def metrics(self) -> list[str]:
        """In the order of the tables."""
        return [str(name) for name in self.frames[BENCHMARK].metric.unique()]

    @property
    def noises(self) -> list[str]:
        """In the order of the tables."""
        return [str(name) for name in self.frames["noises"].noise.unique()]

    def photographs(self, noises: Collection[str]) -> int:
        """The number of different photographs under some noises."""
        rows = self.values()
        used = rows[rows.noise.isin(list(noises))]
        return len(used[["testset", "scene"]].drop_duplicates())

    def fewest(self, noises: Collection[str]) -> int:
        """The fewest photographs under any of some noises, which make an interval rough."""
        frame = self.frames["noises"]
        return int(frame[frame.noise.isin(list(noises))].photographs.min())

    def data_sets(self, noises: Collection[str]) -> list[str]:
        """The names of the test sets, and of other images, that some noises are drawn on."""
        manifest, rows = self.manifest, self.values()
        sources = manifest["images"] or []
        own = set(map(str, manifest.get("testsets", ())))
        other = ["bundled photographs"]
        if sources != BUNDLED:
            other = [short(str(source)) for source in sources if str(source) not in own]
        names: list[str] = []
        for noise in noises:
            if noise in manifest["recorded"] and noise.partition(":")[0] != "folder":
                names.append(noise)
                continue
            sets = [str(name) for name in rows[rows.noise == noise].testset.unique()]
            names += [*filter(None, sets), *(other if "" in sets else [])]
        return list(dict.fromkeys(names))

    @property
    def draws(self) -> str:
        """What intervals are over, in words."""
        several = len(self.about.get("trainings") or ()) >= LEAST
        return "photographs and trainings" if several else "photographs"

    def scores(self, metric: str) -> dict[str, Any]:
        """The row of the model in the table of scores."""
        frame = self.frames[BENCHMARK]
        row = frame[(frame.model == self.model) & (frame.metric == metric)]
        return {str(name): value for name, value in row.iloc[0].to_dict().items()}

    def by_noise(self, metric: str) -> list[dict[str, Any]]:
        """The rows of the model in the table of noises."""
        frame = self.frames["noises"]
        rows = frame[(frame.model == self.model) & (frame.metric == metric)]
        return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]

    def amount(self, images: int, photographs: int) -> str:
        """A number of whole images or of crops in words, with that of photographs if it differs."""
        text = plural(images, "image" if self.manifest["crop"] is None else "crop")
        differs = images != photographs
        return f"{text} of {plural(photographs, 'photograph')}" if differs else text

    def by_testset(self, metric: str) -> list[dict[str, Any]]:
        """The rows of the model in the table of test sets and noises; none without test sets."""
        frame = self.frames.get("testsets")
        if frame is None:
            return []
        rows = frame[(frame.model == self.model) & (frame.metric == metric)]
        return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]

    def values(self) -> pd.DataFrame:
        """The rows of the model in the table of single images, `testset` empty where of none."""
        frame = self.frames["results"]
        own = frame[frame.model == self.model]
        sets = own.testset.fillna("") if "testset" in own else ""
        return own.assign(testset=sets)

    def digest_of_images(self) -> str:
        """SHA-256 of the digests of all crops under all noises, whatever their order."""
        rows = self.values()[["noise", *CROP]].drop_duplicates()
        lines = sorted(rows.noise + " " + rows.sha256)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def suite(self) -> str:
        """The name of the run's suite."""
        return str(self.manifest.get("suite") or NO_SUITE)

    def version(self) -> str:
        """The version of the suite; of runs before suites had one, the first."""
        return str(self.manifest.get("suite_version") or 1)

    def scored(self, metric: str) -> dict[str, str]:
        """The entries of `protocol` that say how outputs are scored, as they hold for a metric.

        Metrics other than PSNR and SSIM are of the whole image in RGB, or of grayscale as three
        equal channels, and some take it unrounded; see `analysis.engine.image_quality`.
        """
        names = ("border", "metric_domain", "round_output")
        own = {name: value for name, value in self.protocol().items() if name in names}
        if metric in OF_PROTOCOL:
            return own
        if not (metric in OWN or facts(metric).quantizes):
            del own["round_output"]
        whole = own | {"border": "0"}
        return whole if self.manifest["channel"] == "gray" else whole | {"metric_domain": "rgb"}

    def whole(self) -> list[str]:
        """The metrics for which the border or the luma of the protocol do not hold."""
        stated = self.scored("psnr").items()
        return [name for name in self.metrics if not self.scored(name).items() <= stated]

    def protocol(self) -> dict[str, str]:
        """The small print by name: how noisy images are made, and how outputs are scored."""
        manifest = self.manifest
        channel = str(manifest["channel"])
        stated = {
            "seed_policy": "per_cell",
            "clip_noisy": manifest["quantize"],
            "quantize_noisy": manifest["quantize"],
            "round_output": True,
            "border": manifest["border"],
            "metric_domain": DOMAINS.get(channel, channel),
            **manifest.get("evaluation", {}),
            "channels": manifest.get("channels", 3),
            "input_mask": manifest.get("input_mask") or "none",
            "seed": manifest["seed"],
            "noises": self.noises,
        }
        return {name: in_words(value) for name, value in stated.items()}


def in_words(value: object) -> str:
    """A value of a protocol as text.

    >>> in_words("rgb"), in_words(True), in_words(["gaussian:15", "isp"])
    ('rgb', 'true', 'gaussian:15, isp')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def short(source: str) -> str:
    """The name of a test set or folder of images.

    >>> short("kodak24=data/Kodak24"), short("photos/mine/")
    ('kodak24', 'mine')
    """
    name, equals, _ = source.partition("=")
    return name if equals and "/" not in name else source.rstrip("/").rpartition("/")[2]


def of_run(run: str | Path, model: str | None = None) -> list[Measured]:
    """What a run measured of each of its models, or of one.

    Args:
        run: a run folder of `analysis.generalization`, or of a report that has one.
        model: the name of one; None for all.

    Raises:
        BadInput: no such run, not finished, or no such model in it.
    """
    path = benchmark_in(Path(run))
    result = open_run(path, BENCHMARK)
    names = list(dict.fromkeys(contestants(result.frames[BENCHMARK]).model))
    if model is not None:
        one_of("model", model, names)
    finished = [entry for entry in read_log(path) if entry.get("finished")]
    log = finished[0] if finished else {}
    return [
        part(result.frames, result.manifest, log, str(name))
        for name in names
        if model in (None, name)
    ]


def benchmark_in(run: Path) -> Path:
    """The benchmark's run folder: the one that is given, or that of a report.

    Raises:
        BadInput: neither.
    """
    if not run.is_dir():
        raise BadInput(
            f"{run}: no such folder; expected a run of analysis.{BENCHMARK}, or a report"
        )
    inside = run / BENCHMARK
    if (run / MANIFEST).is_file() and read_manifest(run).get("analysis") == BENCHMARK:
        return run
    if (inside / MANIFEST).is_file():
        return inside
    held = read_manifest(run).get("analysis") if (run / MANIFEST).is_file() else None
    what = f"a run of {held}" if held else "holds no run"
    raise BadInput(f"{run}: {what}; expected one of analysis.{BENCHMARK}, or a report with one")


def part(
    frames: Mapping[str, pd.DataFrame],
    manifest: Mapping[str, Any],
    log: Mapping[str, Any],
    name: str,
) -> Measured:
    """The part of a run that is about one model."""
    beside = {*references_in(frames["results"]), NOISY}
    own: dict[str, pd.DataFrame] = {}
    for table, frame in frames.items():
        if "model_a" in frame:
            own[table] = frame.iloc[:0]
        elif table == "references":
            own[table] = frame[frame.model == name]
        elif "model" in frame:
            own[table] = frame[frame.model.isin({name, *beside})]
        else:
            own[table] = frame
    models = manifest["models"]
    trained = training_noises.from_entry(manifest["in_distribution"], list(models))
    split = training_noises.splits(trained, list(dict.fromkeys(frames["noises"].noise)))
    mine = trained[name]
    alone = {
        **manifest,
        "models": {name: models[name]},
        "in_distribution": {name: None if mine is None else list(mine)},
    }
    alone |= {key: alone_in(manifest[key], name) for key in OF_MODELS if key in manifest}
    gone = [key for key in OF_MODELS if alone.get(key, 0) is None]
    return Measured(name, own, {k: v for k, v in alone.items() if k not in gone}, log, split)


def alone_in(entry: Any, name: str) -> Any:
    """What an entry of `OF_MODELS` says of one model; None if that is nothing.

    >>> alone_in(["a", "b"], "b"), alone_in({"a": 1}, "b"), alone_in({"models": ["b"]}, "b")
    (['b'], None, {'models': ['b']})
    """
    if isinstance(entry, list):
        return [model for model in entry if model == name]
    if "models" in entry:
        return {**entry, "models": [name]} if name in entry["models"] else None
    return {name: entry[name]} if name in entry else None
