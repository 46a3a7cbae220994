"""The numbers of a model under a noise, with the same photographs left out in turn.

Crops of a photograph are averaged first, then photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from analysis.error import decomposition, residual, spectra
from analysis.error.decomposition import Parts
from analysis.error.observer import Errors
from analysis.stats import controls
from analysis.stats.controls import Series

Array = NDArray[np.float64]

Numbers = Mapping[str, Series]
"""Numbers by name."""

PARTS = ("mse", "bias2", "variance", "mask_variance")
PSNRS = ("psnr", "psnr_without_leak", "psnr_without_damage")


def by_photograph(values: Array, draws: Sequence[int]) -> Array:
    """(photographs, …) means over the crops of each photograph.

    Args:
        values: (crops, …).
        draws: (crops,) the photograph of each; see `analysis.stats.jackknife.draws`.
    """
    of = np.asarray(draws)
    return np.stack([values[of == draw].mean(0) for draw in range(of.max() + 1)])


def left_out(values: Array) -> tuple[Array, Array]:
    """The mean over photographs, and the means without each; none of a single one.

    Args:
        values: (photographs, …).
    """
    total, count = values.sum(0), len(values)
    without = (total - values) / (count - 1) if count > 1 else values[:0]
    return total / count, without


def series(of: tuple[Array, Array], number: Callable[[Array], Array]) -> Series:
    """A number of means over photographs, with and without each.

    Args:
        of: (means,) and (photographs, means), see `left_out`.
        number: makes (…,) of (…, means).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return Series(float(number(of[0])), np.asarray(number(of[1]), np.float64))


def numbers(errors: Errors, draws: Sequence[int], mean: int = 1) -> dict[str, Series]:
    """The parts of the error of a network, and what follows from them.

    `PARTS` are means; `PSNRS` are of the means, 10 log₁₀(255²/mse), with bias² and with variance
    and mask variance in place of the MSE. noise_mse and noise_variance are those of the noisy image
    itself; noise_left is the variance over noise_variance, leak_share the variance over the MSE;
    cutoff is the frequency above which the content gain is below 1/√2. predicted and measured are
    the MSE of a mean over several draws of the masks, single that of one draw, all three under the
    first draw of the noise.

    Args:
        errors: of the network.
        draws: (crops,) the photograph of each.
        mean: over how many draws of the masks outputs were averaged.
    """
    count = errors.noise.shape[-1]
    masks = errors.gram.shape[-1] // count
    own = decomposition.parts(errors.gram, count, masks)
    noise = decomposition.parts(errors.noise, count)
    if not errors.same_target.all():
        own, noise = unknown(own), unknown(noise)
    columns = [*own, noise.mse, noise.variance, *averaging(errors, masks, mean)]
    of = left_out(by_photograph(np.stack(columns, -1), draws))
    names = (*PARTS, "noise_mse", "noise_variance", "single", "predicted", "measured")
    found = {name: series(of, itemgetter((..., i))) for i, name in enumerate(names)}
    found["difference"] = controls.difference(found["measured"], found["predicted"])
    found["psnr"] = series(of, lambda v: decomposition.psnr(v[..., 0]))
    found["psnr_without_leak"] = series(of, lambda v: decomposition.psnr(v[..., 1]))
    found["psnr_without_damage"] = series(of, lambda v: decomposition.psnr(v[..., 2] + v[..., 3]))
    found["noise_left"] = series(
        of, lambda v: np.where(v[..., 5] > 0, v[..., 2] / v[..., 5], np.nan)
    )
    found["leak_share"] = series(
        of, lambda v: np.where(v[..., 0] > 0, v[..., 2] / v[..., 0], np.nan)
    )
    sums = left_out(by_photograph(errors.spectra, draws))
    gains = [spectra.transfer(side).content_gain for side in sums]
    with np.errstate(invalid="ignore"):
        cutoffs = [cutoff(gain) for gain in gains]
    return found | {"cutoff": Series(float(cutoffs[0]), cutoffs[1])}


def unknown(parts: Parts) -> Parts:
    """The same without its parts."""
    none = np.full_like(parts.mse, np.nan)
    return Parts(parts.mse, none, none, none)


