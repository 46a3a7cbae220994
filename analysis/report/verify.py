"""Verification of a report: a random part of its numbers, recomputed and compared."""

from __future__ import annotations

import random
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands import matched_noises
from analysis.commands.registry import analysis
from analysis.commands.run_folder import RunFolder
from analysis.commands.run_manifest import LOG, MANIFEST, read_manifest
from analysis.commands.run_tables import read_tables, reading, table_names
from analysis.commands.several import run_together
from analysis.commands.trainings import TRAINING, several
from analysis.compare.predictors import read_runs
from analysis.compare.tables import tables
from analysis.generalization.metrics import label
from analysis.generalization.tables import of_scores
from analysis.generalization.trainings import with_trainings
from analysis.report import plan as report_plan
from analysis.report import sections
from analysis.report.folders import compared, computed, present
from analysis.report.leaderboard import LEADERBOARD, scores
from analysis.report.plan import ReportPlan
from analysis.report.random_rows import BY_TRAINING, RandomRows, first_table, keys_of
from analysis.report.settings import BENCHMARK, ReportOptions, ReportSettings
from analysis.report.table_check import ABSOLUTE, RELATIVE, Check
from analysis.report.verify_trust import reported
from analysis.text.matched_noises import KEYS, NAME
from analysis.text.terminal import grid, plural
from mtd.loading.cli_options import ModelRequest
from mtd.metrics import lpips, lpips_backbone
from mtd.utils import folder_files, input_files, limits, output
from mtd.utils.errors import BadInput, Failed

MODELS = ("model", "sender", "receiver")
"""How columns begin that name a model."""

PRINTED = 5
"""Number of disagreeing numbers that are printed."""


def run(
    options: ReportOptions, settings: ReportSettings, models: Sequence[ModelRequest] = ()
) -> Path:
    """Verify the report that `options.verify` names, and print the outcome.

    Args:
        options: the report, the share of its numbers, and the seed of the draw.
        settings: of this command; device and image folders may differ from the report's.
        models: replacements for the report's files, in their order; none for its own files.

    Raises:
        BadInput: no report, or its models or images are not available.
        Failed: numbers do not agree.
    """
    assert options.verify is not None
    with opened(Path(options.verify)) as folder:
        manifest = read_manifest(folder)
        with reading(options.verify):
            requested, own = reported(options.verify, manifest, settings, models)
            scored = scored_alike(own, folder)
        seed = options.verify_seed
        seed = secrets.randbelow(2**31 - 1) if seed is None else seed
        drawn = RandomRows(folder, random.Random(seed), options.share)
        plan = report_plan.make(requested, scored)
        with reading(options.verify):
            checks = verify(folder, same_names(manifest, plan), drawn)
        about = {"checks": [vars(check) for check in checks], "seed": seed, "share": drawn.share}
        output.show(outcome(checks, drawn, seed), results=about)
        for note in other_versions(manifest):
            output.show(f"note: {note}", sentences=[note])
    wrong = [line for check in checks for line in check.wrong]
    if wrong:
        output.show("\n".join(wrong[:PRINTED]))
        raise Failed(f"{options.verify}: {plural(len(wrong), 'value')} not confirmed")
    if not any(check.checked for check in checks):
        raise Failed(f"{options.verify}: no value was compared, so nothing is confirmed")
    return Path(options.verify)


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """The folder of a report, or the tables of its page in a temporary folder.

    Raises:
        BadInput: neither.
    """
    if place.is_dir():
        yield place
        return
    if not place.is_file():
        raise BadInput(f"{place}: no such report; give its folder or its page, report.html")
    from analysis.pages.attachments import attached

    page = input_files.content(place, limits.PAGE).decode("utf-8", "replace")
    attachments = attached(page)
    if not attachments:
        raise BadInput(f"{place}: no tables in it; give a report's folder or page")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        for attachment in attachments:
            path = root / attachment.name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(attachment.content)
            except OSError as error:  # a file in the place of a folder
                raise BadInput(f"{place}: {attachment.name} ({error.strerror})") from None
            if path.name == MANIFEST:  # a page is made from finished runs
                (path.parent / LOG).write_text('{"runs": [{"finished": "the page"}]}')
        yield root


