"""What `python -m analysis.compare` writes: models and indices, rank correlations, figure, text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.compare import predictors
from analysis.compare.predictors import INDICES, TARGETS
from analysis.plotting import model_styles
from analysis.plotting import model_styles as plotting_model_styles
from analysis.plotting.model_styles import style
from analysis.stats.paired_tests import holm
from analysis.stats.rank_correlation import LEAST, spearman
from analysis.text.terminal import grid, number, plural
from mtd.utils.errors import BadInput

WIDE = 30
"""Largest over smallest value of an index from which its scale is logarithmic."""


def tables(paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """`compare.csv`, a row for each model, and `correlations.csv`, one for each index and target.

    Raises:
        BadInput: see `analysis.compare.predictors.gather` and `correlations`.
    """
    frame = predictors.gather(paths)
    return {"compare.csv": frame, "correlations.csv": correlations(frame)}


def correlations(frame: pd.DataFrame) -> pd.DataFrame:
    """Each index against what is lost, and against the PSNR under unseen noise.

    `p_corrected` is Holm's, over the indices of one target.

    Raises:
        BadInput: fewer than 4 models.
    """
    if len(frame) < LEAST:
        raise BadInput(f"{len(frame)} models: ranks are compared from {LEAST} on")
    found = []
    for target in TARGETS:
        rows = []
        for index in (index for index in INDICES if index.name in frame):
            both = frame[[index.name, target]].dropna()
            few = len(both) < LEAST
            value = spearman([], []) if few else spearman(both[index.name], both[target])
            rows.append(
                {"index": index.name, "target": target, "models": len(both)}
                | {"spearman": value.value, "low": value.low, "high": value.high, "p": value.p}
            )
        part = pd.DataFrame(rows)
        found.append(part.assign(p_corrected=holm(list(part.p))))
    return pd.concat(found, ignore_index=True)


def figure(frame: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """What is lost against every index, a point for each model."""
    chosen = [index for index in INDICES if index.name in frame]
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    drawn = Figure(
        figsize=(4 * columns, 3.6 * rows + 0.6), dpi=plotting_model_styles.DPI, layout="constrained"
    )
    grid = drawn.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    models = list(frame.model)
    for axes, index in zip(grid.flat, chosen, strict=False):
        for row in frame.to_dict("records"):
            look = style(row["model"], models) | {"ls": "none", "ms": 6}
            axes.plot(row[index.name], row["gap"], label=row["model"], **look)
        pair = found[(found["index"] == index.name) & (found.target == "gap")].iloc[0]
        span = "" if math.isnan(pair.low) else f" [{pair.low:.2f}, {pair.high:.2f}]"
        value = f"Spearman's ρ {number(pair.spearman, 2)}{span}"
        axes.set_title(value, fontsize=9)
        axes.set_xlabel(index.label, fontsize=8)
        values = frame[index.name].dropna()
        if (values > 0).all() and values.max() > WIDE * values.min():
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(alpha=0.3)
    for axes in grid[:, 0]:
        axes.set_ylabel(TARGETS["gap"], fontsize=8)
    model_styles.add(drawn, models, lines=False)
    drawn.suptitle(f"Do the indices predict what {len(models)} models lose?", fontsize=10)
    return drawn


def report(folder: RunFolder, runs: Sequence[Path]) -> str:
    """Write the figure and return the text."""
    held = read_tables(folder.path, ["compare", "correlations"])
    frame, found = held["compare"], held["correlations"]
    folder.figure("compare.png", figure(frame, found))
    return text(frame, found, heading(runs), predictors.remarks(runs))


def heading(runs: Sequence[Path]) -> str:
    """On what PSNR was measured."""
    manifests = [read_manifest(path) for path in runs]
    about = next(m for m in manifests if m["analysis"] == predictors.PREDICTED)
    crops, trained = about.get("crops", []), about.get("in_distribution", [])
    photographs = len({crop["image"] for crop in crops})
    unseen = ", ".join(noise for noise in about["noises"] if noise not in trained)
    size = f" of {about['crop']} x {about['crop']}" if about.get("crop") else ""
    return (
        f"{plural(len(crops), 'crop')}{size} from {plural(photographs, 'photograph')}; trained on "
        f"{', '.join(trained) or 'none of the noises'}; unseen: {unseen}"
    )


def text(
    frame: pd.DataFrame, found: pd.DataFrame, heading: str = "", remarks: Sequence[str] = ()
) -> str:
    """Both tables for a reader, and what must be known of them."""
    names = [index.name for index in INDICES if index.name in frame]
    rows = [["model", "gap", "unseen", *names]]
    for row in frame.to_dict("records"):
        values = [number(row["gap"], 2), number(row["unseen"], 2)]
        rows.append([row["model"], *values, *(number(row[name], 3) for name in names)])
    pairs = [["Spearman's rank correlation", "with", "rho", "95% interval", "p", "Holm", "models"]]
    for row in found.to_dict("records"):
        span = f"[{number(row['low'], 2)}, {number(row['high'], 2)}]"
        span = "-" if math.isnan(row["low"]) else span
        p = ["-" if math.isnan(row[c]) else f"{row[c]:.2g}" for c in ("p", "p_corrected")]
        value = number(row["spearman"], 2)
        pairs.append([row["index"], row["target"], value, span, *p, str(row["models"])])
    what = "gap: PSNR from trained to unseen noise; unseen: PSNR there; all means over kinds"
    lines = [*filter(None, [heading]), grid(rows), what, "", grid(pairs)]
    lines.append(
        f"note: {len(frame)} models; intervals and p-values treat them as drawn independently, "
        "which snapshots of one training are not; Holm corrects p for the number of indices"
    )
    lines += [f"note: {remark}" for remark in remarks]
    return "\n".join(lines)
