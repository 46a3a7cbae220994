"""Sentences on the paper's claims and what a study measures of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_tables import read_tables
from analysis.findings import published
from analysis.findings.claims import BEST_CELL
from analysis.findings.study import CELLS, CLAIMS, CURVES, DERIVED, LONGER, PAIR, TABLES
from analysis.findings.verdicts import AGREES, DISAGREES, NOT_RUN, UNDECIDED, UNTESTABLE
from analysis.pages.run_base import located
from analysis.text.markdown import bounded, code, codes, interval, listed, number
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_phrase
from analysis.text.rows import records
from mtd.utils.errors import BadInput

Frames = Mapping[str, pd.DataFrame]

TITLES = {
    "figure1": "Figure 1: unseen noise",
    "table1": "Table 1: which mask matters",
    "figure5": "Figure 5: brightness",
    "table2": "Table 2: ratio of the attention mask",
    "table3a": "Table 3a: ratio of the input mask",
    "figure7": "Figure 7: PSNR drop and gain by masks",
    "figure11": "Figure 11: noise levels",
    "table3b": "Table 3b: Monte Carlo rendering",
    "table3c": "Table 3c: camera pipeline",
    "figure12": "Figure 12: CKA",
    "figure13": "Figure 13: training",
    "figure14": "Figure 14: SRGA",
    "figure15": "Figure 15: feature distributions",
    "figure2": "Figure 2: trained on stained tissue",
    "figure3": "Figure 3: mask and complete",
}
"""Titles of the findings, in the order of the page."""

MAIN_QUANTITIES = (
    "PSNR under the mixture, input-80-90 − attention-only",
    "absolute brightness shift of an image, input mask only − both masks",
    "PSNR under the mixture, input-75-85 − input-80-90",
    "PSNR under the mixture, input-75-85 − input-70-80",
    "PSNR under unseen noise, after a quarter of the steps − at the end, baseline",
    "PSNR under unseen noise, at the end − after a quarter of the steps, masked",
    "PSNR gain over the noisy photographs, baseline trained on tissue",
    "SSIM gain over the noisy photographs, baseline trained on tissue",
)
"""Quantities of the paper's main claims."""

VERDICTS = {
    AGREES: "agrees",
    DISAGREES: "does not agree",
    UNDECIDED: "undecided",
    UNTESTABLE: "not testable here",
}
"""Verdicts in words."""

LONGER_TRAININGS = {
    PAIR: "the pair",
    LONGER: "the longer pair",
    CURVES: "the longer training",
}
"""Runs of single trainings of more steps, in words."""

REASONS = {
    "no more than the noisy input": "are about networks that are no better than the noisy input "
    "under the noise trained on",
    "dB, in the paper": "are about noise that is stronger or weaker than the paper's",
    "more than the paper's best network": "are about noise so weak that the noisy input is better "
    "than every output in the paper",
    "at least": "rest on too few rendered scenes",
    "was not computed": "are about a metric that was not computed",
    NOT_RUN: "need a run that is missing",
    "was not measured": "lack the noisy input or a network under the noise trained on",
}
"""Reasons why claims are not testable: words in the reason, and what is said of such claims."""

BLUR = "classical:blur"
"""First part of the name of the blur among the references of a benchmark."""

FOLDERS = ("reports/findings", "../reports/findings")
"""Where the page's folder is looked for; JupyterLab starts in notebooks/."""


def read(run_dir: str) -> tuple[Path, Frames]:
    """A page's folder and those of its tables that it holds.

    Raises:
        BadInput: it is no folder of analysis.findings.
    """
    candidates = [located(run_dir)] if run_dir else [Path(place) for place in FOLDERS]
    folder = next((path for path in candidates if (path / f"{CLAIMS}.csv").is_file()), None)
    if folder is None:
        where = " or ".join(map(str, candidates))
        raise BadInput(f"{where}: no {CLAIMS}.csv; expected a folder of analysis.findings")
    return folder, read_tables(folder, [CLAIMS, *DERIVED, *TABLES])


