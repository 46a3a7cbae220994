"""Bias and variance of a denoiser's error over draws of the noise and of random masks.

With e = f(x + n) − x for an image x, draws k of the noise and m of the masks:

    bias² (damage)       mean ⟨e_km, e_k'm'⟩ over k ≠ k', m ≠ m'
    variance (leak)      mean ⟨e_km, e_km'⟩ over m ≠ m', minus bias²
    mask variance        mean ‖e_km‖², minus mean ⟨e_km, e_km'⟩ over m ≠ m'

all per pixel and channel, so that MSE = bias² + variance + mask variance exactly. Each is an
unbiased estimate of the square of the mean error, of the variance over the noise of the mean over
masks, and of the rest: the variance over masks with their interaction with the noise. Without
random masks the variance is ½ mean ‖f(y_k) − f(y_k')‖² over k ≠ k'.

Reference: Geman, Bienenstock and Doursat, *Neural Networks and the Bias/Variance Dilemma*, Neural
Computation 4, 1992, there over training sets, here over draws of the noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVELS = 255.0


class Parts(NamedTuple):
    """The parts of a mean squared error, in squared 8-bit levels; (…,) each.

    Attributes:
        mse: mean ‖e‖².
        bias2: damage; an unbiased estimate, which may be below 0.
        variance: noise that leaks.
        mask_variance: due to random masks; 0 without them.
    """

    mse: Array
    bias2: Array
    variance: Array
    mask_variance: Array


def parts(gram: Array, draws: int, masks: int = 1) -> Parts:
    """The parts of the error, from scalar products of the errors.

    Args:
        gram: (…, K·M, K·M) ⟨e_km, e_k'm'⟩ per pixel and channel, the masks of a draw together; in
            squared 8-bit levels, or any squared unit.
        draws: K, of the noise; with 1 all parts but the MSE are NaN.
        masks: M, of the random masks; with 1 the mask variance is 0.

    Returns:
        (…,) each, in the unit of `gram`.

    >>> [float(part) for part in parts(np.array([[3.0, 1.0], [1.0, 5.0]]), 2)]
    [4.0, 1.0, 3.0, 0.0]
    """
    draw, mask = np.divmod(np.arange(draws * masks), masks)
    same_draw, same_mask = draw[:, None] == draw, mask[:, None] == mask
    mse = gram[..., same_draw & same_mask].mean(-1)
    if draws < 2:
        none = np.full_like(mse, np.nan)
        return Parts(mse, none, none, none)
    other_masks = same_mask if masks == 1 else ~same_mask
    bias2 = gram[..., ~same_draw & other_masks].mean(-1)
    over_masks = gram[..., same_draw & other_masks].mean(-1)
    with np.errstate(invalid="ignore"):  # of infinite values
        return Parts(mse, bias2, over_masks - bias2, mse - over_masks)


def psnr(error: Array | float) -> Array:
    """10 log₁₀(255² / error) in dB of a mean squared error in squared levels; NaN if it is ≤ 0.

    Args:
        error: (…,) in squared 8-bit levels.

    >>> float(psnr(255.0**2 / 100))
    20.0
    """
    error = np.asarray(error, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error > 0, 10 * np.log10(LEVELS**2 / error), np.nan)


class Split(NamedTuple):
    """The difference of two models' PSNR and its two parts, in dB, b − a."""

    psnr: Array
    damage: Array
    leak: Array


def shapley(damage_a: Array, leak_a: Array, damage_b: Array, leak_b: Array) -> Split:
    """How much of a difference of PSNR is due to damage, and how much to what leaks.

    With P(d, l) = PSNR(d + l), damage d and leak l: one part of model a after the other is replaced
    by that of model b; a part's share is the mean over both orders, its Shapley value:

        damage = ½ [P(d_b, l_a) − P(d_a, l_a) + P(d_b, l_b) − P(d_a, l_b)]
        leak   = ½ [P(d_a, l_b) − P(d_a, l_a) + P(d_b, l_b) − P(d_b, l_a)]

    The two add up to P(d_b, l_b) − P(d_a, l_a).

    Args:
        damage_a: (…,) bias² of model a, in squared 8-bit levels, as all others.
        leak_a: the rest of its MSE: variance, and mask variance.
        damage_b: bias² of model b.
        leak_b: the rest of its MSE.

    Returns:
        (…,) each, in dB, b − a; NaN where one of the four sums is not above 0.

    Reference: Shapley 1953, *A value for n-person games*.

    >>> [round(float(part), 6) for part in shapley(1.0, 9.0, 91.0, 9.0)]
    [-10.0, -10.0, 0.0]
    """
    neither, both = psnr(damage_a + leak_a), psnr(damage_b + leak_b)
    damaged, leaking = psnr(damage_b + leak_a), psnr(damage_a + leak_b)
    damage = ((damaged - neither) + (both - leaking)) / 2
    return Split(both - neither, damage, ((leaking - neither) + (both - damaged)) / 2)


def after_averaging(of: Parts, masks: int) -> Array:
    """The MSE that is expected of a mean over independent draws of the masks.

    mse − mask variance · (1 − 1/N), as the masks are independent.

    Args:
        of: the parts of the error with one draw.
        masks: N.

    Returns:
        (…,) in the unit of the parts.
    """
    return np.asarray(of.mse - of.mask_variance * (1 - 1 / masks))


def known(value: float) -> bool:
    """Whether a value is a finite number."""
    return math.isfinite(value)