def scored_alike(settings: ReportSettings, folder: Path) -> ReportSettings:
    """Settings with those metrics that the report's benchmark has: some may not have been run.

    Without LPIPS where its backbone is not here.
    """
    benchmark = folder / BENCHMARK / MANIFEST
    about = read_manifest(benchmark.parent) if benchmark.is_file() else {}
    here = settings.lpips_weights or lpips_backbone.find()  # nothing is downloaded
    if about.get("lpips") is None or not here:
        settings = replace(settings, lpips=False, lpips_weights=None, lpips_channels="rgb")
    computed = [name for name in settings.metrics if name in about.get("metrics", {})]
    return replace(settings, metrics=tuple(computed))


def other_versions(manifest: Mapping[str, Any]) -> list[str]:
    """Versions that differ from those of the report."""
    from analysis.commands.run_folder import versions

    now, then = versions(), manifest["versions"]
    changed = [
        f"{name} {then[name]} then, {now.get(name)} now"
        for name in then
        if then[name] != now.get(name)
    ]
    return [f"other versions: {', '.join(changed)}"] if changed else []


def same_names(manifest: Mapping[str, Any], plan: ReportPlan) -> ReportPlan:
    """A plan with the report's names of models and trainings, which are in the same order.

    Raises:
        BadInput: a file is not the report's.
    """
    reported = [networks_of(name, about) for name, about in manifest["models"].items()]
    own = list(plan.inputs.trainings.values())
    if list(map(len, reported)) != list(map(len, own)):
        raise BadInput("the report's manifest is damaged (models)")
    names: dict[str, str] = {}
    for there, here in zip(reported, own, strict=True):
        for given, (name, about) in zip(here, there.items(), strict=True):
            source, expected = plan.inputs.models[given].source, str(about.get("sha256"))
            if source["sha256"] != expected:
                raise BadInput(
                    f"{source['path']}: not the report's {name} (SHA-256 {source['sha256'][:12]}, "
                    f"expected {expected[:12]}); give its files in the report's order"
                )
            names[given] = name
    return plan.named(names)


