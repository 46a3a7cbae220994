"""What a study says of the paper's findings: claims with their verdicts, tables side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_folder import read_tables
from analysis.findings import figures, published
from analysis.findings.claims import ABSENT, AGREES, DISAGREES, METHOD, UNDECIDED
from analysis.findings.study import CELLS, CLAIMS, DRIFT, GATHERED, TABLES
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.markdown import bounded, code, codes, listed, number
from analysis.text.noise_labels import NOISY
from analysis.text.rows import records
from mtd.utils.errors import BadInput

Frames = Mapping[str, pd.DataFrame]

NAMES = {
    "figure1": "Figure 1: unseen noise",
    "table1": "Table 1: which mask matters",
    "figure5": "Figure 5: brightness",
    "table2": "Table 2: ratio of the attention mask",
    "table3a": "Table 3a: ratio of the input mask",
    "figure7": "Figure 7: what masks cost and gain",
    "figure11": "Figure 11: levels of noise",
    "table3b": "Table 3b: Monte Carlo rendering",
    "table3c": "Table 3c: camera pipeline",
    "figure12": "Figure 12: CKA",
    "figure13": "Figure 13: training",
    "figure14": "Figure 14: SRGA",
    "figure15": "Figure 15: feature distributions",
    "figure2": "Figure 2: trained on stained tissue",
    "figure3": "Figure 3: mask and complete",
}
"""Findings, in the order of the page."""

SCORES = (("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 4), ("lpips", "LPIPS", 4))
"""Metrics, their headings, and digits after the point."""

HEADLINES = (
    "PSNR under the mixture, input-80-90 − attention-only",
    "size of an image's shift of brightness, input mask only − both masks",
    "PSNR under the mixture, input-75-85 − input-80-90",
    "PSNR under the mixture, input-75-85 − input-70-80",
    "PSNR under unseen noise, after a quarter of the steps − at the end, baseline",
    "PSNR under unseen noise, at the end − after a quarter of the steps, masked",
    "gain in PSNR over the noisy photographs, trained on tissue",
    "gain in SSIM over the noisy photographs, trained on tissue",
)
"""Quantities of the claims that the paper rests on."""

SHORT = {AGREES: "agrees", DISAGREES: "does not agree", UNDECIDED: "undecided", ABSENT: "not run"}


PLACES = ("reports/findings", "../reports/findings")
"""Where the page is looked for; JupyterLab starts in notebooks/."""


def read(run_dir: str) -> tuple[Path, Frames]:
    """A page's folder and its tables, as far as they are there.

    Raises:
        BadInput: it is no folder of analysis.findings.
    """
    places = [Path(place) for place in ([run_dir] if run_dir else PLACES)]
    folder = next((p for p in places if (p / f"{CLAIMS}.csv").is_file()), None)
    if folder is None:
        where = " or ".join(map(str, places))
        raise BadInput(f"{where}: no {CLAIMS}.csv; expected a folder of analysis.findings")
    names = [name for name in (CLAIMS, *GATHERED, *TABLES) if (folder / f"{name}.csv").is_file()]
    return folder, read_tables(folder, names)


def digits(unit: str) -> int:
    """How many digits after the point a quantity is told with."""
    return {"dB": 2, "levels": 1}.get(unit, 3)


def measured(row: Mapping[str, Any]) -> str:
    """The value of a claim with its interval, and what seeds alone may make of nothing."""
    if row["verdict"] == ABSENT:
        return ABSENT
    places = digits(row["unit"])
    ends = row["low"], row["high"]
    text = bounded(row["value"], *ends, places, row["unit"], signed=True)
    if not math.isnan(row["floor"]):
        text += f", seeds ±{number(row['floor'], places)}"
    return text


def by_level(row: Mapping[str, Any]) -> str:
    """A claim's value under the weakest and the strongest level of a noise; empty if it has one."""
    if math.isnan(row["weakest"]) or math.isnan(row["strongest"]):
        return ""
    ends = [
        f"{number(row[end], digits(row['unit']), signed=True)} {row['unit']}".rstrip()
        for end in ("weakest", "strongest")
    ]
    return f"from {ends[0]} at its weakest level to {ends[1]} at its strongest"


