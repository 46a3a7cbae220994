"""What is said of runs that are means over several trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.curves.logged import PSNR
from analysis.curves.tables import psnr_curves
from analysis.plotting.model_styles import crowded
from analysis.stats.trainings import LEAST
from analysis.text.markdown import bounded, code, codes
from analysis.text.noise_names import noise_phrases
from analysis.text.rows import Row
from analysis.text.terminal import plural
from analysis.text.trainings import NAMED
from mtd.utils.messages import verb

Frames = Mapping[str, pd.DataFrame]


def is_mean(row: Row) -> bool:
    """Whether a row of a summary is the mean over several trainings."""
    return int(row.get("trainings", 1)) > 1


def value(row: Row, name: str, unit: str = "") -> str:
    """A value of a summary, of a mean with its interval over trainings if there is one."""
    low, high = (float(row.get(f"{name}_{end}", math.nan)) for end in ("low", "high"))
    return bounded(row[name], low, high, unit=unit)


def loss(row: Row) -> str:
    """The last loss, of a mean with its interval over trainings if there is one."""
    low, high = (float(row.get(f"last_loss_{end}", math.nan)) for end in ("low", "high"))
    bounds = "" if math.isnan(low) else f" [{low:.4g}, {high:.4g}]"
    return f"{row['last_loss']:.4g}{bounds}"


def on_average(row: Row, *steps: str) -> str:
    """What stands after steps, unless they are the same for all trainings.

    Args:
        row: of a summary.
        steps: columns of the steps.
    """
    ends = [[row.get(f"{name}_{end}", math.nan) for end in ("low", "high")] for name in steps]
    return " on average" if is_mean(row) and any(low != high for low, high in ends) else ""


def units(rows: pd.DataFrame) -> list[str]:
    """Which runs are means over trainings, and which are one training.

    Args:
        rows: of a summary.
    """
    if "trainings" not in rows:
        return ["Each run is one training: other seeds may give other results."]
    text = []
    for count in dict.fromkeys(int(number) for number in rows.trainings):
        part = rows[rows.trainings == count]
        names = codes(part.run)
        if count == 1:
            one = verb(len(part), "is one training", "are one training each")
            text.append(f"{names} {one}: other seeds may give other results.")
            continue
        number = NAMED.get(count, str(count))
        means = verb(len(part), "is the mean over", "are means over")
        each = verb(len(part), "", " each")
        what = (
            ". 95% intervals are over trainings (Student's t), on the same test images."
            if count >= LEAST
            else f", too few for an interval (at least {NAMED[LEAST]})."
        )
        text.append(f"{names} {means} {number} trainings{each}{what}")
    return text


def left_out(frames: Frames) -> list[str]:
    """What some of a run's trainings have and others lack, and where they end."""
    single = frames.get("curves_by_training")
    if single is None:
        return []
    text = []
    for run, rows in single.groupby("run", sort=False):
        count = rows.training.nunique()
        curves = rows.groupby(["source", "quantity", "noise"], sort=False).training.nunique()
        tests = curves[curves < count].reset_index()
        absent = [str(noise) for noise in tests[tests.quantity == PSNR].noise]
        if absent:
            text.append(
                f"Not all trainings of {code(run)} were tested under {noise_phrases(absent)}: its "
                "means leave this out."
            )
        everywhere = rows[~rows.noise.isin(absent)]
        points = everywhere.groupby(["source", "quantity", "noise", "step"]).size()
        if lacking := int((points < count).sum()):
            text.append(
                f"{plural(lacking, 'value')} of single trainings of {code(run)} "
                f"{verb(lacking, 'is', 'are')} at steps that not all of them have; the mean curves "
                "leave them out."
            )
        ends = rows.groupby("training").step.max()
        if ends.nunique() > 1:
            text.append(
                f"The trainings of {code(run)} end at different steps, {ends.min():,} to "
                f"{ends.max():,}: its best and last values are means of each one's own."
            )
    return text


def test_values(frames: Frames) -> pd.DataFrame:
    """The best and the last PSNR of every test curve, and their steps, means over trainings.

    Columns run, noise, best, best_step, last, last_step, trainings.
    """
    psnr, single = psnr_curves(frames["curves"]), frames.get("curves_by_training")
    own = None if single is None else psnr_curves(single)
    rows = []
    for (run, noise), part in psnr.groupby(["run", "noise"], sort=False):
        parts = [part]
        if own is not None:
            of_run = own[(own.run == run) & (own.noise == noise)]
            parts = [rows for _, rows in of_run.groupby("training")] or [part]
        ends = np.mean([_ends(rows) for rows in parts], axis=0)
        rows.append((run, noise, *ends.tolist(), len(parts)))
    names = ["run", "noise", "best", "best_step", "last", "last_step", "trainings"]
    return pd.DataFrame(rows, columns=names)


def _ends(rows: pd.DataFrame) -> tuple[float, ...]:
    """The best PSNR of one curve and its first step, the last PSNR and its step."""
    steps, values = (
        rows[name].to_numpy(dtype=float, na_value=math.nan) for name in ("step", "value")
    )
    order = np.argsort(steps, kind="stable")
    order = order[~np.isnan(values[order])]
    if not len(order):
        return (math.nan,) * 4
    best, last = order[np.argmax(values[order])], order[-1]
    return values[best], steps[best], values[last], steps[last]


def evaluated(frames: Frames) -> pd.DataFrame:
    """The test curves of all single trainings."""
    psnr, single = psnr_curves(frames["curves"]), frames.get("curves_by_training")
    if single is None:
        return psnr
    return pd.concat([psnr[~psnr.run.isin(single.run)], psnr_curves(single)])


def drawn(rows: pd.DataFrame) -> list[str]:
    """How the figure shows trainings.

    Args:
        rows: of a summary.
    """
    if "trainings" not in rows:
        return []
    enough = rows.trainings.max() >= LEAST and not crowded(list(rows.run))
    bands = "; bands are 95% intervals over trainings" if enough else ""
    return [
        "Thick lines are means over the trainings of a run at the steps that all of them have, "
        f"thin lines are single trainings{bands}."
    ]


def heading(rows: Any) -> str:
    """How many trainings the runs have together, in parentheses; nothing where each has one."""
    if "trainings" not in rows:
        return ""
    return f" ({plural(int(rows.trainings.sum()), 'training')})"
