"""What the paper claims, and whether a study of one's own agrees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from analysis.findings import measurements, published
from analysis.findings.measurements import (
    MIXED,
    PAIR,
    TISSUE,
    TRAINED,
    Measured,
    Study,
    Term,
    contrast,
)
from analysis.findings.study import ABLATION
from analysis.text.noise_labels import NOISY

METHOD = "input-75-85"
"""The cell of the ablation that is the paper's best."""

AGREES, DISAGREES, UNDECIDED, ABSENT = "agrees", "disagrees", "undecided", "not run"

CLEAR = 0.1
"""What a change over training must exceed, in dB."""

LITTLE = 1.0
"""What masks may cost under the noise trained on, in dB, to cost little."""

NEAR = 1.0
"""How far brightness may be off, in 8-bit levels, to be right."""

COLLAPSE = (3.0, 0.1)
"""By how much PSNR, in dB, and SSIM fall at least if a network breaks down."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that a number decides.

    Attributes:
        finding: what it belongs to, as `table1`.
        text: what the paper says, in our words.
        quantity: what is measured; the claim says that it is above 0.
        unit: of the quantity.
        measure: finds it in a study, if it is there.
        paper: the same quantity in the paper; NaN where it is only shown or described.
        bar: what the quantity has to exceed, if that is not 0.
        tolerance: of a quantity that has no interval by its nature: how far from 0 it must be.
    """

    finding: str
    text: str
    quantity: str
    unit: str
    measure: Callable[[Study], Measured | None]
    paper: float = math.nan
    bar: float = 0.0
    tolerance: float | None = None

    def verdict(self, found: Measured | None) -> str:
        """Agrees if all of its interval is above the bar, and by more than seeds may be behind.

        Does not agree if the same is true below it. A quantity that should have an interval and
        has none, or is not finite, decides nothing.
        """
        if found is None:
            return ABSENT
        value, low, high = (number - self.bar for number in found[:3])
        least = 0.0 if math.isnan(found.floor) else found.floor
        if self.tolerance is not None:
            low, high, least = value, value, self.tolerance
        if not all(map(math.isfinite, (value, low, high))):
            return UNDECIDED
        if low > 0 and value > least:
            return AGREES
        if high < 0 and -value > least:
            return DISAGREES
        return UNDECIDED


def _better(
    run: str, a: str, b: str, noise: str, metric: str = "psnr"
) -> Callable[[Study], Measured | None]:
    more, less = [Term(a, noise)], [Term(b, noise)]
    return partial(contrast, run=run, metric=metric, more=more, less=less)


def _paper(name: str, a: str, b: str, metric: str = "psnr") -> float:
    rows = published.table(name).set_index("cell")[metric]
    return float(rows[a] - rows[b])


def _cells(
    finding: str, text: str, a: str, b: str, bars: tuple[float, float] = (0, 0)
) -> Iterable[Claim]:
    """That one cell of an ablation is better than another under the mixture."""
    for metric, unit, bar in (("psnr", "dB", bars[0]), ("ssim", "", bars[1])):
        yield Claim(
            finding,
            text,
            f"{metric.upper()} under the mixture, {a} − {b}",
            unit,
            _better(ABLATION, a, b, MIXED, metric),
            _paper(finding, a, b, metric),
            bar,
        )


def _figure11() -> Iterable[Claim]:
    rows = published.table("figure11")
    for kind, part in rows.groupby("kind", sort=False):
        wide = part.pivot(index="level", columns="model", values="psnr")
        first, last = (f"{kind}:{wide.index[i]:g}" for i in (0, -1))
        lead = wide.masked - wide.baseline
        yield Claim(
            "figure11",
            f"Under the strongest {kind} noise the masked network is ahead.",
            f"PSNR under {last}, masked − baseline",
            "dB",
            _better("levels", "masked", "baseline", last),
            float(lead.iloc[-1]),
        )
        yield Claim(
            "figure11",
            f"It loses less as {kind} noise grows.",
            f"lead in PSNR of masked over baseline, under {last} − under {first}",
            "dB",
            partial(
                contrast,
                run="levels",
                metric="psnr",
                more=[Term("masked", last), Term("baseline", first)],
                less=[Term("baseline", last), Term("masked", first)],
            ),
            float(lead.iloc[-1] - lead.iloc[0]),
        )


def _peers() -> Iterable[Claim]:
    for kind, part in published.table("figure11").groupby("kind", sort=False):
        last = f"{kind}:{part.level.iloc[-1]:g}"
        yield Claim(
            "figure11",
            f"Under the strongest {kind} noise it is ahead of DnCNN.",
            f"PSNR under {last}, masked − DnCNN",
            "dB",
            _better("levels", "masked", "dncnn", last),
        )