def in_short(frames: Frames) -> list[str]:
    """How many claims agree, what that rests on, and what masks cost and gain the pair."""
    rows = frames[CLAIMS]
    run = rows[rows.verdict != ABSENT]
    counts = [
        f"{(run.verdict == verdict).sum()} {said}"
        for verdict, said in ((AGREES, "agree"), (DISAGREES, "disagree"), (UNDECIDED, "undecided"))
    ]
    found = [f"Of {len(run)} claims that were measured here: {listed(counts)}."]
    if len(run) < len(rows):
        found[0] = found[0][:-1] + f"; {len(rows) - len(run)} more were not run."
    small = run[(run.verdict == UNDECIDED) & (run.paper.abs() < run.floor)]
    if len(small):
        found.append(
            f"Of the undecided, {len(small)} are of differences that are smaller in the paper than "
            "what another seed may make here: these trainings could not have shown them."
        )
    if CELLS in frames and (weak := weaker(frames[CELLS])):
        found.append(weak)
    return found + ([lead(frames["levels"])] if "levels" in frames else [])


def weaker(cells: pd.DataFrame) -> str:
    """Which of the ablation's networks are worse than the noisy input where they were trained."""
    psnr = cells[cells.metric == "psnr"].set_index("model").trained
    if NOISY not in psnr:
        return ""
    models = psnr.drop(NOISY)
    below = [str(name) for name in models.index[models < psnr[NOISY]]]
    if not below:
        return ""
    return (
        f"Under the noise trained on, {len(below)} of the ablation's {len(models)} networks have a "
        f"lower PSNR than the noisy input, {number(psnr[NOISY])} dB: {codes(below)}. What they "
        "lose elsewhere may be due to their size and short training rather than to masks."
    )


def headlines(frames: Frames) -> Displayed:
    """The claims that the paper rests on."""
    rows = frames[CLAIMS].fillna({"unit": ""}).set_index("quantity", drop=False)
    return notebook_output.say([told(row) for row in records(rows[rows.index.isin(HEADLINES)])])


def lead(levels: pd.DataFrame) -> str:
    """What masks cost under the noise trained on, and where they gain most and least; PSNR."""
    rows = levels[levels.metric == "psnr"]
    wide = rows.pivot(index=["noise", "in_distribution"], columns="model", values="mean")
    if not {"masked", "baseline"} <= set(wide):
        return "The pair was not compared over levels of noise."
    ahead = wide.masked - wide.baseline
    trained, unseen = (
        ahead[ahead.index.get_level_values(1).isin([is_trained])].droplevel(1)
        for is_trained in (True, False)
    )

    def told(noises: pd.Series) -> list[str]:
        return [f"{number(v, 2, signed=True)} dB under {code(str(n))}" for n, v in noises.items()]

    if trained.empty or unseen.empty:
        return "The pair was not compared under the noise trained on and others."
    ends = unseen.sort_values().iloc[[-1, 0]]
    return (
        f"The masked network of the pair against its baseline: {listed(told(trained))}, trained "
        f"on; ahead under {int((unseen > 0).sum())} of {len(unseen)} unseen noises, from "
        f"{' to '.join(told(ends))}."
    )


def by_finding(frames: Frames) -> Displayed:
    """How many claims of each table and figure of the paper agree."""
    rows = frames[CLAIMS]
    lines = [
        {"finding": title} | {said: int((part.verdict == v).sum()) for v, said in SHORT.items()}
        for name, title in NAMES.items()
        if len(part := rows[rows.finding == name])
    ]
    return notebook_output.table(
        pd.DataFrame(lines), caption="Claims of each finding", csv="claims.csv"
    )


def overview(frames: Frames) -> Displayed:
    """All claims in a table."""
    rows = frames[CLAIMS].fillna({"unit": ""})
    shown = pd.DataFrame(
        {
            "where": [NAMES[name].partition(":")[0] for name in rows.finding],
            "the paper says": rows.claim,
            "measured, above 0 if it holds": [
                f"{text}, above {bar:g}" if bar else text
                for text, bar in zip(rows.quantity, rows.bar, strict=True)
            ],
            "paper": [
                "shown" if math.isnan(v) else number(v, digits(u), signed=True)
                for v, u in zip(rows.paper, rows.unit, strict=True)
            ],
            "here": ["; ".join(filter(None, (measured(r), by_level(r)))) for r in records(rows)],
            "verdict": rows.verdict.map(SHORT),
        }
    )
    return notebook_output.table(
        shown, caption="Claims and what was measured of them", csv="claims.csv"
    )


