"""The verdict of a report: never too long, never more than its intervals say."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.generalization.pairwise_tests import OUTSIDE, paired_differences
from analysis.report import basis, verdict
from analysis.report.evidence import Evidence
from analysis.stats.model_differences import MEAN
from analysis.text.markdown import plain
from tests.helpers.benchmark_frames import NAN

NOISES = {
    "gaussian:15": ("gaussian", 15.0),
    "gaussian:50": ("gaussian", 50.0),
    "poisson:2": ("poisson", 2.0),
    "poisson:3.5": ("poisson", 3.5),
    "isp": ("isp", NAN),
    "mixture:4": ("mixture", 4.0),
    "spatial:40": ("spatial", 40.0),
    "spatial:60": ("spatial", 60.0),
    "speckle:0.04": ("speckle", 0.04),
    "salt_pepper:0.02": ("salt_pepper", 0.02),
    "other:1": ("other", 1.0),
}

Interval = tuple[float, float]
"""A value and half the width of its interval."""


def ends(found: Interval) -> dict[str, float]:
    value, half = found
    return {"low": value - half, "high": value + half}


def evidence(
    models: list[str],
    pairs: dict[tuple[str, str], dict[str, Interval]] | None = None,
    photographs: int = 24,
    p: float = 0.001,
    classical: dict[str, Interval] | None = None,
    gains: dict[str, dict[str, Interval]] | None = None,
    parts: dict[str, Interval] | None = None,
    leaks: dict[str, Interval] | None = None,
    trained: str = "gaussian:15",
) -> Evidence:
    """Tables with given paired differences (a - b), of the joint mean under `OUTSIDE`."""
    under = [n for of in (pairs or {}).values() for n in of if n != OUTSIDE]
    noises = list(dict.fromkeys([*under, *(n for of in (gains or {}).values() for n in of)]))
    own = p if photographs >= 10 else NAN
    tests = [
        {"noise": noise, "metric": "psnr", "model_a": a, "model_b": b, "difference": found[0]}
        | {**ends(found), "p": own, "p_holm": own, "better": 1.0, "photographs": photographs}
        for (a, b), of in (pairs or {}).items()
        for noise, found in of.items()
    ]
    rows: list[dict[str, Any]] = []
    for noise in noises:
        for model in models:
            gain = (gains or {}).get(model, {}).get(noise, (2.0, 1.0))
            bounds = {f"gain_{end}": value for end, value in ends(gain).items()}
            kind, level = NOISES[noise]
            about = {"noise": noise, "kind": kind, "level": level, "crops": 48, "model": model}
            about |= {"metric": "psnr", "photographs": photographs, "gain": gain[0], **bounds}
            about["mean"] = 30.0 - models.index(model)
            rows.append(about | {"in_distribution": noise == trained})
    scores = [
        {"model": model, "metric": "psnr", "in_distribution": 30.0, "mean": 27.0}
        | {"out_of_distribution": 27.0 - place}
        for place, model in enumerate(models)
    ]
    beyond = [
        {"metric": "psnr", "model": model, "compared_with": "best classical", "noise": OUTSIDE}
        | {"reference": "classical:median:3", "gain": found[0], "photographs": photographs}
        | ends(found)
        for model, found in (classical or {}).items()
    ]
    frames = {
        "generalization": pd.DataFrame(scores, columns=None if scores else ["model", "metric"]),
        "noises": pd.DataFrame(rows, columns=None if rows else ["model", "metric", "photographs"]),
        "tests": pd.DataFrame(tests, columns=list(tests[0]) if tests else TESTS),
    }
    if beyond:
        frames["references"] = pd.DataFrame(beyond)
    error = {}
    if parts or leaks:
        measured = [
            {"measure": measure, "model_a": models[0], "model_b": models[1], "noise": MEAN}
            | {"value": found[0], "photographs": photographs, **ends(found)}
            for measure, found in (parts or {}).items()
        ]
        shares = [
            {"model": models[0], "noise": noise, "photographs": photographs, "leak_share": v}
            | {"leak_share_low": v - half, "leak_share_high": v + half}
            for noise, (v, half) in (leaks or {}).items()
        ]
        columns = ["model", "noise", "photographs", "leak_share"]
        error = {"error": pd.DataFrame(shares, columns=None if shares else columns)}
        if measured:
            error["error_difference"] = pd.DataFrame(measured)
    manifest = {"models": {name: {} for name in models}, "in_distribution": [trained], "crop": 96}
    return Evidence(frames, manifest, error, models)


TESTS = ["noise", "metric", "model_a", "model_b", "difference", "low", "high", "p", "p_holm"]
TESTS += ["better", "photographs"]

AHEAD = {
    ("a", "b"): {
        OUTSIDE: (0.26, 0.35),
        "gaussian:15": (-3.6, 1.0),
        "gaussian:50": (2.5, 0.6),
        "poisson:2": (1.0, 0.5),
        "poisson:3.5": (1.9, 0.7),
        "isp": (-0.1, 1.0),
    }
}
PARTS = {"leak": (-1.3, 0.3), "damage": (0.8, 0.3)}


def test_of_few_photographs_it_speaks_of_these_alone():
    found = evidence(["a", "b"], AHEAD, photographs=4, parts=PARTS)
    assert plain(verdict.verdict(found)) == (
        "No clear winner on average (a +0.3 dB, too few images). On these 4 photographs a leads "
        "under Gaussian 50, Poisson; b under Gaussian 15; b leaks more noise, a loses more detail."
    )
    assert "on these photographs, by the interval alone" in basis.rule(found)


def test_a_failure_that_is_not_one_under_each_noise_is_one_on_average():
    found = evidence(["a", "b"], AHEAD, photographs=4, parts=PARTS)
    table = found.error["error_difference"]
    leak = table[table.measure == "leak"].assign(noise="poisson:3.5")
    for factor, words in ((1, "; b leaks more"), (-1, "; on average b leaks more")):
        single = leak.assign(**{name: factor * leak[name] for name in ("value", "low", "high")})
        error = found.error | {"error_difference": pd.concat([table, single])}
        assert words in plain(verdict.verdict(replace(found, error=error)))


def test_each_section_speaks_of_its_own_photographs():
    many, few = (evidence(["a", "b"], AHEAD, photographs=n, parts=PARTS) for n in (24, 4))
    text = plain(verdict.verdict(replace(many, error=few.error)))
    assert "is better under" in text and "leads" not in text
    assert "On these 4 photographs " in text.rpartition("under")[2]  # of how they fail alone
    text = plain(verdict.verdict(replace(few, error=many.error)))
    assert "On these 4 photographs a leads under" in text
    assert "photographs" not in text.rstrip(".").rpartition(". ")[2]  # how they fail is of 24


def test_of_many_photographs_it_says_what_is_shown():
    found = evidence(["a", "b"], AHEAD, parts=PARTS, classical={"a": (-1, 0.5), "b": (-2, 0.5)})
    assert plain(verdict.verdict(found)) == (
        "No clear winner on average (a +0.3 dB, not shown). Both are worse than a classical "
        "filter. a is better under Gaussian 50, Poisson; b under Gaussian 15. b leaks more "
        "noise, a loses more detail."
    )
    assert "alone" not in basis.rule(found)
    (line,) = basis.references(found)
    assert line == (
        "Advantage over the best classical reference (3 × 3 median): `a` -1.00 dB and `b` "
        "-2.00 dB: shown."
    )
    ahead = found.tested.assign(model="classical:blur:0.8", mean=30.5)
    ahead = pd.concat([found.tested, ahead.drop_duplicates("noise").query("noise == 'isp'")])
    better = replace(found, scores={**found.scores, "noises": ahead})
    (line,) = basis.references(better)
    assert line.endswith(
        ": shown; a classical one has a better mean than every network under camera."
    )
    won = {("a", "b"): {OUTSIDE: (1.26, 0.35), "isp": (2.0, 1.0), "gaussian:15": (2.0, 1.0)}}
    assert plain(verdict.verdict(evidence(["a", "b"], won))) == (
        "a is better on average (1.3 dB, shown). a is better under all 2 noises."
    )


def test_of_three_models_the_best_is_compared_with_all_others():
    under = {OUTSIDE: (1.0, 0.5), "isp": (2.0, 1.0), "poisson:2": (0.1, 1.0)}
    pairs = {("a", "b"): under, ("a", "c"): under, ("b", "c"): under}
    assert plain(verdict.verdict(evidence(["a", "b", "c"], pairs))) == (
        "a is better on average than all 2 others (by 1.0 dB or more, shown). a is better than all "
        "others under camera."
    )
    pairs["a", "b"] = {OUTSIDE: (0.1, 0.5), "isp": (0.0, 1.0), "poisson:2": (0.1, 1.0)}
    assert plain(verdict.verdict(evidence(["a", "b", "c"], pairs))) == (
        "No clear winner on average among 3 models: a is better than 1 of 2 others (shown). No "
        "noise shows a difference."
    )


def test_a_single_model_is_compared_with_the_best_classical_reference():
    leaks = {"gaussian:15": (0.3, 0.1), "isp": (0.8, 0.1), "poisson:2": (0.9, 0.1)}
    gains = {"a": {"gaussian:15": (5.0, 1.0), "isp": (-2.0, 1.0), "poisson:2": (3.0, 1.0)}}
    found = {"classical": {"a": (1.2, 0.5)}, "gains": gains, "leaks": leaks}
    assert plain(verdict.verdict(evidence(["a"], **found))) == (
        "a is better than the best classical reference on average (+1.2 dB, shown). It improves on "
        "the noisy input under 2 of 3 noises, and is worse than it under camera. Its error under "
        "unseen noise is mostly leaked noise."
    )
    found["classical"] = {"a": (0.2, 0.5)}
    assert plain(verdict.verdict(evidence(["a"], photographs=4, **found))) == (
        "No clear advantage of a over the best classical reference on average (+0.2 dB, too few "
        "images). On these 4 photographs it improves on the noisy input under 2 of 3 noises, and "
        "is worse than it under camera."
    )
    alone = evidence(["a"], gains=gains)
    assert "has a mean PSNR of 27.00 dB under unseen noise" in verdict.verdict(alone)


def test_reports_without_networks_or_benchmark_have_a_verdict(tmp_path):
    assert verdict.headline(tmp_path) == "No model was scored: this report has no benchmark."
    assert basis.below(tmp_path) == basis.judged(tmp_path) == []
    assert "Classical denoisers alone" in verdict.verdict(evidence([]))


def test_the_example_has_a_verdict_and_its_numbers_are_in_its_tables():
    folder = Path("reports/example")
    text = verdict.headline(folder)
    assert verdict.count(text) <= verdict.MOST and "4 photographs" in text
    (row,) = (
        pd.read_csv(folder / "generalization/tests.csv")
        .query("metric == 'psnr' and noise == 'out of distribution'")
        .to_dict("records")
    )
    first, second = row["model_a"], row["model_b"]
    ahead = first if row["difference"] > 0 else second
    assert f"({ahead} +{abs(row['difference']):.1f} dB, too few images)" in text


values = st.floats(-6, 6).map(lambda v: round(v, 2))
halves = st.one_of(st.floats(0, 6).map(lambda v: round(v, 2)), st.just(math.nan))
intervals = st.tuples(values, halves)
names = st.sampled_from(
    ["baseline", "masked", "a model of very many words, indeed of nine", "`x`_|", "runs/a/model"]
)


@st.composite
def made(draw: st.DrawFn) -> Evidence:
    """Tables of one to four models, few or many photographs, with or without what is optional."""
    models = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    noises = draw(st.lists(st.sampled_from(list(NOISES)), min_size=1, unique=True))
    joint = [OUTSIDE] if draw(st.booleans()) else []
    pairs = {
        (a, b): {noise: draw(intervals) for noise in [*joint, *noises]}
        for i, a in enumerate(models)
        for b in models[i + 1 :]
    }
    optional: dict[str, Any] = {}
    if draw(st.booleans()):
        optional["classical"] = {model: draw(intervals) for model in models}
    if draw(st.booleans()):
        optional["leaks"] = {n: (draw(st.floats(0, 1)), draw(halves)) for n in noises}
        if len(models) > 1:
            optional["parts"] = {"leak": draw(intervals), "damage": draw(intervals)}
    gains = {model: {noise: draw(intervals) for noise in noises} for model in models}
    photographs, p = draw(st.sampled_from([1, 4, 9, 10, 24, 100])), draw(st.floats(0, 1))
    return evidence(models, pairs, photographs, p, gains=gains, **optional)


@settings(max_examples=60, deadline=None)
@given(made())
def test_it_is_short_and_claims_no_more_than_its_intervals(found: Evidence):
    text = verdict.verdict(found)
    assert (
        text and verdict.count(text) <= verdict.MOST and verdict.count(plain(text)) <= verdict.MOST
    )
    tests, models = found.scores["tests"], found.ranked
    every = [
        test
        for i, a in enumerate(models)
        for b in models[i + 1 :]
        for test in paired_differences(tests, "psnr", a, b).values()
    ]
    beyond = found.scores.get("references", pd.DataFrame({"low": [], "high": []}))
    clear = ((beyond.low > 0) | (beyond.high < 0)) & (beyond.get("photographs", 0) >= 10)
    if "better" in text or "shown)" in text.replace("not shown)", ""):
        assert any(test.decided for test in every) or clear.any()
    if re.search(r"worse than (the best|a) classical", text):
        assert clear.any()
    if "leads" in text:
        assert any(test.side for test in every) and "photograph" in text
    if len(models) == 2 and "on average (" in text and not text.startswith("No clear winner"):
        (joint,) = [row for row in tests.to_dict("records") if row["noise"] == OUTSIDE] or [
            tests.iloc[0].to_dict()
        ]
        assert joint["low"] > 0 or joint["high"] < 0
    if found.scores["noises"].photographs.max() < 10:
        assert "better" not in text and not re.search(r"(?<!not )shown", text)


@settings(max_examples=40, deadline=None)
@given(made())
def test_a_noise_is_named_only_where_a_model_is_ahead_of_every_other(found: Evidence):
    for model, noises in verdict.leads(found).items() if len(found.ranked) > 1 else ():
        for noise in noises:
            for other in found.ranked:
                if other != model:
                    test = paired_differences(found.scores["tests"], "psnr", model, other)[noise]
                    assert test.low > 0 and test.value > 0
