"""What the notebook of the findings shows: sentences, tables and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_manifest import MANIFEST
from analysis.findings import figures, published, reading
from analysis.findings.contrasts import TRAINED
from analysis.findings.reading import TITLES, VERDICTS, Frames, by_level, digits, measured
from analysis.findings.study import BY_TRAINING, CELLS, CLAIMS, SNAPSHOTS
from analysis.findings.trainings import student
from analysis.findings.verdicts import AGREES, DISAGREES, UNDECIDED, UNTESTABLE
from analysis.generalization.metrics import facts
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.markdown import bounded, number, plain
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_words
from analysis.text.rows import records

SCORES = (("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 4), ("lpips", "LPIPS", 4))
"""Metrics, their headings, and digits after the point."""

MISSING = ("Not run here.",)


BADGES = {
    AGREES: ("agrees", "agree"),
    DISAGREES: ("disagrees", "do not agree"),
    UNDECIDED: ("undecided", "undecided"),
    UNTESTABLE: ("untestable", "not testable here"),
}
"""Class and words of the badge of each verdict."""


def badges(frames: Frames) -> Displayed:
    """The number of claims with each verdict, as colored badges."""
    found = frames[CLAIMS].verdict
    return notebook_output.badges(
        {kind: (int((found == name).sum()), words) for name, (kind, words) in BADGES.items()}
    )


def counts(frames: Frames) -> Displayed:
    """How many claims have each verdict."""
    return notebook_output.say(reading.counts(frames))


def summary(frames: Frames) -> Displayed:
    """What limits the verdicts."""
    return notebook_output.say(reading.summary(frames))


def main_claims(frames: Frames) -> Displayed:
    """The paper's main claims with their verdicts."""
    return notebook_output.say(reading.main_claims(frames))


def claims_of(frames: Frames, finding: str) -> Displayed:
    """The claims of a table or figure with their verdicts."""
    return notebook_output.say(reading.claims_of(frames, finding))


def count_by_finding(frames: Frames) -> Displayed:
    """How many claims of each table and figure of the paper agree."""
    rows = frames[CLAIMS]
    lines = [
        {"finding": title} | {word: int((part.verdict == v).sum()) for v, word in VERDICTS.items()}
        for name, title in TITLES.items()
        if len(part := rows[rows.finding == name])
    ]
    return notebook_output.table(
        pd.DataFrame(lines), caption="Number of claims by finding", csv="claims.csv"
    )


def all_claims(frames: Frames) -> Displayed:
    """All claims in a table."""
    rows = frames[CLAIMS]
    columns = {
        "finding": [TITLES[name].partition(":")[0] for name in rows.finding],
        "claim": rows.claim,
        "quantity, above 0 if the claim is true": [
            f"{text}, above {threshold:g}" if threshold else text
            for text, threshold in zip(rows.quantity, rows.threshold, strict=True)
        ],
        "paper": [
            "no number" if math.isnan(value) else number(value, digits(unit), signed=True)
            for value, unit in zip(rows.paper, rows.unit, strict=True)
        ],
        "here": [
            plain("; ".join(filter(None, (measured(row), by_level(row))))) for row in records(rows)
        ],
        "verdict": rows.verdict.map(VERDICTS),
        "why not testable": rows.reason.map(plain),
    }
    return notebook_output.table(
        pd.DataFrame(columns), caption="Claims and measurements", csv="claims.csv"
    )


def with_interval(row: Mapping[str, Any], column: str, places: int) -> str:
    """A value of a column with its interval."""
    return bounded(row[column], row[f"{column}_low"], row[f"{column}_high"], places)


def mean_with_interval(row: Mapping[str, Any], places: int) -> str:
    """A mean over images with its interval."""
    return bounded(row["mean"], row["low"], row["high"], places)


