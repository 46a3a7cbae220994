"""The summary of a report: models, main results, leaderboard, settings and provenance."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.index import Index
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.compare.predictors import common_noises, indices
from analysis.compare.runs import Run
from analysis.generalization import beyond
from analysis.generalization import metrics as benchmark_metrics
from analysis.plotting import notebook_output
from analysis.plotting.model_styles import short
from analysis.plotting.notebook_output import Displayed
from analysis.report import basis, figures, glossary, verdict
from analysis.report import sections as report_sections
from analysis.report.evidence import Evidence
from analysis.report.settings import BENCHMARK
from analysis.srga.reading import apart_in_psnr
from analysis.text.answers import Answer
from analysis.text.markdown import code, escaped
from analysis.text.noise_names import noise_label, noise_words
from mtd.utils.errors import BadInput

COMPARED = 4
"""Up to so many models have a column of numbers in the summary."""

LAYERS = 40
"""Number of layer names that are printed; a longer list is abridged."""

LISTED = (
    *("analysis", "versions", "models", "crops", "sections", "runs", "noises", "arguments"),
    *(
        "max_crops",
        "settings",
        "requests",
        "attention_mask",
        "mask_samples",
        "mask_draws",
        "quantize",
        "seed",
        "device",
    ),
    *("input_mask", "autocast", "images", "crop", "limit", "benchmark_crop"),
)
"""Entries of a report's manifest that have a table of their own, or that no table repeats."""

UNSEEN = "PSNR, unseen (dB)"
"""The column that the leaderboard is sorted by."""

ALL = "PSNR, all noises (dB)"
"""The column that it is sorted by where it is not known what any model was trained on."""

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


def sections(path: Path) -> dict[str, Mapping[str, Any]]:
    """The manifests of the sections that a report has, by name, in order."""
    manifests: dict[str, Mapping[str, Any]] = {}
    for name in report_sections.headings():
        with suppress(BadInput):
            manifests[name] = read_manifest(path / name)
    return manifests


def manifest(path: Path) -> Mapping[str, Any]:
    """The report's own manifest; empty if it has none."""
    with suppress(BadInput):
        return read_manifest(path)
    return {}


def models(path: Path) -> dict[str, Mapping[str, Any]]:
    """What is known of each model, by name, from the report or else its sections."""
    for own in (manifest(path), *sections(path).values()):
        about = own.get("models")
        if isinstance(about, dict) and about:
            return about
    return {}


def answers(path: Path) -> list[dict[str, str]]:
    """A row for each section: its answer, the evidence, and a number of each model, if few."""
    names = list(models(path))
    columns = names if len(names) <= COMPARED else []
    rows = []
    for name in sections(path):
        found = answered(path / name, name)
        if found is not None:
            row = {"section": report_sections.headings()[name], "answer": f"{found.text}."}
            row |= {"evidence": found.evidence or "–"}
            rows.append(
                row
                | {"number": found.quantity or "–"}
                | {escaped(model): found.values.get(model, "–") for model in columns}
            )
    return rows


def in_short(path: Path) -> Displayed:
    """The answers of all sections as a table."""
    return notebook_output.answers(answers(path))


def answered(folder: Path, name: str) -> Answer | None:
    """The answer of a section; None of one without tables."""
    record = report_sections.records().get(name)
    frames = read_tables(folder, record.table_names) if record else {}
    return record.answered(frames, read_manifest(folder)) if record and frames else None


def main_sentences(folder: Path, name: str) -> list[str]:
    """The sentences of a section that matter most."""
    record = report_sections.records().get(name)
    if record is None:
        return []
    frames = read_tables(folder, record.table_names)
    about = read_manifest(folder)
    if not frames:
        return []
    return (record.main_sentences or record.sentences)(frames, about)


def files(path: Path) -> Iterator[tuple[dict[str, str], Mapping[str, Any]]]:
    """Each file of the models, named, and what is known of it; of a model with several trainings
    each of them, which then have a column of their own."""
    known = models(path)
    several = any("trainings" in about for about in known.values())
    for model, about in known.items():
        for name, own in (about.get("trainings") or {"–": about}).items():
            yield {"model": model} | ({"training": name} if several else {}), own


