"""Every snapshot's PSNR and scores, and which snapshots are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analysis.commands import trainings
from analysis.commands.snapshots import Snapshot

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.srga.tables import Measured

NAME = "matched_psnr"


def snapshots(
    of: Measured,
    psnr: Mapping[str, float],
    where: Mapping[str, Snapshot],
    model_of: Mapping[str, str],
    noises: Sequence[str],
) -> pd.DataFrame:
    """A row for each snapshot and noise but the reference.

    `psnr` is the mean in dB under the reference; `target` the highest that every training reaches,
    min over trainings of max over snapshots; `chosen` marks the snapshot of each training whose
    PSNR is nearest to it, of equal distances the later one.

    Args:
        of: scores by network and noise.
        psnr: under the reference, by network.
        where: training and step, by network.
        model_of: the model of each training.
        noises: the reference first.
    """
    best: dict[str, float] = {}
    for name, snapshot in where.items():
        best[snapshot.run] = max(best.get(snapshot.run, -float("inf")), psnr[name])
    target = min(best.values())
    nearest: dict[str, str] = {}
    for name, snapshot in sorted(where.items(), key=lambda item: -item[1].step):
        other = nearest.get(snapshot.run)
        if other is None or abs(psnr[name] - target) < abs(psnr[other] - target):
            nearest[snapshot.run] = name
    rows = [
        {
            "model": model_of[snapshot.run],
            "training": snapshot.run,
            "step": snapshot.step,
            "psnr": psnr[name],
            "target": target,
            "chosen": nearest[snapshot.run] == name,
            "noise": noise,
            "srga": of[name, noise][0].value,
        }
        for name, snapshot in where.items()
        for noise in noises[1:]
    ]
    return pd.DataFrame(rows)


def chosen(inputs: RunInputs, frame: pd.DataFrame, where: Mapping[str, Snapshot]) -> RunInputs:
    """The inputs with the chosen snapshots alone, as trainings of their models.

    Args:
        inputs: with all snapshots.
        frame: see `snapshots`.
        where: training and step, by network.
    """
    rows = frame[frame.chosen].drop_duplicates("training")
    model_of = dict(zip(rows.training, rows.model, strict=True))
    steps = dict(zip(rows.training, rows.step, strict=True))
    kept = [name for name, of in where.items() if steps[of.run] == of.step]
    models = {name: copy(inputs.models[name]) for name in kept}
    trainings.mark(models, {name: model_of[where[name].run] for name in kept})
    subset = inputs.subset(models=kept)
    return replace(subset, models=models)
