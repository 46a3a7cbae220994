"""The tables of training and test curves: every value by step, and a summary of each run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.curves import resumed_runs
from analysis.curves.logged import LOSS, PSNR, Line, Point
from analysis.text.markdown import code, codes, listed
from analysis.text.noise_names import noise_words
from analysis.text.terminal import plural
from mtd.noise.training_noise import changes_nothing
from mtd.utils.messages import verb

COLUMNS = ("run", "source", "quantity", "noise", "step", "value")
"""Of `curves.csv`, a row for each value."""

Trained = Mapping[str, Sequence[str] | None]
"""By run, those of its test curves that are of noises trained on; None where that is unknown."""

UNKNOWN = "unknown"
"""What a run was trained on, in `summary.csv`, if nothing says so."""

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
"""Of `summary.csv`, a row for each run. PSNR is in dB: *in* is the plain mean over the noises
`trained` on, *out* that over the `unseen` other noises, at steps where all of them were tested.

`overfitting_gap` = `best_out_psnr` − `out_at_best_in`: the PSNR drop under unseen noise from
stopping at the step that is best under the noise trained on. `final_out_drop` = `best_out_psnr` −
`last_out_psnr`. Of steps that are equally good the first is taken. `last_step` is the last with any
test, `last_in_step` and `last_out_step` are those of the last PSNR."""


def curves_of_log(run: str, lines: Sequence[Line]) -> tuple[pd.DataFrame, list[str]]:
    """The curves of a run from all that was logged, also before it was resumed.

    Values that are not finite are dropped, and all losses but the main one.

    Args:
        run: its name.
        lines: in each sequence, in the order in which they were logged.

    Returns:
        The table, columns `COLUMNS`, and sentences on what was left out.

    Raises:
        BadInput: lines of two processes that differ, or ambiguous tests.
    """
    chosen, notes = main_loss(run, lines)
    final = resumed_runs.final(chosen)
    frame = curves_from_points(run, final.points)
    if final.restarts:
        notes.append(
            f"The steps of {code(run)} go back, to {min(final.restarts):,} at the earliest: after "
            "a restart, later values replace earlier ones."
        )
    if final.turns:
        notes.append(
            f"The steps of {code(run)} go back to {min(final.turns):,}, where an earlier part "
            "ended: if two processes wrote the log by turns, its curves are of both."
        )
    if final.copies:
        notes.append(
            f"Of {code(run)}, {plural(final.copies, 'line')} left out that only "
            f"{verb(final.copies, 'repeats', 'repeat')} others, as where two processes log."
        )
    if final.repeated:
        steps = listed([f"{step:,}" for step in final.repeated], 3)
        notes.append(
            f"Of {code(run)}, step {steps} has more tests without names than other steps: they are "
            "taken for repeated tests, of which the last count."
        )
    if dropped := sum(not math.isfinite(point.value) for point in final.points):
        notes.append(f"Of {code(run)}, {plural(dropped, 'value')} dropped: NaN or infinite.")
    return frame, notes


def curves_from_points(run: str, points: Iterable[Point]) -> pd.DataFrame:
    """Curves from points, without values that are not finite; columns `COLUMNS`.

    Of several values of one curve at one step, as of tags with one meaning, the last counts.
    """
    values = {
        (run, point.source, point.quantity, point.name, point.step): point.value
        for point in points
        if math.isfinite(point.value)
    }
    rows = [(*key, value) for key, value in values.items()]
    order = {key: place for place, key in enumerate(dict.fromkeys(row[1:4] for row in rows))}
    rows.sort(key=lambda row: order[row[1:4]])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def main_loss(run: str, lines: Sequence[Line]) -> tuple[list[Line], list[str]]:
    """Lines with one loss, that of training, its name removed; and a sentence on the others."""
    names = dict.fromkeys(
        point.name for line in lines for point in line.points if point.quantity == LOSS
    )
    training = [name for name in names if not re.search(r"val|test", name, re.I)] or list(names)
    last_parts = {name.rpartition("/")[2].lower(): name for name in reversed(training)}
    preferred = (last_parts[name] for name in PREFERRED if name in last_parts)
    chosen = next(preferred, (training or [""])[0])
    selected = []
    for line in lines:
        points = tuple(
            point._replace(name="") if point.quantity == LOSS else point
            for point in line.points
            if point.quantity != LOSS or point.name == chosen
        )
        if points or not line.points:
            selected.append(replace(line, points=points))
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
    checkpoints = psnr.source == CHECKPOINTS
    if not checkpoints.any():
        return psnr
    return psnr[checkpoints | ~psnr.run.isin(psnr.run[checkpoints])]


def psnr_by_step(rows: pd.DataFrame, trained: Sequence[str] | None) -> pd.DataFrame:
    """One run's PSNR by step: plain means over the noises trained on, and over all other noises.

    Args:
        rows: the run's rows of `psnr_curves`.
        trained: the noises trained on; None where that is unknown.

    Returns:
        Index `step`, rising; columns `trained` and `unseen`, NaN where a noise that counts was not
        tested, or where it is unknown which ones count.
    """
    wide = rows.pivot(index="step", columns="noise", values="value").sort_index()
    parts = {
        "trained": wide.loc[:, wide.columns.isin(trained or ())],
        "unseen": wide.loc[:, wide.columns.isin(unseen_noises(wide.columns, trained))],
    }
    return pd.DataFrame({of: part.mean(axis=1, skipna=False) for of, part in parts.items()})


def unseen_noises(tested: Iterable[Any], trained: Sequence[str] | None) -> list[str]:
    """Which tests are of noises that a run was not trained on; none where that is unknown."""
    if trained is None:
        return []
    return [str(n) for n in dict.fromkeys(tested) if n not in trained and not changes_nothing(n)]


def summary(frame: pd.DataFrame, trained: Trained) -> pd.DataFrame:
    """One row for each run; see `SUMMARY`.

    Args:
        frame: columns `COLUMNS`.
        trained: by run, its test curves of noises trained on; None where that is unknown.
    """
    tests = psnr_curves(frame)
    rows = [
        summary_row(frame[frame.run == run], tests[tests.run == run], run, noises)
        for run, noises in trained.items()
    ]
    whole = [name for name in SUMMARY if name.endswith("step")]
    return pd.DataFrame(rows, columns=list(SUMMARY)).astype(dict.fromkeys(whole, "Int64"))


def summary_row(
    rows: pd.DataFrame, tests: pd.DataFrame, run: str, trained: Sequence[str] | None
) -> dict[str, Any]:
    """The row of one run.

    Args:
        rows: all of the run's.
        tests: those of `psnr_curves`.
        run: its name.
        trained: the noises trained on; None where that is unknown.
    """
    curves = psnr_by_step(tests, trained)
    row: dict[str, Any] = dict.fromkeys(SUMMARY, math.nan) | {"run": run}
    row["trained"] = UNKNOWN if trained is None else ", ".join(trained)
    row["unseen"] = len(unseen_noises(tests.noise, trained))
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
    losses = rows[rows.quantity == LOSS].sort_values("step")
    if len(losses):
        row["last_loss_step"], row["last_loss"] = losses[["step", "value"]].iloc[-1]
    return row


def trained_entry(noises: Sequence[str] | None) -> str | list[str] | None:
    """Noises trained on, for a manifest: a single one as a text, which is empty for none."""
    if noises is None or len(noises) > 1:
        return None if noises is None else list(noises)
    return noises[0] if noises else ""


def trained_curves(entry: Mapping[str, Any]) -> dict[str, tuple[str, ...] | None]:
    """Noises trained on by run, from the `trained_entry` of each."""
    return {
        run: None if of is None else (of,) * bool(of) if isinstance(of, str) else tuple(of)
        for run, of in entry.items()
    }


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
    own = [", ".join(map(noise_words, of.split(", "))) for of in noises]
    shown = rows[list(names)].assign(trained=own)
    if (noises == "").all():
        shown = shown.drop(columns="trained")
    steps = [name for name in ("best_in_step", "best_out_step") if shown[name].isna().any()]
    shown = shown.astype(dict.fromkeys(steps, float))
    return shown.rename(columns=names).dropna(axis=1, how="all")
