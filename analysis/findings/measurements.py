"""Quantities that are no contrasts of scores: of features, of training curves, of brightness.

Each is measured in one run: `pair`, say, or a pair of another seed or length of training.
"""

from __future__ import annotations

import pandas as pd

from analysis.curves.log_readers import PSNR
from analysis.engine.layers import last_quarter
from analysis.findings.contrasts import Measurement
from analysis.findings.study import Study
from analysis.stats import jackknife

VALIDATION = "validation"
"""Source of the curves that are logged during training."""


def difference_of_models(
    rows: pd.DataFrame, column: str, plus: str, minus: str
) -> Measurement | None:
    """Difference of two models in a column that has bounds, mean over the noises of both.

    Its bounds are those at which the two intervals are furthest apart: wider than an interval of
    the difference, since they ignore what the models have in common.

    Args:
        rows: columns `model`, `noise`, `photographs`, the column, and its bounds: `low` and `high`,
            or the same with the column's name in front.
        column: of the values.
        plus: model that is expected to have the larger value.
        minus: model that is subtracted.
    """
    low, high = ("low", "high") if "low" in rows else (f"{column}_low", f"{column}_high")
    wide = rows.set_index(["model", "noise"])[[column, low, high]].dropna()
    if not {plus, minus} <= set(wide.index.get_level_values(0)):
        return None
    a, b = wide.loc[plus], wide.loc[minus]
    a, b = a.align(b, join="inner", axis=0)
    if a.empty:
        return None
    return Measurement(
        float((a[column] - b[column]).mean()),
        float((a[low] - b[high]).mean()),
        float((a[high] - b[low]).mean()),
        int(rows.photographs.min()),
    )


def cka_across_noises(study: Study, run: str) -> Measurement | None:
    """CKA across noises in the last quarter of the blocks, masked − baseline."""
    frame = study.table(f"{run}/cka", "last_quarter")
    if frame is None:
        return None
    within = frame[(frame.model_a == frame.model_b) & (frame.noise_a != frame.noise_b)]
    rows = within.rename(columns={"model_a": "model"})
    rows = rows.assign(noise=rows.noise_a + " " + rows.noise_b)
    return difference_of_models(rows, "cka", "masked", "baseline")


def cka_across_models(study: Study, run: str) -> Measurement | None:
    """How much less the baseline's last blocks resemble the masked network than its first layers.

    The highest CKA with any layer of the masked network, mean over the first half of the
    baseline's layers − mean over the last quarter of its blocks, under the reference noise. No
    interval.
    """
    frame = study.table(f"{run}/cka", "cka")
    if frame is None:
        return None
    reference = str(frame.noise_a.iloc[0])
    rows = frame[(frame.noise_a == reference) & (frame.noise_b == reference)]
    rows = rows[(rows.model_a == "baseline") & (rows.model_b == "masked")]
    if rows.empty:
        return None
    highest = rows.groupby("layer_a", sort=False).cka.max()
    last = highest[last_quarter(list(highest.index))]
    return Measurement(float(highest.iloc[: len(highest) // 2].mean() - last.mean()))


def srga(study: Study, run: str) -> Measurement | None:
    """SRGA, baseline − masked, mean over unseen noises."""
    frame = study.table(f"{run}/srga", "srga")
    if frame is None:
        return None
    rows = frame[frame.noise != frame.reference]
    return difference_of_models(rows, "srga", "baseline", "masked")


def distribution_shift(study: Study, run: str) -> Measurement | None:
    """W₁ from the features under the noise trained on, baseline − masked, mean over unseen noises.

    Of the features before the last convolution, in units of their standard deviation.
    """
    frame = study.table(f"{run}/distributions", "distributions")
    if frame is None:
        return None
    rows = frame[(frame.noise != frame.reference) & frame.last_features]
    return difference_of_models(rows, "w1_relative", "baseline", "masked")


def psnr_under_unseen_noise(study: Study, run: str, model: str) -> pd.Series | None:
    """PSNR by training step, mean over unseen noises; None if it was not logged."""
    frame = study.table(run, "curves")
    if frame is None:
        return None
    trained = study.manifest(run).get("trained", {}).get(model)
    rows = frame[(frame.run == model) & (frame.quantity == PSNR) & (frame.source == VALIDATION)]
    rows = rows[rows.noise != trained]
    if rows.empty or not trained:
        return None
    wide = rows.pivot(index="step", columns="noise", values="value").dropna()
    curve: pd.Series = wide.mean(axis=1)
    return curve


def gain_over_training(study: Study, run: str, model: str) -> Measurement | None:
    """PSNR under unseen noise at the end of training − after its first quarter, in dB.

    Mean over the last tenth of all steps − mean over the tenth that ends at a quarter. No interval.
    """
    curve = psnr_under_unseen_noise(study, run, model)
    if curve is None or len(curve) < 2:
        return None
    last = float(curve.index[-1])
    early = curve[(curve.index > 0.15 * last) & (curve.index <= 0.25 * last)]
    late = curve[curve.index > 0.9 * last]
    if early.empty:
        early = curve.iloc[:1]
    return Measurement(float(late.mean() - early.mean()))


def drop_over_training(study: Study, run: str, model: str) -> Measurement | None:
    """The opposite of `gain_over_training`."""
    gain = gain_over_training(study, run, model)
    return None if gain is None else Measurement(-gain.value)


def difference_of_gains(study: Study, run: str) -> Measurement | None:
    """`gain_over_training`, masked − baseline."""
    masked, baseline = (gain_over_training(study, run, name) for name in ("masked", "baseline"))
    if masked is None or baseline is None:
        return None
    return Measurement(masked.value - baseline.value)


def brightness(
    study: Study, run: str, column: str, plus: str, minus: str = "", signed: bool = False
) -> Measurement | None:
    """Error of brightness of one network, minus that of another if one is given; in levels.

    Mean over images of a column of `images.csv` of `analysis.brightness`, for each image its mean
    over noises, of absolute values unless `signed`; with its 95% interval over images.
    """
    frame = study.table(run, "images")
    if frame is None or not {plus, minus or plus} <= set(frame.model):
        return None
    rows = frame.assign(error=frame[column] if signed else frame[column].abs())
    wide = rows.groupby(["sha256", "image", "model"], sort=False)["error"].mean().unstack()
    return mean_over_images(wide[plus] - wide[minus] if minus else wide[plus])


def mean_over_images(values_by_crop: pd.Series) -> Measurement:
    """The mean of values by crop, indexed by `image`, with its interval over photographs."""
    names = [str(name) for name in values_by_crop.index.get_level_values("image")]
    return Measurement(*jackknife.mean(values_by_crop, names), draws=len(set(names)))
