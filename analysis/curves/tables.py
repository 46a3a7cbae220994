"""The tables of training and test curves: every value by step, and a summary of each run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.curves.log_readers import LOSS, PSNR, Point
from analysis.text.markdown import code, codes
from analysis.text.terminal import plural

COLUMNS = ("run", "source", "quantity", "noise", "step", "value")
"""Of `curves.csv`, a row for each value."""

CHECKPOINTS = "checkpoints"
"""Source of test curves that are evaluated, not logged."""

PREFERRED = ("loss", "g_loss", "l_pix")
"""Last parts of names of losses, of which the first that is there is shown."""

SUMMARY = (
    *("run", "trained", "unseen", "best_in_step", "best_in_psnr", "best_out_step"),
    *("best_out_psnr", "out_at_best_in", "overfitting_gap", "last_step"),
    *("last_in_step", "last_in_psnr", "last_out_step", "last_out_psnr", "final_out_drop"),
    *("last_loss_step", "last_loss"),
)
"""Of `summary.csv`, a row for each run. PSNR is in dB: *in* is that under the noise `trained` on,
*out* the plain mean over the `unseen` other noises, at steps where all of them were tested.

`overfitting_gap` = `best_out_psnr` − `out_at_best_in`: the PSNR drop under unseen noise from
stopping at the step that is best under the noise trained on. `final_out_drop` = `best_out_psnr` −
`last_out_psnr`. Of steps that are equally good the first is taken. `last_step` is the last with any
test, `last_in_step` and `last_out_step` are those of the last PSNR."""


def curves_from_points(
    run: str, points: Sequence[Point], restart_together: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Curves from points as they were logged: after a restart, later values replace earlier ones.

    A run that is resumed at an earlier step logs some steps again; the values from that step on
    are dropped then. So are values that are not finite, and all losses but the main one.

    Args:
        run: its name.
        points: in the order in which they were logged.
        restart_together: all points are of one text, so that where the steps of one curve go back,
            all curves do.

    Returns:
        The table, columns `COLUMNS`, and sentences on what was left out.
    """
    points, notes = main_loss(run, points)
    curves: dict[tuple[str, str, str], dict[int, float]] = {}
    last_steps: dict[Any, int] = {}
    restarts: list[int] = []
    for source, quantity, noise, step, value in points:
        key = source, quantity, noise
        curve = curves.setdefault(key, {})
        clock = None if restart_together else key
        if step < last_steps.get(clock, step) or step in curve:
            restarts.append(step)
            for other in curves.values() if restart_together else [curve]:
                for later in [at for at in other if at >= step]:
                    del other[later]
        curve[step] = value
        last_steps[clock] = step
    rows = [(run, *key, *point) for key, curve in curves.items() for point in curve.items()]
    finite = [row for row in rows if math.isfinite(row[-1])]
    if restarts:
        notes.append(
            f"The steps of {code(run)} go back, to {min(restarts):,} at the earliest: after a "
            "restart, later values replace earlier ones."
        )
    if dropped := len(rows) - len(finite):
        notes.append(f"Of {code(run)}, {plural(dropped, 'value')} dropped: NaN or infinite.")
    return pd.DataFrame(finite, columns=list(COLUMNS)), notes


def main_loss(run: str, points: Sequence[Point]) -> tuple[list[Point], list[str]]:
    """Points with one loss, that of training, its name removed; and a sentence on the others."""
    names = list(dict.fromkeys(point.name for point in points if point.quantity == LOSS))
    training = [name for name in names if not re.search(r"val|test", name, re.I)] or names
    last_parts = {name.rpartition("/")[2].lower(): name for name in reversed(training)}
    preferred = (last_parts[name] for name in PREFERRED if name in last_parts)
    chosen = next(preferred, (training or [""])[0])
    selected = []
    for point in points:
        if point.quantity != LOSS:
            selected.append(point)
        elif point.name == chosen:
            selected.append(point._replace(name=""))
    others = [name for name in names if name != chosen]
    if not others:
        return selected, []
    return selected, [
        f"Of the losses that {code(run)} logs, {code(chosen)} is shown, not {codes(others)}."
    ]


