"""The leaderboard of a report: a row for each model, a column for each score or index."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.index import Index
from analysis.commands.run_tables import read_tables
from analysis.compare.predictors import common_noises, indices
from analysis.compare.runs import Run
from analysis.generalization import beyond
from analysis.generalization import metrics as benchmark_metrics
from analysis.generalization.metrics import facts
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.report import glossary
from analysis.report.contents import models, sections
from analysis.report.settings import BENCHMARK
from analysis.srga.reading import apart_in_psnr
from mtd.metrics import METRICS
from mtd.utils.errors import BadInput

UNSEEN = "PSNR, unseen (dB)"
"""The column that the leaderboard is sorted by."""

ALL = "PSNR, all noises (dB)"
"""The column that it is sorted by where it is not known what any model was trained on."""

MEANS = {"out_of_distribution": "unseen", "mean": "all noises"}
"""Columns of the benchmark's scores that it has of every metric, and what they are over."""

AGAINST = tuple(f"{heading} (dB)" for heading in beyond.HEADINGS.values())
"""Columns of how far models are beyond their references."""

HEADS = {
    "PSNR, trained (dB)": "PSNR, seen",
    UNSEEN: "unseen",
    "PSNR drop (dB)": "drop",
    ALL: "all noises",
    AGAINST[0]: "− own filter",
    AGAINST[1]: "− classical",
    "CKA, last quarter": "CKA",
    "W1 of last features (σ)": "W1",
    "CH by noise": "CH",
    "gain of the output": "gain",
}
"""Short headings of the leaderboard's columns."""

TERMS = {
    "PSNR, trained (dB)": "trained, or in distribution",
    UNSEEN: "unseen, or out of distribution",
    "PSNR drop (dB)": "PSNR drop",
    AGAINST[0]: "own fixed filter",
    AGAINST[1]: "best classical reference",
    "CKA, last quarter": "CKA",
    "SRGA": "SRGA",
    "W1 of last features (σ)": "Wasserstein distance (W1)",
    "CH by noise": "Calinski–Harabasz index (CH)",
    "gain of the output": "gain",
}
"""The terms of the glossary that columns of the leaderboard are explained by."""

LEADERBOARD = "leaderboard.csv"
"""File name of `scores` in the report's folder."""


def scores(path: Path) -> pd.DataFrame:
    """A row for each model, a column for each score or index of the sections.

    The best under unseen noise comes first; models without PSNR there are last, in their order, and
    after them classical denoisers, which are references. An index is left out if its table holds
    another measure.
    """
    manifests = sections(path)
    known = compared(path)
    frame = pd.DataFrame({"model": list(known)}, index=pd.Index(list(known), dtype=object))
    trained: list[str] = []
    if BENCHMARK in manifests:
        trained = Run(BENCHMARK, manifests[BENCHMARK], {}).trained
        benchmark = read_tables(path / BENCHMARK, [BENCHMARK]).get(BENCHMARK)
        if benchmark is not None:
            psnr = benchmark[benchmark.metric == "psnr"].set_index("model")
            names = {
                "PSNR, trained (dB)": "in_distribution",
                UNSEEN: "out_of_distribution",
                "PSNR drop (dB)": "ood_drop",
                ALL: "mean",
            }
            for label, column in names.items():
                if column not in psnr:
                    continue
                frame[label] = of_models(known, psnr[column], manifests[BENCHMARK])
            for metric in further(path):
                rows = benchmark[benchmark.metric == metric].set_index("model")
                for column in MEANS:
                    values = rows.get(column, pd.Series(dtype=float)).astype(float)
                    about = manifests[BENCHMARK]
                    frame[mean_of(metric, column)] = of_models(known, values, about)
        tables = read_tables(path / BENCHMARK, ["references"])
        for heading, by_model in beyond.columns(tables, "psnr").items():
            texts = pd.Series(by_model, dtype=object)
            frame[f"{heading} (dB)"] = of_models(known, texts, manifests[BENCHMARK])
    for name, index in indices().items():
        if name in manifests:
            tables = read_tables(path / name, [index.table])
            if index.table in tables:
                run = Run(name, manifests[name], tables)
                with suppress(AttributeError, KeyError, BadInput):  # no such column or noise
                    values = index_means(index, run, trained)
                    frame[index.short] = of_models(known, values, manifests[name])
    orders = [name for name in (UNSEEN, ALL) if name in frame and frame[name].notna().any()]
    if orders:
        ascending = not facts("psnr").higher_is_better
        frame = frame.sort_values(orders[0], ascending=ascending, kind="stable")
    beside = manifests.get(BENCHMARK, {}).get("references", {})
    frame = frame.sort_values("model", key=lambda names: names.isin(beside), kind="stable")
    empty = frame.columns[frame.isna().all()].difference(without_values(path, orders), sort=False)
    return frame.reset_index(drop=True).drop(columns=empty)


