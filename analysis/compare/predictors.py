"""Numbers that might predict how a model generalizes, read from the tables of other analyses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.commands.index import Index
from analysis.commands.registry import analyses, analysis
from analysis.commands.trainings import TRAINING
from analysis.compare.candidates import candidates, kinds
from analysis.compare.outcomes import ERROR, OUTCOMES, outcomes
from analysis.compare.runs import Run, difference
from analysis.stats.trainings import half_width
from analysis.text.markdown import codes
from analysis.text.noise_names import CLEAN, noise_phrases
from mtd.utils.errors import BadInput

DROP, UNSEEN = "ood_drop", "unseen"

TARGETS = {
    DROP: "PSNR drop from trained to unseen noise (dB)",
    UNSEEN: "PSNR under unseen noise (dB)",
    **OUTCOMES,
}
"""The targets of the prediction, with their labels; the parts of the drop need a run of
`analysis.error`."""


PREDICTED = "generalization"
"""The analysis that measures the targets."""


def indices() -> dict[str, Index]:
    """The index of every analysis that has one, by the name of the analysis."""
    return {name: record.index for name, record in analyses().items() if record.index}


def targets(frame: pd.DataFrame) -> dict[str, str]:
    """Those targets that a table has, with their labels."""
    return {name: label for name, label in TARGETS.items() if name in frame}


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs of several folders.

    Raises:
        BadInput: no run folder, a damaged one, or one of an analysis without an index.
    """
    return [Run.read(path, dict.fromkeys((PREDICTED, ERROR, *kinds()))) for path in paths]


def gather(runs: Sequence[Run]) -> pd.DataFrame:
    """One row for each model: its PSNR drop, and every index that the runs hold.

    Models are the same if their files, masks and input format are, whatever they are called; names
    are those of the generalization run. An index may come from several runs of its analysis, on
    other models each. It is the mean over those noises that no model was trained on, as far as is
    known, and under which every model has a value; models without any value have NaN.

    Columns: `model`; `checkpoint`, the SHA-256 of its file; the targets `ood_drop` and `unseen` in
    dB; with runs of `analysis.error` the parts of the drop, `drop_leak` and `drop_damage`, see
    `analysis.compare.outcomes`; a column for each index, and one for the same index of untrained
    networks of each model's architecture, where the runs have controls; for models with several
    trainings see `with_intervals`.

    Raises:
        BadInput: a damaged run, a model twice in runs of one analysis, not just one run of
            generalization, no index, or runs that differ in networks, noise or reference.
    """
    by_kind = grouped(runs)
    predicted = by_kind[PREDICTED][0]
    names = list(predicted.models.values())
    with predicted.reading():
        scores = predicted.table("generalization")
        psnr = scores[scores.metric == "psnr"].set_index("model")
        digests = [predicted.manifest["models"][name]["sha256"] for name in names]
        frame = pd.DataFrame({"model": names, "checkpoint": digests})
        frame[DROP] = frame.model.map(psnr.ood_drop).astype(float)
        frame[UNSEEN] = frame.model.map(psnr.out_of_distribution).astype(float)
    parts = outcomes_of(by_kind)
    for name in parts:
        frame[name] = parts[name].reindex(list(predicted.models)).to_numpy()
    for _, index, values in measured(by_kind):
        frame[index.name] = values[common_noises(values)].mean(axis=1).to_numpy()
    for index, values in measured_untrained(by_kind):
        frame[untrained_column(index.name)] = values.mean(axis=1).to_numpy()
    single = gather_by_training(runs)
    return with_intervals(of_means(frame, single), single)