def averaging(errors: Errors, masks: int, mean: int) -> tuple[Array, Array, Array]:
    """MSE of one draw of the masks, and that of a mean over several: expected, and measured.

    Under the first draw of the noise, with the mask variance V between its draws of the masks:
    expected is single − V · (1 − 1/N); the measured mean is over other draws.

    Args:
        errors: of a network.
        masks: draws of the masks under each draw of the noise.
        mean: N, how many outputs were averaged.

    Returns:
        (images,) each, in squared 8-bit levels; NaN where there is one draw, or no mean.
    """
    first = errors.gram[:, :masks, :masks]
    same = np.eye(masks, dtype=bool)
    single = first[:, same].mean(-1)
    if masks == 1 or mean == 1:
        return (np.full_like(single, np.nan),) * 3
    variance = single - first[:, ~same].mean(-1)
    return single, single - variance * (1 - 1 / mean), errors.averaged


def cutoff(gain: Array) -> Array:
    """The frequency above which a gain is below 1/√2, over those rings that hold any."""
    frequencies = spectra.centers()
    present = np.isfinite(gain).reshape(-1, gain.shape[-1]).all(0)
    if not present.any():
        return np.full(gain.shape[:-1], np.nan)
    return spectra.cutoff(gain[..., present], frequencies[present])


def checks(errors: Errors, draws: Sequence[int]) -> dict[str, Series]:
    """The checks of the residual, means over photographs; see `analysis.error.residual.checks`."""
    of = left_out(residual.checks(by_photograph(errors.residual, draws)))
    return {name: series(of, itemgetter((..., i))) for i, name in enumerate(residual.CHECKS)}


def gains(errors: Errors, draws: Sequence[int]) -> tuple[spectra.Transfer, spectra.Transfer]:
    """The gains by frequency, and those without each photograph; (photographs, rings)."""
    whole, without = left_out(by_photograph(errors.spectra, draws))
    return spectra.transfer(whole), spectra.transfer(without)


def over_trainings(single: Sequence[Numbers]) -> dict[str, Series]:
    """Numbers of a model: means over those of its trainings."""
    return {name: controls.over_trainings([own[name] for own in single]) for name in single[0]}


def split(a: Numbers, b: Numbers) -> dict[str, Series]:
    """The difference of two networks' PSNR, b − a, and its parts; see `decomposition.shapley`.

    Variance and mask variance together are what leaks.

    Args:
        a: of a network, see `numbers`.
        b: of the other, under the same noise on the same photographs.

    Returns:
        `psnr`, `damage` and `leak` in dB.
    """
    sides = [(own["bias2"], own["variance"], own["mask_variance"]) for own in (a, b)]

    def of(read: Callable[[Series], Array]) -> decomposition.Split:
        (da, la, ma), (db, lb, mb) = ([read(part) for part in side] for side in sides)
        return decomposition.shapley(da, la + ma, db, lb + mb)

    value = of(lambda part: np.array(part.value))
    without = of(lambda part: part.without)
    # all three are differences of PSNRs
    scale = max(abs(float(decomposition.psnr(sum(part.value for part in side)))) for side in sides)
    return {
        name: Series(float(whole), rest, scale=scale)
        for name, whole, rest in zip(value._fields, value, without, strict=True)
    }


def split_of_models(a: Sequence[Numbers], b: Sequence[Numbers]) -> dict[str, Series]:
    """As `split`, of models with several trainings: means over every two networks of theirs.

    Of a single network against several trainings the spread is that of the latter.

    Args:
        a: of the trainings of a model.
        b: of those of the other model.
    """
    table = [[split(first, second) for second in b] for first in a]
    found = {}
    for name in table[0][0]:
        values = np.array([[one[name].value for one in row] for row in table])
        without = np.mean([one[name].without for row in table for one in row], axis=0)
        mean = values.mean()
        several = [side for side in (values.mean(1), values.mean(0)) if len(side) > 1]
        # so that the means of the samples add up to the value
        samples = tuple(side - (mean if place else 0) for place, side in enumerate(several))
        scale = max(one[name].scale for row in table for one in row)
        found[name] = Series(float(mean), without, samples, scale)
    return found