def verdicts(frames: Frames, finding: str) -> Displayed:
    """The claims of a finding, each with what was measured."""
    rows = frames[CLAIMS].fillna({"unit": ""})
    return notebook_output.say([told(row) for row in records(rows[rows.finding == finding])])


def told(row: Mapping[str, Any]) -> str:
    """A claim, its verdict and what was measured."""
    what, unit = row["quantity"], row["unit"]
    if row["bar"]:
        what += f", to be above {row['bar']:g} {unit}".rstrip()
    if row["verdict"] != ABSENT:
        what += f": {measured(row)}"
    parts = [what, by_level(row)]
    if not math.isnan(row["paper"]):
        paper = number(row["paper"], 1 if row["finding"] == "figure11" else digits(unit), True)
        parts.append(f"in the paper {paper} {unit}".rstrip())
    shown = "; ".join(filter(None, parts))
    return f"**{SHORT[row['verdict']].capitalize()}.** {row['claim']} ({shown})"


def cell(row: Mapping[str, Any], column: str, places: int) -> str:
    """A score with its interval."""
    return bounded(row[column], row[f"{column}_low"], row[f"{column}_high"], places)


def mean(row: Mapping[str, Any], places: int) -> str:
    """A mean over images with its interval."""
    return bounded(row["mean"], row["low"], row["high"], places)


def beside(frames: Frames, name: str) -> Displayed:
    """A table of the ablation: the paper's numbers and ours."""
    paper = published.table(name)
    if "cells" not in frames:
        return notebook_output.table(paper.drop(columns="cell"), 4, "In the paper; not run here")
    held = {(row["model"], row["metric"]): row for row in records(frames["cells"])}
    shown = paper.rename(
        columns={
            "input_mask": "input mask",
            "attention_mask": "attention mask",
            "attention_ratio": "attention ratio (%)",
            "input_ratio": "input ratio",
        }
    )
    shown.loc[len(shown)] = {"cell": NOISY, shown.columns[1]: NOISY}
    shown = shown.fillna({name: "–" for name in shown.columns[:3] if name not in ("psnr", "ssim")})
    if "input ratio" in shown:
        ratios = paper["input_ratio"].astype(str)
        told_as = {NOISY: NOISY} | {r: f"{r}%" if "–" in r else f"{r}%, fixed" for r in ratios}
        shown["input ratio"] = shown["input ratio"].map(told_as)
    shown["paper: PSNR (dB)"] = [number(value, 2) for value in shown.psnr]
    shown["paper: SSIM"] = [number(value, 4) for value in shown.ssim]
    for title, metric, column, places in (
        ("here: PSNR (dB)", "psnr", "mixture", 2),
        ("here: SSIM", "ssim", "mixture", 3),
        ("here, training noise: PSNR (dB)", "psnr", "trained", 2),
    ):
        rows = [held.get((model, metric)) for model in shown.cell]
        shown[title] = ["–" if row is None else cell(row, column, places) for row in rows]
    caption = "Under the mixture: the paper's on CBSD68, ours with 95% intervals over images"
    shown = shown.drop(columns=["cell", "psnr", "ssim"])
    return notebook_output.table(shown, caption=caption, csv="cells.csv")


def order(frames: Frames, name: str = "table3a") -> Displayed:
    """Whether the cells of a table are in the paper's order: Spearman's rank correlation."""
    from scipy.stats import spearmanr

    if "cells" not in frames:
        return notebook_output.say(["Not run here."])
    paper = published.table(name).set_index("cell").psnr
    cells = frames["cells"]
    ours = cells[cells.metric == "psnr"].set_index("model").mixture
    both = pd.concat({"paper": paper, "ours": ours}, axis=1, join="inner").dropna()
    if len(both) < 3:
        return notebook_output.say(["Too few of these cells were run for an order."])
    rho, p = spearmanr(both.paper, both.ours)
    best = both.ours.idxmax()
    return notebook_output.say(
        [
            f"Best here: {code(best)} with {number(both.ours.max())} dB; in the paper "
            f"{code(both.paper.idxmax())}. Rank correlation of the {len(both)} cells' PSNR with "
            f"the paper's: {number(float(rho), 2, signed=True)} (p = {float(p):.2f})."
        ]
    )


