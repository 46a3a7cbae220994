"""Controls of CH by noise, from features pooled by hand."""

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
from analysis.degradation import command, measure_clusters, separability
from tests.helpers.control_features import LAYER, counted, features, photograph_of

COUNT = 8
SPECS = ["gaussian:15", "poisson:3.5", "spatial:60"]
DRAWS = ["gaussian:15", "gaussian:15@1", "gaussian:15@2"]
FEW = ("--crop", "16", "--limit", str(COUNT), "--quiet", "--components", "10", "--pool", "0")
FEW = (*FEW, *(part for spec in SPECS for part in ("--noise", spec)))
NOISE = np.repeat(range(3), COUNT)


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> dict[str, pd.DataFrame]:
    path = run_arguments(command.ANALYSIS, arguments, "test")
    return read_tables(path, ["degradation", "degradation_ratio", "embedding"])


def index(name: str, specs: list[str], seed: int | None = None, out: int | None = None) -> float:
    """CH by noise on ten components, from the singular values; without a photograph if given."""
    held = [features(name, spec, COUNT, seed).flatten(1).double().numpy() for spec in specs]
    kept = np.array([out is None or place != out for place in photograph_of(COUNT)])
    x = np.concatenate([part[kept] for part in held])
    left, size, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return separability.calinski_harabasz((left * size)[:, :10], NOISE[np.tile(kept, 3)])


def test_ratios_of_models_leave_the_same_photographs_out(folder):
    frames = started("plain.pth", "hidden.pth", *FEW, "--layers", LAYER, "--no-controls")
    (row,) = frames["degradation_ratio"].itertuples()
    assert (row.model_a, row.model_b, row.photographs) == ("plain", "hidden", 4)
    assert row.value == pytest.approx(index("hidden", SPECS) / index("plain", SPECS), rel=2e-3)
    logs = np.array(
        [math.log(index("hidden", SPECS, out=i) / index("plain", SPECS, out=i)) for i in range(4)]
    )
    half = stats.t.ppf(0.975, 3) * math.sqrt(3 / 4 * np.sum((logs - logs.mean()) ** 2))
    assert row.low == pytest.approx(row.value * math.exp(-half), rel=1e-2)
    assert row.high == pytest.approx(row.value * math.exp(half), rel=1e-2)


def test_controls_are_those_of_features_taken_by_hand(folder):
    frame = started("hidden.pth", *FEW, "--layers", LAYER)["degradation"]
    for name, row in frame.set_index("model").iterrows():
        fresh = [index(str(name), SPECS, seed) for seed in range(3)]
        assert row.ch_noise == pytest.approx(index(str(name), SPECS), rel=1e-3)
        assert row.ceiling == pytest.approx(index(str(name), DRAWS), rel=1e-2)
        assert row.untrained == pytest.approx(np.mean(fresh), rel=1e-2)
        assert row.untrained_sd == pytest.approx(np.std(fresh, ddof=1), rel=5e-2)
        assert math.isnan(row.floor)
        assert row.over_ceiling == pytest.approx(row.ch_noise / row.ceiling)
        assert row.over_untrained == pytest.approx(row.ch_noise / row.untrained)
        logs = [
            math.log(index(str(name), SPECS, out=i) / index(str(name), DRAWS, out=i))
            for i in range(4)
        ]
        error = math.sqrt(3 / 4 * np.sum(np.square(logs - np.mean(logs))))
        half = 3.182446 * error  # Student's t of 3 degrees of freedom
        assert math.log(row.over_ceiling_high / row.over_ceiling) == pytest.approx(half, rel=0.05)
        assert row.over_untrained_low < row.over_untrained < row.over_untrained_high


def test_controls_cost_their_views_and_change_nothing_else(folder, monkeypatch):
    seen = counted(monkeypatch)
    tables = started("plain.pth", *FEW, "--batch-size", "4", "--output-dir", "with")
    views = [("plain", spec) for spec in [*SPECS, *DRAWS[1:]]]
    views += [(f"untrained {i} of plain", spec) for i in (1, 2, 3) for spec in SPECS]
    assert Counter(seen) == Counter(2 * views)
    options = (*FEW, "--batch-size", "4", "--no-controls", "--output-dir", "without")
    plain = started("plain.pth", *options)
    pd.testing.assert_frame_equal(tables["embedding"], plain["embedding"], check_exact=True)
    frame, kept = tables["degradation"], list(plain["degradation"])
    pd.testing.assert_frame_equal(frame[kept], plain["degradation"], check_exact=True)
    assert "ceiling" not in kept and set(frame.model) == {"plain"}
    last = frame.last_features
    assert frame.ceiling.notna().all() and frame.over_ceiling.notna().equals(last)


def test_what_has_no_controls_is_blank(folder):
    given = ("plain.pth", *FEW, "--layers", LAYER)
    none = started(*given, "--untrained", "0", "--no-intervals")["degradation"].iloc[0]
    assert none.ceiling > 0 and math.isnan(none.untrained) and math.isnan(none.over_untrained)
    assert none.over_ceiling > 1 and math.isnan(none.over_ceiling_low)


def test_draws_of_one_noise_are_no_clusters():
    """What is said of kinds of noise, of draws of one noise, and of too few photographs."""
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 255, (24, 24, 3)).astype("uint8") for _ in range(12)]
    given = {"crop": 16, "limit": 12, "images": images, "progress": False, "layers": LAYER}
    kinds = measure_clusters("masked.pth", noises=["gaussian:15", "poisson:5"], **given)
    (text,) = [s for s in kinds.sentences() if "draws of the first noise" in s]
    assert text.endswith(": shown.")
    draws = measure_clusters("masked.pth", noises=["gaussian:15@8", "gaussian:15@20"], **given)
    (text,) = [s for s in draws.sentences() if "draws of the first noise" in s]
    assert text.endswith(": not shown.")
    few = measure_clusters(
        "masked.pth", noises=["gaussian:15", "poisson:5"], **(given | {"limit": 4})
    )
    (text,) = [s for s in few.sentences() if "draws of the first noise" in s]
    assert text.endswith("too few images to tell (at least 10 photographs).")
    assert "untrained" in few.text().splitlines()[2]
