"""What training and test curves say: which step is best, and what later steps lose."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.marginals import FEW
from analysis.text.markdown import code, codes, listed, number
from analysis.text.rows import records

TABLES = ("summary", "curves")

Frames = Mapping[str, pd.DataFrame]


def sentences(frames: Frames) -> list[str]:
    """All that follows from the tables."""
    rows = frames["summary"]
    return [*main(frames), *gaps(rows), *drops(rows), *losses(rows), *scope(rows)]


def main(frames: Frames) -> list[str]:
    """Which step of each run is best on unseen noise."""
    rows = frames["summary"]
    known = rows[rows.best_out_psnr.notna()]
    if known.empty:
        return ["No run has test curves on unseen noise: only losses are compared."]
    shown = known
    if len(known) > FEW:
        shown = known.sort_values("best_out_psnr", ascending=False, kind="stable").iloc[[0, -1]]
    which = f" (best and last of {len(known)})" if len(shown) < len(known) else ""
    each = [
        f"{code(r['run'])} {number(r['best_out_psnr'])} dB at step {step(r['best_out_step'])}"
        for r in records(shown)
    ]
    return [f"Best PSNR on unseen noise{which}: {listed(each)}."]


def step(value: float) -> str:
    """A step, or a dash."""
    return "–" if math.isnan(value) else f"{value:,.0f}"


def gaps(rows: pd.DataFrame) -> list[str]:
    """What is lost on unseen noise by stopping where the noise trained on is best."""
    known = rows[rows.overfitting_gap.notna()]
    lost = known[known.overfitting_gap > 0].sort_values("overfitting_gap", ascending=False)
    each = [f"{code(r['run'])} {number(r['overfitting_gap'])} dB" for r in records(lost)]
    none = known[known.overfitting_gap == 0].run
    found = []
    if each:
        what = "Lost on unseen noise by taking the step that is best on the noise trained on"
        found.append(f"{what}: {listed(each, FEW)}.")
    if len(none):
        found.append(f"Best at the same step, or no worse, on both: {codes(none)}.")
    return found


def drops(rows: pd.DataFrame) -> list[str]:
    """Whether unseen noise gets worse towards the end."""
    known = rows[rows.final_out_drop.notna()]
    if known.empty:
        return []
    ends = known if len(known) <= FEW else known.sort_values("final_out_drop").iloc[[0, -1]]
    which = "" if len(ends) == len(known) else f", least and most of {len(known)} runs"
    each = [f"{code(r['run'])} {number(r['final_out_drop'])} dB" for r in records(ends)]
    return [f"Lost on unseen noise from the best step to the last one{which}: {listed(each)}."]


def losses(rows: pd.DataFrame) -> list[str]:
    """Last losses."""
    known = rows[rows.last_loss.notna()]
    if known.empty:
        return []
    ends = known if len(known) <= FEW else known.sort_values("last_loss").iloc[[0, -1]]
    which = "" if len(ends) == len(known) else f", lowest and highest of {len(known)} runs"
    each = [
        f"{code(r['run'])} {r['last_loss']:.4g} at step {step(r['last_loss_step'])}"
        for r in records(ends)
    ]
    found = f"Last loss as logged{which}: {listed(each)}."
    more = " Runs with other masks, noise or losses solve other tasks: their values do not compare."
    return [found + (more if len(known) > 1 else "")]


def scope(rows: pd.DataFrame) -> list[str]:
    """What the numbers are not about."""
    best = " Best steps are chosen by the same curves, so their PSNR is somewhat too high."
    text = "One training each: nothing here says how another seed would turn out."
    return [text + (best if rows.best_out_psnr.notna().any() else "")]


def alt(frames: Frames) -> str:
    """Of the curves: where each run ends."""
    each = []
    for row in records(frames["summary"]):
        ends = []
        if not math.isnan(row["last_loss"]):
            ends.append(f"loss {row['last_loss']:.3g}")
        if not math.isnan(row["last_in_psnr"]):
            ends.append(f"{number(row['last_in_psnr'])} dB on the noise trained on")
        if not math.isnan(row["last_out_psnr"]):
            ends.append(f"{number(row['last_out_psnr'])} dB on unseen noise")
        at = step(row["last_step"] if not math.isnan(row["last_step"]) else row["last_loss_step"])
        each.append(f"{row['run']} ends at step {at} with {listed(ends) or 'no values'}")
    return f"Curves over steps of {len(each)} runs. {'; '.join(each[:FEW])}."


def explained(frames: Frames, decay: float) -> Displayed:
    """How the curves are to be read, as far as there are such curves.

    Args:
        frames: the run's tables.
        decay: of the losses' moving average; 0 for none.
    """
    rows, lines = frames["summary"], []
    if rows.last_loss.notna().any():
        drawn = "smoothed, with the logged values behind them" if decay else "as they were logged"
        lines.append(
            f"Losses are {drawn}. They can be compared between runs only if these have the same "
            "noise, masks and loss."
        )
    if rows.last_step.notna().any():
        lines.append(
            "Test curves, PSNR on test images, are as they were logged. Rings mark each run's best "
            "step. A network that overfits to its noise goes on rising under the noise it is "
            "trained on while it falls under unseen noise. The overfitting gap is what is lost on "
            "unseen noise by stopping at the step that is best on the noise trained on."
        )
    else:
        lines.append(
            "No run here has test curves; `python -m analysis.curves RUN --checkpoints FOLDER` "
            "makes them of saved models."
        )
    text = "\n\n".join(lines)
    return Displayed({"text/markdown": text, "text/plain": text})


def table(frames: Frames) -> Displayed:
    """The best and last steps of each run."""
    rows = frames["summary"]
    names = {
        "run": "run",
        "trained": "trained on",
        "best_in_step": "best step",
        "best_in_psnr": "PSNR there (dB)",
        "best_out_step": "best unseen step",
        "best_out_psnr": "PSNR unseen (dB)",
        "overfitting_gap": "overfitting gap (dB)",
        "final_out_drop": "drop to the last (dB)",
        "last_loss": "last loss",
    }
    known = rows.trained.fillna("").astype(str)
    said = known.mask((known == "") & rows.last_step.notna(), "–")  # logs of losses need none
    shown = rows[list(names)].assign(trained=said)
    if (said == "").all():
        shown = shown.drop(columns="trained")
    shown = shown.rename(columns=names).dropna(axis=1, how="all")
    whole = {"best step": 0, "best unseen step": 0, "last loss": 4}
    return notebook_output.table(shown, whole, csv="training/summary.csv")