def table_of_models(path: Path) -> pd.DataFrame:
    """A row for each file of the models; see `files`."""
    rows: list[dict[str, Any]] = []
    for names, about in files(path):
        training = about.get("training") or {}
        rows.append(
            {
                **names,
                "architecture": about.get("architecture", "–"),
                "parameters": about.get("parameters"),
                "trained on": noise_label(training.get("noise", "–")),
                "steps": training.get("steps"),
                "masks": about.get("policy", "–"),
                "SHA-256": str(about.get("sha256", "–"))[:12],
            }
        )
    counts = [name for name in ("parameters", "steps") if rows and name in rows[0]]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(counts, "Int64"))
    return frame.drop(columns=[name for name in counts if frame[name].isna().all()])


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
        frame = frame.sort_values(orders[0], ascending=False, kind="stable")
    beside = manifests.get(BENCHMARK, {}).get("references", {})
    frame = frame.sort_values("model", key=lambda names: names.isin(beside), kind="stable")
    return frame.reset_index(drop=True).dropna(axis=1, how="all")


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
    heads = {name: HEADS.get(str(name), str(name)) for name in frame}
    digits = {heads[name]: 2 if "dB" in str(name) else 3 for name in frame}
    source = "" if frame.empty else LEADERBOARD
    scored = sections(path).get(BENCHMARK, {})
    shown = frame.rename(columns=heads)
    help_ = {heads[name]: glossary.definition(TERMS[name]) for name in frame if name in TERMS}
    for name in (heads.get(column) for column in AGAINST):
        if name in shown:
            shown[name] = [halved(text) for text in shown[name]]
    about = ["All models"]
    if BENCHMARK in sections(path):
        about = ["PSNR in dB; ± half-width of the 95% interval", *benchmark_metrics.lines(scored)]
    if UNSEEN in frame:
        about.append("columns not in dB: means over unseen noise")
    about += caveats(path, frame)
    caption = "; ".join(about)
    return notebook_output.table(shown, digits, caption, source, help_)


def caveats(path: Path, frame: pd.DataFrame) -> list[str]:
    """What must be known of a leaderboard's columns to compare models by them."""
    table = read_tables(path / "srga", ["srga"]).get("srga") if "SRGA" in frame else None
    apart = 0.0 if table is None or "psnr" not in table else apart_in_psnr(table)
    if not apart:
        return []
    return [f"SRGA: hardly comparable, PSNR differs by {apart:.1f} dB under the reference"]


def halved(text: Any) -> str:
    """A value with its interval, such as `+1.99 [+0.95, +3.02]`, as value ± half of the interval.

    >>> halved("+1.99 [+0.95, +3.02]"), halved("+1.99"), halved(float("nan"))
    ('+1.99 ± 1.04', '+1.99', '–')
    """
    if not isinstance(text, str):
        return "–"
    value, _, ends = text.partition(" [")
    if not ends:
        return text
    low, high = (float(end) for end in ends.rstrip("]").split(", "))
    return f"{value} ± {(high - low) / 2:.2f}"


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


def answer(path: Path) -> Displayed:
    """The verdict, and what it rests on."""
    evidence = Evidence.read(path)
    return notebook_output.verdict(verdict.verdict(evidence), basis.below(path), basis.judged(path))


def main_figure(path: Path) -> Displayed | None:
    """The figure at the top; None for a report without a benchmark of networks."""
    found = figures.main(path)
    return found and notebook_output.figure(found.figure, found.alt, found.csv)


def terms() -> Displayed:
    """The glossary."""
    return notebook_output.glossary(glossary.terms())


NOTHING = pd.DataFrame({"section": []})