def digits(unit: str) -> int:
    """Digits after the point of a quantity in a unit."""
    return {"dB": 2, "levels": 1}.get(unit, 3)


def measured(row: Mapping[str, Any]) -> str:
    """The value of a claim's quantity, with its intervals over images and over trainings."""
    if math.isnan(row["value"]):
        return "not measured"
    places = digits(row["unit"])
    text = bounded(row["value"], row["low"], row["high"], places, row["unit"], signed=True)
    over_images = "" if math.isnan(row["low"]) else " over images"
    return f"{text}{over_images}, {over_trainings(row)}"


def over_trainings(row: Mapping[str, Any]) -> str:
    """On how many trainings a claim rests, with the interval over them."""
    if not row["trainings"]:
        return "one training"
    places = digits(row["unit"])
    ends = interval(row["trainings_low"], row["trainings_high"], places, signed=True)
    if row["trainings"].isdigit():
        parts = [f"{ends} over {row['trainings']} trainings"]
    else:
        counts = [part.rpartition(" ") for part in row["trainings"].split(", ")]
        networks = [f"{'one' if n == '1' else n} of {code(m)}" for m, _, n in counts]
        parts = [f"{ends} over trainings ({listed(networks)})"]
    for run, name in LONGER_TRAININGS.items():
        if not math.isnan(row[run]):
            parts.append(f"{name} {number(row[run], places, signed=True)}")
    return ", ".join(parts)


def by_level(row: Mapping[str, Any]) -> str:
    """A claim's value at the weakest and the strongest level of a noise; empty for one level."""
    if math.isnan(row["weakest"]) or math.isnan(row["strongest"]):
        return ""
    weakest, strongest = (
        f"{number(row[end], digits(row['unit']), signed=True)} {row['unit']}".rstrip()
        for end in ("weakest", "strongest")
    )
    first = ", in the first training" if row["trainings"] else ""
    return f"from {weakest} at the weakest level to {strongest} at the strongest{first}"


def claim(row: Mapping[str, Any]) -> str:
    """A claim, its verdict, and what was measured."""
    quantity, unit = row["quantity"], row["unit"]
    if row["threshold"]:
        quantity += f", must be above {row['threshold']:g} {unit}".rstrip()
    quantity += f": {measured(row)}"
    details = [quantity, by_level(row)]
    if not math.isnan(row["paper"]):
        places = 1 if row["finding"] == "figure11" else digits(unit)
        details.append(f"in the paper {number(row['paper'], places, signed=True)} {unit}".rstrip())
    text = "; ".join(filter(None, details))
    verdict = f"**{VERDICTS[row['verdict']].capitalize()}**"
    why = f": {row['reason']}" if row["reason"] else ""
    return f"{verdict}{why}. {row['claim']} ({text})"


def main_claims(frames: Frames) -> list[str]:
    """The paper's main claims with their verdicts."""
    rows = frames[CLAIMS]
    return [claim(row) for row in records(rows[rows.quantity.isin(MAIN_QUANTITIES)])]


def claims_of(frames: Frames, finding: str) -> list[str]:
    """The claims of a table or figure with their verdicts."""
    rows = frames[CLAIMS]
    return [claim(row) for row in records(rows[rows.finding == finding])]


def counts(frames: Frames) -> list[str]:
    """How many claims have each verdict, and why claims are not testable."""
    rows = frames[CLAIMS]
    words = {
        AGREES: "agree with our trainings",
        DISAGREES: "do not agree",
        UNDECIDED: "are undecided",
        UNTESTABLE: "are not testable here",
    }
    numbers = [f"**{(rows.verdict == name).sum()}** {text}" for name, text in words.items()]
    sentences = [f"Of {len(rows)} claims of the paper, {listed(numbers)}."]
    reasons = rows.reason[rows.verdict == UNTESTABLE]
    found = {
        text: int(reasons.str.contains(key, regex=False).sum()) for key, text in REASONS.items()
    }
    why = [f"{count} {text}" for text, count in found.items() if count]
    if why:
        several = " (some for several reasons)" if sum(found.values()) > len(reasons) else ""
        sentences.append(f"Of those that are not testable here{several}, {listed(why)}.")
    return sentences


