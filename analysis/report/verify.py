"""Does a report hold what it says? Some of its numbers, drawn at random, computed again."""

from __future__ import annotations

import argparse
import math
import random
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.job import one_pass
from analysis.commands.run_folder import LOG, MANIFEST, RunFolder, read_manifest, read_tables
from analysis.compare import tables as compare_tables
from analysis.engine import observer as engine_observer
from analysis.engine import run as engine_run
from analysis.generalization import pairwise_tests, scoring
from analysis.generalization.observer import PROTOCOLS, Scores
from analysis.report.folders import compared, present
from analysis.report.plan import Plan
from analysis.report.sections import BENCHMARK, NAMES, ONE_PASS
from analysis.report.table_check import Check
from analysis.text.terminal import grid, plural
from mtd.utils.errors import BadInput, Failed

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

BESIDE = {
    "cka": {
        "deep": ("model_a", "noise_a", "model_b", "noise_b"),
        "depth": ("model", "noise_a", "noise_b", "layer"),
        "layers": ("model", "noise", "layer"),
    }
}
"""Other tables of an analysis that come of the same views, and what names their rows."""

CROP = ("image", "top", "left", "sha256")
RESULT = ("model", "noise", *CROP, "metric")

UNCHECKED = (
    "cka/parting.csv, cka/influence.csv, distributions/histograms.csv, degradation/embedding.csv, "
    "generalization/strips.csv, training"
)
"""What figures show beside, which is not computed again."""


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
    from analysis.pages.attachments import attached

    found = attached(place.read_text(encoding="utf-8", errors="replace"))
    if not found:
        raise BadInput(f"{place}: no tables in it; give a report's folder or page")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        for attachment in found:
            path = root / attachment.name
            if root not in path.resolve().parents:
                raise BadInput(f"{place}: {attachment.name!r} is no name of a table")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(attachment.content)
            if path.name == MANIFEST:  # a page is made of runs that are finished
                (path.parent / LOG).write_text('{"runs": [{"finished": "the page"}]}')
        yield root


def asked(args: argparse.Namespace, manifest: Mapping[str, Any]) -> argparse.Namespace:
    """The options that the report was made with.

    A report names files, and may name a class of its models; what it says is somebody's word. So
    nothing of the latter kind is run that is not named on this command line too.

    Raises:
        BadInput: it was made of run folders, is no report or damaged, or has code of its own.
    """
    from analysis.report.options import parser

    if manifest.get("analysis") != "report":
        raise BadInput(f"{args.verify}: a run of {manifest.get('analysis')}; expected a report")
    given = manifest.get("arguments")
    if given is None:
        raise BadInput(f"{args.verify}: made of run folders; only what was computed is verified")
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise BadInput(f"{args.verify}: its manifest is damaged (arguments)")
    for name in ("models", "versions"):
        if not isinstance(manifest.get(name), dict):
            raise BadInput(f"{args.verify}: its manifest is damaged ({name})")
    found: argparse.Namespace = parser().parse_args(given)
    factories = {made.factory for made in args.custom_models}
    for made in found.custom_models:
        if made.factory not in factories:
            raise BadInput(
                f"{args.verify}: runs {made.factory}, code of its own; if you trust it, say so: "
                f" --model {made.factory} --checkpoint {made.checkpoint}"
            )
    if args.custom_models:
        found.custom_models = args.custom_models
    if args.models:
        if len(args.models) != len(found.models):
            count = plural(len(found.models), "model")
            raise BadInput(
                f"{args.verify}: of {count}; give as many files, in their order, or none"
            )
        found.models = args.models
    if args.images:
        found.images = args.images
    found.quiet, found.no_lpips = args.quiet, manifest.get("lpips") is None
    if args.device != "cpu":
        found.device = args.device
    return found


