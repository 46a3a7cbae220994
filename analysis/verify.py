"""Does a report hold what it says? Some of its numbers, drawn at random, computed again."""

from __future__ import annotations

import argparse
import math
import random
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import compare_table, engine, ranking, significance
from analysis.report_parts import compared, present
from analysis.report_plan import Plan
from analysis.runs import LOG, MANIFEST, RunFolder, read_manifest, read_tables
from analysis.scores import PROTOCOLS, Scores
from analysis.sections import BENCHMARK, NAMES, ONE_PASS
from analysis.standings import grid, plural
from analysis.work import one_pass
from mtd.errors import BadInput, Failed

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""How far a number may be from what is computed again: other machines add up in another order."""

TOLD = 5
"""Numbers that do not agree which are told."""

KEYS = {
    "cka": ("model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b"),
    "srga": ("model", "noise"),
    "distributions": ("model", "noise", "layer"),
    "degradation": ("model", "layer"),
    "sensitivity": ("model", "noise", "layer"),
    "attribution": ("model", "noise", "crop"),
}
"""What names a row of the table that is called like its analysis."""

CROP = ("image", "top", "left", "sha256")
RESULT = ("model", "noise", *CROP, "metric")


@dataclass
class Check:
    """How the numbers of a table fare.

    Attributes:
        table: its name.
        checked: numbers that were computed again.
        of: numbers that it has.
        worst: largest relative difference.
        wrong: those that do not agree, each with its row.
    """

    table: str
    checked: int = 0
    of: int = 0
    worst: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def compare(
        self, told: pd.DataFrame, again: pd.DataFrame, keys: Sequence[str], of: int | None = None
    ) -> None:
        """Numbers of rows as they are told, and as they are computed again.

        Args:
            told: rows of the report.
            again: rows that have those among them.
            keys: columns that name a row.
            of: rows of the whole table.
        """
        names = [
            name
            for name in told
            if name not in keys and name in again and pd.api.types.is_numeric_dtype(told[name])
        ]
        held = again.set_index(list(keys))
        self.of += (len(told) if of is None else of) * len(names)
        for row in told.to_dict("records"):
            key = tuple(row[name] for name in keys)
            place = key if len(keys) > 1 else key[0]
            if place not in held.index:
                self.wrong.append(f"{self.table}, {', '.join(map(str, key))}: is not found again")
                continue
            values: Any = held.loc[place]
            values = values.iloc[0] if isinstance(values, pd.DataFrame) else values
            for name in names:
                self._number(key, str(name), float(row[name]), float(values[name]))

    def _number(self, key: Sequence[Any], name: str, told: float, again: float) -> None:
        self.checked += 1
        if told == again or (math.isnan(told) and math.isnan(again)):
            return
        difference = abs(told - again)
        relative = difference / abs(again) if again else math.inf
        if not difference <= ABSOLUTE + RELATIVE * abs(again):
            row = ", ".join(str(part)[:24] for part in key)
            self.wrong.append(f"{self.table}, {row}: {name} is {told:.8g}, computed {again:.8g}")
        if difference > ABSOLUTE:
            self.worst = max(self.worst, relative)


def run(args: argparse.Namespace) -> Path:
    """Verify the report that `args.verify` names; prints what was found.

    Raises:
        BadInput: no report, or its models or images cannot be had.
        Failed: numbers do not agree.
    """
    with opened(Path(args.verify)) as folder:
        manifest = read_manifest(folder)
        again = asked(args, manifest)
        seed = args.seed or secrets.randbelow(2**31 - 1) + 1
        drawn = Drawn(folder, random.Random(seed), args.share)
        checks = verify(folder, Plan(again), drawn, again)
    print(told(checks, args.share, seed))
    for note in differing(manifest):
        print(f"note: {note}")
    wrong = [line for check in checks for line in check.wrong]
    if wrong:
        for line in wrong[:TOLD]:
            print(line)
        raise Failed(f"{args.verify}: {plural(len(wrong), 'number')} not confirmed")
    return Path(args.verify)


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """The folder of a report, or what its page holds, in a folder for the time being.

    Raises:
        BadInput: neither.
    """
    if place.is_dir():
        yield place
        return
    if not place.is_file():
        raise BadInput(f"{place}: no such report; give its folder or its page, report.html")
    from analysis.attachments import attached

    found = attached(place.read_text(encoding="utf-8", errors="replace"))
    if not found:
        raise BadInput(f"{place}: no tables in it; give a report's folder or page")
    with tempfile.TemporaryDirectory() as name:
        for attachment in found:
            path = Path(name) / attachment.name
            if Path(name) not in path.resolve().parents:
                raise BadInput(f"{place}: {attachment.name!r} is no name of a table")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(attachment.content)
            if path.name == MANIFEST:  # a page is made of runs that are finished
                (path.parent / LOG).write_text('{"runs": [{"finished": "the page"}]}')
        yield Path(name)


def asked(args: argparse.Namespace, manifest: Mapping[str, Any]) -> argparse.Namespace:
    """The options that the report was made with.

    Raises:
        BadInput: it was made of run folders, or is no report.
    """
    from analysis.report import parser

    if manifest.get("analysis") != "report":
        raise BadInput(f"{args.verify}: a run of {manifest.get('analysis')}; expected a report")
    if "arguments" not in manifest:
        raise BadInput(f"{args.verify}: made of run folders; only what was computed is verified")
    found: argparse.Namespace = parser().parse_args(manifest["arguments"])
    found.quiet, found.no_lpips = args.quiet, manifest["lpips"] is None
    if args.device != "cpu":
        found.device = args.device
    return found


def differing(manifest: Mapping[str, Any]) -> list[str]:
    """What is not as it was when the report was made."""
    from analysis.runs import versions

    now, then = versions(), manifest["versions"]
    changed = [
        f"{name} {then[name]} then, {now.get(name)} now"
        for name in then
        if then[name] != now.get(name)
    ]
    return [f"other versions: {', '.join(changed)}"] if changed else []


@dataclass
class Drawn:
    """Rows drawn at random from the tables of a report.

    Attributes:
        folder: of the report.
        source: of randomness.
        share: of the rows of each table.
    """

    folder: Path
    source: random.Random
    share: float

    def frame(self, section: str, table: str | None = None) -> pd.DataFrame:
        """A table of a section."""
        name = table or section
        return read_tables(self.folder / section, [name])[name]

    def holds(self, section: str) -> bool:
        """Whether it has the section's table; a page leaves out tables that are too large."""
        name = "results" if section == BENCHMARK else section
        return (self.folder / section / f"{name}.csv").is_file()

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Some of its rows, in their order; one at least."""
        count = min(len(frame), math.ceil(self.share * len(frame)))
        return frame.iloc[sorted(self.source.sample(range(len(frame)), count))]

    def block(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Some rows of CKA: whole pairs of views, so that few views are needed."""
        names = ["model_a", "noise_a", "model_b", "noise_b"]
        pairs = list(frame[names].drop_duplicates().itertuples(index=False, name=None))
        self.source.shuffle(pairs)
        count = max(1, math.ceil(self.share * len(pairs)))
        return frame[
            [row in pairs[:count] for row in frame[names].itertuples(index=False, name=None)]
        ]


