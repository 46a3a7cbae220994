"""Sentences, table and description of training and test curves."""

from __future__ import annotations

import math

import pandas as pd

from analysis.curves import reading, training_reading
from analysis.curves.tables import COLUMNS, best_steps

NAN = math.nan
LAST = ("last", "at", "step")
EMPTY = pd.DataFrame(columns=list(COLUMNS))
TESTED = {"trained": "g", "unseen": 2, "best_in_step": 200, "best_in_psnr": 32.0, "last_step": 300}
TESTED |= {"best_out_step": 100, "best_out_psnr": 25.0, "out_at_best_in": 22.0}
TESTED |= {"overfitting_gap": 3.0, "last_in_psnr": 31.0, "last_out_psnr": 21.0}
TESTED |= {"last_in_step": 300, "last_out_step": 200}
TESTED |= {"final_out_drop": 4.0, "last_loss_step": 300, "last_loss": 0.5}
UNTESTED = dict.fromkeys(TESTED, NAN) | {"trained": "", "unseen": 0}


def frames(*rows: dict[str, object], curves: pd.DataFrame = EMPTY) -> dict[str, pd.DataFrame]:
    return {"summary": pd.DataFrame(list(rows)), "curves": curves}


def said(tables: dict[str, pd.DataFrame], **manifest: object) -> str:
    return "\n".join(reading.sentences(tables, manifest))


def psnr_rows(source: str, run: str, *noises: str) -> pd.DataFrame:
    rows = [(run, source, "psnr", noise, 100, 30.0) for noise in noises]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_best_steps_and_what_later_steps_lose():
    both = frames(TESTED | {"run": "a"}, UNTESTED | {"run": "b"})
    text = said(both)
    assert "`a` 25.00 dB at step 100" in text
    assert "best under the noise trained on: `a` 3.00 dB." in text
    assert "step at which all unseen noises were tested: `a` 4.00 dB (step 100 to 200)." in text
    assert "Without test curves no best step is known: `b`;" in text and text.count("`b`") == 1
    assert "b ends with no values" in reading.alt(both)
    assert (
        "a ends with loss 0.5 at step 300, 31.00 dB under the noise trained on at step 300 and "
        "21.00 dB under unseen noise at step 200" in reading.alt(both)
    )
    assert "chosen on these same curves" in text


def test_without_test_curves_it_is_said_once_how_to_get_some():
    text = said(frames(UNTESTED | {"run": "b"}))
    assert text.count("--checkpoints FOLDER") == 1 and "nan" not in text and "best" in text
    assert "chosen on these same" not in text


def test_a_step_that_is_best_under_all_noises():
    same = TESTED | {"overfitting_gap": 0.0, "run": "a"}
    text = said(frames(same))
    assert "is as good as any under unseen noise: `a`." in text and "Overfitting gap" not in text


def test_of_many_runs_the_ends_are_named():
    rows = [
        TESTED | {"run": f"r{i}", "best_out_psnr": 20.0 + i, "last_loss": 0.1 * (i + 1)}
        for i in range(6)
    ]
    text = said(frames(*rows))
    assert "(highest and lowest of 6 runs): `r5` 25.00 dB at step 100 and `r0` 20.00 dB" in text
    assert "lowest and highest of 6 runs: `r0` 0.1 at step 300 and `r5` 0.6" in text
    assert "comparable only between runs with the same noise" in text


def test_which_test_curves_compare():
    mixed = pd.concat(
        [psnr_rows("validation", "a", "x", "y"), psnr_rows("checkpoints", "b", "x")],
        ignore_index=True,
    )
    text = said(frames(TESTED | {"run": "a"}, TESTED | {"run": "b"}, curves=mixed))
    assert "unseen noises of the runs differ" in text and "may be of different images" in text
    assert "over each run's own unseen noises: `a` 25.00 dB" in text
    twice = pd.concat(
        [psnr_rows("validation", "a", "x"), psnr_rows("checkpoints", "a", "x")], ignore_index=True
    )
    text = said(frames(TESTED | {"run": "a"}, curves=twice))
    assert "in place of the logged test curves of `a`" in text and "different" not in text
    partial = said(frames(TESTED | {"run": "a", "best_out_psnr": NAN}, curves=EMPTY))
    assert "`a` has no step at which all unseen noises were tested." in partial


def test_values_that_are_not_finite_are_counted_and_notes_are_passed_on():
    evaluated = psnr_rows("checkpoints", "a", "x")
    manifest = {"checkpoints": {"m": ["a", 1], "n": ["a", 2]}, "noises": ["x"]}
    text = said(frames(TESTED | {"run": "a"}, curves=evaluated), notes=["A note."], **manifest)
    assert "Of the evaluated checkpoints, 1 value dropped: NaN or infinite." in text
    assert "\nA note.\n" in text


