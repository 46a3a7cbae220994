"""The numbers of a model that are correlated with its PSNR drop, and what each is computed from.

Every analysis may declare one, `analysis.commands.index.Index`. Error decomposition, local linear
maps, causal tracing and stitching have more, which are read from their tables here.

A number is no predictor of an outcome that it is computed from. So each declares against which
outcomes it is not held, because both are made of the same errors; and whether it needs the
restored, or the clean, images of the unseen noises: then it describes the drop, and predicts
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.commands.index import Index, index_values
from analysis.commands.registry import analyses
from analysis.compare.outcomes import ERROR, OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

HIGHEST = 0.5
"""Frequency in cycles per pixel that stands for a cutoff where the gain never falls so far."""


@dataclass(frozen=True)
class Candidate:
    """One number of every model.

    Attributes:
        kind: the analysis whose runs hold it.
        index: how it is read.
        describes: whether it needs outputs of the unseen noises and their clean images, as the PSNR
            drop does.
        not_with: outcomes that are computed from the same numbers.
    """

    kind: str
    index: Index
    describes: bool = False
    not_with: tuple[str, ...] = ()


def under_trained(
    frame: pd.DataFrame, value: str, trained: Collection[str], cutoff: bool = False
) -> pd.DataFrame:
    """A column of a table under the noises trained on."""
    rows = frame[frame.noise.isin(list(trained))]
    if cutoff:
        complete = rows.bias2.notna() & (rows.reason.fillna("") == "")
        rows = rows.assign(**{value: rows[value].mask(complete & rows[value].isna(), HIGHEST)})
    return index_values(rows, value)


def leak_share(frame: pd.DataFrame, _: str, trained: Collection[str]) -> pd.DataFrame:
    """The share of the MSE that is leaked noise, under the noises trained on."""
    return under_trained(frame, "leak_share", trained)


def cutoff(frame: pd.DataFrame, _: str, trained: Collection[str]) -> pd.DataFrame:
    """The frequency above which the content gain is below 1/√2, under the noises trained on."""
    return under_trained(frame, "cutoff", trained, cutoff=True)


def dimension(frame: pd.DataFrame, _: str, trained: Collection[str]) -> pd.DataFrame:
    """The effective dimension as a share of all dimensions, under the noises trained on."""
    share = frame.effective_dimension / frame.dimensions
    return under_trained(frame.assign(effective_dimension=share), "effective_dimension", trained)


def affine_rest(frame: pd.DataFrame, _: str, trained: Collection[str]) -> pd.DataFrame:
    """‖f(y) − Jy‖/‖f(y)‖ under the noises trained on."""
    return under_trained(frame, "affine_rest", trained)


def held_out_recovery(
    frame: pd.DataFrame, reference: str, trained: Collection[str]
) -> pd.DataFrame:
    """The recovery by one branch under every unseen noise, see `analysis.causal.held_out`.

    The largest recovery on the photographs that choose the branch would be too large, the more so
    the more branches a network has.
    """
    known = frame[~frame.noise.isin([reference, *trained])]
    every = known.groupby(["model", "noise"], sort=False).tail(1)  # of all kinds of branches
    return index_values(every, "held_out")


def stitching_cost(frame: pd.DataFrame, reference: str, trained: Collection[str]) -> pd.DataFrame:
    """The mean cost over layers of features of every unseen noise under the reference."""
    own = (frame.sender == frame.receiver) & (frame.noise_receiver == reference)
    unseen = ~frame.noise_sender.isin([reference, *trained])
    return index_values(frame[own & unseen], "cost", "receiver", "noise_sender")


PARTS = tuple(OUTCOMES)

MORE = (
    Candidate(
        ERROR,
        Index(
            "leak_share",
            "leaked share of the MSE under the noise trained on",
            "leak, share",
            "error",
            leak_share,
        ),
        not_with=PARTS,
    ),
    Candidate(
        ERROR,
        Index(
            "cutoff",
            "content cutoff under the noise trained on (cycles per pixel)",
            "cutoff",
            "error",
            cutoff,
        ),
        not_with=PARTS,
    ),
    Candidate(
        "linear",
        Index(
            "effective_dimension",
            "effective dimension under the noise trained on (share of all)",
            "effective dimension",
            "linear",
            dimension,
        ),
        not_with=PARTS,  # times the variance of the noise it is the leak, to first order
    ),
    Candidate(
        "linear",
        Index(
            "affine_rest",
            "affine rest under the noise trained on",
            "affine rest",
            "linear",
            affine_rest,
        ),
    ),
    Candidate(
        "causal",
        Index(
            "recovery",
            "recovery by one branch, chosen on other photographs (mean over other noises)",
            "recovery",
            "causal_together",
            held_out_recovery,
            from_reference=True,
        ),
        describes=True,
    ),
    Candidate(
        "stitch",
        Index(
            "stitching_cost",
            "cost of stitching features of other noises (dB)",
            "stitching cost",
            "stitch_mean",
            stitching_cost,
            from_reference=True,
        ),
        describes=True,
    ),
)
"""Numbers of analyses beside the index of each."""

DESCRIBING = ("sensitivity",)
"""Analyses whose own index needs outputs of the unseen noises and their clean images."""


def candidates() -> list[Candidate]:
    """The index of every analysis that has one, and those of `MORE`."""
    own = [
        Candidate(name, record.index, name in DESCRIBING)
        for name, record in analyses().items()
        if record.index
    ]
    return [*own, *MORE]


def kinds() -> list[str]:
    """The analyses whose runs hold such a number."""
    return list(dict.fromkeys(one.kind for one in candidates()))


def among(columns: Iterable[object]) -> list[Candidate]:
    """Those that a table has, by its columns."""
    names = set(columns)
    return [one for one in candidates() if one.index.name in names]