def verify(folder: Path, plan: Plan, drawn: Drawn, args: argparse.Namespace) -> list[Check]:
    """Compute some numbers of every section again.

    Raises:
        BadInput: other models or images than those that the report is about.
    """
    sections = [name for name in present(folder, NAMES) if drawn.holds(name)]
    if not sections:
        raise BadInput("no table of any section that could be computed again")
    same_inputs(read_manifest(folder), plan)
    rows, works = {}, []
    for name in (name for name in ONE_PASS if name in sections and name != BENCHMARK):
        frame = drawn.frame(name)
        rows[name] = drawn.block(frame) if name == "cka" else drawn.rows(frame)
        works.append(plan.work(name, *views(name, rows[name], plan)))
    checks = []
    with tempfile.TemporaryDirectory(prefix="verify-") as place:
        inner = RunFolder(Path(place) / "run", "verify", {"analysis": "verify"})
        if works:
            one_pass(args, plan.whole, plan.groups, works, inner)
        if "attribution" in sections:
            rows["attribution"] = drawn.rows(drawn.frame("attribution"))
            plan.attribution(inner.path, "", *views("attribution", rows["attribution"], plan))
        for name, chosen in rows.items():
            check = Check(f"{name}.csv")
            again = read_tables(inner.path / name, [name])[name]
            check.compare(chosen, again, KEYS[name], len(drawn.frame(name)))
            checks.append(check)
    if BENCHMARK in sections:
        checks += benchmark(drawn, plan)
    if "compare" in sections:
        checks.append(comparison(drawn))
    order = [f"{name}.csv" for name in NAMES]
    return sorted(checks, key=lambda c: order.index(c.table) if c.table in order else -1)