def concatenated(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of curves as one."""
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(filled, ignore_index=True)


def psnr_curves(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of PSNR; of runs with evaluated checkpoints, those of the checkpoints alone."""
    psnr = frame[frame.quantity == PSNR]
    evaluated = psnr.run.isin(psnr[psnr.source == CHECKPOINTS].run)
    return psnr[~evaluated | (psnr.source == CHECKPOINTS)]


def psnr_by_step(rows: pd.DataFrame, trained: str) -> pd.DataFrame:
    """One run's PSNR by step: `trained`, and `unseen`, the plain mean over all other noises.

    Args:
        rows: the run's rows of `psnr_curves`.
        trained: the noise trained on.

    Returns:
        Index `step`, rising; NaN where a noise that counts was not tested.
    """
    wide = rows.pivot(index="step", columns="noise", values="value").sort_index()
    unseen = wide.drop(columns=trained, errors="ignore").mean(axis=1, skipna=False)
    return pd.DataFrame({"trained": wide.reindex(columns=[trained])[trained], "unseen": unseen})


def summary(frame: pd.DataFrame, trained: Mapping[str, str]) -> pd.DataFrame:
    """One row for each run; see `SUMMARY`.

    Args:
        frame: columns `COLUMNS`.
        trained: by run, the noise trained on; empty for runs without test curves.
    """
    rows = [summary_row(frame, run, noise) for run, noise in trained.items()]
    whole = [name for name in SUMMARY if name.endswith("step")]
    return pd.DataFrame(rows, columns=list(SUMMARY)).astype(dict.fromkeys(whole, "Int64"))


def summary_row(frame: pd.DataFrame, run: str, trained: str) -> dict[str, Any]:
    """The row of one run."""
    tests = psnr_curves(frame)
    tests = tests[tests.run == run]
    curves = psnr_by_step(tests, trained)
    row: dict[str, Any] = dict.fromkeys(SUMMARY, math.nan) | {"run": run, "trained": trained}
    row["unseen"] = len(set(tests.noise) - {trained})
    inside, outside = curves.trained.dropna(), curves.unseen.dropna()
    for name, curve in (("in", inside), ("out", outside)):
        if len(curve):
            row[f"best_{name}_step"], row[f"best_{name}_psnr"] = curve.idxmax(), curve.max()
            row[f"last_{name}_step"], row[f"last_{name}_psnr"] = curve.index[-1], curve.iloc[-1]
    if len(curves):
        row["last_step"] = curves.index[-1]
    if len(inside):
        row["out_at_best_in"] = curves.unseen[inside.index].iloc[inside.argmax()]
    row["overfitting_gap"] = row["best_out_psnr"] - row["out_at_best_in"]
    row["final_out_drop"] = row["best_out_psnr"] - row["last_out_psnr"]
    losses = frame[(frame.run == run) & (frame.quantity == LOSS)].sort_values("step")
    if len(losses):
        row["last_loss_step"], row["last_loss"] = losses[["step", "value"]].iloc[-1]
    return row


def best_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """The best and the last steps of each run with headings to read, without empty columns.

    Args:
        rows: columns `SUMMARY`.
    """
    names = {
        "run": "run",
        "trained": "trained on",
        "best_in_step": "best step",
        "best_in_psnr": "best PSNR (dB)",
        "best_out_step": "best step, unseen",
        "best_out_psnr": "best PSNR, unseen (dB)",
        "overfitting_gap": "overfitting gap (dB)",
        "final_out_drop": "PSNR drop to the last step, unseen (dB)",
        "last_loss": "last loss",
    }
    noises = rows.trained.fillna("").astype(str)
    noises = noises.mask((noises == "") & rows.last_step.notna(), "–")  # no tests need no noise
    shown = rows[list(names)].assign(trained=noises)
    if (noises == "").all():
        shown = shown.drop(columns="trained")
    steps = [name for name in ("best_in_step", "best_out_step") if shown[name].isna().any()]
    shown = shown.astype(dict.fromkeys(steps, float))
    return shown.rename(columns=names).dropna(axis=1, how="all")