def further(path: Path) -> list[str]:
    """The metrics of the benchmark beside PSNR, then those that were wanted and not run."""
    benchmark = read_tables(path / BENCHMARK, [BENCHMARK]).get(BENCHMARK)
    if benchmark is None:
        return []
    found = [str(name) for name in dict.fromkeys(benchmark.metric) if name != "psnr"]
    return [*(name for name in found if name in METRICS), *not_run(path)]


def not_run(path: Path) -> list[str]:
    """The metrics that were wanted in the benchmark and have no value in it."""
    benchmark = read_tables(path / BENCHMARK, [BENCHMARK]).get(BENCHMARK)
    if benchmark is None:
        return []
    return benchmark_metrics.absent(sections(path)[BENCHMARK], set(benchmark.metric))


def without_values(path: Path, orders: Sequence[str]) -> list[str]:
    """The columns that stay though they are empty: a mean of each metric that was not run.

    Args:
        path: of the report.
        orders: columns of PSNR that have values, the first one that models are sorted by.
    """
    column = "mean" if orders and orders[0] == ALL else "out_of_distribution"
    return [mean_of(metric, column) for metric in not_run(path)]


def mean_of(metric: str, column: str) -> str:
    """The name of the column with a mean of a metric.

    Args:
        metric: its name.
        column: of `MEANS`.

    >>> mean_of("psnr", "mean") == ALL, mean_of("lpips", "out_of_distribution")
    (True, 'LPIPS, unseen')
    """
    unit = METRICS[metric].unit if metric in METRICS else ""
    name = f"{benchmark_metrics.label(metric)}, {MEANS[column]}"
    return f"{name} ({unit})" if unit else name


def index_means(index: Index, run: Run, trained: Collection[str]) -> pd.Series:
    """The mean of an index over the noises that no model was trained on, as far as is known, and
    under which every model has a value."""
    rows = index.read(run.table(index.table), run.reference, trained)
    wide = rows.pivot(index="model", columns="noise", values="value").astype(float)
    values: pd.Series = wide[common_noises(wide)].mean(axis=1)
    return values


def leaderboard(path: Path) -> Displayed:
    """`scores` as a table with short headings, which say what they mean."""
    frame = scores(path)
    short = HEADS | further_headings(path, frame)
    heads = {name: short.get(str(name), str(name)) for name in frame}
    digits = {heads[name]: 2 if "dB" in str(name) else 3 for name in frame}
    digits |= {heads[n]: METRICS[m].digits for m, n in further_means(path, frame) if m in METRICS}
    source = "" if frame.empty else LEADERBOARD
    scored = sections(path).get(BENCHMARK, {})
    shown = frame.rename(columns=heads)
    help_ = {heads[name]: glossary.definition(TERMS[name]) for name in frame if name in TERMS}
    help_ |= {heads[name]: text for name, text in further_help(path, frame).items()}
    for name in (heads.get(column) for column in AGAINST):
        if name in shown:
            shown[name] = [halved(text) for text in shown[name]]
    about = ["All models"]
    if BENCHMARK in sections(path):
        about = ["PSNR in dB; ± half-width of the 95% interval", *benchmark_metrics.lines(scored)]
    about += further_directions(path)
    if UNSEEN in frame:
        about.append("columns not in dB: over the unseen noises of their sections")
    about += caveats(path, frame)
    caption = "; ".join(about)
    return notebook_output.table(shown, digits, caption, source, help_)


