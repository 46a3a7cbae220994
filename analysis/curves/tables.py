"""Tables of training and test curves, and what is read off them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.curves.log_readers import LOSS, PSNR, Point
from analysis.text.terminal import plural

COLUMNS = ("run", "source", "quantity", "noise", "step", "value")


CHECKPOINTS = "checkpoints"


PREFERRED = ("loss", "g_loss", "l_pix")
"""Last parts of names of losses, of which the first that is there is shown."""


SUMMARY = (
    *("run", "trained", "unseen", "best_in_step", "best_in_psnr", "best_out_step"),
    *("best_out_psnr", "out_at_best_in", "overfitting_gap", "last_step", "last_in_psnr"),
    *("last_out_psnr", "final_out_drop", "last_loss_step", "last_loss"),
)
"""Of `summary.csv`, a row for each run. PSNR is in dB: *in* is that under the noise `trained` on,
*out* the plain mean over the `unseen` other noises, at steps where all of them were tested.

`overfitting_gap` = `best_out_psnr` − `out_at_best_in`: what is lost on unseen noise by stopping at
the step that is best on the noise trained on. `final_out_drop` = `best_out_psnr` − `last_out_psnr`.
Of steps that are equally good the first is taken."""


def settle(run: str, points: Sequence[Point], together: bool) -> tuple[pd.DataFrame, list[str]]:
    """Points as they were logged, as curves: where steps go back, what came before is replaced.

    A run that is taken up at an earlier step logs some steps again; values from that step on are
    dropped then. So are values that are no finite numbers, and losses but the main one.

    Args:
        run: its name.
        points: in the order in which they were logged.
        together: all are of one file, so that all curves go back when one does.

    Returns:
        The table, columns `COLUMNS`, and what must be said of it.
    """
    points, notes = main_loss(points)
    held: dict[tuple[str, str, str], dict[int, float]] = {}
    last: dict[Any, int] = {}
    back: list[int] = []
    for source, quantity, noise, step, value in points:
        key = source, quantity, noise
        curve = held.setdefault(key, {})
        clock = None if together else key
        if step < last.get(clock, step) or step in curve:
            back.append(step)
            for other in held.values() if together else [curve]:
                for late in [at for at in other if at >= step]:
                    del other[late]
        curve[step] = value
        last[clock] = step
    rows = [(run, *key, *point) for key, curve in held.items() for point in curve.items()]
    finite = [row for row in rows if math.isfinite(row[-1])]
    if back:
        first = f"steps go back, to {min(back):,} at the earliest"
        notes.append(f"{first}: after a restart later values replace earlier ones")
    if lost := len(rows) - len(finite):
        notes.append(f"{plural(lost, 'value')} dropped, NaN or infinite")
    return pd.DataFrame(finite, columns=list(COLUMNS)), notes


def main_loss(points: Sequence[Point]) -> tuple[list[Point], list[str]]:
    """The loss of training among all that were logged, its name taken off; says which were not."""
    found = list(dict.fromkeys(point.name for point in points if point.quantity == LOSS))
    training = [name for name in found if not re.search(r"val|test", name, re.I)] or found
    last = {name.rpartition("/")[2].lower(): name for name in reversed(training)}
    chosen = next((last[name] for name in PREFERRED if name in last), (training or [""])[0])
    kept = []
    for point in points:
        if point.quantity != LOSS:
            kept.append(point)
        elif point.name == chosen:
            kept.append(point._replace(name=""))
    others = ", ".join(name for name in found if name != chosen)
    return kept, [f"of its losses {chosen} is shown, not {others}"] if others else []


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of PSNR, of evaluated checkpoints alone for runs that have some."""
    part = frame[frame.quantity == PSNR]
    evaluated = part.run.isin(part[part.source == CHECKPOINTS].run)
    return part[~evaluated | (part.source == CHECKPOINTS)]


def means(part: pd.DataFrame, trained: str) -> pd.DataFrame:
    """One run's PSNR by step: `trained`, and `unseen`, the plain mean over all other noises.

    Args:
        part: the run's rows of `shown`.
        trained: the noise trained on.

    Returns:
        Index `step`, rising; NaN where a noise that counts was not tested.
    """
    wide = part.pivot(index="step", columns="noise", values="value").sort_index()
    unseen = wide.drop(columns=trained, errors="ignore").mean(axis=1, skipna=False)
    return pd.DataFrame({"trained": wide.reindex(columns=[trained])[trained], "unseen": unseen})


def summary(frame: pd.DataFrame, trained: Mapping[str, str]) -> pd.DataFrame:
    """One row for each run; see `SUMMARY`.

    Args:
        frame: columns `COLUMNS`.
        trained: by run, the noise trained on; empty for runs without test curves.
    """
    part, rows = shown(frame), []
    for run, noise in trained.items():
        curves = means(part[part.run == run], noise)
        row: dict[str, Any] = dict.fromkeys(SUMMARY, math.nan) | {"run": run, "trained": noise}
        others = [name for name in dict.fromkeys(part[part.run == run].noise) if name != noise]
        row["unseen"] = len(others)
        inside, outside = curves.trained.dropna(), curves.unseen.dropna()
        for name, curve in (("in", inside), ("out", outside)):
            if len(curve):
                row[f"best_{name}_step"], row[f"best_{name}_psnr"] = curve.idxmax(), curve.max()
                row[f"last_{name}_psnr"] = curve.iloc[-1]
        if len(curves):
            row["last_step"] = curves.index[-1]
        if len(inside):
            row["out_at_best_in"] = curves.unseen[inside.index].iloc[inside.argmax()]
        row["overfitting_gap"] = row["best_out_psnr"] - row["out_at_best_in"]
        row["final_out_drop"] = row["best_out_psnr"] - row["last_out_psnr"]
        losses = frame[(frame.run == run) & (frame.quantity == LOSS)].sort_values("step")
        if len(losses):
            row["last_loss_step"], row["last_loss"] = losses[["step", "value"]].iloc[-1]
        rows.append(row)
    whole = [name for name in SUMMARY if name.endswith("step")]
    return pd.DataFrame(rows, columns=list(SUMMARY)).astype(dict.fromkeys(whole, "Int64"))


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`curves.csv` and `summary.csv` of a run folder; runs may be called 10 or nan."""
    text = dict.fromkeys(("run", "source", "quantity", "noise", "trained"), str)
    found = []
    for name, columns in (("curves.csv", COLUMNS), ("summary.csv", SUMMARY)):
        missing = {column: ["nan"] for column in columns if column not in text}
        kinds = {column: text[column] for column in columns if column in text}
        found.append(
            pd.read_csv(folder / name, dtype=kinds, keep_default_na=False, na_values=missing)
        )
    return found[0], found[1]


def count(value: float) -> str:
    """A step, or a dash."""
    return "-" if math.isnan(value) else f"{value:,.0f}"
