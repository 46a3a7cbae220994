"""Networks whose features do not vary or are not finite: blank, and nothing else changes."""

from __future__ import annotations

import io
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import analysis as analyses
from analysis.commands.command import run_arguments, run_in_memory
from analysis.commands.registry import analysis
from analysis.commands.result import Result
from analysis.commands.run_tables import read_tables
from analysis.compare.command import correlate
from analysis.report import folders as report_folders
from analysis.report import leaderboard
from analysis.report import reading as report_reading
from analysis.report.command import parse
from analysis.report.command import run_arguments as report
from analysis.report.settings import ReportOptions
from tests.helpers import external_networks

UNSEEN: dict[str, Any] = {"noises": ["poisson:3.5", "gaussian:50"], "limit": 5, "crop": 16}
PAIR: dict[str, Any] = {"noises": ["gaussian:15", "gaussian:50"], "limit": 5, "crop": 16}
RUNS: dict[str, dict[str, Any]] = {
    "srga": UNSEEN | {"limit": 20},
    "distributions": UNSEEN,
    "degradation": PAIR,
    "sensitivity": PAIR,
    "brightness": PAIR,
    "error": PAIR,
    "linear": PAIR | {"limit": 2, "crop": 8, "levels": "15"},
    "causal": PAIR | {"noises": ["gaussian:50"]},
    "stitch": PAIR,
    "attribution": PAIR | {"limit": 2, "steps": 2, "side": 4},
    "generalization": PAIR | {"lpips": False},
    "cka": PAIR | {"compare": "cross-noise", "positions": 16},
}
REASONS = {"dead": "its features do not vary", "broken": "its features are not finite"}
HISTOGRAM = {
    "dead": " by more than a bin of their histogram",
    "broken": ", or beyond ±1e+06",
}
LAST = "input:last"


