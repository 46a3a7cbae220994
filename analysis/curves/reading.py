"""What training and test curves say, as sentences for the terminal and the page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from analysis.commands.training_noises import OPTION
from analysis.curves import training_reading
from analysis.curves.logged import PSNR
from analysis.curves.tables import CHECKPOINTS, UNKNOWN, psnr_curves, unseen_noises
from analysis.curves.training_reading import on_average, value
from analysis.text.intervals import illustration
from analysis.text.marginals import FEW
from analysis.text.markdown import code, codes, listed, number
from analysis.text.noise_names import noise_label, noise_phrase, noise_phrases, noise_words
from analysis.text.rows import Row, records
from analysis.text.terminal import grid, plural
from mtd.utils.messages import verb

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]

LEGEND = """\
PSNR in dB, under the noise trained on, and as the plain mean over the unseen noises; stopped early:
at the step that is best under the noise trained on; drop: from the best PSNR"""
"""Under the table of PSNR."""

EVALUATE = "`python -m analysis.curves RUN --checkpoints FOLDER` evaluates saved checkpoints"


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    rows, psnr = frames["summary"], psnr_curves(frames["curves"])
    unseen = unseen_sets(rows, psnr)
    return [
        *_main(frames, unseen),
        *test_set(frames, manifest),
        *early_stopping(rows),
        *final_drops(rows),
        *losses(rows),
        *unknown_training(rows, psnr),
        *manifest.get("notes", ()),
        *without_tests(frames),
        *comparability(frames["curves"], psnr, unseen),
        *training_reading.left_out(frames),
        *missing(frames, manifest),
        *scope(rows),
        *(illustration(manifest) if "checkpoints" in manifest else []),
    ]


def main(frames: Frames) -> list[str]:
    """Which step of each run is best under unseen noise."""
    return _main(frames, unseen_sets(frames["summary"], psnr_curves(frames["curves"])))


def test_set(frames: Frames, manifest: Manifest) -> list[str]:
    """The crops and noises of the test curves, where they are the same for all runs."""
    tests = psnr_curves(frames["curves"])
    noises = {run: frozenset(rows.noise) for run, rows in tests.groupby("run")}
    crops = manifest.get("test_crops") or {}
    if len(set(noises.values())) != 1 or set(crops) != set(noises) or len(set(crops.values())) != 1:
        return []
    of = next(iter(crops.values()))
    names = noise_phrases(tests.noise.unique())
    return [f"Each test curve is a mean over {of} under one noise: {names}."]


def _main(frames: Frames, unseen: Collection[frozenset[str]]) -> list[str]:
    rows = frames["summary"]
    known = rows[rows.best_out_psnr.notna()]
    if rows.last_step.isna().all():
        return [f"No run has test curves, so no best step is known: {EVALUATE}."]
    if known.empty:
        return ["No run has a mean PSNR over unseen noises.", *best_of_each(frames)][::-1]
    if len(unseen) > 1:
        each = [best(r) for r in records(known)]
        return [f"Best mean PSNR over each run's own unseen noises: {listed(each, FEW)}."]
    extremes = known
    if len(known) > FEW:
        extremes = known.sort_values("best_out_psnr", ascending=False, kind="stable").iloc[[0, -1]]
    which = f" (highest and lowest of {len(known)} runs)" if len(extremes) < len(known) else ""
    each = [best(r) for r in records(extremes)]
    return [f"Best mean PSNR over the unseen noises{which}: {listed(each)}."]


def best(row: Row) -> str:
    """The best mean PSNR of a run over unseen noises, and its step."""
    where = f"at step {step(row['best_out_step'])}{on_average(row, 'best_out_step')}"
    return f"{code(row['run'])} {value(row, 'best_out_psnr', 'dB')} {where}"


def best_of_each(frames: Frames) -> list[str]:
    """The best step of every test curve, of runs of which it is unknown what they were trained on.

    A few curves are named.
    """
    rows, tests = frames["summary"], training_reading.test_values(frames)
    part = tests[tests.run.isin(rows[rows.trained == UNKNOWN].run)]
    each = [
        f"{code(r['run'])} {number(r['best'])} dB at step {step(r['best_step'])}"
        f"{on_average(r, 'best_step')} ({noise_phrase(r['noise'])})"
        for r in records(part)
    ]
    return [f"Best PSNR of each test curve: {listed(each, FEW)}."] if each else []


def unseen_sets(rows: pd.DataFrame, psnr: pd.DataFrame) -> set[frozenset[str]]:
    """The sets of unseen noises whose means are shown; one if all runs have the same.

    Args:
        rows: of a summary.
        psnr: rows of `psnr_curves`.
    """
    known = {str(r["run"]): str(r["trained"]).split(", ") for r in records(rows) if r["unseen"]}
    return {
        frozenset(unseen_noises(psnr[psnr.run == run].noise, trained))
        for run, trained in known.items()
    }


def unknown_training(rows: pd.DataFrame, psnr: pd.DataFrame) -> list[str]:
    """Of which runs it is not known what they were trained on, and how to state it.

    Args:
        rows: of a summary.
        psnr: rows of `psnr_curves`.
    """
    names = rows[rows.trained == UNKNOWN].run
    if names.empty:
        return []
    tested = list(dict.fromkeys(psnr[psnr.run.isin(names)].noise))
    which = f", where SPEC is a noise or a test set such as {code(tested[0])}" if tested else ""
    return [
        f"What {codes(names)} {verb(len(names), 'was', 'were')} trained on is unknown: no "
        f"test curve counts as that of a noise trained on or of unseen noise. `{OPTION} RUN=SPEC` "
        f"states it{which}."
    ]


def early_stopping(rows: pd.DataFrame) -> list[str]:
    """The PSNR drop under unseen noise from stopping where the noise trained on is best."""
    known = rows[rows.overfitting_gap.notna()]
    drops = known[known.overfitting_gap > 0].sort_values("overfitting_gap", ascending=False)
    each = [f"{code(r['run'])} {value(r, 'overfitting_gap', 'dB')}" for r in records(drops)]
    without = known[known.overfitting_gap == 0].run
    text = []
    if each:
        text.append(
            "Overfitting gap, the PSNR drop under unseen noise from stopping at the step that is "
            f"best under the noise trained on: {listed(each, FEW)}."
        )
    if len(without):
        text.append(
            "The step that is best under the noise trained on is as good as any under unseen "
            f"noise: {codes(without)}."
        )
    return text


def final_drops(rows: pd.DataFrame) -> list[str]:
    """How far PSNR under unseen noise falls from the best to the last step."""
    known = rows[rows.final_out_drop.notna()]
    if known.empty:
        return []
    ends = known if len(known) <= FEW else known.sort_values("final_out_drop").iloc[[0, -1]]
    which = "" if len(ends) == len(known) else f", smallest and largest of {len(known)} runs"
    each = [
        f"{code(r['run'])} {value(r, 'final_out_drop', 'dB')} (step {step(r['best_out_step'])} to "
        f"{step(r['last_out_step'])}{on_average(r, 'best_out_step', 'last_out_step')})"
        for r in records(ends)
    ]
    steps = "the best to the last step at which all unseen noises were tested"
    return [f"PSNR drop under unseen noise from {steps}{which}: {listed(each)}."]


def losses(rows: pd.DataFrame) -> list[str]:
    """Last losses."""
    known = rows[rows.last_loss.notna()]
    if known.empty:
        return []
    ends = known if len(known) <= FEW else known.sort_values("last_loss").iloc[[0, -1]]
    which = "" if len(ends) == len(known) else f", lowest and highest of {len(known)} runs"
    each = [
        f"{code(r['run'])} {training_reading.loss(r)} at step {step(r['last_loss_step'])}"
        f"{on_average(r, 'last_loss_step')}"
        for r in records(ends)
    ]
    scale = " Losses are comparable only between runs with the same noise, masks and loss function."
    return [f"Last logged loss{which}: {listed(each)}." + (scale if len(known) > 1 else "")]


def without_tests(frames: Frames) -> list[str]:
    """Which runs have no test curves, or none at a common step."""
    rows = frames["summary"]
    without = rows[rows.last_step.isna()].run
    partial = rows[(rows.unseen > 0) & rows.best_out_psnr.isna()].run
    text = [f"{code(run)} has no step at which all unseen noises were tested." for run in partial]
    if 0 < len(without) < len(rows):
        text.append(f"Without test curves no best step is known: {codes(without)}; {EVALUATE}.")
    return text


def comparability(
    frame: pd.DataFrame, psnr: pd.DataFrame, unseen: Collection[frozenset[str]]
) -> list[str]:
    """Whether test curves of several runs may be compared, and which are shown.

    Args:
        frame: all curves.
        psnr: those of `psnr_curves`.
        unseen: of `unseen_sets`.
    """
    text = []
    if len(unseen) > 1:
        text.append(
            "The unseen noises of the runs differ: their means over them are not comparable."
        )
    replaced = frame[(frame.quantity == PSNR) & ~frame.index.isin(psnr.index)].run.unique()
    if len(replaced):
        text.append(
            "Evaluated checkpoints are shown in place of the logged test curves of "
            f"{codes(replaced)}."
        )
    evaluated = psnr.source == CHECKPOINTS
    if evaluated.any() and not evaluated.all():
        text.append("Evaluated checkpoints and logged test curves may be of different images.")
    return text


def missing(frames: Frames, manifest: Manifest) -> list[str]:
    """How many values of evaluated checkpoints are not finite."""
    expected = len(manifest.get("checkpoints", ())) * len(manifest.get("noises", ()))
    dropped = expected - int((training_reading.evaluated(frames).source == CHECKPOINTS).sum())
    if dropped <= 0:
        return []
    return [f"Of the evaluated checkpoints, {plural(dropped, 'value')} dropped: NaN or infinite."]


def scope(rows: pd.DataFrame) -> list[str]:
    """The limits of what the numbers show."""
    text = training_reading.units(rows)
    if rows.best_out_psnr.notna().any():
        of = "Each training has its own best step," if "trainings" in rows else "Best steps are"
        text[-1] += f" {of} chosen on these same curves, which makes their PSNR too high."
    return text


def empty(value: Any) -> bool:
    """Whether a cell of a table is empty."""
    return bool(pd.isna(value))


def step(value: Any) -> str:
    """A step, or a dash."""
    return "–" if empty(value) else f"{value:,.0f}"


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The best and the last steps of each run, as a table for the terminal."""
    rows = records(frames["summary"])
    head = f"Training and test curves of {plural(len(rows), 'run')}"
    head += training_reading.heading(frames["summary"])
    if "checkpoints" in manifest:
        head += f"; {evaluation(manifest)}"
    parts = [head]
    tests = training_reading.test_values(frames)
    tested = [
        line
        for row in rows
        if not empty(row["last_step"])
        for line in psnr_lines(row, tests[tests.run == row["run"]])
    ]
    if tested:
        names = ["run", "noise", "best", "at step", "stopped early", "drop", "last", "at step"]
        table = [[*names, "drop"], *tested]
        known = any(not empty(row["last_step"]) and row["trained"] != UNKNOWN for row in rows)
        if not known:
            table = [[*line[:4], *line[6:8]] for line in table]
        parts[0] += f"\n{grid(table)}\n{LEGEND if known else 'PSNR in dB'}"
    logged = [
        [str(row["run"]), step(row["last_loss_step"]), training_reading.loss(row)]
        for row in rows
        if not empty(row["last_loss"])
    ]
    if logged:
        parts.append(grid([["run", "last step", "last loss"], *logged]))
    return "\n\n".join(parts)