def summary(frames: Frames) -> list[str]:
    """What limits the verdicts, and the PSNR drop and gain of the masked network."""
    rows, sentences = frames[CLAIMS], []
    decided = rows[rows.verdict.isin([AGREES, DISAGREES])]
    single = int((decided.trainings == "").sum())
    if len(decided):
        sentences.append(
            f"Of the {len(decided)} claims that agree or do not agree, {single} rest on one "
            "training of each network: other seeds could change them."
        )
    half = (rows.trainings_high - rows.trainings_low) / 2
    small = rows[(rows.verdict == UNDECIDED) & (rows.paper.abs() < half)]
    if len(small):
        sentences.append(
            f"For {len(small)} of the undecided claims, the difference in the paper is smaller "
            "than what another training seed may change here: these trainings could not have shown "
            "it."
        )
    if CELLS in frames and (sentence := below_noisy_input(frames[CELLS])):
        sentences.append(sentence)
    if "levels" in frames:
        sentences.append(masked_against_baseline(frames["levels"]))
    if "benchmark" in frames:
        sentences += against_blur(frames["benchmark"])
    return sentences


def below_noisy_input(cells: pd.DataFrame) -> str:
    """Which networks of the ablation have a lower PSNR than their input under trained noise."""
    psnr = cells[cells.metric == "psnr"].set_index("model").in_distribution
    if NOISY not in psnr:
        return ""
    models = psnr.drop(NOISY)
    below = [str(name) for name in models.index[models < psnr[NOISY]]]
    if not below:
        return ""
    return (
        f"Under the noise trained on, {len(below)} of the ablation's {len(models)} trainings have "
        f"a lower PSNR than the noisy input, {number(psnr[NOISY])} dB: {codes(below)}."
    )


def masked_against_baseline(levels: pd.DataFrame) -> str:
    """PSNR of the masked network minus the baseline's, under the noise trained on and others."""
    rows = levels[levels.metric == "psnr"]
    wide = rows.pivot(index=["noise", "in_distribution"], columns="model", values="mean")
    if not {"masked", "baseline"} <= set(wide):
        return "The pair was not compared over noise levels."
    difference = wide.masked - wide.baseline
    trained, unseen = (
        difference[difference.index.get_level_values(1).isin([is_trained])].droplevel(1)
        for is_trained in (True, False)
    )

    def under(noises: pd.Series) -> list[str]:
        return [
            f"{number(v, 2, signed=True)} dB under {noise_phrase(n)}" for n, v in noises.items()
        ]

    if trained.empty or unseen.empty:
        return "The pair was not compared under the noise trained on and others."
    ends = unseen.sort_values().iloc[[-1, 0]]
    return (
        f"PSNR of the pair's masked network minus its baseline's: {listed(under(trained))}, the "
        "noise trained on; by means, without intervals, it is higher under "
        f"{int((unseen > 0).sum())} of {len(unseen)} unseen noises, from "
        f"{' to '.join(under(ends))}."
    )


def against_blur(levels: pd.DataFrame) -> list[str]:
    """Under how many unseen noises a plain blur has a higher PSNR than the pair's networks."""
    rows = levels[(levels.metric == "psnr") & ~levels.in_distribution.eq(True)]
    wide = rows.pivot(index="noise", columns="model", values="mean")
    blur = next((str(name) for name in wide if str(name).startswith(BLUR)), "")
    if not blur or not {"masked", "baseline"} <= set(wide):
        return []
    above = [int((wide[blur] > wide[name]).sum()) for name in ("baseline", "masked")]
    lead = float((wide.masked - wide[blur]).mean())
    return [
        f"A Gaussian blur, {code(blur)}, has a higher PSNR than the baseline under {above[0]} of "
        f"{len(wide)} unseen noises, and than the masked network under {above[1]}. On average over "
        f"these noises the masked network's PSNR minus the blur's is "
        f"{number(lead, 2, signed=True)} dB (means, without intervals)."
    ]


