"""What a benchmark says on stdout, and its figures, from the tables of its run folder alone."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis import level_curves, strips
from analysis.ranking import NOISY
from analysis.runs import RunFolder, read_manifest, read_tables
from analysis.significance import OUTSIDE
from mtd.metrics import METRICS

NAMES = ("results", "generalization", "noises", "tests", "strips")
PAIRS = 12
"""Most pairs of models whose difference is printed; all are in tests.csv."""


def report(folder: RunFolder) -> None:
    """Write the figures and print the tables."""
    frames = read_tables(folder.path, NAMES)
    order = ordered(frames["generalization"], "psnr")
    for metric in frames["noises"].metric.unique():
        figure = level_curves.curves(frames["noises"], str(metric))
        if figure is not None:
            folder.figure(f"levels_{metric}.png", figure)
    ranked = level_curves.rank_map(frames["noises"], order)
    if ranked is not None:
        folder.figure("ranks.png", ranked)
    for name, strip in strips.figures(folder.path, frames["strips"], order).items():
        folder.figure(f"{name}.png", strip)
    print(text(frames, read_manifest(folder.path)))
    print(f"\nwritten to {folder.path}")


def ordered(frame: pd.DataFrame, metric: str) -> list[str]:
    """Models from the best out of distribution (else in it) to the worst."""
    part = frame[(frame.metric == metric) & (frame.model != NOISY)]
    column = next(
        (c for c in ("out_of_distribution", "in_distribution") if part[c].notna().any()), None
    )
    if column is None:
        return [str(name) for name in part.model]
    best_first = not METRICS[metric].higher_is_better
    return [str(name) for name in part.sort_values(column, ascending=best_first).model]


def text(frames: dict[str, pd.DataFrame], manifest: dict[str, Any]) -> str:
    """The tables for a reader."""
    noises = frames["noises"]
    parts = [heading(frames["results"], manifest)]
    for metric in noises.metric.unique():
        parts += ["", scores(frames["generalization"], str(metric))]
    parts += ["", by_noise(noises, frames["generalization"], "psnr")]
    if (found := differences(frames["tests"], "psnr")) is not None:
        parts += ["", found]
    parts += ["", *notes(frames, manifest)]
    return "\n".join(parts).rstrip()


def heading(results: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """What was measured on what."""
    crops = results.drop_duplicates(["image", "top", "left", "sha256"])
    sizes = sorted({f"{h} x {w}" for h, w in zip(crops.height, crops.width, strict=True)})
    shown = ", ".join(sizes[:3]) + (f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else "")
    what = "whole images" if manifest["crop"] is None else "crops"
    source = manifest["images"] or ", ".join([*manifest["testsets"], *manifest["recorded"]])
    source = source if isinstance(source, str) else ", ".join(source)
    suite = f"suite {manifest['suite']}; " if manifest["suite"] else ""
    border = f"{manifest['border']} pixels left out at every side, " if manifest["border"] else ""
    quantized = "8 bits" if manifest["quantize"] else "8 bits, noise neither clipped nor rounded"
    return (
        f"{suite}{len(crops)} {what} of {shown} from {crops.image.nunique()} images ({source})\n"
        f"protocol {manifest['protocol']}: {border}{manifest['channel'].upper()}, {quantized}; "
        f"in distribution: {', '.join(manifest['in_distribution']) or 'none of the noises'}"
    )


def number(value: float, digits: int) -> str:
    """A number, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def grid(rows: list[list[str]]) -> str:
    """Columns under one another, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def scores(frame: pd.DataFrame, metric: str) -> str:
    """Scores of the models, best first, with 95% intervals for the first two."""
    part, about = frame[frame.metric == metric].set_index("model"), METRICS[metric]
    rows = [["model", "trained on", "unseen noise", "worst", "gap", "area", "mean rank"]]
    for model in [*ordered(frame, metric), *([NOISY] if NOISY in part.index else [])]:
        row: dict[str, Any] = part.loc[model].to_dict()  # type: ignore[assignment]
        cells = [str(model)]
        for name in ("in_distribution", "out_of_distribution"):
            value = number(row[name], about.digits)
            if not math.isnan(row[f"{name}_low"]):
                low, high = (number(row[f"{name}_{end}"], about.digits) for end in ("low", "high"))
                value += f" [{low}, {high}]"
            cells.append(value)
        worst = number(row["worst"], about.digits)
        where = str(row.get("worst_noise", ""))
        cells.append(f"{worst} {where}" if worst != "-" else "-")
        cells += [number(row[name], about.digits) for name in ("gap", "area")]
        cells.append(number(row["mean_rank"], 2))
        rows.append(cells)
    return f"{level_curves.label(metric)}\n{grid(rows)}"


def by_noise(noises: pd.DataFrame, frame: pd.DataFrame, metric: str) -> str:
    """The mean under every noise, models in columns; + marks noise that was trained on."""
    part, about = noises[noises.metric == metric], METRICS[metric]
    models = [*ordered(frame, metric), NOISY]
    rows = [[f"{about.label} by noise", *models]]
    for noise, values in part.groupby("noise", sort=False):
        held = values.set_index("model")["mean"]
        trained = " +" if values.in_distribution.any() else ""
        rows.append([f"{noise}{trained}", *(number(held[m], about.digits) for m in models)])
    return grid(rows)


def differences(tests: pd.DataFrame, metric: str) -> str | None:
    """Differences between models over all unseen noises, with their p-values."""
    part = tests[(tests.metric == metric) & (tests.noise == OUTSIDE)]
    if part.empty:
        return None
    about = METRICS[metric]
    rows = [["out of distribution", f"difference in {about.unit or about.label}", "p", "p (Holm)"]]
    for row in part.head(PAIRS).to_dict("records"):
        span = f" [{row['low']:+.{about.digits}f}, {row['high']:+.{about.digits}f}]"
        change = f"{row['difference']:+.{about.digits}f}" + ("" if math.isnan(row["low"]) else span)
        p = [f"{row[name]:.2g}" for name in ("p", "p_holm")]
        rows.append([f"{row['model_a']} - {row['model_b']}", change, *p])
    return grid(rows)


def notes(frames: dict[str, pd.DataFrame], manifest: dict[str, Any]) -> list[str]:
    """What a reader must know of these numbers."""
    found = [*manifest["notes"]]
    draws = set(frames["noises"].draw)
    if "crop" in draws:
        found.append(
            "fewer than 10 photographs: intervals and tests are about other crops of these "
            "photographs, not about other photographs"
        )
    if not manifest["lpips"]:
        found.append("no LPIPS: its backbone was left out or could not be had")
    return [f"note: {note}" for note in found]