def networks_of(name: str, about: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The networks of a model in a manifest: its trainings, or itself."""
    return dict(about.get("trainings") or {name: about})


def verify(folder: Path, plan: ReportPlan, drawn: RandomRows) -> list[Check]:
    """Recompute some numbers of every section.

    Raises:
        BadInput: other noises or images than the report's.
    """
    names = complete_sections(folder, drawn)
    if not names:
        raise BadInput("no table of any section that can be recomputed")
    same_inputs(read_manifest(folder), plan)
    first = {name: drawn.frame(name, first_table(name)) for name in computed(names)}
    for name, frame in first.items():
        if frame.empty:
            raise BadInput(f"{name}/{first_table(name)}.csv of the report: has no rows")
    rows = {name: drawn.rows(frame) for name, frame in first.items() if name != BENCHMARK}
    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="verify-") as place:
        inner = RunFolder(Path(place) / "run", "verify", {"analysis": "verify"})
        jobs = [plan.job(name, *views(name, rows[name], plan)) for name in rows]
        if jobs:
            run_together(jobs, plan.whole(jobs), plan.batches, inner, quiet=True)
        for name, chosen in rows.items():
            checks += section(name, chosen, drawn, plan, inner.path)
    if BENCHMARK in names:
        checks += benchmark(drawn, plan)
    if "compare" in names:
        checks += comparison(drawn)
    return [*checks, *sigmas(names, drawn, plan), *leaderboard(folder)]


def complete_sections(folder: Path, drawn: RandomRows) -> list[str]:
    """The sections of a report that are recomputed.

    Raises:
        BadInput: one has no manifest, is not finished, is of another analysis, or lacks the table
            that is recomputed.
    """
    known = list(sections.headings())
    held = [name for name in known if folder_files.path_of(folder, name).exists()]
    finished = present(folder, held)
    for name in held:
        if name not in finished:
            raise BadInput(f"{name} of the report: its manifest is missing, or it is not finished")
        kind = read_manifest(folder / name).get("analysis")
        if kind != name:
            raise BadInput(f"{name} of the report: a run of {kind}")
        if (table := first_table(name)) and name != "curves" and not drawn.holds(name):
            raise BadInput(
                f"{name}/{table}.csv of the report: missing; a page that was too large for it "
                "cannot be verified: give the report's folder"
            )
    return [name for name in held if name != "curves" and first_table(name)]


def leaderboard(folder: Path) -> Iterator[Check]:
    """The leaderboard again from the tables of the sections; a line for what they do not give."""
    name = Path(LEADERBOARD).stem
    again, frame = scores(folder), read_tables(folder, [name]).get(name)
    if frame is None:
        return
    given = [column for column in again if column in frame]
    check = Check(LEADERBOARD)
    if "model" in given:
        check.compare(frame, again[given], ("model",))
    yield check
    for column in frame:
        if column not in given:
            yield Check(f"{LEADERBOARD}: {column}", of=len(frame))


def sigmas(names: Sequence[str], drawn: RandomRows, plan: ReportPlan) -> Iterator[Check]:
    """Recompute σ of noises of matched strength, in every section that is computed."""
    check = Check(f"{NAME}.csv")
    for name in computed(names):
        for file, frame in matched_noises.files(plan.job(name).inputs).items():
            if (drawn.folder / name / file).is_file():  # pages omit tables that are too large
                check.compare(drawn.frame(name, NAME), frame, KEYS)
    if check.of:
        yield check


def section(
    name: str, chosen: pd.DataFrame, drawn: RandomRows, plan: ReportPlan, again: Path
) -> Iterator[Check]:
    """Rows of a section's tables against recomputed ones."""
    first, *others = analysis(name).keys
    frames = read_tables(again / name, ())
    others += [table for table in frames if table.endswith(BY_TRAINING) and keys_of(name, table)]
    check, whole, keys = Check(f"{first}.csv"), drawn.frame(name, first), keys_of(name, first)
    check.compare(chosen, frames[first], keys, len(whole))
    check.distinct(whole, keys)
    models, features = plan.networks, plan.noises.features
    if keys[:2] == ("model", "noise") and analysis(name).compute is None:
        check.complete(whole, keys[:2], list(product(models, features)))
    elif "noise_a" in keys:
        views = ("model_a", "noise_a", "model_b", "noise_b")
        pairs = [(m, features[0], m, other) for m in models for other in features[1:]]
        check.complete(whole, views, pairs)
    yield check
    for table in others:
        beside, frame = Check(f"{table}.csv"), drawn.frame(name, table)
        columns = list(keys_of(name, table))
        computed = set(frames[table][columns].itertuples(index=False, name=None))
        rows = [row in computed for row in frame[columns].itertuples(index=False, name=None)]
        beside.compare(frame[rows], frames[table], columns, len(frame))
        yield beside


def same_inputs(manifest: Mapping[str, Any], plan: ReportPlan) -> None:
    """Check that noises and images are those of the report.

    Raises:
        BadInput: they are not.
    """
    now = plan.manifest()
    for key in ("noises", "benchmark_noises", "max_crops", "seed", "crops_sha256"):
        if now[key] != manifest.get(key):
            raise BadInput(f"{key.replace('_', ' ')}: not those of the report")


def views(name: str, rows: pd.DataFrame, plan: ReportPlan) -> tuple[list[str], list[str]]:
    """The models and noises that the rows need, in the order of the report."""
    keys, features = keys_of(name, first_table(name)), plan.noises.features
    models = {value for key in keys if key.startswith(MODELS) for value in rows[key]}
    noises = {value for key in keys if key.startswith("noise") for value in rows[key]}
    needed = {features[0], *noises} if noises else set(features)
    if noises and len(needed & set(features)) < 2:  # the reference is compared with something
        needed.add(features[1])
    return (
        [model for model in plan.inputs.trainings if model in models],
        [spec for spec in features if spec in needed],
    )


def benchmark(drawn: RandomRows, plan: ReportPlan) -> list[Check]:
    """Recompute single results, each with its batch, and all tables that follow from them.

    Not those of metrics that cannot be computed here, such as LPIPS without its backbone.
    """
    keys, results = keys_of(BENCHMARK, "results"), drawn.frame(BENCHMARK, "results")
    here = plan.metrics
    absent = {*here.not_run, *(() if here.perceptual else lpips.NAMES.values())}
    left = [
        Check(f"results.csv: {label(metric)}", of=int((results.metric == metric).sum()))
        for metric in dict.fromkeys(results.metric)
        if metric in absent
    ]
    chosen, share = drawn.rows(results[~results.metric.isin(absent)]), plan.shares[BENCHMARK]
    whole = plan.job(BENCHMARK)
    column = TRAINING if TRAINING in results else "model"
    names = ["model", TRAINING] if several(whole.inputs.trainings) else ["model"]
    keys = tuple(dict.fromkeys([*names, *keys]))
    check, parts = Check("results.csv"), []
    for (model, noise, digest), _ in chosen.groupby([column, "noise", "sha256"], sort=False):
        batch = next((b for b in share.batches if digest in b.digests), None)
        known = model in whole.inputs.models and noise in plan.noises.benchmark
        if batch is not None and known:
            parts.append(single_result(whole, str(model), str(noise), batch))
    if missing := set(names) - set(results):
        check.wrong.append(f"results.csv: no column {missing.pop()}")
        return [check]
    computed = results[:0]
    if parts:
        computed = with_trainings(pd.concat(parts), whole.inputs.trainings)
        computed = computed.drop_duplicates(list(keys))
    check.compare(chosen, computed, keys, len(results) - sum(one.of for one in left))
    wrong = len(check.wrong)
    check.distinct(results, keys)
    metrics = list(dict.fromkeys(results.metric))
    digests = [digest for batch in share.batches for digest in batch.digests]
    models = [
        (model, own)[: len(names)] for model, of in whole.inputs.trainings.items() for own in of
    ]
    views = product(models, plan.noises.benchmark, digests, metrics)
    every = [(*model, *view) for model, *view in views]
    check.complete(results, (*names, "noise", "sha256", "metric"), every)
    if len(check.wrong) > wrong:  # scores of wrong results would say nothing
        return [check]
    return [check, *left, *aggregates(drawn, results)]


def single_result(whole: Any, model: str, noise: str, batch: Any) -> pd.DataFrame:
    """The results of a model under a noise on a batch."""
    from analysis.commands import network_pass
    from analysis.commands.job import plan as planned
    from analysis.engine.run import compute_result

    inputs = whole.inputs.subset(models=[model], noises=[noise], crops=batch.crops)
    alone = [replace(batch, index=0, noises=inputs.noises)]
    settings = replace(whole.settings, in_distribution=())  # it may name the other models
    job = planned(whole.analysis, inputs, settings, alone)
    network_pass.run_pass(inputs, alone, [job.watch], quiet=True)
    assert job.observer is not None
    return pd.DataFrame(compute_result(job.observer, inputs.ranks))


def aggregates(drawn: RandomRows, results: pd.DataFrame) -> Iterator[Check]:
    """Every table that is computed from the results."""
    trained = read_manifest(drawn.folder / BENCHMARK)["in_distribution"]
    for name, frame in of_scores(results, trained).items():
        check = Check(f"{name}.csv")
        check.compare(drawn.frame(BENCHMARK, name), frame, keys_of(BENCHMARK, name))
        yield check


def comparison(drawn: RandomRows) -> Iterator[Check]:
    """Recompute rank correlations from the tables of the other sections."""
    check = Check("compare.csv")
    for file, again in tables(read_runs(compared(drawn.folder))).items():
        name = file.removesuffix(".csv")
        if keys := keys_of("compare", name):
            check.compare(drawn.frame("compare", name), again, keys)
    yield check


def outcome(checks: Sequence[Check], drawn: RandomRows, seed: int) -> str:
    """The outcome of every check, as text for the terminal."""
    rows = [["table", "recomputed", "of", "largest difference: absolute", "relative", ""]]
    for check in checks:
        counts = (f"{check.checked:,}", f"{check.of:,}")
        differences = [f"{d:.1e}" if d else "0" for d in (check.absolute, check.relative)]
        verdict = "agree" if check.checked or not check.of else "not recomputed"
        verdict = f"{len(check.wrong)} DO NOT AGREE" if check.wrong else verdict
        rows.append([check.table, *counts, *differences, verdict])
    about = (
        f"numbers agree if they differ by at most {ABSOLUTE:g} + {RELATIVE:g} of the computed one\n"
        f"rows drawn at random, {100 * drawn.share:.3g}% of each table (of CKA, whole pairs of "
        "views), and all scores that follow from the results; the same rows with --verify-seed "
        f"{seed}\nnot compared: the page's sentences and figures, and what the manifests say of "
        "models and training beside digests of files\n"
        f"not recomputed: {', '.join(left_out(drawn, checks)) or 'none'}"
    )
    return f"{grid(rows)}\n{about}"


def left_out(drawn: RandomRows, checks: Sequence[Check] = ()) -> list[str]:
    """The tables of a report's folder that are not recomputed."""
    whole = {check.table for check in checks}
    known, left = list(sections.headings()), []
    for name in [*known, *others_in(drawn.folder, known)]:
        tables = table_names(drawn.folder / name)
        kept = name in known and name != "curves"
        left += [f"{name}/{table}.csv" for table in tables if not (kept and keys_of(name, table))]
    own = [f"{table}.csv" for table in table_names(drawn.folder)]
    return [*left, *(table for table in own if table not in whole)]


def others_in(folder: Path, known: Sequence[str]) -> list[str]:
    """The names of the folders in a report that are no sections."""
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and path.name not in known
    )
