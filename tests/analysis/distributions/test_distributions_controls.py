"""Controls of W1 and JS, from features taken by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from analysis.distributions import command, measure_distances, reading
from tests.helpers.control_features import counted, features, halves, photograph_of
from tests.helpers.divergences import direct_js

COUNT = 8
FEW = ("--crop", "16", "--limit", str(COUNT), "--quiet", "--noise", "poisson:3.5", "--noise", "isp")
TABLES = ["distributions", "distributions_difference"]
EXCESS = "Excess of W1 over that of the reference noise drawn again, due to the kind of noise: "

CONTROLS = ["ceiling", "floor", "untrained", "untrained_sd"]


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> dict[str, pd.DataFrame]:
    return read_tables(run_arguments(command.ANALYSIS, arguments, "test"), TABLES)


def by_hand(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """W1 in standard deviations, and JS."""
    x, y = reference.ravel(), test.ravel()
    return np.array([stats.wasserstein_distance(x, y) / x.std(), direct_js(x, y, 256)])


def taken(name: str, spec: str, seed: int | None = None) -> np.ndarray:
    return features(name, spec, COUNT, seed).double().numpy()


def test_differences_of_models_leave_the_same_photographs_out(folder):
    frame = started("plain.pth", "hidden.pth", *FEW, "--no-controls")["distributions_difference"]
    rows = frame.set_index(["measure", "noise"])
    of = np.array(photograph_of(COUNT))

    def difference(kept: np.ndarray) -> np.ndarray:
        """W1 and JS under isp, of some crops: hidden minus plain."""
        plain, hidden = (
            by_hand(*(taken(name, spec)[kept] for spec in ("gaussian:15", "isp")))
            for name in ("plain", "hidden")
        )
        return hidden - plain

    whole = difference(of >= 0)
    without = np.array([difference(of != i) for i in range(4)])
    half = stats.t.ppf(0.975, 3) * np.sqrt(3 / 4 * np.square(without - without.mean(0)).sum(0))
    for place, measure in enumerate(("w1_relative", "js")):
        row = rows.loc[measure, "isp"]
        assert row.value == pytest.approx(whole[place], rel=0.02, abs=2e-4)
        if measure == "w1_relative":  # whose bins do not change with the photographs
            assert row.high - row.value == pytest.approx(half[place], rel=0.05)
        every = rows.loc[measure]
        expected = every.value[["poisson:3.5", "isp"]].mean()
        assert every.value["mean over noises"] == pytest.approx(expected)


def test_controls_are_those_of_features_taken_by_hand(folder):
    frame = started("plain.pth", "hidden.pth", *FEW)["distributions"]
    rows = frame.set_index(["model", "noise"])
    of = np.array(photograph_of(COUNT))
    a, b = halves(COUNT)
    for name in ("plain", "hidden"):
        reference, test, again = (
            taken(name, spec) for spec in ("gaussian:15", "isp", "gaussian:15@1")
        )
        fresh = np.array(
            [by_hand(*(taken(name, s, seed) for s in ("gaussian:15", "isp"))) for seed in range(3)]
        )
        row = rows.loc[(name, "isp")]
        apart = [by_hand(reference[x], reference[y]) for x, y in ((a, b), (b, a))]
        expected = {
            "ceiling": by_hand(reference, again),
            "floor": np.mean(apart, axis=0),
            "untrained": fresh.mean(0),
            "untrained_sd": fresh.std(0, ddof=1),
        }
        for control, values in expected.items():
            for distance, value in zip(("w1_relative", "js"), values, strict=True):
                assert row[f"{distance}_{control}"] == pytest.approx(value, abs=1e-3), control
        without = np.array(
            [
                by_hand(reference[of != i], test[of != i])
                - by_hand(reference[of != i], again[of != i])
                for i in range(4)
            ]
        )[:, 0]
        half = stats.t.ppf(0.975, 3) * math.sqrt(3 / 4 * np.sum((without - without.mean()) ** 2))
        above = row.w1_relative_above_ceiling
        assert above == pytest.approx(row.w1_relative - row.w1_relative_ceiling)
        assert row.w1_relative_above_ceiling_high - above == pytest.approx(half, rel=0.05)
        own = rows.loc[(name, "gaussian:15")]
        names = [f"{d}_{c}" for d in ("w1_relative", "js") for c in CONTROLS]
        assert own[names].isna().all() and row[names].notna().all()


def test_controls_cost_their_views_and_change_nothing_else(folder, monkeypatch):
    seen = counted(monkeypatch)
    size = ("--batch-size", "4")
    frame = started("plain.pth", *FEW, *size, "--output-dir", "with")["distributions"]
    under = ["gaussian:15", "poisson:3.5", "isp"]
    views = [("plain", spec) for spec in [*under, "gaussian:15@1"]]
    views += [(f"untrained {i} of plain", spec) for i in (1, 2, 3) for spec in under]
    assert Counter(seen) == Counter(2 * views)
    options = (*FEW, *size, "--no-controls", "--output-dir", "without")
    plain = started("plain.pth", *options)["distributions"]
    kept = [name for name in frame if name in plain]
    assert [*plain] == kept and not [name for name in kept if "untrained" in name]
    pd.testing.assert_frame_equal(frame[kept], plain, check_exact=True)


def test_what_has_no_controls_is_blank(folder):
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype("uint8")
    given = {"crop": 16, "limit": 4, "noises": ["poisson:3.5"], "progress": False}
    row = measure_distances("plain.pth", images=[image], untrained=1, **given).distances.iloc[1]
    assert math.isnan(row.js_floor) and row.js_ceiling > 0  # one photograph
    assert row.w1_relative_untrained > 0 and math.isnan(row.w1_relative_untrained_sd)
    assert math.isnan(row.w1_relative_above_ceiling_low) and row.w1_relative_above_ceiling > 0


def test_a_distance_within_the_ceiling_is_no_difference(folder, capsys):
    """The same noise drawn again is no other noise; ten photographs are enough to say so."""
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 255, (24, 24, 3)).astype("uint8") for _ in range(10)]
    given = {"crop": 16, "limit": 10, "images": images, "progress": False}
    result = measure_distances("plain.pth", noises=["gaussian:15@7", "gaussian:50"], **given)
    text = " ".join(result.sentences())
    assert EXCESS in text
    assert "not shown in `plain` under Gaussian σ = 15 (another draw, 7)" in text
    assert "shown in `plain` under Gaussian σ = 50" in text
    assert "compare them with the noise redrawn, not with 0" in text and reading.NEAR_0 not in text
    lines = result.text().splitlines()
    heads = next(line for line in lines if line.startswith("model"))
    assert heads.split()[4:9] == ["noise", "redrawn", "other", "photographs", "untrained"]
    few = measure_distances("plain.pth", noises=["gaussian:50"], **(given | {"limit": 4}))
    assert f"{EXCESS}too few images" in " ".join(few.sentences())
