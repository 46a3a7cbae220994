"""What is said of snapshots of equal PSNR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.srga import reading as srga
from analysis.srga.matched_psnr.tables import NAME
from analysis.text import trainings
from analysis.text.markdown import code, codes, listed, number
from analysis.text.noise_names import noise_phrase
from analysis.text.rows import records

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]

FAR = 0.25
"""dB from the target beyond which a snapshot does not count as of equal PSNR."""


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """Which snapshots are compared, then what follows from their scores."""
    about = matched(frames[NAME], str(frames["srga"].reference.iloc[0]))
    own = {**manifest, "models": compared(frames[NAME], manifest)}
    return [*about, *trainings.units(own), *srga.sentences(frames, own)]


def matched(frame: pd.DataFrame, reference: str) -> list[str]:
    """The snapshots that are compared, and whether their PSNR is equal."""
    rows = frame[frame.chosen].drop_duplicates("training")
    target = float(rows.target.iloc[0])
    each = [
        f"step {row['step']:,} of {code(row['training'])} ({number(row['psnr'], 2)} dB)"
        for row in records(rows)
    ]
    text = [
        f"All trainings reach {number(target, 2)} dB under {noise_phrase(reference)}; nearest to "
        f"that, and compared, are {listed(each)}."
    ]
    far = rows[(rows.psnr - target).abs() > FAR]
    if len(far):
        text.append(
            f"{codes(far.training)} {'has' if len(far) == 1 else 'have'} no snapshot within "
            f"{FAR:g} dB of it: there, PSNR is not equal. More snapshots (`run.save_every`) help."
        )
    return text


def compared(frame: pd.DataFrame, manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The models that are compared, with the snapshots that stand for their trainings.

    Args:
        frame: see `analysis.srga.matched_psnr.tables.snapshots`.
        manifest: of the run, whose models are all snapshots.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in records(frame[frame.chosen].drop_duplicates("training")):
        about = manifest["models"][f"{row['training']}, step {row['step']:,}"]
        own = found.setdefault(str(row["model"]), {**about, "trainings": {}})
        own["trainings"][row["training"]] = about
        own.pop("snapshot", None)
    return found
