"""Numbers of error, linear, causal and stitch as predictors: read, correlated, and kept apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.commands.registry import analysis
from analysis.compare import command as compare_command
from analysis.compare import reading
from analysis.compare.candidates import MORE, candidates, kinds
from analysis.compare.command import ANALYSIS, correlate
from analysis.compare.predictors import gather, read_runs
from analysis.compare.tables import correlations
from mtd.utils.errors import BadInput
from tests.analysis.compare.test_compare_command import DROPS, NAMES, errors, folder, runs

__all__ = ["runs"]  # a fixture
NOISES = ("gaussian:15", "isp", "poisson:3")
COUNT = len(NAMES)


def error_table(share: list[float], cutoff: list[float]) -> pd.DataFrame:
    """error.csv with planted numbers under the noise trained on, and others elsewhere."""
    frame = errors({(m, n): (10.0, 20.0) for m in NAMES for n in NOISES})
    trained = frame.noise == "gaussian:15"
    frame["leak_share"], frame["cutoff"] = 0.5, 0.1
    frame.loc[trained, "leak_share"] = share
    frame.loc[trained, "cutoff"] = cutoff
    return frame


def linear_table() -> pd.DataFrame:
    rows = [
        {"model": m, "noise": n, "dimensions": 300, "affine_rest": 0.1 * i + (n == "isp")}
        | {"effective_dimension": 30.0 * (COUNT - i) + 99 * (n == "isp"), "reason": ""}
        for i, m in enumerate(NAMES)
        for n in ("gaussian:15", "isp")
    ]
    return pd.DataFrame(rows)


def causal_table() -> pd.DataFrame:
    """causal_together.csv; of each model and noise the last row is of all kinds of branches."""
    rows = [
        {"model": m, "noise": n, "kind": kind, "recovery": 0.9, "held_out": r * (1 + i)}
        for i, m in enumerate(NAMES)
        for n, r in (("isp", 0.05), ("poisson:3", 0.15))
        for kind, r in (("mlp", 0.7), ("all", r))
    ]
    return pd.DataFrame(rows)


def stitch_table() -> pd.DataFrame:
    rows = [
        {"sender": s, "receiver": r, "noise_sender": a, "noise_receiver": b, "cost": cost}
        for i, m in enumerate(NAMES)
        for s, r, a, b, cost in (
            (m, m, "isp", "gaussian:15", 1.0 + i),
            (m, m, "poisson:3", "gaussian:15", 3.0 + i),
            (m, m, "gaussian:15", "isp", 50.0),
            ("a", m, "gaussian:15", "gaussian:15", 70.0),
        )
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def more(runs: list[Path]) -> list[Path]:
    share, none = [0.1, 0.3, 0.2, 0.5, 0.4], pd.DataFrame({"a": []})
    return [
        *runs,
        folder("e", "error", NAMES, error=error_table(share, [0.3, 0.2, 0.1, np.nan, 0.4])),
        folder("l", "linear", NAMES, linear=linear_table()),
        folder("t", "causal", NAMES, causal=none, causal_together=causal_table()),
        folder("st", "stitch", NAMES, stitch=none, stitch_mean=stitch_table()),
    ]


def test_every_number_is_that_of_its_table(more):
    frame = gather(read_runs(more))
    assert frame.leak_share.tolist() == [0.1, 0.3, 0.2, 0.5, 0.4]
    assert frame.cutoff.tolist() == [0.3, 0.2, 0.1, 0.5, 0.4]  # 0.5 where it never falls so far
    assert frame.effective_dimension.tolist() == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])
    assert frame.affine_rest.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert frame.recovery.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert frame.stitching_cost.tolist() == [2.0, 3, 4, 5, 6]


def test_planted_correlations_come_out(more):
    found = correlations(gather(read_runs(more))).set_index(["index", "target"])
    rho = found.spearman
    assert rho["effective_dimension", "ood_drop"] == -1 and rho["affine_rest", "ood_drop"] == 1
    assert rho["recovery", "ood_drop"] == rho["stitching_cost", "ood_drop"] == 1
    ranks = pd.Series([1.0, 3, 2, 5, 4]).corr(pd.Series(DROPS))
    assert rho["leak_share", "ood_drop"] == pytest.approx(ranks)
    # Holm over the eight indices of a target
    p = found.p.xs("ood_drop", level="target")
    assert len(p) == 8
    assert found.p_corrected["recovery", "ood_drop"] == pytest.approx(8 * 2 / 120)


def test_no_number_is_held_against_what_is_computed_from_it(more, tmp_path):
    found = correlations(gather(read_runs(more)))
    pairs = set(zip(found["index"], found.target, strict=True))
    for name in ("leak_share", "cutoff"):
        assert {target for index, target in pairs if index == name} == {"ood_drop", "unseen"}
    assert ("affine_rest", "drop_leak") in pairs and ("srga", "drop_damage") in pairs
    described = set(found["index"][found.describes])
    assert described == {"recovery", "stitching_cost"}
    result = correlate(more)
    with pytest.raises(BadInput, match="drop_leak is computed from the same errors"):
        result.plot_index("cutoff", target="drop_leak")
    assert result.plot_index("cutoff").get_xlabel().startswith("content cutoff under")
    assert "clean images" in result.plot_index("recovery").get_xlabel()
    text = result.text().replace("\n", " ")
    assert "it is no prediction" in " ".join(text.split())
    assert "computed from the same errors" in " ".join(text.split())


def test_an_error_decomposition_alone_has_indices_but_none_of_its_own_parts(runs):
    alone = folder("e", "error", NAMES, error=error_table([0.1, 0.3, 0.2, 0.5, 0.4], [0.1] * 5))
    found = correlations(gather(read_runs([runs[0], alone])))
    assert set(found["index"]) == {"leak_share", "cutoff"}
    assert set(found.target) == {"ood_drop", "unseen"}
    assert found[found["index"] == "cutoff"].spearman.isna().all()  # it does not vary


def test_without_a_noise_trained_on_there_is_no_number(more):
    frame = error_table([0.1, 0.3, 0.2, 0.5, 0.4], [0.1] * 5)
    frame = frame[frame.noise != "gaussian:15"]
    other = folder("e2", "error", NAMES, error=frame)
    found = gather(read_runs([*more[:3], other]))
    assert found.leak_share.isna().all() and found.cutoff.isna().all()


@pytest.mark.parametrize(
    "place, table, message",
    [
        ("l", pd.DataFrame({"model": NAMES}), r"l: incomplete or damaged \(.*\); run it again"),
        ("t", pd.DataFrame({"model": NAMES}), r"t: incomplete or damaged \(.*\); run it again"),
    ],
)
def test_a_damaged_table_is_one_line(more, in_process, place, table, message):
    table.to_csv(
        Path(place) / f"{'linear' if place == 'l' else 'causal_together'}.csv", index=False
    )
    with pytest.raises(BadInput, match=message):
        gather(read_runs(more))
    code, _, err = in_process(compare_command.main, *map(str, more))
    assert code == 2 and len(err.strip().splitlines()) == 1


def test_indices_without_any_value_are_not_drawn(more):
    empty = causal_table().assign(held_out=np.nan)
    found = correlate(
        [*more[:4], folder("w", "causal", NAMES, causal=empty, causal_together=empty)]
    )
    (figure,) = found.figures().values()
    labels = [axes.get_xlabel() for axes in figure.axes if axes.lines]
    assert found.models.recovery.isna().all() and len(labels) == 4
    assert not any("recovery" in label for label in labels)


def test_names_differ_and_tables_are_written_by_their_analyses():
    names = [one.index.name for one in candidates()]
    assert len(set(names)) == len(names)
    for one in MORE:
        assert one.index.table in analysis(one.kind).table_names
    assert set(kinds()) > {"error", "linear", "causal", "stitch", "srga", "cka"}


def test_sentences_without_such_indices_say_nothing_of_them():
    frame = pd.DataFrame({"index": ["srga"], "describes": [False]})
    assert reading.describing(frame) == reading.coupled(frame) == []
    assert ANALYSIS.table_names[0] == "compare"