def methods(frames: Frames, name: str, table: str, noise: str, spp: int = 0) -> Displayed:
    """The paper's methods under a noise, and ours."""
    paper = published.table(name)
    if spp:
        paper = paper[paper.spp == spp].drop(columns="spp")
    lines = [
        {
            "network": f"{row['method']} (paper)",
            "PSNR (dB)": number(row["psnr"], 2),
            "SSIM": number(row["ssim"], 4),
            "LPIPS": number(row["lpips"], 4),
        }
        for row in records(paper)
    ]
    frame = frames.get(table)
    if frame is not None:
        part = records(frame[frame.noise == noise])
        for model in dict.fromkeys(str(row["model"]) for row in part):
            one = {"network": "noisy input" if model == NOISY else f"{model} (here)"}
            for metric, title, places in SCORES:
                rows = [r for r in part if (r["model"], r["metric"]) == (model, metric)]
                one[title] = mean(rows[0], places) if rows else "–"
            lines.append(one)
    csv = f"{table}.csv" if frame is not None else ""
    return notebook_output.table(pd.DataFrame(lines), caption=f"Under {noise}", csv=csv)


def scores(frames: Frames, name: str, caption: str, kind: str = "") -> Displayed:
    """Mean scores of all networks under all noises of a run, or under those of a kind."""
    if name not in frames:
        return notebook_output.say(["Not run here."])
    rows = frames[name]
    rows = rows[rows.kind == kind] if kind else rows
    held = {(r["noise"], r["model"], r["metric"]): r for r in records(rows)}
    lines = []
    for noise, model in dict.fromkeys((noise, model) for noise, model, _ in held):
        line = {"noise": noise, "network": model}
        for metric, title, places in SCORES:
            if (noise, model, metric) in held:
                line[title] = mean(held[noise, model, metric], places)
        lines.append(line)
    return notebook_output.table(pd.DataFrame(lines), caption=caption, csv=f"{name}.csv")


def brightness(frames: Frames) -> Displayed:
    """Shift, distance and cost of brightness of the ablation's networks."""
    if "brightness" not in frames:
        return notebook_output.say(["Not run here."])
    rows = frames["brightness"]
    shown = pd.DataFrame(
        {
            "noise": rows.noise,
            "network": rows.model,
            "shift (levels)": [cell(row, "shift", 1) for row in records(rows)],
        }
    )
    if "brightness_images" in frames:
        each = frames["brightness_images"].assign(size=lambda frame: frame["shift"].abs())
        means = each.groupby(["noise", "model"])[["size", "distance"]].mean()
        means = means.reindex(list(zip(rows.noise, rows.model, strict=True)))
        shown["size of an image's shift"] = means["size"].to_numpy()
        shown["distance of an image's histograms"] = means["distance"].to_numpy()
    shown["PSNR (dB)"] = rows.psnr
    shown["PSNR, set right (dB)"] = rows.psnr_matched
    caption = "Brightness of outputs against clean images; set right: brightness and contrast"
    return notebook_output.table(shown, caption=caption, csv="brightness.csv")


def drift(frames: Frames) -> Displayed:
    """Snapshots of the masked training, shown all pixels and with pixels hidden as in training."""
    if DRIFT not in frames:
        return notebook_output.say(["Not run here."])

    def change(row: Mapping[str, Any], name: str) -> str:
        column = f"{name}_change"
        if math.isnan(row.get(column, math.nan)):
            return "–"
        ends = row[f"{column}_low"], row[f"{column}_high"]
        return bounded(row[column], *ends, 2, signed=True)

    shown = pd.DataFrame(
        [
            {
                "snapshot": row["model"],
                "all pixels shown: PSNR (dB)": number(row.get("shown", math.nan), 2),
                "since the first": change(row, "shown"),
                "80% hidden: PSNR (dB)": number(row.get("hidden", math.nan), 2),
                "since the first, hidden": change(row, "hidden"),
            }
            for row in records(frames[DRIFT])
        ]
    )
    caption = "The masked network while it trains, under gaussian:15"
    return notebook_output.table(shown, caption=caption, csv=f"{DRIFT}.csv")