def ablation(frames: Frames, name: str) -> Displayed:
    """A table of the paper's ablation, with our numbers next to the paper's."""
    paper = published.table(name)
    if CELLS not in frames:
        return notebook_output.table(paper.drop(columns="cell"), 4, "In the paper; not run here")
    scores = {(row["model"], row["metric"]): row for row in records(frames[CELLS])}
    table = paper.rename(
        columns={
            "input_mask": "input mask",
            "attention_mask": "attention mask",
            "attention_ratio": "attention ratio (%)",
            "input_ratio": "input ratio",
        }
    )
    table.loc[len(table)] = {"cell": NOISY, table.columns[1]: NOISY}
    table = table.fillna({name: "–" for name in table.columns[:3] if name not in ("psnr", "ssim")})
    if "input ratio" in table:
        ratios = paper["input_ratio"].astype(str)
        labels = {NOISY: NOISY} | {r: f"{r}%" if "–" in r else f"{r}%, fixed" for r in ratios}
        table["input ratio"] = table["input ratio"].map(labels)
    table["paper: PSNR (dB)"] = [number(value, 2) for value in table.psnr]
    table["paper: SSIM"] = [number(value, 4) for value in table.ssim]
    for title, metric, column, places in (
        ("here: PSNR (dB)", "psnr", "mixture", 2),
        ("here: SSIM", "ssim", "mixture", 3),
        ("here, noise trained on: PSNR (dB)", "psnr", "in_distribution", 2),
    ):
        rows = [scores.get((model, metric)) for model in table.cell]
        table[title] = ["–" if row is None else with_interval(row, column, places) for row in rows]
    table["here: PSNR (dB) over trainings"] = [
        over_trainings(frames[CELLS], str(cell)) for cell in table.cell
    ]
    caption = (
        "Under the mixture: the paper's on CBSD68, ours of the first training with 95% intervals "
        "over images; over trainings: mean and 95% interval"
    )
    table = table.drop(columns=["cell", "psnr", "ssim"])
    return notebook_output.table(table, caption=caption, csv=f"{CELLS}.csv")


def over_trainings(cells: pd.DataFrame, cell: str) -> str:
    """Mean PSNR of a cell under the mixture over its trainings, with its interval over them."""
    psnr = cells[cells.metric == "psnr"].set_index("model").mixture
    values = [psnr[name] for name in psnr.index if str(name).partition("-seed")[0] == cell]
    if cell == NOISY or not values:
        return "–"
    if len(values) == 1:
        return "one training"
    return f"{bounded(*student(values), 2)}, {len(values)} trainings"


def rank_correlation(frames: Frames, name: str = "table3a") -> Displayed:
    """Whether the cells of a table rank as in the paper."""
    return notebook_output.say([reading.rank_correlation(frames, name)])


def directions(shown: Iterable[str]) -> str:
    """After a semicolon, of which of the metrics shown less is better."""
    known = set(shown)
    of = [facts(name) for name, _, _ in SCORES if name in known]
    lower = [about for about in of if not about.higher_is_better]
    return "".join(f"; {about.direction} for {about.label}" for about in lower)


def methods(frames: Frames, name: str, table: str, noise: str, spp: int = 0) -> Displayed:
    """The paper's methods under a noise, and our networks."""
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
            line = {"network": NOISY if model == NOISY else f"{model} (here)"}
            for metric, title, places in SCORES:
                rows = [r for r in part if (r["model"], r["metric"]) == (model, metric)]
                line[title] = mean_with_interval(rows[0], places) if rows else "–"
            lines.append(line)
    csv = f"{table}.csv" if frame is not None else ""
    caption = f"Under {noise_words(noise)}{directions(map(str, paper))}"
    return notebook_output.table(pd.DataFrame(lines), caption=caption, csv=csv)


