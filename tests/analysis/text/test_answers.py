"""Answers of sections: one sentence without intervals, with evidence and a number of each model."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.cka import answer as cka_answer
from analysis.commands.registry import with_modes
from analysis.curves import answer as curves_answer
from analysis.error import answer as error_answer
from analysis.generalization import answer as generalization_answer
from analysis.report import contents, leaderboard, reading
from analysis.stats.model_differences import MEAN
from analysis.text.answers import Answer, between, compared, judged, of_sentences, opposite
from analysis.text.model_differences import ModelDifferences
from tests.helpers.benchmark_frames import NAN, PAIR, benchmark
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "reports/example"
WORDS = {"", "shown", "not shown", "too few images"}


def test_every_section_of_the_example_has_an_answer_without_intervals():
    rows = reading.answers(EXAMPLE)
    assert [row["section"] for row in rows] == [
        about
        for name, about in reading.report_sections.headings().items()
        if name in contents.sections(EXAMPLE)
    ]
    for row in rows:
        assert row["answer"].endswith(".") and not re.search(r"\[[-+\d]", row["answer"])
        assert row["evidence"] in {
            "–",
            "too few images",
            "hardly comparable",
        }  # of four photographs
        assert "shown" not in row["answer"]
        assert row["baseline"] != "–" != row["masked"]


def test_answers_on_means_say_where_the_order_is_reversed_and_where_models_are_not_comparable():
    answers = {row["section"]: row["answer"] for row in reading.answers(EXAMPLE)}
    assert "though larger in `masked` under Gaussian σ = 15" in answers["Local linear map"]
    frame = analysis.open_run(EXAMPLE / "linear", "linear").linear
    wide = frame.pivot(index="noise", columns="model", values="effective_dimension")
    assert (wide.baseline < wide.masked).to_dict() == {"gaussian:15": True, "poisson:3.5": False}
    assert "though" not in answers["Feature distributions"] + answers["Sensitivity"]
    srga = "Between models that are hardly comparable (PSNR under the reference differs by 3.9 dB "
    assert answers["SRGA"].startswith(srga)
    caption = leaderboard.leaderboard(EXAMPLE).data["text/html"]
    assert "SRGA: hardly comparable, PSNR differs by 3.9 dB under the reference" in caption


def differences(values, photographs=12, half=0.1, band=0.2):
    """A table of differences of two models by noise."""
    rows = [
        ("a", "b", noise, v, v - half, v + half, v - band, v + band, photographs)
        for noise, v in values.items()
    ]
    ends = ("value", "low", "high", "band_low", "band_high", "photographs")
    return ModelDifferences(pd.DataFrame(rows, columns=["model_a", "model_b", "noise", *ends]), "")


def test_an_order_is_reversed_where_intervals_say_so():
    values = {"gaussian:15": 0.15, "poisson:2": 0.5, "isp": -2.0, "mixture:4": -1e-9, MEAN: -1.0}
    means = {"a": 2.0, "b": 1.0}
    assert opposite(differences(values), means) == [
        "poisson:2"
    ]  # by intervals for all noises at once
    assert opposite(differences(values, 4), means) == ["gaussian:15", "poisson:2"]
    assert opposite(differences({"isp": 1.0}), means) == [] and opposite(None, means) == []
    ratios = differences({"isp": 1.5, "poisson:2": 0.5, MEAN: 0.8})._replace(ratio=True)
    assert opposite(ratios, means) == ["isp"]
    # a mean of ratios may have another order than the means themselves, which the sentence names
    assert opposite(ratios, {"a": 1.0, "b": 2.0}) == ["poisson:2"]


def test_what_is_not_shown_is_not_said():
    values = {"a": 0.5, "b": 0.41}
    assert "smaller" in compared("It", "x", values, "shown").sentence
    for evidence in WORDS - {"shown"}:
        assert "smaller" not in compared("It", "x", values, evidence).sentence
    assert compared("It", "x", {"a": 1.0}, "shown") == Answer(
        "It is 1.00 in `a`", "", "x", {"a": "1.00"}
    )
    many = compared("It", "x", {"a": 1.0, "b": 3.0, "c": 2.0, "d": NAN}, "shown", 0, "dB")
    assert many.sentence == "It goes from 1 dB in `a` to 3 dB in `b`, of 3 models."
    assert many.values["d"].startswith("–")
    assert compared("It", "x", {"a": NAN}).sentence == "It has no value here."


@given(st.lists(st.floats(-9, 9) | st.just(NAN), max_size=5), st.sampled_from(sorted(WORDS)))
def test_an_answer_is_one_sentence(values, evidence):
    found = compared("The value", "value", {f"m{i}": v for i, v in enumerate(values)}, evidence)
    assert found.sentence.startswith("The value ") and found.sentence.endswith(".")
    assert "nan" not in found.sentence and len(found.values) == len(values)


def rows_of(low: float, high: float, photographs: int = 24, noise: str = MEAN) -> pd.DataFrame:
    row = {"model_a": "a", "model_b": "b", "noise": noise, "value": (low + high) / 2, "low": low}
    row |= {"high": high, "photographs": photographs, "difference": (low + high) / 2}
    return pd.DataFrame([row | {"measure": "leak"}, row | {"measure": "damage"}])


def test_differences_are_judged_by_the_one_rule():
    for (low, high, photographs), word in {
        (0.1, 0.3, 24): "shown",
        (-0.1, 0.3, 24): "not shown",
        (0.1, 0.3, 4): "too few images",
    }.items():
        of = ModelDifferences(rows_of(low, high, photographs), "x.csv")
        assert judged(between(of)) == word
        frames = {"quarter_difference": rows_of(low, high, photographs)}
        assert cka_answer.evidence(frames) == word
    three = pd.concat([rows_of(1, 2), rows_of(1, 2).assign(model_b="c")])
    assert between(ModelDifferences(three, "x.csv")) is None and judged(None) == ""
    both = pd.concat([rows_of(1, 2), rows_of(-2, -1)])
    assert cka_answer.evidence({"quarter_difference": both}) == "not shown"  # which way?


def test_the_error_says_what_each_model_does_worse():
    frame = pd.DataFrame({"model": ["a", "b"], "leak_share": [0.8, 0.3]})
    rows = rows_of(1.0, 2.0)
    rows.loc[1, ["value", "low", "high"]] = [-1.0, -2.0, -0.5]
    found = error_answer.answer({"error": frame, "error_difference": rows})
    assert found.sentence == (
        "Of the error, averaged over noises, 80% in `a` and 30% in `b` is noise that leaks "
        "through; `a` lets more noise through and `b` loses more detail: shown."
    )
    assert found.evidence == "shown" and found.values == {"a": "80%", "b": "30%"}
    assert error_answer.answer({"error": frame[:1]}).evidence == ""


def test_the_benchmark_names_the_best_two():
    joint = {("a", "b"): {"out of distribution": (-5.0, -6.0, -4.0, 0.001)}}
    found = generalization_answer.answer(benchmark(PAIR, joint))
    assert found.sentence == (
        "`b` has a mean PSNR of 25.00 dB under unseen noise, `a` 20.00 dB: shown."
    )
    assert generalization_answer.answer(benchmark({"a": (30.0, 20.0)})).evidence == ""


@pytest.mark.parametrize(
    ("best", "words"), [(100, "at step 100 of 200"), (200, "at the last step (200)")]
)
def test_curves_say_whether_training_was_stopped_too_late(best, words):
    row = {"run": "a", "best_out_psnr": 25.0, "best_out_step": best, "last_out_step": 200}
    found = curves_answer.answer({"summary": pd.DataFrame([row])})
    assert words in found.sentence and found.values == {"a": "25.00"}


def test_sections_without_an_answer_of_their_own_give_their_first_sentence():
    found = of_sentences(["Cost of [x](#y): 1.0 dB [+0.5, +1.5] in `a`: shown.", "More."])
    assert found == Answer("Cost of [x](#y): 1.0 dB in `a`: shown", "shown")
    assert of_sentences([]).sentence


def test_a_run_of_another_kind_does_not_answer_by_the_tables_of_its_command():
    known = with_modes()
    kinds = {record.answer for record in known.values() if record.answer is not None}
    assert len(kinds) == sum(record.answer is not None for record in known.values())
    assert known["causal_effects"].answer is None
