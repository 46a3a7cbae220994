"""How the difference of two models changes from weak to strong noise."""

from __future__ import annotations

import pandas as pd
import pytest

import analysis
from analysis.generalization import strength
from analysis.text.noise_names import NOISY
from tests.helpers.benchmark_frames import NAN
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "reports/example"


def tables(differences, noisy):
    """A benchmark's tables of a − b by noise, and of the PSNR of the noisy input."""
    shared = {"metric": "psnr", "model_a": "a", "model_b": "b", "low": 0.0, "high": 0.0}
    shared |= {"p": NAN, "p_holm": NAN, "photographs": 4}
    tests = [{"noise": n, "difference": value, **shared} for n, value in differences.items()]
    noises = [
        {"noise": n, "kind": n.partition(":")[0], "level": float(n.partition(":")[2])}
        | {"metric": "psnr", "model": NOISY, "mean": value}
        for n, value in noisy.items()
    ]
    return {"tests": pd.DataFrame(tests), "noises": pd.DataFrame(noises)}


NOISY_PSNR = {"gaussian:15": 25.0, "gaussian:50": 15.0, "poisson:2": 22.0, "poisson:3": 19.0}


def test_a_change_is_from_the_weakest_to_the_strongest_level_of_each_kind():
    noisy = NOISY_PSNR | {"gaussian:25": 20.0, "isp:1": 30.0, "rendered:64": 20.0, "rendered:4": 9}
    values = dict.fromkeys(noisy, 1.0) | {"gaussian:50": -2.0, "poisson:3": 0.5, "rendered:4": -1.0}
    found = strength.changes(tables(values, noisy), "a", "b")
    assert [(one.kind, one.weak, one.strong, one.value) for one in found] == [
        ("gaussian", "gaussian:15", "gaussian:50", -3.0),
        ("poisson", "poisson:2", "poisson:3", -0.5),
        ("rendered", "rendered:64", "rendered:4", -2.0),  # fewer samples are the stronger noise
    ]
    text = strength.sentence(tables(values, noisy), "a", "b")
    assert "of all 3 kinds of noise" in text and "towards `b` (by 0.5 to 3.0 dB;" in text
    assert strength.towards(tables(values, noisy), "b", "a") == "b"


def test_nothing_is_said_of_one_kind_or_of_kinds_that_disagree():
    values = {"gaussian:15": 1.0, "gaussian:50": -1.0, "poisson:2": 1.0, "poisson:3": 2.0}
    assert strength.sentence(tables(values, NOISY_PSNR), "a", "b") == ""
    alike = tables(values | {"poisson:3": 1.0}, NOISY_PSNR)
    assert strength.towards(alike, "a", "b") == ""  # no change of one of them
    one = {n: v for n, v in NOISY_PSNR.items() if n.startswith("gaussian")}
    assert strength.sentence(tables(values, one), "a", "b") == ""
    unknown = tables(values | {"poisson:3": NAN}, NOISY_PSNR)
    assert [change.kind for change in strength.changes(unknown, "a", "b")] == ["gaussian"]


def test_the_example_by_its_own_means():
    result = analysis.open_run(EXAMPLE / "generalization", "generalization")
    frame = result.noises[result.noises.metric == "psnr"]
    wide = frame.pivot(index="noise", columns="model", values="mean")
    gap = wide.baseline - wide.masked
    by_kind = {c.kind: c for c in strength.changes(result.frames, "baseline", "masked")}
    assert set(by_kind) == {"gaussian", "spatial", "speckle", "poisson", "mixture"}
    for change in by_kind.values():
        assert change.value == pytest.approx(gap[change.strong] - gap[change.weak])
        assert change.value < 0 and wide[NOISY][change.weak] > wide[NOISY][change.strong]
    assert "towards `masked`" in result.answer().text