def further_means(path: Path, frame: pd.DataFrame) -> list[tuple[str, str]]:
    """The metrics beside PSNR, each with the columns of its means that a leaderboard has."""
    names = [(metric, mean_of(metric, column)) for metric in further(path) for column in MEANS]
    return [(metric, name) for metric, name in names if name in frame]


def further_headings(path: Path, frame: pd.DataFrame) -> dict[str, str]:
    """Headings of `further_means`."""
    heads = {}
    for metric, name in further_means(path, frame):
        head = benchmark_metrics.label(metric)
        beside = name == mean_of(metric, "mean") and mean_of(metric, "out_of_distribution") in frame
        heads[name] = f"{head}, {MEANS['mean']}" if beside else head
    return heads


def further_directions(path: Path) -> list[str]:
    """Of which metrics beside PSNR, of those that were run, less is better; empty for none."""
    found = [METRICS[name] for name in further(path) if name not in not_run(path)]
    lower = [metric.label for metric in found if not metric.higher_is_better]
    return [f"lower is better for {', '.join(lower)}"] if lower else []


def further_help(path: Path, frame: pd.DataFrame) -> dict[str, str]:
    """What the metrics of `further_means` are, by column."""
    found = {}
    for metric, name in further_means(path, frame):
        label = benchmark_metrics.label(metric)
        own = f"{label}, {METRICS[metric].direction}." if metric in METRICS else f"{label}."
        found[name] = glossary.definition(label) if label in glossary.TERMS else own
    return found


def caveats(path: Path, frame: pd.DataFrame) -> list[str]:
    """What must be known of a leaderboard's columns to compare models by them."""
    table = read_tables(path / "srga", ["srga"]).get("srga") if "SRGA" in frame else None
    apart = 0.0 if table is None or "psnr" not in table else apart_in_psnr(table)
    if not apart:
        return []
    return [f"SRGA: hardly comparable, PSNR differs by {apart:.1f} dB under the reference"]


def halved(text: Any) -> str:
    """A value with its interval, such as `+1.99 [+0.95, +3.02]`, as value ± half of the interval.

    >>> print(halved("+1.99 [+0.95, +3.02]"), halved("+1.99"), halved(float("nan")), sep="; ")
    +1.99\xa0±\xa01.04; +1.99; –
    """
    if not isinstance(text, str):
        return "–"
    value, _, ends = text.partition(" [")
    if not ends:
        return text
    low, high = (float(end) for end in ends.rstrip("]").split(", "))
    space = "\N{NO-BREAK SPACE}"
    return f"{value}{space}±{space}{(high - low) / 2:.2f}"


def compared(path: Path) -> dict[str, Any]:
    """The SHA-256 of each model's file, by name; one name if sections name it differently.

    Two names of identical files both stay if a section has both.
    """
    digests = {name: about.get("sha256") for name, about in models(path).items()}
    most_names: dict[Any, list[str]] = {}
    for about in sections(path).values():
        by_digest: dict[Any, list[str]] = {}
        for name, model in (about.get("models") or {}).items():
            if name in digests and digests[name] == model.get("sha256"):
                by_digest.setdefault(digests[name], []).append(name)
        for digest, names in by_digest.items():
            if len(names) > len(most_names.get(digest, ())):
                most_names[digest] = names
    return {
        name: digest
        for name, digest in digests.items()
        if digest is None or name in most_names.get(digest, [name])
    }


def of_models(known: Mapping[str, Any], values: pd.Series, about: Mapping[str, Any]) -> pd.Series:
    """A section's values by the report's names of models.

    Args:
        known: digests of files by name; see `compared`.
        values: by the section's own names.
        about: the section's manifest. A model matches if name and file are the same; failing that,
            if the file is.
    """
    theirs = {name: model.get("sha256") for name, model in (about.get("models") or {}).items()}
    by_name = {}
    for name, digest in known.items():
        same_file = [other for other, own in theirs.items() if own == digest and own is not None]
        if name in theirs and theirs[name] == digest:
            by_name[name] = values.get(name)
        elif same_file:
            by_name[name] = values.get(same_file[0])
    return pd.Series(by_name, dtype=values.dtype).reindex(pd.Index(list(known), dtype=object))