def differing(manifest: Mapping[str, Any]) -> list[str]:
    """What is not as it was when the report was made."""
    from analysis.commands.run_folder import versions

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
        """A table of a section.

        Raises:
            BadInput: it is not there, or no table.
        """
        name = table or section
        place = f"{section}/{name}.csv of the report"
        try:
            found = read_tables(self.folder / section, [name])[name]
        except (KeyError, ValueError) as error:
            what = "missing" if isinstance(error, KeyError) else f"damaged ({error})"
            raise BadInput(f"{place}: {what}") from None
        keys = (
            RESULT if name == "results" else KEYS.get(name, BESIDE.get(section, {}).get(name, ()))
        )
        if lacking := [key for key in keys if key not in found]:
            raise BadInput(f"{place}: damaged (no column {lacking[0]})")
        return found

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
    rows: dict[str, pd.DataFrame] = {}
    works = []
    for name in (name for name in ONE_PASS if name in sections and name != BENCHMARK):
        frame = drawn.frame(name)
        rows[name] = drawn.block(frame) if name == "cka" else drawn.rows(frame)
        works.append(plan.work(name, *views(name, rows[name], plan)))
    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="verify-") as place:
        inner = RunFolder(Path(place) / "run", "verify", {"analysis": "verify"})
        if works:
            one_pass(args, plan.whole, plan.groups, works, inner)
        if "attribution" in sections:
            rows["attribution"] = drawn.rows(drawn.frame("attribution"))
            plan.attribution(inner.path, "", *views("attribution", rows["attribution"], plan))
        for name, chosen in rows.items():
            checks += section(name, chosen, drawn, plan, inner.path)
    if BENCHMARK in sections:
        checks += benchmark(drawn, plan)
    if "compare" in sections:
        checks.append(comparison(drawn))
    return checks


def section(
    name: str, chosen: pd.DataFrame, drawn: Drawn, plan: Plan, again: Path
) -> Iterator[Check]:
    """Rows of a section's table against those computed again, and what follows from them."""
    check, whole = Check(f"{name}.csv"), drawn.frame(name)
    made = read_tables(again / name, [name, *BESIDE.get(name, ())])
    check.compare(chosen, made[name], KEYS[name], len(whole))
    check.distinct(whole, KEYS[name])
    if KEYS[name][:2] == ("model", "noise") and name != "attribution":
        specs = [n.spec for n in plan.looking([*plan.features]).noises]
        check.complete(whole, ("model", "noise"), list(product(plan.asked.models, specs)))
    elif name == "cka":
        first, *others = plan.features
        pairs = [(m, first, m, n) for m in plan.asked.models for n in others]
        check.complete(whole, ("model_a", "noise_a", "model_b", "noise_b"), pairs)
    yield check
    for table, keys in BESIDE.get(name, {}).items():
        beside, frame = Check(f"{table}.csv"), drawn.frame(name, table)
        there = set(made[table][list(keys)].itertuples(index=False, name=None))
        rows = [row in there for row in frame[list(keys)].itertuples(index=False, name=None)]
        beside.compare(frame[rows], made[table], keys, len(frame))
        yield beside


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
        batch = next((b for b in plan.large_groups if digest in b.digests), None)
        if batch and model in plan.whole.models and noise in plan.tested:  # others are told below
            parts.append(again(plan, manifest, str(model), str(noise), batch))
    made = pd.concat(parts).drop_duplicates(list(RESULT)) if parts else results[:0]
    check.compare(chosen, made, RESULT, len(results))
    confirmed = len(check.wrong)
    check.distinct(results, RESULT)
    metrics = list(dict.fromkeys(results.metric))
    digests = [digest for batch in plan.large_groups for digest in batch.digests]
    every = list(product(plan.whole.models, plan.tested, digests, metrics))
    check.complete(results, ("model", "noise", "sha256", "metric"), every)
    if len(check.wrong) > confirmed:  # scores of other results than those would say nothing
        return [check]
    return [check, *aggregates(drawn, results, manifest)]


def again(
    plan: Plan, manifest: Mapping[str, Any], model: str, noise: str, batch: engine_observer.Batch
) -> pd.DataFrame:
    """The results of a model under a noise on a batch."""
    protocol = PROTOCOLS[manifest["protocol"]]
    observer = Scores([model], protocol, plan.perceptual)
    chosen = [n for n in plan.asked.noises if n.spec == noise]
    whole = plan.whole
    alone = engine_observer.Batch(0, batch.crops, chosen)
    for _ in engine_run.run_batches(
        {model: whole.models[model]},
        chosen,
        [alone],
        [engine_observer.Watch(observer)],
        whole.setting,
    ):
        pass
    return pd.DataFrame(observer.compute())


def aggregates(drawn: Drawn, results: pd.DataFrame, manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Everything that is made of the results."""
    trained = manifest["in_distribution"]
    made = [scoring.table(results, str(m), trained) for m in results.metric.unique()]
    makers: dict[str, tuple[Callable[[Any], pd.DataFrame], tuple[str, ...]]] = {
        "noises": (scoring.noises, ("noise", "model", "metric")),
        "generalization": (scoring.generalization, ("model", "metric")),
        "tests": (pairwise_tests.paired, ("noise", "metric", "model_a", "model_b")),
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
    tables = compare_tables.tables(parts)
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
        f"scores that follow from the results; again with --seed {seed}\n"
        f"not computed again: {UNCHECKED}"
    )
    return f"{grid(rows)}\n{about}"
