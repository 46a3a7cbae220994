"""The claims of the paper as quantities, and the verdict of a study on each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from analysis.findings import measurements, published
from analysis.findings.measurements import (
    MIXTURE,
    PAIR,
    TISSUE,
    TRAINED,
    Measurement,
    Study,
    Term,
    contrast,
)
from analysis.findings.study import ABLATION
from analysis.text.noise_labels import NOISY

BEST_CELL = "input-75-85"
"""The cell of the ablation that is best in the paper."""

AGREES, DISAGREES, UNDECIDED, NOT_RUN = "agrees", "disagrees", "undecided", "not run"

TRAINING_MARGIN = 0.1
"""Change of PSNR over training, in dB, that counts as one."""

LAYER_MARGIN = 0.05
"""Difference of CKA between layers that counts as one."""

SMALL_DROP = 1.0
"""Largest PSNR drop under the noise trained on, in dB, that is called small."""

SAME_BRIGHTNESS = 1.0
"""Largest difference of brightness, in 8-bit levels, that is called none."""

BREAKDOWN = (3.0, 0.1)
"""Smallest drop of PSNR, in dB, and of SSIM that is called a breakdown."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, as a quantity that is above a threshold if it is true.

    Attributes:
        finding: the table or figure it belongs to, as `table1`.
        text: what the paper says, in our words.
        quantity: what is measured.
        unit: of the quantity.
        measure: measures it in a study; None if a run is missing.
        paper: the same quantity in the paper; NaN where the paper only shows or describes it.
        threshold: what the quantity must be above.
        margin: for a quantity that has no interval: how far from the threshold it must be.
    """

    finding: str
    text: str
    quantity: str
    unit: str
    measure: Callable[[Study], Measurement | None]
    paper: float = math.nan
    threshold: float = 0.0
    margin: float | None = None

    def verdict(self, measurement: Measurement | None) -> str:
        """The verdict on the claim.

        It agrees if the whole interval is above the threshold, and the value by more than seeds
        alone may cause; it disagrees if the same is true below. A quantity that should have an
        interval and has none, or is not finite, leaves the claim undecided.
        """
        if measurement is None:
            return NOT_RUN
        value, low, high = (number - self.threshold for number in measurement[:3])
        least = 0.0 if math.isnan(measurement.seed_bound) else measurement.seed_bound
        if self.margin is not None:
            low, high, least = value, value, self.margin
        if not all(map(math.isfinite, (value, low, high))):
            return UNDECIDED
        if low > 0 and value > least:
            return AGREES
        if high < 0 and -value > least:
            return DISAGREES
        return UNDECIDED


def _difference(
    run: str, a: str, b: str, noise: str, metric: str = "psnr"
) -> Callable[[Study], Measurement | None]:
    plus, minus = [Term(a, noise)], [Term(b, noise)]
    return partial(contrast, run=run, metric=metric, plus=plus, minus=minus)


def _published_difference(name: str, a: str, b: str, metric: str) -> float:
    rows = published.table(name).set_index("cell")[metric]
    return float(rows[a] - rows[b])


def _cells(
    finding: str, text: str, a: str, b: str, thresholds: tuple[float, float] = (0, 0)
) -> Iterable[Claim]:
    """One cell of an ablation is better than another under the mixture, by PSNR and SSIM."""
    for metric, unit, threshold in (("psnr", "dB", thresholds[0]), ("ssim", "", thresholds[1])):
        yield Claim(
            finding,
            text,
            f"{metric.upper()} under the mixture, {a} − {b}",
            unit,
            _difference(ABLATION, a, b, MIXTURE, metric),
            _published_difference(finding, a, b, metric),
            threshold,
        )


def _levels_of_baseline() -> Iterable[Claim]:
    rows = published.table("figure11")
    for kind, part in rows.groupby("kind", sort=False):
        wide = part.pivot(index="level", columns="model", values="psnr")
        first, last = (f"{kind}:{wide.index[i]:g}" for i in (0, -1))
        lead = wide.masked - wide.baseline
        yield Claim(
            "figure11",
            f"Under the strongest {kind} noise the masked network is ahead of the baseline.",
            f"PSNR under {last}, masked − baseline",
            "dB",
            _difference("levels", "masked", "baseline", last),
            float(lead.iloc[-1]),
        )
        yield Claim(
            "figure11",
            f"Its PSNR drop with stronger {kind} noise is smaller than the baseline's.",
            f"PSNR drop from {first} to {last}, baseline − masked",
            "dB",
            partial(
                contrast,
                run="levels",
                metric="psnr",
                plus=[Term("masked", last), Term("baseline", first)],
                minus=[Term("baseline", last), Term("masked", first)],
            ),
            float(lead.iloc[-1] - lead.iloc[0]),
        )


def _levels_of_dncnn() -> Iterable[Claim]:
    for kind, part in published.table("figure11").groupby("kind", sort=False):
        last = f"{kind}:{part.level.iloc[-1]:g}"
        yield Claim(
            "figure11",
            f"Under the strongest {kind} noise the masked network is ahead of DnCNN.",
            f"PSNR under {last}, masked − DnCNN",
            "dB",
            _difference("levels", "masked", "dncnn", last),
        )


def _methods(finding: str, run: str, noise: str, text: str, paper: pd.DataFrame) -> Iterable[Claim]:
    """The masked network is better than the baseline under a noise, by three metrics."""
    rows = paper.set_index("method")
    for metric, unit in (("psnr", "dB"), ("ssim", ""), ("lpips", "")):
        sign = -1 if metric == "lpips" else 1
        yield Claim(
            finding,
            text,
            f"{metric.upper()} under {noise}, "
            + ("baseline − masked" if sign < 0 else "masked − baseline"),
            unit,
            _difference(run, "masked", "baseline", noise, metric),
            float(sign * (rows[metric]["masked"] - rows[metric]["baseline"])),
        )


def claims() -> list[Claim]:
    """All claims, in the order of the page."""
    return [
        unseen_noise(),
        *masks(),
        *ratios(),
        *comparisons(),
        *features(),
        *training_images(),
    ]


def unseen_noise() -> Claim:
    """Figure 1."""
    return Claim(
        "figure1",
        "Under a mixture of unseen noises the masked network still denoises well.",
        "PSNR under mixture:4, masked − baseline",
        "dB",
        _difference(f"{PAIR}/generalization", "masked", "baseline", "mixture:4"),
    )


def masks() -> Iterable[Claim]:
    """Table 1 and Figure 5."""
    both = "input-80-90"
    yield from _cells(
        "table1", "The input mask makes the network generalize.", both, "attention-only"
    )
    yield from _cells("table1", "Without the attention mask quality drops.", both, "input-only")
    for text, quantity, plus, minus, column, signed, threshold in (
        (
            "With the input mask alone outputs are too bright.",
            "brightness shift, input mask only",
            *("input-only", "", "shift", True, 0.0),
        ),
        (
            "Adding the attention mask reduces the error of brightness.",
            "absolute brightness shift of an image, input mask only − both masks",
            *("input-only", both, "shift", False, 0.0),
        ),
        (
            "The brightness histogram is closer to that of the clean image.",
            "histogram distance of an image, input mask only − both masks",
            *("input-only", both, "distance", False, 0.0),
        ),
        (
            "With both masks brightness is right: its error is at most one level larger than that "
            "of a network trained without an input mask.",
            "absolute brightness shift of an image, attention mask only − both masks",
            *("attention-only", both, "shift", False, -SAME_BRIGHTNESS),
        ),
    ):
        measure = partial(
            measurements.brightness, column=column, plus=plus, minus=minus, signed=signed
        )
        yield Claim("figure5", text, quantity, "levels", measure, threshold=threshold)


def ratios() -> Iterable[Claim]:
    """Tables 2 and 3a, Figure 7."""
    best, both = BEST_CELL, "input-80-90"
    yield from _cells("table2", "A ratio of 75% is better than 65%.", best, "attention-65")
    yield from _cells("table2", "A ratio of 75% is better than 85%.", best, "attention-85")
    for text, a, b in (
        (
            "A ratio drawn from 70–80% is better than a fixed ratio of 75%.",
            *("input-70-80", "input-75"),
        ),
        ("A ratio drawn from 80–90% is better than a fixed ratio of 85%.", both, "input-85"),
        ("75–85% is better than 80–90%.", best, both),
        ("75–85% is better than 70–80%.", best, "input-70-80"),
    ):
        yield from _cells("table3a", text, a, b)
    yield from _cells(
        "table3a", "At a ratio of 95% performance breaks down.", best, "input-95", BREAKDOWN
    )
    for text, quantity, plus, minus, threshold in (
        (
            "Masks lower PSNR under the noise trained on.",
            f"PSNR under {TRAINED}, baseline − {best}",
            [Term("baseline", TRAINED)],
            [Term(best, TRAINED)],
            0.0,
        ),
        (
            "Up to a ratio of 75% this PSNR drop is small.",
            f"PSNR under {TRAINED}, input-65-75 − baseline",
            [Term("input-65-75", TRAINED)],
            [Term("baseline", TRAINED)],
            -SMALL_DROP,
        ),
        (
            "Most of this PSNR drop occurs above 75%.",
            f"PSNR drop under {TRAINED}, from 65–75% to 85–95% − from no mask to 65–75%",
            [Term("input-65-75", TRAINED, 2.0)],
            [Term("baseline", TRAINED), Term("input-85-95", TRAINED)],
            0.0,
        ),
        (
            "Masks raise PSNR under unseen noise.",
            f"PSNR under the mixture, {best} − baseline",
            [Term(best, MIXTURE)],
            [Term("baseline", MIXTURE)],
            0.0,
        ),
        (
            "This gain is larger than the PSNR drop under the noise trained on.",
            "PSNR gain under the mixture − PSNR drop under the noise trained on",
            [Term(best, MIXTURE), Term(best, TRAINED)],
            [Term("baseline", MIXTURE), Term("baseline", TRAINED)],
            0.0,
        ),
        (
            "Small ratios are not enough.",
            f"PSNR under the mixture, {best} − input-15-25",
            [Term(best, MIXTURE)],
            [Term("input-15-25", MIXTURE)],
            0.0,
        ),
    ):
        measure = partial(contrast, run=ABLATION, metric="psnr", plus=plus, minus=minus)
        yield Claim("figure7", text, quantity, "dB", measure, threshold=threshold)


def comparisons() -> Iterable[Claim]:
    """Figure 11, Tables 3b and 3c."""
    yield from _levels_of_baseline()
    yield from _levels_of_dncnn()
    rendered = published.table("table3b")
    for spp in (64, 128):
        text = f"On renderings with {spp} samples per pixel the masked network is ahead."
        rows = rendered[rendered.spp == spp]
        yield from _methods("table3b", "monte_carlo", f"monte_carlo:{spp}", text, rows)
    text = "Under the noise of a camera pipeline the masked network is ahead."
    yield from _methods("table3c", "levels", "isp", text, published.table("table3c"))


def features() -> Iterable[Claim]:
    """Figures 12 to 15."""
    yield Claim(
        "figure12",
        "The baseline's deep layers resemble the layers of the masked network less than its "
        "shallow layers do.",
        "highest CKA with any layer of the masked network, first half of the baseline's layers − "
        "last quarter of its blocks",
        "",
        measurements.cka_across_models,
        margin=LAYER_MARGIN,
    )
    yield Claim(
        "figure12",
        "Between two noises the baseline's deep layers differ more than those of the masked "
        "network.",
        "CKA across noises in the last quarter of the blocks, masked − baseline",
        "",
        measurements.cka_across_noises,
    )
    for text, quantity, measure in (
        (
            "The baseline overfits: under unseen noise it gets worse with training.",
            "PSNR under unseen noise, after a quarter of the steps − at the end, baseline",
            partial(measurements.drop_over_training, model="baseline"),
        ),
        (
            "The masked network gets better with training.",
            "PSNR under unseen noise, at the end − after a quarter of the steps, masked",
            partial(measurements.gain_over_training, model="masked"),
        ),
        (
            "The masked network gains more from training than the baseline.",
            "PSNR gain under unseen noise from a quarter of the steps to the end, "
            "masked − baseline",
            measurements.difference_of_gains,
        ),
    ):
        yield Claim("figure13", text, quantity, "dB", measure, margin=TRAINING_MARGIN)
    yield Claim(
        "figure14",
        "The masked network has a lower SRGA.",
        "SRGA, baseline − masked, mean over unseen noises",
        "",
        measurements.srga,
    )
    yield Claim(
        "figure15",
        "Noise shifts the baseline's feature distribution more than that of the masked network.",
        "W₁ over σ of the features before the last convolution, baseline − masked, mean over "
        "unseen noises",
        "",
        measurements.distribution_shift,
    )


def training_images() -> Iterable[Claim]:
    """Figures 2 and 3."""
    for run, text, quantity, plus, minus in (
        (
            TISSUE,
            "A baseline trained on stained tissue alone still removes noise from photographs.",
            "{} gain over the noisy photographs, baseline trained on tissue",
            [Term("tissue-baseline", TRAINED)],
            [Term(NOISY, TRAINED)],
        ),
        (
            f"{TISSUE}_hidden",
            "Masked training learns the images: trained on tissue, a masked network completes "
            "photographs with hidden pixels worse than trained on photographs.",
            "{} with 80% of the pixels hidden, masked network trained on photographs − on tissue",
            [Term("photographs-masked", TRAINED)],
            [Term("tissue-masked", TRAINED)],
        ),
        (
            TISSUE,
            "With all pixels visible, too, training on tissue harms the masked network more than "
            "the baseline.",
            "{} drop from training on photographs to training on tissue, masked − baseline",
            [Term("photographs-masked", TRAINED), Term("tissue-baseline", TRAINED)],
            [Term("tissue-masked", TRAINED), Term("photographs-baseline", TRAINED)],
        ),
    ):
        for metric, unit in (("psnr", "dB"), ("ssim", "")):
            measure = partial(contrast, run=run, metric=metric, plus=plus, minus=minus)
            yield Claim("figure2", text, quantity.format(metric.upper()), unit, measure)
    for percent in (80, 90):
        yield Claim(
            "figure3",
            f"With {percent}% of the pixels hidden the image can still be recovered to some "
            "extent; required here: better than by repeating the nearest visible pixel.",
            f"PSNR with {percent}% of the pixels hidden, masked − nearest",
            "dB",
            _difference(f"completion_{percent}", "masked", "nearest", "gaussian:0"),
        )


COLUMNS = (
    *("finding", "claim", "quantity", "unit", "threshold", "paper"),
    *("value", "low", "high", "seed_bound", "draws", "weakest", "strongest", "verdict"),
)
"""Of `claims.csv`, a row for each claim; see `Claim` and
`analysis.findings.measurements.Measurement`."""


def judge(study: Study) -> pd.DataFrame:
    """Every claim with its measurement in a study, and the verdict; columns `COLUMNS`."""
    rows = []
    for claim in claims():
        measurement = claim.measure(study)
        about = (claim.finding, claim.text, claim.quantity, claim.unit, claim.threshold)
        numbers = measurement or Measurement(math.nan)
        rows.append((*about, claim.paper, *numbers, claim.verdict(measurement)))
    return pd.DataFrame(rows, columns=list(COLUMNS))