def rank_correlation(frames: Frames, name: str = "table3a") -> str:
    """Whether the cells of a table rank as in the paper: Spearman's rank correlation of PSNR."""
    from scipy.stats import spearmanr

    if CELLS not in frames:
        return "Not run here."
    paper = published.table(name).set_index("cell").psnr
    cells = frames[CELLS]
    ours = cells[cells.metric == "psnr"].set_index("model").mixture
    both = pd.concat({"paper": paper, "ours": ours}, axis=1, join="inner").dropna()
    if len(both) < 3:
        return "Too few of these cells were run for a rank correlation."
    rho, p = spearmanr(both.paper, both.ours)
    return (
        f"Best here: {code(both.ours.idxmax())} with {number(both.ours.max())} dB; in the paper "
        f"{code(both.paper.idxmax())}. Rank correlation of the {len(both)} cells' PSNR with "
        f"the paper's: {number(float(rho), 2, signed=True)} (p = {float(p):.2f})."
    )


def similarity(frames: Frames) -> list[str]:
    """Each network's mean CKA across noises, with another draw of the noise, and untrained ones."""
    names = {"cka": "", "ceiling": "with the same noise drawn again", "untrained": "untrained"}
    if "last_quarter" not in frames or not set(names) <= set(frames["last_quarter"]):
        return ["Not run here."]
    rows = frames["last_quarter"]
    rows = rows[(rows.model_a == rows.model_b) & (rows.noise_a != rows.noise_b)]
    sentences = []
    for model, part in rows.groupby("model_a", sort=False):
        values = [f"{text} {number(part[name].mean(), 3)}".strip() for name, text in names.items()]
        sentences.append(
            f"CKA across noises in the last quarter of the blocks of {code(model)}, mean over "
            f"{len(part)} unseen noises: {listed(values)}."
        )
    return sentences


def over_training(frames: Frames) -> list[str]:
    """The best and the last PSNR of each training, under the noise trained on and unseen noise."""
    sentences = []
    for row in records(frames["summary"]) if "summary" in frames else ():
        if math.isnan(row["last_in_psnr"]) or math.isnan(row["last_out_psnr"]):
            continue
        best_in, last_in, best_out, last_out = (
            number(row[name])
            for name in ("best_in_psnr", "last_in_psnr", "best_out_psnr", "last_out_psnr")
        )
        sentences.append(
            f"{code(row['run'])} under the noise trained on: best {best_in} dB at step "
            f"{row['best_in_step']:,.0f}, last {last_in} dB at step {row['last_in_step']:,.0f}; "
            f"mean over unseen noises: best {best_out} dB at step {row['best_out_step']:,.0f}, "
            f"last {last_out} dB at step {row['last_out_step']:,.0f}."
        )
    if sentences:
        return sentences
    return ["No test curves here." if "summary" in frames else "Not run here."]


def alt_tradeoff(cells: pd.DataFrame) -> str:
    """Description of the figure of PSNR over the ratio of the input mask."""
    rows = cells[cells.metric == "psnr"].set_index("model")
    values = [
        f"{name} {number(rows.in_distribution[name])} dB under the noise trained on and "
        f"{number(rows.mixture[name])} dB under the mixture"
        for name in ("baseline", BEST_CELL)
        if name in rows.index
    ]
    return f"PSNR over the ratio of the input mask: {listed(values)}."


def alt_levels(levels: pd.DataFrame) -> str:
    """Description of the figure of PSNR over noise level."""
    models = [name for name in levels.model.unique() if name != NOISY]
    return f"PSNR of {listed(models)} over the level of four kinds of noise, next to the paper's."