def evaluation(manifest: Manifest) -> str:
    """Which checkpoints were evaluated, on which crops."""
    count, images, side = len(manifest["crops"]), manifest["images"], manifest["crop"]
    crops = f"{plural(count, 'crop')} of {side} x {side}" if side else plural(count, "image")
    source = images if isinstance(images, str) else ", ".join(images)
    return f"{plural(len(manifest['checkpoints']), 'checkpoint')} evaluated on {crops} ({source})"


def psnr_lines(row: Row, tests: pd.DataFrame) -> list[list[str]]:
    """The lines of one run: under the noise trained on, and over the unseen ones.

    Under each noise or test set where it is unknown what it was trained on.

    Args:
        row: of the summary.
        tests: the run's rows of `training_reading.test_values`.
    """
    run = str(row["run"])
    if row["trained"] == UNKNOWN:
        return [test_line(run, of) for of in records(tests)]
    trained = [value(row, "best_in_psnr"), step(row["best_in_step"]), "", ""]
    unseen = [value(row, "best_out_psnr"), step(row["best_out_step"])]
    unseen += [value(row, "out_at_best_in"), value(row, "overfitting_gap")]
    last = [value(row, "last_in_psnr"), step(row["last_in_step"]), ""]
    lines = []
    if not empty(row["trained"]) and row["trained"]:
        own = ", ".join(map(noise_words, row["trained"].split(", ")))
        lines.append([run, f"{own}, trained on", *trained, *last])
    if row["unseen"]:
        name = f"mean of {row['unseen']:.0f} unseen"
        last = [value(row, "last_out_psnr"), step(row["last_out_step"])]
        last += [value(row, "final_out_drop")]
        lines.append([run, name, *unseen, *last])
    return lines


