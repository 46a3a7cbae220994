"""What `python -m analysis.curves` writes: curves as one table, a summary of each run, and text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.commands.run_folder import RunFolder, read_manifest
from analysis.curves import figures
from analysis.curves.log_readers import PSNR
from analysis.curves.tables import CHECKPOINTS, count, read, shown
from analysis.text.terminal import grid, number, plural


def report(folder: RunFolder) -> str:
    """Write the figure and return the text."""
    frame, rows = read(folder.path)
    manifest = read_manifest(folder.path)
    trained = {str(run): noise for run, noise in manifest["trained"].items()}
    folder.figure("curves.png", figures.figure(frame, trained, manifest["smooth"]))
    return text(frame, rows, manifest)


def text(frame: pd.DataFrame, rows: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The summary for a reader, and what must be known of it."""
    lines = [f"Training and test curves of {plural(len(rows), 'run')}"]
    if "checkpoints" in manifest:
        crops, side = plural(len(manifest["crops"]), "crop"), manifest["crop"]
        images = manifest["images"]
        source = images if isinstance(images, str) else ", ".join(images)
        many = plural(len(manifest["checkpoints"]), "checkpoint")
        lines[0] += f"; {many} evaluated on {crops} of {side} x {side} ({source})"
    part = shown(frame)
    head = ["run", "trained on", "best", "at step", "unseen", "best", "at step", "then", "gap"]
    table = [[*head, "last step", "trained", "unseen", "drop"]]
    for row in rows.to_dict("records"):
        best, out = (number(row[f"best_{side}_psnr"], 2) for side in ("in", "out"))
        cells = [row["run"], row["trained"] or "-", best, count(row["best_in_step"])]
        cells += [row["unseen"] or "-", out, count(row["best_out_step"])]
        cells += [number(row[name], 2) for name in ("out_at_best_in", "overfitting_gap")]
        cells += [count(row["last_step"])]
        last = ("last_in_psnr", "last_out_psnr", "final_out_drop")
        table.append([*map(str, cells), *(number(row[name], 2) for name in last)])
    if len(part):
        lines += [grid(table), EXPLAINED]
    losses = rows[rows.last_loss.notna()].to_dict("records")
    if losses:
        cells = [["run", "last step", "last loss"]]
        cells += [[r["run"], count(r["last_loss_step"]), f"{r['last_loss']:.4g}"] for r in losses]
        lines += ["", grid(cells)]
    return "\n".join([*lines, *(f"note: {note}" for note in notes(frame, rows, manifest))])


EXPLAINED = """\
PSNR in dB; trained: under the noise trained on; unseen: plain mean over so many other noises
then: unseen at the step that is best under the noise trained on; gap: overfitting gap, best unseen
minus then; drop: best unseen minus last unseen"""


def notes(frame: pd.DataFrame, rows: pd.DataFrame, manifest: Mapping[str, Any]) -> list[str]:
    """What a reader must know of these numbers."""
    found = list(manifest["notes"])
    psnr = frame[frame.quantity == PSNR]
    part = shown(frame)
    without = [str(row.run) for row in rows.itertuples() if row.run not in set(part.run)]
    if without:
        found.append(
            f"no test curves, so no steps compared: {', '.join(without)}; --checkpoints FOLDER "
            "evaluates saved models"
        )
    noises = {str(run): tuple(sorted(set(own.noise))) for run, own in part.groupby("run")}
    if len(set(noises.values())) > 1:
        found.append("the runs were tested on different noises: their means are not comparable")
    wanted = len(manifest.get("checkpoints", ())) * len(manifest.get("noises", ()))
    if lost := wanted - int((part.source == CHECKPOINTS).sum()):
        found.append(f"{plural(lost, 'value')} of checkpoints dropped, NaN or infinite")
    for run in dict.fromkeys(psnr[~psnr.index.isin(part.index)].run):
        found.append(f"{run}: its evaluated checkpoints are shown, not its logged test curves")
    evaluated = part.source == CHECKPOINTS
    if evaluated.any() and not evaluated.all():
        found.append("evaluated checkpoints and logged test curves may be of different images")
    gone = rows[(rows.unseen > 0) & rows.best_out_psnr.isna()].run
    found += [f"{run}: no step at which all unseen noises were tested" for run in gone]
    return found
