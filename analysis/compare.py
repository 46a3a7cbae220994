"""Do the indices predict anything? Indices of models beside what they lose on unseen noise.

`python -m analysis.compare RUN RUN …` reads run folders: one of `analysis.generalization`, and any
of `srga`, `cka`, `degradation`, `distributions` and `sensitivity`, over the same checkpoints.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mtd import cli
from mtd.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

EXAMPLES = """\
  python -m analysis.compare runs/generalization-… runs/srga-… runs/cka-…
  python -m analysis.compare runs/*-a-b-c-d-* --output-dir runs/compared
"""

LEAST = 4
"""Fewest models between which ranks are correlated."""

EXACT = 8
"""Most models for which all orders are tried for a p-value."""

TARGETS = {
    "gap": "PSNR lost from trained to unseen noise (dB)",
    "unseen": "PSNR under unseen noise (dB)",
}


@dataclass(frozen=True)
class Index:
    """A number that might tell how a model generalizes.

    Attributes:
        name: its column.
        analysis: whose run folder has it.
        table: which of its tables.
        label: for figures.
        read: one value for each model, from that table.
    """

    name: str
    analysis: str
    table: str
    label: str
    read: Callable[[pd.DataFrame], pd.Series]


def _srga(frame: pd.DataFrame) -> pd.Series:
    return frame[frame.noise != frame.reference].groupby("model").srga.mean()


def _cka(frame: pd.DataFrame) -> pd.Series:
    same = (frame.model_a == frame.model_b) & (frame.noise_a != frame.noise_b)
    return frame[same].groupby("model_a").cka.mean()


def _separability(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("model").ch_noise.max()


def _distance(frame: pd.DataFrame) -> pd.Series:
    unseen = frame[frame.noise != frame.reference]
    deepest = unseen[unseen.layer.str.startswith("input:")]
    chosen = deepest if len(deepest) else unseen
    values: pd.Series = chosen.groupby("model").w1_relative.mean()
    return values


def _sensitivity(frame: pd.DataFrame) -> pd.Series:
    last = frame.groupby(["model", "noise"])["index"].transform("max") == frame["index"]
    return frame[last].groupby("model").gain.mean()


INDICES = (
    Index("srga", "srga", "srga", "SRGA, mean over unseen noises", _srga),
    Index("cka", "cka", "deep", "deep CKA between noises", _cka),
    Index(
        "separability",
        "degradation",
        "degradation",
        "highest CH by noise over layers",
        _separability,
    ),
    Index("distance", "distributions", "distributions", "W1 of deep features (σ)", _distance),
    Index("sensitivity", "sensitivity", "sensitivity", "gain of the output", _sensitivity),
)


class Correlation(NamedTuple):
    """A rank correlation with its 95% interval and p-value."""

    value: float
    low: float
    high: float
    p: float


def spearman(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Spearman's ρ: Pearson's correlation of ranks, ties sharing theirs.

    The interval is tanh(atanh ρ ± 1.96 √((1 + ρ²/2) / (n − 3))); at |ρ| = 1 it is that value alone,
    which says nothing of its certainty. The two-sided p-value is the share of all orders of y that
    give as large a |ρ|, for up to 8 models; above, SciPy's approximation.

    Args:
        x: (n,).
        y: (n,).

    Returns:
        NaN where one side does not vary; no interval below 4 pairs.

    Reference: Bonett and Wright 2000, Psychometrika 65.
    """
    from itertools import permutations

    import numpy as np
    from scipy import stats

    a, b = (stats.rankdata(side) for side in (x, y))
    n = len(a)
    if n < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(*4 * [math.nan])
    value = float(np.corrcoef(a, b)[0, 1])
    value = round(value) if abs(value) > 1 - 1e-12 else value
    if n <= EXACT:
        orders = np.array(list(permutations(b)))
        found = (orders - b.mean()) @ (a - a.mean()) / (n * a.std() * b.std())
        p = float(np.mean(np.abs(found) >= abs(value) - 1e-9))
    else:
        p = float(stats.spearmanr(a, b).pvalue)
    if n < LEAST:
        return Correlation(value, math.nan, math.nan, p)
    if abs(value) == 1:
        return Correlation(value, value, value, p)
    half = 1.96 * math.sqrt((1 + value**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(value) + side * half) for side in (-1, 1))
    return Correlation(value, low, high, p)


def gather(paths: Sequence[Path]) -> pd.DataFrame:
    """One row for each model: what it loses, and every index that the run folders hold.

    Models are the same if their files are, whatever they are called; names are those of the
    generalization run.

    Raises:
        BadInput: no run folder, another analysis, two of one kind, none of generalization, or no
            index.
    """
    from analysis.runs import read_manifest, read_tables

    known = {"generalization", *(index.analysis for index in INDICES)}
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in paths:
        manifest = read_manifest(path)
        kind = str(manifest.get("analysis"))
        if kind not in known:
            raise BadInput(f"{path}: a run of {kind}; expected one of {', '.join(sorted(known))}")
        if kind in found:
            raise BadInput(f"{path}: a second run of {kind}, after {found[kind][0]}; give one")
        found[kind] = path, manifest
    if "generalization" not in found:
        raise BadInput("no run of analysis.generalization among them: what is to be predicted?")
    if len(found) < 2:
        raise BadInput("no index: give a run of " + ", ".join(sorted(known - {"generalization"})))
    path, manifest = found["generalization"]
    scores = _table(read_tables(path, ["generalization"]), path, "generalization")
    psnr = scores[scores.metric == "psnr"].set_index("model")
    digests = {name: about["sha256"] for name, about in manifest["models"].items()}
    import pandas as pd

    frame = pd.DataFrame({"model": list(digests), "checkpoint": list(digests.values())})
    frame["gap"] = frame.model.map(psnr.gap)
    frame["unseen"] = frame.model.map(psnr.out_of_distribution)
    for index in INDICES:
        if index.analysis in found:
            path, manifest = found[index.analysis]
            table = _table(read_tables(path, [index.table]), path, index.table)
            values = index.read(table)
            names = {about["sha256"]: name for name, about in manifest["models"].items()}
            frame[index.name] = frame.checkpoint.map(names).map(values)
    return frame


def _table(tables: Mapping[str, pd.DataFrame], path: Path, name: str) -> pd.DataFrame:
    if name not in tables:
        raise BadInput(f"{path}: {name}.csv is missing; run it to its end, with --resume")
    return tables[name]


def correlations(frame: pd.DataFrame) -> pd.DataFrame:
    """Each index against what is lost, and against the PSNR under unseen noise.

    Raises:
        BadInput: fewer than 4 models.
    """
    import pandas as pd

    if len(frame) < LEAST:
        raise BadInput(f"{len(frame)} models: ranks are compared from {LEAST} on")
    rows = []
    for index in (index for index in INDICES if index.name in frame):
        for target in TARGETS:
            both = frame[[index.name, target]].dropna()
            found = spearman(both[index.name], both[target])
            rows.append(
                {"index": index.name, "target": target, "models": len(both)}
                | {"spearman": found.value, "low": found.low, "high": found.high, "p": found.p}
            )
    return pd.DataFrame(rows)


def figure(frame: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """What is lost against every index, a point for each model."""
    from matplotlib.figure import Figure

    from analysis import plots
    from analysis.level_curves import style

    chosen = [index for index in INDICES if index.name in frame]
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    drawn = Figure(figsize=(4 * columns, 3.6 * rows + 0.6), dpi=plots.DPI, layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    models = list(frame.model)
    for axes, index in zip(grid.flat, chosen, strict=False):
        for row in frame.to_dict("records"):
            look = style(row["model"], models) | {"ls": "none", "ms": 6}
            axes.plot(row[index.name], row["gap"], label=row["model"], **look)
        pair = found[(found["index"] == index.name) & (found.target == "gap")].iloc[0]
        value = f"Spearman's ρ {pair.spearman:.2f} [{pair.low:.2f}, {pair.high:.2f}]"
        axes.set_title(value, fontsize=9)
        axes.set_xlabel(index.label, fontsize=8)
        axes.grid(alpha=0.3)
    for axes in grid[:, 0]:
        axes.set_ylabel(TARGETS["gap"], fontsize=8)
    handles, names = grid.flat[0].get_legend_handles_labels()
    drawn.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)), fontsize=8)
    drawn.suptitle(f"Do the indices predict what {len(models)} models lose?", fontsize=10)
    return drawn


def text(frame: pd.DataFrame, found: pd.DataFrame) -> str:
    """Both tables for a reader."""
    from analysis.standings import grid, number

    names = [index.name for index in INDICES if index.name in frame]
    rows = [["model", "gap", "unseen", *names]]
    for row in frame.to_dict("records"):
        values = [number(row["gap"], 2), number(row["unseen"], 2)]
        rows.append([row["model"], *values, *(number(row[name], 3) for name in names)])
    pairs = [["Spearman's rank correlation", "with", "rho", "95% interval", "p", "models"]]
    for row in found.to_dict("records"):
        span = f"[{number(row['low'], 2)}, {number(row['high'], 2)}]"
        p = "-" if math.isnan(row["p"]) else f"{row['p']:.2g}"
        value = number(row["spearman"], 2)
        pairs.append([row["index"], row["target"], value, span, p, str(row["models"])])
    few = (
        f"note: {len(frame)} models; intervals and p-values treat them as drawn independently, "
        "which snapshots of one training are not"
    )
    return "\n".join([grid(rows), "", grid(pairs), few])


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "analysis.compare",
        "Put the indices of many models beside what they lose on unseen noise, with rank "
        "correlations: does any of them predict it?",
        EXAMPLES,
    )
    p.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="run folders")
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/compare-DIGEST")
    return p


def main() -> None:
    """Read, correlate, write, print."""
    run(parser().parse_args(), cli.command("analysis.compare"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `gather` and `correlations`.
    """
    from analysis.runs import RunFolder, read_manifest, versions

    frame = gather(args.runs)
    found = correlations(frame)
    manifest = {
        "analysis": "compare",
        "versions": versions(),
        "runs": {read_manifest(path)["analysis"]: read_manifest(path) for path in args.runs},
    }
    folder = RunFolder(args.output_dir, "compare", manifest, command=command)
    folder.table("compare.csv", frame)
    folder.table("correlations.csv", found)
    folder.figure("compare.png", figure(frame, found))
    print(text(frame, found))
    print(f"\nwritten to {folder.path}")
    folder.finish()
    return folder.path


if __name__ == "__main__":
    cli.run(main)
