"""The claims of the paper as quantities, in the order of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import pandas as pd

from analysis.findings import measurements, published
from analysis.findings.comparable import Conditions
from analysis.findings.contrasts import MIXTURE, TRAINED, Contrast, Measurement, Term
from analysis.findings.study import (
    ABLATION,
    BRIGHTNESS,
    CURVES,
    HIDDEN,
    LEVELS,
    LONGER,
    PAIR,
    RENDERED,
    TISSUE,
    Study,
)
from analysis.findings.verdicts import Claim
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_words

BENCHMARK = "generalization"
"""Folder of the benchmark in a report."""

UNSEEN = ("poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02", MIXTURE)
"""Unseen noises of the pair's report, and of most validations during training."""

LONGEST = (PAIR, LONGER, CURVES)
"""Runs of trainings with more steps than those of other seeds."""

BEST_CELL = "input-75-85"
"""The cell of the ablation that is best in the paper."""

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


def _contrast(
    finding: str,
    text: str,
    quantity: str,
    unit: str,
    run: str,
    measure: Contrast,
    paper: float = math.nan,
    threshold: float = 0.0,
    hidden: bool = False,
) -> Claim:
    """A claim about a contrast; its networks and noises must be comparable with the paper's."""
    networks = dict.fromkeys(term.model for term in measure.terms if term.model != NOISY)
    noises = dict.fromkeys(term.noise for term in measure.terms)
    conditions = Conditions(
        f"{run}/{measure.folder}".rstrip("/"),
        tuple(networks),
        () if hidden else tuple(noises),
        "gaussian:0" if "gaussian:0" in noises else TRAINED,
    )
    return Claim(finding, text, quantity, unit, run, measure, conditions, paper, threshold)


def _difference(a: str, b: str, noise: str, metric: str = "psnr", folder: str = "") -> Contrast:
    return Contrast(metric, (Term(a, noise),), (Term(b, noise),), folder)


def _published_difference(name: str, a: str, b: str, metric: str) -> float:
    rows = published.table(name).set_index("cell")[metric]
    return float(rows[a] - rows[b])


def _cells(
    finding: str, text: str, a: str, b: str, thresholds: tuple[float, float] = (0, 0)
) -> Iterable[Claim]:
    """One cell of an ablation is better than another under the mixture, by PSNR and SSIM."""
    for metric, unit, threshold in (("psnr", "dB", thresholds[0]), ("ssim", "", thresholds[1])):
        yield _contrast(
            finding,
            text,
            f"{metric.upper()} under the mixture, {a} − {b}",
            unit,
            ABLATION,
            _difference(a, b, MIXTURE, metric),
            _published_difference(finding, a, b, metric),
            threshold,
        )


def _levels_of_baseline() -> Iterable[Claim]:
    rows = published.table("figure11")
    for kind, part in rows.groupby("kind", sort=False):
        wide = part.pivot(index="level", columns="model", values="psnr")
        first, last = (f"{kind}:{wide.index[i]:g}" for i in (0, -1))
        lead = wide.masked - wide.baseline
        yield _contrast(
            "figure11",
            f"Under the strongest {kind} noise the masked network is ahead of the baseline.",
            f"PSNR under {noise_words(last)}, masked − baseline",
            "dB",
            LEVELS,
            _difference("masked", "baseline", last),
            float(lead.iloc[-1]),
        )
        plus = (Term("masked", last), Term("baseline", first))
        minus = (Term("baseline", last), Term("masked", first))
        yield _contrast(
            "figure11",
            f"Its PSNR drop with stronger {kind} noise is smaller than the baseline's.",
            f"PSNR drop from {noise_words(first)} to {noise_words(last)}, baseline − masked",
            "dB",
            LEVELS,
            Contrast("psnr", plus, minus),
            float(lead.iloc[-1] - lead.iloc[0]),
        )


def _levels_of_dncnn() -> Iterable[Claim]:
    for kind, part in published.table("figure11").groupby("kind", sort=False):
        last = f"{kind}:{part.level.iloc[-1]:g}"
        yield _contrast(
            "figure11",
            f"Under the strongest {kind} noise the masked network is ahead of DnCNN.",
            f"PSNR under {noise_words(last)}, masked − DnCNN",
            "dB",
            LEVELS,
            _difference("masked", "dncnn", last),
        )