def outcomes_of(by_kind: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """The parts of the PSNR drop of every model, and of every training of models with several.

    They are indexed by what decides outputs, see `Run.models`. There are no columns without a run
    that has the parts.
    """
    predicted, parts = by_kind[PREDICTED][0], []
    for run in by_kind.get(ERROR, ()):
        table, single = run.table(ERROR), run.single_trainings(ERROR)
        names = {**run.models, **(run.trainings if single is not None else {})}
        with run.reading():
            whole = table if single is None else pd.concat([table, single])
            own = outcomes(whole, predicted.trained, list(names.values()))
            parts.append(own.set_axis(list(names), axis=0))
    return pd.concat(parts) if parts else pd.DataFrame()


def of_means(frame: pd.DataFrame, single: pd.DataFrame) -> pd.DataFrame:
    """Outcomes of models with several trainings as the means over those of the trainings.

    Args:
        frame: a row for each model.
        single: a row for each training, see `gather_by_training`.
    """
    for name in [name for name in OUTCOMES if name in single]:
        means = single.groupby("model")[name].agg(lambda values: values.mean(skipna=False))
        several = frame.model.isin(means.index)
        frame[name] = frame[name].mask(several, frame.model.map(means))
    return frame


def gather_by_training(runs: Sequence[Run]) -> pd.DataFrame:
    """The same of single trainings, of models that have several: a row for each.

    Trainings are the same if their files are. An index is NaN where the runs have no table of it by
    training.

    Columns: `model`, `training`, `checkpoint`, the targets, and those indices that the runs hold.

    Raises:
        BadInput: see `gather`.
    """
    by_kind = grouped(runs)
    predicted = by_kind[PREDICTED][0]
    with predicted.reading():
        rows = [
            {"model": model, TRAINING: name, "checkpoint": own["sha256"]}
            for model, about in predicted.manifest["models"].items()
            for name, own in about.get("trainings", {}).items()
        ]
        frame = pd.DataFrame(rows, columns=["model", TRAINING, "checkpoint"])
        scores = predicted.single_trainings("generalization")
        if scores is not None:
            psnr = scores[scores.metric == "psnr"].set_index("model")
            frame[DROP] = frame[TRAINING].map(psnr.ood_drop).astype(float)
            frame[UNSEEN] = frame[TRAINING].map(psnr.out_of_distribution).astype(float)
    parts_of_drop = outcomes_of(by_kind) if len(frame) else pd.DataFrame()
    for name in parts_of_drop:
        frame[name] = parts_of_drop[name].reindex(list(predicted.trainings)).to_numpy()
    for kind, index, values in measured(by_kind) if len(frame) else ():
        parts = [by_noise_of_trainings(run, index, predicted.trained) for run in by_kind[kind]]
        single = pd.concat(parts).reindex(index=list(predicted.trainings), columns=values.columns)
        frame[index.name] = single[common_noises(values)].mean(axis=1, skipna=False).to_numpy()
    return frame


def with_intervals(frame: pd.DataFrame, single: pd.DataFrame) -> pd.DataFrame:
    """The rows of models with their 95% intervals over trainings, where some have several.

    Args:
        frame: see `gather`.
        single: see `gather_by_training`.

    Returns:
        The frame with the column `trainings`, and `{name}_low_trainings` and
        `{name}_high_trainings` of every target and index; NaN for fewer than three trainings.
    """
    if single.empty:
        return frame
    counts = single.model.value_counts()
    frame = frame.assign(trainings=[int(counts.get(name, 1)) for name in frame.model])
    for name in [name for name in frame if name in single and name in (*TARGETS, *known())]:
        own = [single[single.model == model][name].to_numpy() for model in frame.model]
        half = np.array([float(half_width((values,) if len(values) else ())) for values in own])
        frame[f"{name}_low_trainings"] = frame[name] - half
        frame[f"{name}_high_trainings"] = frame[name] + half
    return frame


def known() -> list[str]:
    """The columns of all indices."""
    return [one.index.name for one in candidates()]


def untrained_column(name: str) -> str:
    """The column of an index's values of untrained networks."""
    return f"{name}_untrained"


def measured(
    by_kind: Mapping[str, Sequence[Run]],
) -> Iterator[tuple[str, Index, pd.DataFrame]]:
    """Every index that the runs hold, its analysis, and values: models by noises."""
    predicted = by_kind[PREDICTED][0]
    for kind, index in ((one.kind, one.index) for one in candidates()):
        if kind in by_kind:
            parts = [by_noise(run, index.read, index, predicted.trained) for run in by_kind[kind]]
            yield kind, index, pd.concat(parts).reindex(list(predicted.models))


def measured_untrained(
    by_kind: Mapping[str, Sequence[Run]],
) -> Iterator[tuple[Index, pd.DataFrame]]:
    """Every index of untrained networks in place of the models, under the noises of `measured`."""
    predicted = by_kind[PREDICTED][0]
    for kind, index, values in measured(by_kind):
        runs = by_kind[kind]
        if all(index.untrained in run.table(index.table) for run in runs) and index.untrained:
            parts = [by_noise(run, index.read_untrained, index, predicted.trained) for run in runs]
            whole = pd.concat(parts).reindex(list(predicted.models))
            yield index, whole.reindex(columns=common_noises(values))


def by_noise(
    run: Run, read: Callable[..., pd.DataFrame], index: Index, trained: Collection[str]
) -> pd.DataFrame:
    """An index in one run, a row for each of its models, a column for each unseen noise.

    Args:
        run: that holds it.
        read: its values, or those of untrained networks; see `Index.read`.
        index: which one.
        trained: noises that the models were trained on.
    """
    table, models = run.table(index.table), run.models
    with run.reading():
        rows = read(table, run.reference, trained)
        wide = rows.pivot(index="model", columns="noise", values="value").astype(float)
        return wide.reindex(list(models.values())).set_axis(list(models), axis=0)


def by_noise_of_trainings(run: Run, index: Index, trained: Collection[str]) -> pd.DataFrame:
    """As `by_noise`, a row for each training of models with several; none without such a table."""
    table, trainings = run.single_trainings(index.table), run.trainings
    if table is None:
        return pd.DataFrame(index=list(trainings))
    with run.reading():
        rows = index.read(table, run.reference, trained)
        wide = rows.pivot(index="model", columns="noise", values="value").astype(float)
        return wide.reindex(list(trainings.values())).set_axis(list(trainings), axis=0)


def common_noises(values: pd.DataFrame) -> list[str]:
    """The noises under which every model has a value, models without any left out."""
    return [str(noise) for noise in values.dropna(how="all").dropna(axis=1)]


def grouped(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by their analysis, which may be compared.

    Raises:
        BadInput: see `gather`.
    """
    by_kind: dict[str, list[Run]] = {}
    for run in runs:
        taken = [run.manifest.get("centering", "global")]
        taken += [f"given {run.manifest['given']}"] if run.manifest.get("given") else []
        taken += ["removed components"] if run.manifest.get("remove_components") else []
        if run.kind == "cka" and taken != ["global"]:
            raise BadInput(
                f"{run.place}: a run with {', '.join(taken)}; CKA of whole features is compared"
            )
        measure = run.manifest.get("measure", "cka")
        if measure != "cka":
            raise BadInput(f"{run.place}: a run of {measure}; CKA is compared")
        for other in by_kind.get(run.kind, ()):
            if run.kind == PREDICTED or set(other.models) & set(run.models):
                raise BadInput(
                    f"{run.place}: a second run of {run.kind}, after {other.place}; give one"
                )
        by_kind.setdefault(run.kind, []).append(run)
    if PREDICTED not in by_kind:
        raise BadInput(f"no run of analysis.{PREDICTED} among them: PSNR drops are taken from it")
    if not set(by_kind) & set(kinds()):
        raise BadInput(f"no index: give a run of {', '.join(sorted(kinds()))}")
    predicted = by_kind[PREDICTED][0]
    for run in runs:
        if run is not predicted and (what := difference(predicted, run)):
            raise BadInput(f"{run.place} and {predicted.place} differ in {what}: use one")
    check_references(by_kind)
    return by_kind


def check_references(by_kind: Mapping[str, Sequence[Run]]) -> None:
    """Check that indices are relative to a noise that some model of the benchmark was trained on.

    Raises:
        BadInput: a run has another reference, or not that of the other runs of its analysis.
    """
    predicted = by_kind[PREDICTED][0]
    for kind in dict.fromkeys(one.kind for one in candidates() if one.index.from_reference):
        expected, source = predicted.trained, predicted
        for run in by_kind.get(kind, ()):
            if expected and run.reference not in expected:
                raise BadInput(
                    f"{run.place}: its reference is {run.reference}; expected "
                    f"{' or '.join(expected)}, that of {source.place}: run it again"
                )
            expected, source = [run.reference], run


NOTED = ("noises", "crops", "seed", "mask_draws")
"""Settings in which runs may differ; a note says so."""


def notes(runs: Sequence[Run]) -> pd.DataFrame:
    """Notes on the runs: how they differ, what is left out, and the notes of each.

    Columns: `analysis`, the analyses concerned, with commas; `note`, a sentence in Markdown.

    Raises:
        BadInput: see `gather`.
    """
    by_kind = grouped(runs)
    predicted = by_kind[PREDICTED][0]
    found: list[tuple[str, str]] = [(PREDICTED, note) for note in copies(predicted)]
    for run in runs:
        for name in NOTED:
            own, others = (without_clean(r.manifest.get(name)) for r in (run, predicted))
            if own != others:
                note = f"Computed with other {name.replace('_', ' ')} than the PSNR."
                found.append((run.kind, note))
    found += [
        (kind, note)
        for kind, _, values in measured(by_kind)
        for note in left_out([str(noise) for noise in values], common_noises(values))
    ]
    for run in runs:
        with run.reading():
            found += [
                (run.kind, note) for note in analysis(run.kind).notes(run.frames, run.manifest)
            ]
    kinds: dict[str, dict[str, None]] = {}
    for kind, note in found:
        kinds.setdefault(note, {})[kind] = None
    rows = [(", ".join(own), note) for note, own in kinds.items()]
    return pd.DataFrame(rows, columns=["analysis", "note"])


def copies(run: Run) -> list[str]:
    """A sentence on models that are copies of others, and count once."""
    again = [name for name in run.manifest["models"] if name not in run.models.values()]
    return [f"Copies of other models are left out: {codes(again)}."] if again else []


def left_out(noises: Sequence[str], common: Sequence[str]) -> list[str]:
    """A sentence on noises under which some model has no value."""
    if len(common) == len(noises):
        return []
    if not common:
        return ["There is no unseen noise under which every model has a value, so no mean."]
    missing = [noise for noise in noises if noise not in common]
    return [
        f"The mean is over {len(common)} of {len(noises)} noises, since not every model has "
        f"a value under the others: {noise_phrases(missing)}."
    ]


def without_clean(value: Any) -> Any:
    """A manifest's entry; of a list of noises their set, without the clean image."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return sorted(set(value) - {CLEAN})
    return value