def inputs_of_sections(path: Path) -> pd.DataFrame:
    """A row for each section: its crops, their maximum number, and its noises."""
    rows, limits = [], manifest(path).get("max_crops") or {}
    for name, about in sections(path).items():
        crops = about.get("crops") or []
        if not crops and not about.get("noises"):
            continue  # curves are read from logs
        images = about.get("images")
        side = about.get("crop")
        size = f"{side} x {side}" if side else "whole images" if crops else "–"
        rows.append(
            {
                "section": report_sections.headings()[name],
                "crops": len(crops) or "–",
                "size": size + (", grayscale" if about.get("channels") == 1 else ""),
                "crops at most": limits.get(name),
                "images": len({crop["image"] for crop in crops}) or "–",
                "from": images if isinstance(images, str) else ", ".join(images or ()) or "–",
                "noises": ", ".join(map(noise_words, about.get("noises", ()))) or "–",
            }
        )
    if not rows:
        return NOTHING
    frame = pd.DataFrame(rows).astype({"crops at most": "Int64"})
    return frame.dropna(axis=1, how="all")


def entries(path: Path) -> list[str]:
    """The entries of the report's manifest that no table has."""
    return [
        f"{name.replace('_', ' ')}: {escaped(plain(value))}"
        for name, value in manifest(path).items()
        if name not in LISTED and value not in (None, "", [], {})
    ]


def plain(value: Any) -> str:
    """An entry of a manifest, in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return str(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def command(path: Path) -> list[str]:
    """The command that computes these numbers; none for a report made from run folders."""
    arguments = manifest(path).get("arguments")
    return [code(shlex.join(["python", "-m", "analysis.report", *arguments]))] if arguments else []


def settings(path: Path) -> pd.DataFrame:
    """A row for each section: its settings other than models, crops and noises."""
    rows = []
    for name, about in sections(path).items():
        crops = [[c.get("image"), c.get("top"), c.get("left"), c.get("sha256")] for c in
                 about.get("crops") or []]  # fmt: skip
        digest = hashlib.sha256(json.dumps(crops).encode()).hexdigest()[:12]
        rows.append(
            {
                "section": report_sections.headings()[name],
                "seed": about.get("seed", "–"),
                "device": about.get("device", "–"),
                "autocast": about.get("autocast", "–"),
                "attention mask": plain(about.get("attention_mask", "–")),
                "mask samples": plain(about.get("mask_samples", "–")),
                "mask draws": about.get("mask_draws", "–"),
                "hidden pixels": f"{about.get('input_mask', 0):.0%}",
                "noise in 8 bits": str(about.get("quantize", "–")),
                "SHA-256 of crops": digest if crops else "–",
            }
        )
    return pd.DataFrame(rows) if rows else NOTHING


def layers(path: Path) -> pd.DataFrame:
    """A row for each section and list of layers: its models and the names of the layers."""
    rows = []
    for name, about in sections(path).items():
        layers_of = about.get("layers") or {}
        for models_, names in alike(layers_of):
            labels = [short(layer) for layer in names]
            if len(labels) > LAYERS:
                labels = [*labels[: LAYERS - 1], "…", labels[-1]]
            rows.append(
                {
                    "section": report_sections.headings()[name],
                    "models": "all" if len(models_) == len(layers_of) else ", ".join(models_),
                    "layers": len(names),
                    "names": ", ".join(labels),
                }
            )
    return pd.DataFrame(rows) if rows else NOTHING


def alike(lists: Mapping[str, Any]) -> Iterator[tuple[list[str], list[str]]]:
    """Models grouped by their list of layers."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for model, names in lists.items():
        groups.setdefault((names,) if isinstance(names, str) else tuple(names), []).append(model)
    for names, models_ in groups.items():
        yield models_, list(names)


def versions(path: Path) -> pd.DataFrame:
    """Packages and their versions; several if sections were computed with different ones."""
    by_package: dict[str, dict[str, None]] = {}
    for about in (manifest(path), *sections(path).values()):
        for name, version in (about.get("versions") or {}).items():
            by_package.setdefault(name, {})[str(version)] = None
    rows = [{"package": name, "version": ", ".join(all_)} for name, all_ in by_package.items()]
    return pd.DataFrame(rows, columns=["package", "version"])


def checkpoints(path: Path) -> pd.DataFrame:
    """A row for each file: its SHA-256, and the source of its mask policy; see `files`."""
    rows = [
        {
            **names,
            "SHA-256": about.get("sha256", "–"),
            "masks": about.get("policy", "–"),
            "mask policy from": about.get("policy_source", "–"),
        }
        for names, about in files(path)
    ]
    return pd.DataFrame(rows)