def same_inputs(manifest: Mapping[str, Any], plan: Plan) -> None:
    """See that models, noises and images are those of the report.

    Raises:
        BadInput: they are not.
    """
    now = plan.manifest()
    for name, about in manifest["models"].items():
        if now["models"].get(name, {}).get("sha256") != about["sha256"]:
            raise BadInput(f"{about['path']}: not the file that the report is about")
    for key in ("noises", "benchmark_noises", "budgets", "seed", "crops_sha256"):
        if now[key] != manifest.get(key):
            raise BadInput(f"{key.replace('_', ' ')}: not what the report is about")


def views(name: str, rows: pd.DataFrame, plan: Plan) -> tuple[list[str], list[str]]:
    """The models and noises that are needed for some rows, in the order of the report."""
    models = {value for key in KEYS[name] if key.startswith("model") for value in rows[key]}
    noises = {value for key in KEYS[name] if key.startswith("noise") for value in rows[key]}
    needed = {plan.features[0], *noises} if noises else set(plan.features)
    order = [noise.spec for noise in plan.asked.noises]
    if noises and len(needed) < 2:  # the reference alone: it is compared with something
        needed.add(plan.features[1])
    if name == "sensitivity":
        needed |= {order[0]}
    return (
        [model for model in plan.asked.models if model in models],
        [spec for spec in order if spec in needed],
    )


def benchmark(drawn: Drawn, plan: Plan) -> list[Check]:
    """Single results again, each with its batch; and all that is made of them."""
    results = drawn.frame(BENCHMARK, "results")
    chosen = drawn.rows(results)
    manifest = read_manifest(drawn.folder / BENCHMARK)
    check = Check("results.csv")
    parts = []
    for (model, noise, digest), _ in chosen.groupby(["model", "noise", "sha256"], sort=False):
        batch = next(b for b in plan.large_groups if digest in b.digests)
        parts.append(again(plan, manifest, str(model), str(noise), batch))
    check.compare(chosen, pd.concat(parts).drop_duplicates(list(RESULT)), RESULT, len(results))
    return [check, *aggregates(drawn, results, manifest)]


def again(
    plan: Plan, manifest: Mapping[str, Any], model: str, noise: str, batch: engine.Batch
) -> pd.DataFrame:
    """The results of a model under a noise on a batch."""
    protocol = PROTOCOLS[manifest["protocol"]]
    observer = Scores([model], protocol, plan.perceptual)
    chosen = [n for n in plan.asked.noises if n.spec == noise]
    whole = plan.whole
    alone = engine.Batch(0, batch.crops, chosen)
    for _ in engine.walk({model: whole.models[model]}, chosen, [alone], [observer], whole.setting):
        pass
    return pd.DataFrame(observer.compute())


def aggregates(drawn: Drawn, results: pd.DataFrame, manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Everything that is made of the results."""
    trained = manifest["in_distribution"]
    made = [ranking.table(results, str(m), trained) for m in results.metric.unique()]
    makers: dict[str, tuple[Callable[[Any], pd.DataFrame], tuple[str, ...]]] = {
        "noises": (ranking.noises, ("noise", "model", "metric")),
        "generalization": (ranking.generalization, ("model", "metric")),
        "tests": (significance.paired, ("noise", "metric", "model_a", "model_b")),
    }
    for name, (maker, keys) in makers.items():
        check = Check(f"{name}.csv")
        frame = pd.concat([maker(table) for table in made])
        check.compare(drawn.frame(BENCHMARK, name), frame, keys)
        yield check


def comparison(drawn: Drawn) -> Check:
    """Rank correlations, from the tables of the other sections."""
    check = Check("compare.csv")
    parts = compared(drawn.folder)
    tables = compare_table.tables(parts)
    check.compare(drawn.frame("compare"), tables["compare.csv"], ["model"])
    check.compare(
        drawn.frame("compare", "correlations"), tables["correlations.csv"], ["index", "target"]
    )
    return check


def told(checks: Sequence[Check], share: float, seed: int) -> str:
    """What was found, for a reader."""
    rows = [["table", "computed again", "of", "largest difference", ""]]
    for check in checks:
        worst = f"{check.worst:.1e}" if check.worst else "none"
        verdict = f"{len(check.wrong)} DO NOT AGREE" if check.wrong else "agree"
        rows.append([check.table, f"{check.checked:,}", f"{check.of:,}", worst, verdict])
    about = (
        f"rows drawn at random, {share:.0%} of each table (of CKA, whole pairs of views), and all "
        f"numbers that follow from others; again with --seed {seed}"
    )
    return f"{grid(rows)}\n{about}"