def _methods(finding: str, run: str, noise: str, text: str, paper: pd.DataFrame) -> Iterable[Claim]:
    """The masked network is better than the baseline under a noise, by three metrics."""
    rows = paper.set_index("method")
    for metric, unit in (("psnr", "dB"), ("ssim", ""), ("lpips", "")):
        measure = _difference("masked", "baseline", noise, metric)
        yield _contrast(
            finding,
            text,
            f"{metric.upper()} under {noise_words(noise)}, "
            + ("baseline − masked" if measure.sign < 0 else "masked − baseline"),
            unit,
            run,
            measure,
            float(measure.sign * (rows[metric]["masked"] - rows[metric]["baseline"])),
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
    return _contrast(
        "figure1",
        "Under a mixture of unseen noises the masked network still denoises well.",
        "PSNR under mixture level 4, masked − baseline",
        "dB",
        PAIR,
        _difference("masked", "baseline", "mixture:4", folder=BENCHMARK),
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
        networks = (plus, minus) if minus else (plus,)
        conditions = Conditions(ABLATION, networks, (TRAINED, MIXTURE))
        yield Claim(
            *("figure5", text, quantity, "levels", BRIGHTNESS, measure, conditions),
            threshold=threshold,
        )


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
            f"PSNR under {noise_words(TRAINED)}, baseline − {best}",
            (Term("baseline", TRAINED),),
            (Term(best, TRAINED),),
            0.0,
        ),
        (
            "Up to a ratio of 75% this PSNR drop is small.",
            f"PSNR under {noise_words(TRAINED)}, input-65-75 − baseline",
            (Term("input-65-75", TRAINED),),
            (Term("baseline", TRAINED),),
            -SMALL_DROP,
        ),
        (
            "Most of this PSNR drop occurs above 75%.",
            f"PSNR drop under {noise_words(TRAINED)}, from 65–75% to 85–95% − from no mask to "
            "65–75%",
            (Term("input-65-75", TRAINED, 2.0),),
            (Term("baseline", TRAINED), Term("input-85-95", TRAINED)),
            0.0,
        ),
        (
            "Masks raise PSNR under unseen noise.",
            f"PSNR under the mixture, {best} − baseline",
            (Term(best, MIXTURE),),
            (Term("baseline", MIXTURE),),
            0.0,
        ),
        (
            "This gain is larger than the PSNR drop under the noise trained on.",
            "PSNR gain under the mixture − PSNR drop under the noise trained on",
            (Term(best, MIXTURE), Term(best, TRAINED)),
            (Term("baseline", MIXTURE), Term("baseline", TRAINED)),
            0.0,
        ),
        (
            "Small ratios are not enough.",
            f"PSNR under the mixture, {best} − input-15-25",
            (Term(best, MIXTURE),),
            (Term("input-15-25", MIXTURE),),
            0.0,
        ),
    ):
        measure = Contrast("psnr", plus, minus)
        yield _contrast("figure7", text, quantity, "dB", ABLATION, measure, threshold=threshold)


def comparisons() -> Iterable[Claim]:
    """Figure 11, Tables 3b and 3c."""
    yield from _levels_of_baseline()
    yield from _levels_of_dncnn()
    rendered = published.table("table3b")
    for spp in (64, 128):
        text = f"On renderings with {spp} samples per pixel the masked network is ahead."
        rows = rendered[rendered.spp == spp]
        yield from _methods("table3b", RENDERED, f"monte_carlo:{spp}", text, rows)
    text = "Under the noise of a camera pipeline the masked network is ahead."
    yield from _methods("table3c", LEVELS, "isp", text, published.table("table3c"))