def test_best_and_last_values_of_each_test_curve():
    steps = {300: 29.0, 100: 30.0, 200: 30.0, 400: NAN}  # in no order; of equal ones the first
    rows = [("a", "validation", "psnr", "x", step, value) for step, value in steps.items()]
    rows += [("a", "validation", "psnr", "y", 100, NAN), ("b", "validation", "psnr", "x", 7, 20.0)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    found = training_reading.test_values({"curves": table}).to_dict("split")["data"]
    assert found[0] == ["a", "x", 30.0, 100, 29.0, 300, 1]
    assert found[1][:2] == ["a", "y"] and all(math.isnan(value) for value in found[1][2:6])
    assert found[2] == ["b", "x", 20.0, 7, 20.0, 7, 1]
    one = table[(table.run == "a") & (table.noise == "x")]
    single = pd.concat(one.assign(value=one.value + by, training=str(by)) for by in (0, 1, 5))
    several = {"curves": table, "curves_by_training": single}
    found = training_reading.test_values(several).to_dict("split")["data"]
    assert found[0] == ["a", "x", 32.0, 100, 31.0, 300, 3]


def test_the_table_for_the_terminal():
    rows = frames(TESTED | {"run": "a"}, UNTESTED | {"run": "b"})
    head, names, inside, outside, *rest = reading.terminal_table(rows, {}).splitlines()
    assert head == "Training and test curves of 2 runs" and names.split()[:2] == ["run", "noise"]
    assert inside.split() == ["a", "g,", "trained", "on", "32.00", "200", "31.00", "300"]
    assert outside.split()[5:] == ["25.00", "100", "22.00", "3.00", "21.00", "200", "4.00"]
    assert rest[-1].split() == ["a", "300", "0.5"]
    manifest = {"checkpoints": {"m": ["a", 1]}, "crops": [1], "images": ["x", "y"], "crop": None}
    text = reading.terminal_table(frames(UNTESTED | {"run": "b"}), manifest)
    assert text == "Training and test curves of 1 run; 1 checkpoint evaluated on 1 image (x, y)"


def test_best_steps_of_the_runs_that_have_some():
    rows = frames(TESTED | {"run": "a"}, UNTESTED | {"run": "b"})["summary"]
    table = best_steps(rows)
    assert list(table["trained on"]) == ["g", ""] and table["best step"][0] == 200
    whole = rows.astype({"best_in_step": "Int64", "best_out_step": "Int64"})
    pd.testing.assert_frame_equal(best_steps(whole), table)  # as it is before it is written
    unknown = best_steps(rows.assign(trained=""))
    assert list(unknown["trained on"]) == ["–", ""]  # of the run with test curves
    assert list(best_steps(rows[1:])) == ["run"]


def test_how_curves_are_read_is_said_of_those_that_are_there():
    def text(smooth: float, trained: str = "g", **row: float) -> str:
        return "\n".join(reading.drawing(frames(row | {"trained": trained}), {"smooth": smooth}))

    losses = text(0.9, last_step=NAN, last_loss=0.5)
    assert "Losses are smoothed" in losses and "Rings" not in losses and "PSNR" not in losses
    alone = text(0.9, last_step=100.0, last_loss=NAN)
    assert "Rings" in alone and "PSNR" in alone and "Loss" not in alone
    both = text(0, last_step=100.0, last_loss=0.5)
    assert "Losses are as logged." in both and "Rings" in both
    unknown = text(0, "unknown", last_step=100.0, last_loss=NAN)
    assert unknown == "Test curves, PSNR on test images, are not smoothed."


def test_where_it_is_unknown_what_was_trained_on_each_test_curve_has_a_best_step():
    rows = [("a", "kair", "psnr", "test", s, v) for s, v in ((100, 30.0), (200, 32.0), (300, 31.0))]
    rows += [("a", "kair", "psnr", "test 2", s, v) for s, v in ((100, 24.0), (200, 23.0))]
    curves = pd.DataFrame(rows, columns=list(COLUMNS))
    unknown = dict.fromkeys(TESTED, NAN) | {"run": "a", "trained": "unknown", "unseen": 0}
    both = frames(unknown | {"last_step": 300}, curves=curves)
    text = said(both)
    assert text.startswith(
        "Best PSNR of each test curve: `a` 32.00 dB at step 200 (`test`) and `a` 24.00 dB at step "
        "100 (`test 2`)."
    )
    assert "What `a` was trained on is unknown" in text and "Overfitting" not in text
    assert "RUN=SPEC` states it, where SPEC is a noise or a test set such as `test`." in text
    table = reading.terminal_table(both, {})
    assert table.splitlines()[1].split() == ["run", "noise", *("best", "at", "step"), *LAST]
    assert "stopped early" not in table and "drop" not in table
    lines = [line.split() for line in table.splitlines()[2:4]]
    assert lines == [
        ["a", "test", "32.00", "200", "31.00", "300"],
        ["a", "test", "2", "24.00", "100", "23.00", "200"],
    ]
    assert "trained on" not in table