def scores(frames: Frames, name: str, caption: str, kind: str = "") -> Displayed:
    """Mean scores of all networks under all noises of a run, or under those of one kind."""
    if name not in frames:
        return notebook_output.say(MISSING)
    frame = frames[name]
    frame = frame[frame.kind == kind] if kind else frame
    rows = {(row["noise"], row["model"], row["metric"]): row for row in records(frame)}
    lines = []
    for noise, model in dict.fromkeys((noise, model) for noise, model, _ in rows):
        line = {"noise": noise, "network": model}
        for metric, title, places in SCORES:
            if (noise, model, metric) in rows:
                line[title] = mean_with_interval(rows[noise, model, metric], places)
        lines.append(line)
    caption += directions(frame.metric)
    return notebook_output.table(pd.DataFrame(lines), caption=caption, csv=f"{name}.csv")


def brightness(frames: Frames) -> Displayed:
    """Brightness shift and histogram distance of the ablation's networks, and PSNR without them."""
    if "brightness" not in frames:
        return notebook_output.say(MISSING)
    rows = frames["brightness"]
    table = pd.DataFrame(
        {
            "noise": rows.noise,
            "network": rows.model,
            "shift (levels)": [with_interval(row, "shift", 1) for row in records(rows)],
        }
    )
    if "brightness_images" in frames:
        images = frames["brightness_images"]
        images = images.assign(absolute=images["shift"].abs())
        means = images.groupby(["noise", "model"])[["absolute", "distance"]].mean()
        means = means.reindex(list(zip(rows.noise, rows.model, strict=True)))
        table["absolute shift of an image"] = means["absolute"].to_numpy()
        table["histogram distance of an image"] = means["distance"].to_numpy()
    table["PSNR (dB)"] = rows.psnr
    table["PSNR, corrected (dB)"] = rows.psnr_matched
    caption = (
        "Brightness of outputs compared with clean images; corrected: brightness and contrast of "
        "each image matched"
    )
    return notebook_output.table(table, caption=caption, csv="brightness.csv")


def snapshots(frames: Frames) -> Displayed:
    """Snapshots of the masked training, with all pixels visible and with pixels hidden."""
    if SNAPSHOTS not in frames:
        return notebook_output.say(MISSING)

    def change(row: Mapping[str, Any], column: str) -> str:
        if math.isnan(row.get(column, math.nan)):
            return "–"
        return bounded(row[column], row[f"{column}_low"], row[f"{column}_high"], 2, signed=True)

    table = pd.DataFrame(
        [
            {
                "snapshot": row["model"],
                "all pixels visible: PSNR (dB)": number(row.get("visible", math.nan), 2),
                "change from the first": change(row, "visible_change"),
                "80% hidden: PSNR (dB)": number(row.get("hidden", math.nan), 2),
                "change from the first, hidden": change(row, "hidden_change"),
            }
            for row in records(frames[SNAPSHOTS])
        ]
    )
    caption = "The masked network during training, under Gaussian σ = 15"
    return notebook_output.table(table, caption=caption, csv=f"{SNAPSHOTS}.csv")


def tradeoff(frames: Frames) -> Displayed:
    """Figure 7: PSNR over the ratio of the input mask."""
    figure = figures.tradeoff(frames[CELLS]) if CELLS in frames else None
    if figure is None:
        return notebook_output.say(MISSING)
    return notebook_output.figure(figure, reading.alt_tradeoff(frames[CELLS]), f"{CELLS}.csv")


def levels(frames: Frames) -> Displayed:
    """Figure 11: PSNR over noise level."""
    paper = published.table("figure11")
    figure = figures.levels(frames["levels"], paper) if "levels" in frames else None
    if figure is None:
        return notebook_output.say(MISSING)
    return notebook_output.figure(figure, reading.alt_levels(frames["levels"]), "levels.csv")


