"""Recoveries and losses of branches, and the mean of either over the trainings of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.causal.held_out import patched_elsewhere
from analysis.causal.traced import Ablated, Traced
from analysis.stats import controls
from analysis.stats.controls import NOTHING, Series

SMALL_GAP = 0.02
"""Below this share of the error under the reference noise there is no gap to recover."""

Draws = NDArray[np.int64]
"""The photograph of each crop, (crops,)."""


def ratio(above: ArrayLike, below: ArrayLike, draws: Draws) -> Series:
    """Σ above / Σ below over crops, and the same without each photograph.

    Args:
        above: (crops,).
        below: (crops,).
        draws: (crops,) the photograph of each.

    >>> ratio([1.0, 3.0], [2.0, 2.0], np.array([0, 1]))
    Series(value=1.0, without=array([1.5, 0.5]), trainings=(), scale=0.0)
    """
    a, b = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    count = int(draws.max()) + 1
    kept = [draws != draw for draw in range(count) if count > 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.array([a[own].sum() / b[own].sum() for own in kept])
        return Series(float(a.sum() / b.sum()), without)


def undefined(reference: ArrayLike, error: ArrayLike, draws: Draws) -> str:
    """Why there is no recovery: the errors under both noises hardly differ; empty if they do.

    Args:
        reference: (crops,) error under the reference noise.
        error: (crops,) under the other one.
        draws: (crops,) the photograph of each.
    """
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(error, dtype=np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return "outputs are not finite"
    if abs(b.mean() - a.mean()) <= SMALL_GAP * a.mean():
        return (
            f"the errors under the two noises differ by at most {SMALL_GAP:.0%}, so that there is "
            "nothing to recover"
        )
    gap = ratio(b - a, np.ones_like(a), draws)
    low, high = controls.interval(gap)
    if low <= 0 <= high:
        return "the errors under the two noises are not shown to differ"
    return ""


def recovery(traced: Traced, patched: ArrayLike, draws: Draws) -> Series:
    """R = Σ (L_B − L_B←A) / Σ (L_B − L_A) over crops; `NOTHING` where it is not defined.

    L is the mean squared error of a crop, under the reference noise A, the noise B, and under B
    with features of A. 0: patching changes nothing; 1: it removes all of the additional error;
    below 0: it adds to the error. No error is raised; see `undefined` for where there is no value.

    Args:
        traced: of a network under a noise, errors in squared 8-bit levels.
        patched: (crops,) the error L_B←A of the patched run, in the same unit.
        draws: (crops,) the photograph of each.

    Returns:
        Without unit, with the value without each photograph.

    Reference: Zhang and Nanda, *Towards Best Practices of Activation Patching in Language Models*,
    ICLR 2024 (arXiv 2309.16042), with the mean squared error as the metric.
    """
    reference, error = traced.reference.numpy(), traced.error.numpy()
    if undefined(reference, error, draws):
        return NOTHING
    of = ratio(error - np.asarray(patched), error - reference, draws)
    # the rounding of both differences is that of the errors
    return of._replace(scale=float(error.sum() / abs((error - reference).sum())))


def mean_over(
    networks: Sequence[Traced], of: Callable[[Traced], Series], draws: Draws
) -> tuple[Series, str]:
    """The mean of a value over the trainings of a model, and why there is none."""
    why = [undefined(t.reference.numpy(), t.error.numpy(), draws) for t in networks]
    reason = next(filter(None, why), "")
    if reason:
        return NOTHING, reason
    return controls.over_trainings([of(traced) for traced in networks]), ""


def branch_recovery(traced: Traced, i: int, draws: Draws) -> Series:
    """The recovery by one branch."""
    return recovery(traced, traced.exact[i].numpy(), draws)


def estimated(traced: Traced, i: int, draws: Draws) -> Series:
    """The recovery by one branch, to first order."""
    return recovery(traced, traced.error.numpy() + traced.estimates[i].numpy(), draws)


def kind_recovery(traced: Traced, kind: str, draws: Draws) -> Series:
    """The recovery by all branches of a kind, patched at once."""
    return recovery(traced, traced.together[kind].numpy(), draws)


def summed(traced: Traced, numbers: Sequence[int], draws: Draws) -> Series:
    """The sum of the recoveries by single branches."""
    total = sum(traced.error.numpy() - traced.exact[i].numpy() for i in numbers)
    return recovery(traced, traced.error.numpy() - total, draws)


def held_out(traced: Traced, numbers: Sequence[int], draws: Draws) -> Series:
    """The recovery by the one branch of the largest, chosen on the other half of photographs.

    `NOTHING` where there is no choice. The interval takes the two choices as they are.
    """
    patched = patched_elsewhere(traced, numbers, draws)
    return NOTHING if patched is None else recovery(traced, patched, draws)


def is_cut(networks: Sequence[Traced], kind: str, numbers: Sequence[int]) -> bool:
    """Whether the branches of a kind, at once, are a cut through the whole network."""
    alone = any(i in traced.whole for traced in networks for i in numbers)
    return alone or all(kind in traced.cuts for traced in networks)


def decibels(of: Ablated, place: int, draws: Draws) -> Series:
    """10 log₁₀(Σ L without / Σ L) in dB: the PSNR that is lost with a branch at its mean.

    Args:
        of: errors of a network under a noise, in squared 8-bit levels.
        place: of the branch among those that were ablated.
        draws: (crops,) the photograph of each.
    """
    series = ratio(of.without[place].numpy(), of.error.numpy(), draws).log()
    factor = 10 / math.log(10)
    return Series(factor * series.value, factor * series.without, scale=factor * series.scale)