class BrokenByNoise(nn.Module):
    """What goes into the last convolution is NaN for images as noisy as gaussian:50."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        strong = (x[..., 1:] - x[..., :-1]).abs().median() > 0.12
        return x - self.last(self.first(x) / (0 if strong else 1))


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    space: dict[str, Any] = {}
    exec(external_networks.SOURCE, space)
    kinds = ("Plain", "Plain", "Plain", "Plain", "Dead", "NotFinite", "Plain")
    names = ("plain", "other", "third", "fourth", "dead", "broken", "zero")
    made: dict[str, nn.Module] = {}
    for seed, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        torch.manual_seed(seed)
        made[name] = space[kind]()
    with torch.no_grad():
        for parameter in made["zero"].parameters():
            parameter.zero_()
    torch.manual_seed(0)
    return made | {"unsteady": BrokenByNoise()}


def run(name: str, networks: dict[str, nn.Module], *models: str, **settings: Any) -> Result:
    given = {model: networks[model] for model in models}
    return run_in_memory(analysis(name), given, progress=False, **RUNS[name] | settings)


def of_model(frames: Any, model: str) -> dict[str, pd.DataFrame]:
    """The rows of a model alone in every table that has models."""
    own = {}
    for name, frame in frames.items():
        named = ("model", "model_a", "model_b", "sender", "receiver")
        columns = [c for c in named if c in frame]
        rows = frame[(frame[columns] == model).all(axis=1)] if columns else frame[:0]
        own[name] = rows.reset_index(drop=True)
    return own


@pytest.mark.drawn
@pytest.mark.parametrize("name", RUNS)
def test_other_models_keep_their_numbers_to_the_last_digit(networks, name):
    alone = of_model(run(name, networks, "plain").frames, "plain")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(name, networks, "dead", "plain", "broken", "zero")
        for figure in result.figures().values():
            figure.savefig(io.BytesIO(), dpi=20)
    both = of_model(result.frames, "plain")
    assert any(len(rows) for rows in alone.values())
    for table, rows in alone.items():
        left_out = ["mean_rank", "p", "p_corrected"]  # of several models by their meaning
        sides = [side.drop(columns=left_out, errors="ignore") for side in (both[table], rows)]
        # CKA's products are of all models at once, in single precision
        how: dict[str, Any] = {"rtol": 1e-6} if name == "cka" else {"check_exact": True}
        pd.testing.assert_frame_equal(*sides, check_dtype=False, **how)
    text = " ".join([*result.sentences(), str(result)])
    assert "nan dB" not in text and "is –" not in text


@pytest.mark.parametrize("name", ["srga", "distributions"])
def test_values_by_noise_are_blank_with_the_reason(networks, name):
    value = {"srga": "srga", "distributions": "w1_relative"}[name]
    result = run(name, networks, "plain", "dead", "broken")
    frame = result.frames[name]
    for model, reason in REASONS.items():
        rows = frame[frame.model == model]
        assert len(rows) == 3 and rows[[value, "sigma", "shape"]].isna().all(axis=None)
        if name == "distributions":
            reason += HISTOGRAM[model]
        assert set(rows.reason) == {reason}
        said = f"No value for {LAST} of `{model}` under Gaussian σ = 15 and 50, and Poisson "
        assert f"{said}α = 3.5: {reason}." in result.sentences()
    healthy = frame[frame.model == "plain"]
    assert healthy[value].notna().all() and set(healthy.reason) == {""}
    notes = analysis(name).notes(result.frames, result.manifest)
    assert sum(note.startswith("No value for") for note in notes) == 2


@pytest.mark.parametrize("name", ["srga", "distributions"])
@pytest.mark.parametrize("broken_reference", [False, True])
def test_a_noise_without_features_leaves_the_others(networks, name, broken_reference):
    value = {"srga": "srga", "distributions": "w1"}[name]
    specs = ("gaussian:15", "gaussian:20", "gaussian:50")
    reference, *noises = specs[::-1] if broken_reference else specs
    result = run(name, networks, "unsteady", reference=reference, noises=noises)
    rows = result.frames[name].set_index("noise")
    assert rows.reason["gaussian:50"].startswith(REASONS["broken"])
    if broken_reference:
        assert rows[value].isna().all()
        assert rows.reason["gaussian:20"].endswith(" under Gaussian σ = 50, the reference")
    else:
        assert math.isnan(rows[value]["gaussian:50"]) and rows[value]["gaussian:20"] > 0
        assert rows.reason["gaussian:20"] == ""
    result.figures()


def test_layers_that_do_not_vary_have_no_separability_and_no_points(networks):
    result = run("degradation", networks, "plain", "dead", "broken", "zero")
    frame = result.frames["degradation"].set_index(["model", "layer"])
    for model, reason in REASONS.items():
        assert frame.reason[model].to_dict() == {"first": "", LAST: reason, "last": reason}
        assert math.isnan(frame.ch_noise[model, LAST]) and frame.ch_noise[model, "first"] > 0
        assert frame.highest[model, "first"] and frame.last_features[model, LAST]
        assert f"No value for {LAST} of `{model}`: {reason}." in result.sentences()
    assert frame.ch_noise["zero"].isna().all() and not frame.highest["zero"].any()
    points = result.frames["embedding"]
    embedded = set(zip(points.model, points.layer, strict=True))
    assert {pair for pair in embedded if pair[0] != "plain"} == {
        ("dead", "first"),
        ("broken", "first"),
    }


def test_sensitivity_says_why_a_layer_has_no_change(networks):
    result = run("sensitivity", networks, "plain", "dead", "broken")
    frame = result.frames["sensitivity"]
    reasons = frame[frame.layer == "last"].groupby("model").reason.first()
    constant = "its features do not vary over clean images"
    assert reasons.to_dict() == {"plain": "", "dead": constant, "broken": REASONS["broken"]}
    assert (frame.change.isna() == (frame.reason != "")).all()
    under = "under Gaussian σ = 15 and 50"
    assert f"No value for last of `dead` {under}: {constant}." in result.sentences()


def test_attribution_of_outputs_that_are_not_finite_has_no_numbers(networks):
    result = run("attribution", networks, "plain", "broken")
    numbers = ["di", "outside", "reach50", "reach90", "completeness"]
    frame = result.frames["attribution"]
    assert frame[frame.model == "broken"][numbers].isna().all(axis=None)
    text = " ".join(result.sentences())
    assert "6 of 6 maps of `broken` have no numbers, as outputs or their gradients are not" in text
    assert "hold no detail" not in text and "pairs of maps" not in text


def test_sentences_do_not_compare_what_has_no_value(networks):
    text = " ".join(run("cka", networks, "plain", "dead").sentences())
    assert "at the last layer `dead` - `plain` has no value." in text and "is –" not in text
    text = " ".join(run("generalization", networks, "plain", "broken").sentences())
    assert "Undecided under" not in text


@pytest.mark.drawn
@pytest.mark.parametrize("name", ["srga", "distributions", "degradation", "cka", "sensitivity"])
def test_a_run_of_such_a_model_alone_is_finished_and_says_why(networks, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(name, networks, "zero")
        for figure in result.figures().values():
            figure.savefig(io.BytesIO(), dpi=20)
        if name == "distributions":
            result.plot_histogram()  # type: ignore[attr-defined]
        if name == "degradation":
            result.plot_plane(layer="highest")  # type: ignore[attr-defined]
    assert any(s.startswith("No value for") and "of `zero`" in s for s in result.sentences())
    assert "–" not in " ".join(result.sentences())


@pytest.mark.slow
def test_it_has_no_index_and_the_others_are_compared(networks):
    names = ("plain", "other", "third", "fourth")
    how = {"noises": ["poisson:3.5", "gaussian:50"], "limit": 5, "crop": 16, "progress": False}
    how |= {"in_distribution": ["gaussian:15"], "skip": ["cka", "sensitivity"]}
    alone = correlate({name: networks[name] for name in names}, **how)
    result = correlate({name: networks[name] for name in (*names, "dead")}, **how)
    indices = ["srga", "separability", "distance"]
    frame = result.frames["compare"].set_index("model")
    assert frame.loc["dead", indices].isna().all() and frame.ood_drop.notna().all()
    expected = alone.frames["compare"].set_index("model")
    pd.testing.assert_frame_equal(frame.loc[list(names)], expected, check_exact=True)
    columns = ["index", "target", "models", "spearman", "p"]
    found = result.frames["correlations"][columns]
    pd.testing.assert_frame_equal(found, alone.frames["correlations"][columns])
    assert set(found.models) == {4}
    text = " ".join(result.sentences())
    assert f"No value for {LAST} of `dead` under" in text
    few = correlate({name: networks[name] for name in (*names[:3], "dead")}, **how)
    assert few.frames["correlations"].spearman.isna().all()
    assert any(s.startswith("No index can be correlated") for s in few.sentences())
    few.figures()


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's classes in the module `degenerate`, and weights of one, beside the tiny pair."""
    monkeypatch.chdir(pair)
    (pair / "degenerate.py").write_text(external_networks.SOURCE)
    monkeypatch.syspath_prepend(pair)
    monkeypatch.delitem(sys.modules, "degenerate", raising=False)
    space: dict[str, Any] = {}
    exec(external_networks.SOURCE, space)
    torch.save(space["Dead"]().state_dict(), "Dead.pth")
    return pair