def _table3(finding: str, run: str, noise: str, text: str, paper: pd.DataFrame) -> Iterable[Claim]:
    rows = paper.set_index("method")
    for metric, unit in (("psnr", "dB"), ("ssim", ""), ("lpips", "")):
        sign = -1 if metric == "lpips" else 1
        yield Claim(
            finding,
            text,
            f"{metric.upper()} under {noise}, "
            + ("baseline − masked" if sign < 0 else "masked − baseline"),
            unit,
            _better(run, "masked", "baseline", noise, metric),
            float(sign * (rows[metric]["masked"] - rows[metric]["baseline"])),
        )


def claims() -> list[Claim]:
    """All of them, in the order of the page."""
    return [first(), *masks(), *ratios(), *comparisons(), *insides(), *learned()]


def first() -> Claim:
    """Figure 1."""
    return Claim(
        "figure1",
        "Under a mixture of noises it never saw the masked network keeps its effect.",
        "PSNR under mixture:4, masked − baseline",
        "dB",
        _better(f"{PAIR}/generalization", "masked", "baseline", "mixture:4"),
    )


def masks() -> Iterable[Claim]:
    """Table 1 and Figure 5."""
    both = "input-80-90"
    yield from _cells(
        "table1", "The input mask makes the network generalize.", both, "attention-only"
    )
    yield from _cells("table1", "Without the attention mask quality drops.", both, "input-only")
    for text, quantity, more, less, column, signed in (
        (
            "With the input mask alone outputs are too bright.",
            "shift of brightness, input mask only",
            *("input-only", "", "shift", True),
        ),
        (
            "With the attention mask brightness is less wrong.",
            "size of an image's shift of brightness, input mask only − both masks",
            *("input-only", both, "shift", False),
        ),
        (
            "The histogram of brightness is nearer to that of the clean image.",
            "distance of an image's histograms, input mask only − both masks",
            *("input-only", both, "distance", False),
        ),
        (
            "With both masks brightness is right, to a level of what a network has that saw every "
            "pixel.",
            "size of an image's shift of brightness, attention mask only − both masks",
            *("attention-only", both, "shift", False),
        ),
    ):
        measure = partial(
            measurements.brightness, column=column, more=more, less=less, signed=signed
        )
        bar = -NEAR if more == "attention-only" else 0
        yield Claim("figure5", text, quantity, "levels", measure, bar=bar)


def ratios() -> Iterable[Claim]:
    """Tables 2 and 3a, Figure 7."""
    best, both = METHOD, "input-80-90"
    yield from _cells("table2", "A ratio of 75% is better than 65%.", best, "attention-65")
    yield from _cells("table2", "A ratio of 75% is better than 85%.", best, "attention-85")
    for text, a, b in (
        ("A ratio drawn from 70–80% is better than 75% fixed.", "input-70-80", "input-75"),
        ("One drawn from 80–90% is better than 85% fixed.", both, "input-85"),
        ("75–85% is better than 80–90%.", best, both),
        ("75–85% is better than 70–80%.", best, "input-70-80"),
    ):
        yield from _cells("table3a", text, a, b)
    yield from _cells("table3a", "At 95% it breaks down.", best, "input-95", COLLAPSE)
    for text, quantity, more, less in (
        (
            "Masks cost something under the noise trained on.",
            f"PSNR under {TRAINED}, baseline − {best}",
            [Term("baseline", TRAINED)],
            [Term(best, TRAINED)],
        ),
        (
            "Up to 75% they cost little.",
            f"PSNR under {TRAINED}, input-65-75 − baseline",
            [Term("input-65-75", TRAINED)],
            [Term("baseline", TRAINED)],
        ),
        (
            "Most of the cost comes after 75%.",
            f"cost in PSNR under {TRAINED} from 65–75% to 85–95% − from none to 65–75%",
            [Term("input-65-75", TRAINED, 2.0)],
            [Term("baseline", TRAINED), Term("input-85-95", TRAINED)],
        ),
        (
            "They gain under noise that was not trained on.",
            f"PSNR under the mixture, {best} − baseline",
            [Term(best, MIXED)],
            [Term("baseline", MIXED)],
        ),
        (
            "The gain is larger than the cost.",
            "gain under the mixture − cost under the noise trained on",
            [Term(best, MIXED), Term(best, TRAINED)],
            [Term("baseline", MIXED), Term("baseline", TRAINED)],
        ),
        (
            "Small ratios are not enough.",
            f"PSNR under the mixture, {best} − input-15-25",
            [Term(best, MIXED)],
            [Term("input-15-25", MIXED)],
        ),
    ):
        measure = partial(contrast, run=ABLATION, metric="psnr", more=more, less=less)
        bar = -LITTLE if text.endswith("cost little.") else 0
        yield Claim("figure7", text, quantity, "dB", measure, bar=bar)


