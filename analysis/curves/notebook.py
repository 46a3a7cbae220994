"""Texts and tables of training and test curves for a page."""

from __future__ import annotations

from analysis.curves import figures
from analysis.curves.reading import Frames, Manifest, alt
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed

TABLES = ("summary", "curves")


def about(frames: Frames, manifest: Manifest) -> Displayed:
    """How the curves are to be read, as far as there are such curves."""
    rows, lines = frames["summary"], []
    if rows.last_loss.notna().any():
        how = "smoothed, with the logged values behind them" if manifest["smooth"] else "as logged"
        lines.append(f"Losses are {how}.")
    if rows.last_step.notna().any():
        lines.append(
            "Test curves, PSNR on test images, are not smoothed. Rings mark each run's best step. "
            "When a network overfits to the noise it is trained on, its PSNR keeps rising under "
            "that noise and falls under unseen noise."
        )
    text = "\n\n".join(lines)
    return Displayed({"text/markdown": text, "text/plain": text})


def curves(frames: Frames, manifest: Manifest) -> Displayed:
    """Training loss, and PSNR under each noise, over the steps of training."""
    drawn = figures.figure(frames["curves"], manifest["trained"], manifest["smooth"])
    return notebook_output.figure(drawn, alt(frames), "curves/curves.csv")


def table(frames: Frames) -> Displayed:
    """The best and the last steps of each run."""
    rows = frames["summary"]
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
    shown = shown.rename(columns=names).dropna(axis=1, how="all")
    digits = {"best step": 0, "best step, unseen": 0, "last loss": 4}
    return notebook_output.table(shown, digits, csv="curves/summary.csv")