def test_line(run: str, of: Row) -> list[str]:
    """The best and the last PSNR of one test curve."""
    best_of = [number(of["best"]), step(of["best_step"]), "", ""]
    return [run, noise_label(of["noise"]), *best_of, number(of["last"]), step(of["last_step"]), ""]


def alt(frames: Frames) -> str:
    """A description of the figure: where each run ends."""
    each: list[str] = []
    for row in records(frames["summary"]):
        lasts = (
            ("last_loss_step", f"loss {row['last_loss']:.3g}"),
            ("last_in_step", f"{number(row['last_in_psnr'])} dB under the noise trained on"),
            ("last_out_step", f"{number(row['last_out_psnr'])} dB under unseen noise"),
        )
        ends = [f"{what} at step {step(row[at])}" for at, what in lasts if not empty(row[at])]
        each.append(f"{row['run']} ends with {listed(ends) or 'no values'}")
    return f"Curves over steps of {plural(len(each), 'run')}. {'; '.join(each[:FEW])}."


def drawing(frames: Frames, manifest: Manifest) -> list[str]:
    """How the figure shows losses and test curves, as far as there are any."""
    rows, text = frames["summary"], []
    if rows.last_loss.notna().any():
        how = "as logged"
        if manifest["smooth"]:
            how = (
                "smoothed, with the logged values behind them; as many values before a point count "
                "as after it, so that the line does not lag where the loss falls fast"
            )
        text.append(f"Losses are {how}.")
    tested = rows[rows.last_step.notna()]
    whose = "training" if "trainings" in rows else "run"
    rings = (
        f" Rings mark each {whose}'s best step. When a network overfits to the noise it is trained "
        "on, its PSNR keeps rising under that noise and falls under unseen noise."
    )
    if len(tested):
        known = (tested.trained != UNKNOWN).any()
        text.append(f"Test curves, PSNR on test images, are not smoothed.{rings if known else ''}")
    return [*text, *training_reading.drawn(rows)]