def strongest(frames: Frames, name: str) -> Displayed:
    """PSNR of networks and simple filters under the strongest level of each kind of noise."""
    if name not in frames:
        return notebook_output.say(MISSING)
    rows = frames[name]
    rows = rows[rows.metric == "psnr"]
    last = rows.sort_values("level").groupby("kind", sort=False).noise.last()
    noises = [noise for noise in rows.noise.unique() if noise == TRAINED or noise in set(last)]
    wide = rows.pivot(index="noise", columns="model", values="mean")
    table = wide.loc[noises, list(rows.model.unique())].reset_index()
    caption = "Mean PSNR (dB) under the noise trained on and the strongest level of each kind"
    return notebook_output.table(table, caption=caption, csv=f"{name}.csv")


def controlled(frames: Frames, name: str, column: str) -> Displayed:
    """The pair's values between two noises, with ceiling, floor and untrained networks."""
    if name not in frames:
        return notebook_output.say(MISSING)
    frame = frames[name]
    if "last_features" in frame:
        frame = frame[frame.last_features]
    if "reference" in frame:
        frame = frame[frame.noise != frame.reference]
        frame = frame.assign(model_a=frame.model, model_b=frame.model, noise_a=frame.reference)
        frame = frame.assign(noise_b=frame.noise)
    low, high = ("low", "high") if "low" in frame else (f"{column}_low", f"{column}_high")
    beside = ("ceiling", "untrained", "untrained_sd")
    prefix = "" if "ceiling" in frame else f"{column}_"
    lines = []
    for row in records(frame):
        ceiling, untrained, sd = (row.get(f"{prefix}{key}", math.nan) for key in beside)
        lines.append(
            {
                "network": " and ".join(dict.fromkeys((row["model_a"], row["model_b"]))),
                "noise": " and ".join(
                    map(noise_words, dict.fromkeys((row["noise_a"], row["noise_b"])))
                ),
                "value": bounded(row[column], row[low], row[high], 3),
                "same noise drawn again": number(ceiling, 3),
                "untrained": f"{number(untrained, 3)} ± {number(sd, 3)}",
            }
        )
    caption = "The pair, with 95% intervals over images"
    return notebook_output.table(pd.DataFrame(lines), caption=caption, csv=f"{name}.csv")


def similarity(frames: Frames) -> Displayed:
    """The mean CKA across noises of each network of the pair, beside its controls."""
    return notebook_output.say(reading.similarity(frames))


def picture(folder: Path, name: str, alt: str, csv: str = "") -> Displayed:
    """A figure copied from a run."""
    path = folder / f"{name}.png"
    if not path.is_file():
        return notebook_output.say([f"Not run here: {alt}"])
    return notebook_output.image(path.read_bytes(), alt, csv)


def runs(folder: Path) -> Displayed:
    """The runs, with their numbers of networks, noises and images."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    rows = [
        {
            "run": name,
            "networks": len(run["models"]) or len(run.get("logs", [])),
            "noises": str(len(run.get("noises", [])) or "–"),
            "images": str(run["images"] or "–"),
            "crops": str(run["crops"] or "–"),
            "crop size": str(run["crop"] or ("whole" if run["crops"] else "–")),
            "pixels hidden": f"{run.get('input_mask', 0):.0%}",
        }
        for name, run in manifest["runs"].items()
    ]
    return notebook_output.table(pd.DataFrame(rows), caption="Runs", csv=MANIFEST)


def by_training(frames: Frames, finding: str) -> Displayed:
    """The quantities of a figure about the pair, one row for each training."""
    if BY_TRAINING not in frames:
        return notebook_output.say(MISSING)
    rows = frames[BY_TRAINING]
    table = pd.DataFrame(
        [
            {
                "quantity": row["quantity"],
                "run": row["run"],
                "value": bounded(
                    row["value"], row["low"], row["high"], digits(row["unit"]), row["unit"], True
                ),
            }
            for row in records(rows[rows.finding == finding])
        ]
    )
    caption = "Each training alone, with 95% intervals over images where there are any"
    return notebook_output.table(table, caption=caption, csv=f"{BY_TRAINING}.csv")


def over_training(frames: Frames) -> Displayed:
    """The best and the last PSNR of each training."""
    return notebook_output.say(reading.over_training(frames))
