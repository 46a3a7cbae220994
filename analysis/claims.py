"""What the paper claims, and whether a study of one's own agrees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from analysis import evidence, published
from analysis.evidence import ABLATION, Measured, Study, Term, contrast
from analysis.ranking import NOISY

TRAINED = "gaussian:15"
MIXED = "mixture"
METHOD = "input-75-85"
"""The cell of the ablation that is the paper's best."""

AGREES, DISAGREES, UNDECIDED, ABSENT = "agrees", "disagrees", "undecided", "not run"

CLEAR = 0.1
"""What a quantity without an interval must exceed, in dB."""


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
        margin: what a quantity without an interval must exceed.
    """

    finding: str
    text: str
    quantity: str
    unit: str
    measure: Callable[[Study], Measured | None]
    paper: float = math.nan
    margin: float = 0.0

    def verdict(self, found: Measured | None) -> str:
        """Agrees if it is above 0 by its interval and by more than another seed would change it."""
        if found is None or math.isnan(found.value):
            return ABSENT
        floor = 0.0 if math.isnan(found.floor) else found.floor
        least = max(self.margin, floor)
        low, high = (
            found.value if math.isnan(bound) else bound for bound in (found.low, found.high)
        )
        if low > 0 and found.value > least:
            return AGREES
        if high < 0 and -found.value > least:
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


def _cells(finding: str, text: str, a: str, b: str) -> Iterable[Claim]:
    """That one cell of an ablation is better than another under the mixture."""
    for metric, unit in (("psnr", "dB"), ("ssim", "")):
        yield Claim(
            finding,
            text,
            f"{metric.upper()} under the mixture, {a} − {b}",
            unit,
            _better(ABLATION, a, b, MIXED, metric),
            _paper(finding, a, b, metric),
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
    both, best = "input-80-90", METHOD
    rendered = published.table("table3b")
    return [
        *_cells(
            "table1",
            "Without the input mask the network does not generalize.",
            both,
            "attention-only",
        ),
        *_cells("table1", "Without the attention mask quality drops.", both, "input-only"),
        Claim(
            "figure5",
            "Without the attention mask the output's brightness is wrong; the mask repairs it.",
            "size of an image's shift of brightness, input mask only − both masks",
            "levels",
            partial(evidence.brightness, column="shift"),
        ),
        Claim(
            "figure5",
            "With it the histogram of brightness is nearer to that of the clean image.",
            "distance of an image's histograms, input mask only − both masks",
            "levels",
            partial(evidence.brightness, column="distance"),
        ),
        *_cells("table2", "A ratio of 75% is better than 65%.", best, "attention-65"),
        *_cells("table2", "A ratio of 75% is better than 85%.", best, "attention-85"),
        *_cells(
            "table3a",
            "A ratio drawn from 70–80% is better than 75% fixed.",
            "input-70-80",
            "input-75",
        ),
        *_cells("table3a", "One drawn from 80–90% is better than 85% fixed.", both, "input-85"),
        *_cells("table3a", "75–85% is better than 80–90%.", best, both),
        *_cells("table3a", "75–85% is better than 70–80%.", best, "input-70-80"),
        *_cells("table3a", "At 95% it breaks down.", best, "input-95"),
        Claim(
            "figure7",
            "Masks cost something under the training noise.",
            f"PSNR under {TRAINED}, baseline − {best}",
            "dB",
            _better(ABLATION, "baseline", best, TRAINED),
        ),
        Claim(
            "figure7",
            "They gain under noise that was not trained on.",
            f"PSNR under the mixture, {best} − baseline",
            "dB",
            _better(ABLATION, best, "baseline", MIXED),
        ),
        Claim(
            "figure7",
            "The gain is larger than the cost.",
            "gain − cost",
            "dB",
            partial(
                contrast,
                run=ABLATION,
                metric="psnr",
                more=[Term(best, MIXED), Term(best, TRAINED)],
                less=[Term("baseline", MIXED), Term("baseline", TRAINED)],
            ),
        ),
        Claim(
            "figure7",
            "Small ratios are not enough.",
            f"PSNR under the mixture, {best} − input-15-25",
            "dB",
            _better(ABLATION, best, "input-15-25", MIXED),
        ),
        *_figure11(),
        *_peers(),
        *_table3(
            "table3b",
            "monte_carlo",
            "monte_carlo:64",
            "On renderings of 64 samples per pixel the masked network is ahead.",
            rendered[rendered.spp == 64],
        ),
        *_table3(
            "table3b",
            "monte_carlo",
            "monte_carlo:128",
            "On renderings of 128 samples per pixel the masked network is ahead.",
            rendered[rendered.spp == 128],
        ),
        *_table3(
            "table3c",
            "levels",
            "isp",
            "On noise of a camera's pipeline it is ahead.",
            published.table("table3c"),
        ),
        Claim(
            "figure12",
            "Deep layers of the baseline are like no layer of the masked network.",
            "best CKA with any layer of masked, baseline's shallow half − its deepest quarter",
            "",
            evidence.deep_matches,
            margin=0.05,
        ),
        Claim(
            "figure12",
            "Under two noises the baseline's deep layers differ, those of the masked network less.",
            "CKA of the deepest blocks across noises, masked − baseline",
            "",
            evidence.across_noises,
        ),
        Claim(
            "figure13",
            "The baseline overfits: under unseen noise it gets worse with training.",
            "PSNR under unseen noise, best step − last step",
            "dB",
            partial(evidence.falls, model="baseline"),
            margin=CLEAR,
        ),
        Claim(
            "figure13",
            "The masked network gets better with training.",
            "PSNR under unseen noise, last step − after a quarter of the steps",
            "dB",
            partial(evidence.grows, model="masked"),
            margin=CLEAR,
        ),
        Claim(
            "figure14",
            "SRGA of the masked network is lower.",
            "SRGA, baseline − masked, mean over unseen noises",
            "",
            evidence.srga,
        ),
        Claim(
            "figure15",
            "Features of the baseline move with the noise, those of the masked network less.",
            "W₁ of the deepest features over their σ, baseline − masked",
            "",
            evidence.distances,
        ),
        Claim(
            "figure2",
            "A baseline trained on stained tissue still removes noise from photographs.",
            f"PSNR on photographs under {TRAINED}, trained on tissue − noisy input",
            "dB",
            _better("tissue", "tissue-baseline", NOISY, TRAINED),
        ),
        Claim(
            "figure2",
            "Masked training learns the images: tissue instead of photographs costs it more.",
            "loss in PSNR from photographs to tissue as training images, masked − baseline",
            "dB",
            partial(
                contrast,
                run="tissue",
                metric="psnr",
                more=[Term("photographs-masked", TRAINED), Term("tissue-baseline", TRAINED)],
                less=[Term("tissue-masked", TRAINED), Term("photographs-baseline", TRAINED)],
            ),
        ),
        *(
            Claim(
                "figure3",
                f"With {percent}% of the pixels hidden an image can still be made out.",
                f"PSNR with {percent}% hidden, masked − the nearest pixel that is shown",
                "dB",
                _better(f"completion_{percent}", "masked", "nearest", "gaussian:0"),
            )
            for percent in (80, 90)
        ),
    ]


COLUMNS = ("finding", "claim", "quantity", "unit", "paper", "value", "low", "high", "floor")


def judged(study: Study) -> pd.DataFrame:
    """Every claim with what a study measures of it; columns `COLUMNS`, `draws` and `verdict`."""
    rows = []
    for claim in claims():
        found = claim.measure(study)
        about = (claim.finding, claim.text, claim.quantity, claim.unit, claim.paper)
        numbers = found or Measured(math.nan)
        row = dict(zip(COLUMNS, (*about, *numbers[:4]), strict=True))
        rows.append(row | {"draws": numbers.draws, "verdict": claim.verdict(found)})
    return pd.DataFrame(rows)