def comparisons() -> Iterable[Claim]:
    """Figure 11, Tables 3b and 3c."""
    yield from _figure11()
    yield from _peers()
    rendered = published.table("table3b")
    for spp in (64, 128):
        text = f"On renderings of {spp} samples per pixel the masked network is ahead."
        rows = rendered[rendered.spp == spp]
        yield from _table3("table3b", "monte_carlo", f"monte_carlo:{spp}", text, rows)
    text = "On noise of a camera's pipeline it is ahead."
    yield from _table3("table3c", "levels", "isp", text, published.table("table3c"))


def insides() -> Iterable[Claim]:
    """Figures 12 to 15."""
    yield Claim(
        "figure12",
        "The baseline's deep layers are less like any layer of the masked network than its "
        "shallow ones.",
        "best CKA with any layer of masked, baseline's shallow half − its deepest quarter",
        "",
        measurements.deep_matches,
        tolerance=0.05,
    )
    yield Claim(
        "figure12",
        "Under two noises the baseline's deep layers differ, those of the masked network less.",
        "CKA of the deepest blocks across noises, masked − baseline",
        "",
        measurements.across_noises,
    )
    for text, quantity, measure in (
        (
            "The baseline overfits: under unseen noise it gets worse with training.",
            "PSNR under unseen noise, after a quarter of the steps − at the end, baseline",
            partial(measurements.falls, model="baseline"),
        ),
        (
            "The masked network gets better with training.",
            "PSNR under unseen noise, at the end − after a quarter of the steps, masked",
            partial(measurements.grows, model="masked"),
        ),
        (
            "It fares better in this than the baseline.",
            "the same change, masked − baseline",
            measurements.outgrows,
        ),
    ):
        yield Claim("figure13", text, quantity, "dB", measure, tolerance=CLEAR)
    yield Claim(
        "figure14",
        "SRGA of the masked network is lower.",
        "SRGA, baseline − masked, mean over unseen noises",
        "",
        measurements.srga,
    )
    yield Claim(
        "figure15",
        "Features of the baseline move with the noise, those of the masked network less.",
        "W₁ of the deepest features over their σ, baseline − masked, mean over unseen noises",
        "",
        measurements.distances,
    )


def learned() -> Iterable[Claim]:
    """Figures 2 and 3."""
    for text, quantity, more, less in (
        (
            "A baseline trained on stained tissue alone still removes noise from photographs.",
            "gain in {} over the noisy photographs, trained on tissue",
            [Term("tissue-baseline", TRAINED)],
            [Term(NOISY, TRAINED)],
        ),
        (
            "Masked training learns the images: with pixels hidden, one that learned tissue "
            "completes photographs worse.",
            "{} with 80% hidden, masked and trained on photographs − on tissue",
            [Term("photographs-masked", TRAINED)],
            [Term("tissue-masked", TRAINED)],
        ),
        (
            "With all pixels shown, too, tissue costs it more than it costs a baseline.",
            "loss in {} from photographs to tissue as training images, masked − baseline",
            [Term("photographs-masked", TRAINED), Term("tissue-baseline", TRAINED)],
            [Term("tissue-masked", TRAINED), Term("photographs-baseline", TRAINED)],
        ),
    ):
        run = f"{TISSUE}_hidden" if "hidden" in quantity else TISSUE
        for metric, unit in (("psnr", "dB"), ("ssim", "")):
            measure = partial(contrast, run=run, metric=metric, more=more, less=less)
            yield Claim("figure2", text, quantity.format(metric.upper()), unit, measure)
    for percent in (80, 90):
        yield Claim(
            "figure3",
            f"With {percent}% of the pixels hidden an image can still be made out: better, to have "
            "a bar, than by repeating the nearest pixel shown.",
            f"PSNR with {percent}% hidden, masked − nearest",
            "dB",
            _better(f"completion_{percent}", "masked", "nearest", "gaussian:0"),
        )


COLUMNS = ("finding", "claim", "quantity", "unit", "bar", "paper", "value", "low", "high", "floor")


def judged(study: Study) -> pd.DataFrame:
    """Every claim with what a study measures of it, and its verdict.

    Columns: `COLUMNS`, `draws`, `weakest`, `strongest` (see
    `analysis.findings.measurements.Measured`) and `verdict`.
    """
    rows = []
    for claim in claims():
        found = claim.measure(study)
        about = (claim.finding, claim.text, claim.quantity, claim.unit, claim.bar, claim.paper)
        numbers = found or Measured(math.nan)
        row = dict(zip(COLUMNS, (*about, *numbers[:4]), strict=True))
        row |= {name: getattr(numbers, name) for name in ("draws", "weakest", "strongest")}
        rows.append(row | {"verdict": claim.verdict(found)})
    return pd.DataFrame(rows)
