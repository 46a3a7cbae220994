"""The summary of a report: its verdict, the answers of its sections, its models and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.report import basis, figures, glossary, verdict
from analysis.report import sections as report_sections
from analysis.report.contents import NOTHING, files, manifest, models, sections
from analysis.report.evidence import Evidence
from analysis.text.answers import Answer
from analysis.text.markdown import escaped
from analysis.text.noise_names import noise_label, noise_words

COMPARED = 4
"""Up to so many models have a column of numbers in the summary."""


def answer(path: Path) -> Displayed:
    """The verdict, and what it rests on."""
    evidence = Evidence.read(path)
    return notebook_output.verdict(verdict.verdict(evidence), basis.below(path), basis.judged(path))


def main_figure(path: Path) -> Displayed | None:
    """The figure at the top; None for a report without a benchmark of networks."""
    found = figures.main(path)
    return found and notebook_output.figure(found.figure, found.alt, found.csv)


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


def terms() -> Displayed:
    """The glossary."""
    return notebook_output.glossary(glossary.terms())