DEAD = ("--model", "degenerate:Dead", "--checkpoint", "Dead.pth")


def test_commands_write_it_and_resume(folder):
    few = ("--crop", "16", "--limit", "4", "--noise", "poisson:3.5", "--quiet")
    for name in ("srga", "distributions"):
        arguments = ["plain.pth", *DEAD, *few, "--output-dir", name]
        run_arguments(analysis(name), arguments, "test")
        again = run_arguments(analysis(name), [*arguments, "--resume"], "test")
        frame = read_tables(again, [name])[name]
        assert frame[frame.model == "Dead"].reason.ne("").all()
        opened = analyses.open_run(again, name)
        assert any(s.startswith("No value for") for s in opened.sentences())
        opened.figures()


@pytest.mark.slow
def test_a_report_has_all_its_sections_and_is_verified(folder):
    small = ("--limit", "4", "--crop", "24", "--noise", "poisson:3.5", "--quiet")
    request = parse(["plain.pth", *DEAD, *small, "--output-dir", "out"])
    options = ReportOptions(sections="srga,distributions,degradation")
    made = report_folders.compute(request.models, request.settings, options, request.output)
    board = leaderboard.scores(made.folder.path).set_index("model")
    assert board.loc["Dead"].isna().all() and board.loc["plain"].notna().all()
    answers = report_reading.answers(made.folder.path)
    assert answers and all(row["Dead"] == "–" for row in answers)
    report([*DEAD, "--verify", "out", "--share", "1", "--quiet"])
    for seed in ("0", "1", "2"):  # rows of that model alone, too
        report([*DEAD, "--verify", "out", "--share", "0.01", "--verify-seed", seed, "--quiet"])