def features() -> Iterable[Claim]:
    """Figures 12 to 15."""
    pair = partial(Conditions, f"{PAIR}/{BENCHMARK}", ("baseline", "masked"))
    unseen = pair(UNSEEN)
    yield Claim(
        "figure12",
        "The baseline's deep layers resemble the layers of the masked network less than its "
        "shallow layers do.",
        "highest CKA with any layer of the masked network, first half of the baseline's layers − "
        "last quarter of its blocks",
        "",
        PAIR,
        measurements.cka_across_models,
        pair((TRAINED,)),
        margin=LAYER_MARGIN,
    )
    yield Claim(
        "figure12",
        "Between two noises the baseline's deep layers differ more than those of the masked "
        "network.",
        "CKA across noises in the last quarter of the blocks, masked − baseline",
        "",
        PAIR,
        measurements.cka_across_noises,
        unseen,
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
        yield Claim(
            *("figure13", text, quantity, "dB", CURVES, measure, unseen), margin=TRAINING_MARGIN
        )
    yield Claim(
        "figure14",
        "The masked network has a lower SRGA.",
        "SRGA, baseline − masked, mean over unseen noises",
        "",
        PAIR,
        measurements.srga,
        unseen,
    )
    yield Claim(
        "figure15",
        "Noise shifts the baseline's feature distribution more than that of the masked network.",
        "W₁ over σ of the features before the last convolution, baseline − masked, mean over "
        "unseen noises",
        "",
        PAIR,
        measurements.distribution_shift,
        unseen,
    )


def training_images() -> Iterable[Claim]:
    """Figures 2 and 3."""
    for run, text, quantity, plus, minus in (
        (
            TISSUE,
            "A baseline trained on stained tissue alone still removes noise from photographs.",
            "{} gain over the noisy photographs, baseline trained on tissue",
            (Term("tissue-baseline", TRAINED),),
            (Term(NOISY, TRAINED),),
        ),
        (
            HIDDEN,
            "Masked training learns the images: trained on tissue, a masked network completes "
            "photographs with hidden pixels worse than trained on photographs.",
            "{} with 80% of the pixels hidden, masked network trained on photographs − on tissue",
            (Term("photographs-masked", TRAINED),),
            (Term("tissue-masked", TRAINED),),
        ),
        (
            TISSUE,
            "With all pixels visible, too, training on tissue harms the masked network more than "
            "the baseline.",
            "{} drop from training on photographs to training on tissue, masked − baseline",
            (Term("photographs-masked", TRAINED), Term("tissue-baseline", TRAINED)),
            (Term("tissue-masked", TRAINED), Term("photographs-baseline", TRAINED)),
        ),
    ):
        for metric, unit in (("psnr", "dB"), ("ssim", "")):
            yield _contrast(
                *("figure2", text, quantity.format(metric.upper()), unit, run),
                Contrast(metric, plus, minus),
                hidden=run == HIDDEN,
            )
    for percent in (80, 90):
        yield _contrast(
            "figure3",
            f"With {percent}% of the pixels hidden the image can still be recovered to some "
            "extent; required here: better than by repeating the nearest visible pixel.",
            f"PSNR with {percent}% of the pixels hidden, masked − nearest",
            "dB",
            f"completion_{percent}",
            _difference("masked", "nearest", "gaussian:0"),
            hidden=True,
        )


COLUMNS = (
    *("finding", "claim", "quantity", "unit", "threshold", "paper"),
    *("value", "low", "high", "draws", "weakest", "strongest"),
    *("trainings", "trainings_low", "trainings_high", *LONGEST),
    *("verdict", "reason"),
)
"""Of `claims.csv`, a row for each claim.

See `analysis.findings.verdicts.Claim`, `analysis.findings.contrasts.Measurement` and
`analysis.findings.trainings.OverTrainings`. `pair`, `pair_longer` and `curves` are the values after
single trainings of more steps, where the value is that of shorter ones.
"""


def judge(study: Study) -> pd.DataFrame:
    """Every claim with its measurement in a study, and the verdict; columns `COLUMNS`."""
    rows = []
    for claim in claims():
        measured, over, longer, verdict, reason = claim.result(study)
        about = (claim.finding, claim.text, claim.quantity, claim.unit, claim.threshold)
        numbers = measured or Measurement(math.nan)
        after = (longer[run].value if run in longer else math.nan for run in LONGEST)
        trainings = (over.trainings, over.low, over.high)
        rows.append((*about, claim.paper, *numbers, *trainings, *after, verdict, reason))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def by_training(study: Study) -> pd.DataFrame | None:
    """The quantities of the pair and of its curves, one row for each training; None if none.

    Columns: `finding`, `quantity`, `unit`, `run`, and `value` with `low` and `high`, its 95%
    interval over images.
    """
    rows = [
        (claim.finding, claim.quantity, claim.unit, run, *measured[:3])
        for claim in claims()
        for run, measured in claim.by_training(study).items()
    ]
    names = ["finding", "quantity", "unit", "run", "value", "low", "high"]
    return pd.DataFrame(rows, columns=names) if rows else None