def tradeoff(frames: Frames) -> Displayed:
    """Figure 7."""
    drawn = figures.tradeoff(frames["cells"]) if "cells" in frames else None
    if drawn is None:
        return notebook_output.say(["Not run here."])
    cells = frames["cells"]
    rows = cells[cells.metric == "psnr"].set_index("model")
    ends = [name for name in ("baseline", METHOD) if name in rows.index]
    each = [
        f"{name} {number(rows.trained[name])} dB under the noise trained on and "
        f"{number(rows.mixture[name])} dB under the mixture"
        for name in ends
    ]
    return notebook_output.figure(
        drawn, f"PSNR over the input mask's ratio: {listed(each)}.", "cells.csv"
    )


def levels(frames: Frames) -> Displayed:
    """Figure 11."""
    paper = published.table("figure11")
    drawn = figures.levels(frames["levels"], paper) if "levels" in frames else None
    if drawn is None:
        return notebook_output.say(["Not run here."])
    names = [name for name in frames["levels"].model.unique() if name != NOISY]
    alt = f"PSNR of {listed(names)} over the level of four kinds of noise, beside the paper's."
    return notebook_output.figure(drawn, alt, "levels.csv")


def picture(folder: Path, name: str, alt: str, csv: str = "") -> Displayed:
    """A figure of a run, as it is there."""
    path = folder / f"{name}.png"
    if not path.is_file():
        return notebook_output.say([f"Not run here: {alt}"])
    return notebook_output.image(path.read_bytes(), alt, csv)


def networks(folder: Path) -> Displayed:
    """The runs and what each looks at, as their manifests say."""
    import json

    held = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["runs"]
    rows = [
        {
            "run": name,
            "networks": len(about["models"]) or len(about.get("logs", [])),
            "noises": str(len(about.get("noises", [])) or "–"),
            "images": str(about["images"] or "–"),
            "crops": str(about["crops"] or "–"),
            "side of a crop": str(about["crop"] or ("whole" if about["crops"] else "–")),
            "pixels hidden": f"{about.get('input_mask', 0):.0%}",
        }
        for name, about in held.items()
    ]
    return notebook_output.table(
        pd.DataFrame(rows), caption="What was looked at", csv="manifest.json"
    )


def by_noise(frames: Frames, name: str, column: str) -> Displayed:
    """Under how many unseen noises the masked network has less of a column than the baseline."""
    if name not in frames:
        return notebook_output.say(["Not run here."])
    rows = frames[name]
    if "last_features" in rows:
        rows = rows[rows.last_features]
    rows = rows[rows.noise != rows.reference]
    wide = rows.pivot(index="noise", columns="model", values=column)
    if not {"baseline", "masked"} <= set(wide):
        return notebook_output.say(["Not run here."])
    lower = wide.masked < wide.baseline
    line = f"Lower for `masked` under {int(lower.sum())} of {len(lower)} unseen noises"
    others = [str(noise) for noise in wide.index[~lower]]
    return notebook_output.say([f"{line}; not under {codes(others)}." if others else f"{line}."])


def changes(frames: Frames) -> Displayed:
    """What training does to PSNR under the noise trained on, and where unseen noise was best."""
    if "summary" not in frames:
        return notebook_output.say(["Not run here."])
    lines = []
    for row in records(frames["summary"]):
        if math.isnan(row["last_in_psnr"]) or math.isnan(row["last_out_psnr"]):
            continue
        ends = [number(row[n]) for n in ("best_in_psnr", "last_in_psnr")]
        other = [number(row[n]) for n in ("best_out_psnr", "last_out_psnr")]
        lines.append(
            f"{code(row['run'])} under the noise trained on: best {ends[0]} dB at step "
            f"{row['best_in_step']:,.0f}, {ends[1]} dB at the last, {row['last_step']:,.0f}; under "
            f"unseen noise best {other[0]} dB at step {row['best_out_step']:,.0f}, {other[1]} dB "
            "at the last."
        )
    return notebook_output.say(lines or ["No test curves here."])
