"""Intervals over trainings: what another seed of the training may change.

Two kinds of claims have trainings of several seeds. Where all networks of a quantity were trained
several times (the pair), the quantity is computed for each seed, and its mean has Student's t
interval. In the ablation only two cells were: their own spread counts for them, and stands in for
the spread of the cells that were trained once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.findings.contrasts import Contrast, Measurement, Term
from analysis.findings.study import Study
from analysis.text.noise_labels import NOISY

Array = NDArray[np.float64]

LEAST = 3
"""Fewest trainings that have an interval."""


class OverTrainings(NamedTuple):
    """A quantity's mean over trainings.

    Attributes:
        value: in its unit.
        low: lower end of its 95% interval over trainings; NaN if there are too few.
        high: upper end of it.
        trainings: how many there are, in words; empty for one of each network.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    trainings: str = ""


def student(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean and Student's 95% interval; NaN bounds for fewer than three values.

    >>> student([1.0, 2.0])
    (1.5, nan, nan)
    """
    from scipy.stats import t

    numbers = np.asarray(values, dtype=float)
    mean = float(numbers.mean())
    if len(numbers) < LEAST:
        return mean, math.nan, math.nan
    half = float(numbers.std(ddof=1) / math.sqrt(len(numbers)) * t.ppf(0.975, len(numbers) - 1))
    return mean, mean - half, mean + half


def over_seeds(
    first: Measurement, repeats: Sequence[Measurement | None]
) -> tuple[Measurement, OverTrainings]:
    """A quantity whose networks were all trained again, with the interval over these trainings.

    Args:
        first: of the study's own run, which may be of more steps; it stands alone if fewer than
            three repeats were measured.
        repeats: of the runs of other seeds; None where the quantity could not be measured.

    Returns:
        The repeats' mean with the means of their bounds over images (they share the images, so an
        interval of the mean is not wider), and the same mean with its interval over trainings.
    """
    known = [one for one in repeats if one is not None]
    if len(known) < LEAST:
        return first, OverTrainings(first.value)
    value, low, high = student([one.value for one in known])
    ends = [float(np.mean([one[i] for one in known])) for i in (1, 2)]
    measured = Measurement(value, ends[0], ends[1], min(one.draws for one in known))
    return measured, OverTrainings(value, low, high, str(len(known)))


def over_cells(
    study: Study, run: str, quantity: Contrast, first: Measurement
) -> tuple[Measurement, OverTrainings]:
    """A contrast of which some networks were trained again, with its interval over trainings.

    A contrast Σ_m u_m·s_m of the mean scores s_m of networks m, u_m being weights over noises, is
    computed from the mean of each network over its n_m trainings. Its variance over trainings is
    Σ_m σ_m²(u_m)/n_m, where σ_m²(u) is the variance of u·s over the trainings of m itself, or, of a
    network trained once, over those of the one that stands in for it (`stand_in`). The interval
    has Satterthwaite's degrees of freedom, those of a stand-in counted once.

    Args:
        study: the runs.
        run: the run; runs of other seeds are named after it.
        quantity: the contrast.
        first: its measurement with the first training of each network.

    Returns:
        The measurement around the mean over trainings, with the same half widths over images as
        that of the first trainings; and the mean with its interval over trainings.
    """
    from scipy.stats import t

    models = [m for m in dict.fromkeys(term.model for term in quantity.terms) if m != NOISY]
    repeated = trained_again(study, run, quantity.metric)
    parts = {m: [x for x in quantity.terms if x.model == m] for m in models}
    values = {m: weighted(study, run, quantity.metric, m, parts[m]) for m in models}
    if not repeated or not all(np.isfinite(v).all() for v in values.values()):
        return first, OverTrainings(first.value)
    shift = quantity.sign * sum(float(v.mean() - v[0]) for v in values.values())
    moved = first._replace(
        value=first.value + shift, low=first.low + shift, high=first.high + shift
    )
    variance: dict[str, float] = {}
    for m in models:
        source = m if m in repeated else stand_in(m, repeated)
        spread = weighted(study, run, quantity.metric, source, parts[m])
        if len(spread) < LEAST:
            return first, OverTrainings(first.value)
        variance[source] = variance.get(source, 0.0) + float(spread.var(ddof=1)) / len(values[m])
    total = sum(variance.values())
    counts = {m: len(trainings_of(study, run, quantity.metric, m)) for m in variance}
    freedom = sum(v**2 / (counts[m] - 1) for m, v in variance.items())
    half = math.sqrt(total) * float(t.ppf(0.975, total**2 / freedom)) if total else 0.0
    words = ", ".join(f"{m} {len(values[m])}" for m in models)
    return moved, OverTrainings(moved.value, moved.value - half, moved.value + half, words)


def trained_again(study: Study, run: str, metric: str) -> list[str]:
    """The networks of a run that a run of another seed has as well."""
    names = [name for other in study.repeats(run) for name in study.models(other, metric)]
    return [name for name in dict.fromkeys(names) if name != NOISY]


def stand_in(model: str, repeated: Sequence[str]) -> str:
    """The repeated network whose spread stands in for that of a network trained once.

    A baseline for a baseline; for every network with a mask, the repeated one with masks.

    >>> stand_in("attention-65", ["baseline", "input-75-85"])
    'input-75-85'
    """
    alike = [name for name in repeated if ("baseline" in name) == ("baseline" in model)]
    return (alike or list(repeated))[0]


def trainings_of(study: Study, run: str, metric: str, model: str) -> list[tuple[str, str]]:
    """Run and name of each training of a network, the first training first."""
    inside = [name for name in study.models(run, metric) if name.startswith(f"{model}-seed")]
    again = [other for other in study.repeats(run) if model in study.models(other, metric)]
    return [(run, model), *((run, name) for name in inside), *((other, model) for other in again)]


def weighted(study: Study, run: str, metric: str, model: str, terms: Sequence[Term]) -> Array:
    """The weighted sum of mean scores of each training of a network, as the terms say."""
    return np.array(
        [
            sum(x.weight * study.mean(place, metric, name, x.noise) for x in terms)
            for place, name in trainings_of(study, run, metric, model)
        ]
    )
