"""Controls of SRGA, from features taken by hand; and its robustness."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from analysis.srga import score_models
from analysis.srga.command import ANALYSIS
from analysis.srga.score import srga
from analysis.stats.model_differences import MEAN
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput
from tests.helpers.control_features import counted, features, halves, photograph_of

COUNT = 24
FEW = ("--crop", "16", "--limit", str(COUNT), "--quiet", "--noise", "poisson:3.5", "--noise", "isp")
CONTROLS = ["ceiling", "floor", "untrained", "untrained_sd"]


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> dict[str, pd.DataFrame]:
    return read_tables(run_arguments(ANALYSIS, arguments, "test"), ANALYSIS.table_names)


def test_controls_are_those_of_features_taken_by_hand(folder):
    frame = started("plain.pth", "hidden.pth", *FEW)["srga"].set_index(["model", "noise"])
    of = np.array(photograph_of(COUNT))
    name = "hidden"  # whose untrained networks have its masks
    row = frame.loc[(name, "poisson:3.5")]
    reference, test, again = (
        features(name, spec, COUNT) for spec in ("gaussian:15", "poisson:3.5", "gaussian:15@1")
    )
    a, b = halves(COUNT)
    # scores of distances near 0 depend on the last bits of batches
    assert row.ceiling == pytest.approx(srga(reference, again).srga, abs=0.03)
    apart = [srga(reference[x], reference[y]).srga for x, y in ((a, b), (b, a))]
    assert row.floor == pytest.approx(np.mean(apart), abs=0.01)
    fresh = [
        srga(*(features(name, spec, COUNT, seed) for spec in ("gaussian:15", "poisson:3.5")))
        for seed in range(3)
    ]
    drawn = [one.srga for one in fresh]
    assert row.untrained == pytest.approx(np.mean(drawn), abs=0.02)
    assert row.untrained_sd == pytest.approx(np.std(drawn, ddof=1), abs=0.02)
    without = np.array(
        [
            srga(reference[of != i], test[of != i]).srga
            - srga(reference[of != i], again[of != i]).srga
            for i in range(4)
        ]
    )
    half = stats.t.ppf(0.975, 3) * math.sqrt(3 / 4 * np.sum((without - without.mean()) ** 2))
    assert row.above_ceiling == pytest.approx(row.srga - row.ceiling)
    assert row.above_ceiling_high - row.above_ceiling == pytest.approx(half, rel=0.1)
    assert row.above_untrained_low < row.srga - row.untrained < row.above_untrained_high
    own = frame.loc[(name, "gaussian:15")]
    assert own[CONTROLS].isna().all() and own.srga == 0


def test_differences_of_models_leave_the_same_photographs_out(folder):
    frame = started("plain.pth", "hidden.pth", *FEW, "--no-controls")["srga_difference"]
    of = np.array(photograph_of(COUNT))

    def difference(specs: list[str], kept: np.ndarray) -> float:
        """Mean over noises of hidden minus plain, of some patches."""
        scores = [
            [
                srga(*(features(name, spec, COUNT)[kept] for spec in ("gaussian:15", noise))).srga
                for noise in specs
            ]
            for name in ("hidden", "plain")
        ]
        return float(np.mean(scores[0]) - np.mean(scores[1]))

    rows = frame.set_index("noise")
    assert set(map(tuple, frame[["model_a", "model_b"]].to_numpy())) == {("plain", "hidden")}
    for noise, specs in (("isp", ["isp"]), (MEAN, ["poisson:3.5", "isp"])):
        row = rows.loc[noise]
        assert row.value == pytest.approx(difference(specs, of >= 0), abs=0.01)
        without = np.array([difference(specs, of != i) for i in range(4)])
        error = math.sqrt(3 / 4 * np.sum((without - without.mean()) ** 2))
        half = stats.t.ppf(0.975, 3) * error
        assert row.high - row.value == pytest.approx(half, rel=0.05) == row.value - row.low
        level = 1 - 0.025 / (2 if noise == "isp" else 1)
        assert row.band_high - row.value == pytest.approx(stats.t.ppf(level, 3) * error, rel=0.05)
    assert (frame.photographs == 4).all()


def test_controls_cost_their_views_and_change_nothing_else(folder, monkeypatch):
    seen = counted(monkeypatch)
    size = ("--batch-size", "12")
    frame = started("plain.pth", *FEW, *size, "--output-dir", "with")["srga"]
    under = ["gaussian:15", "poisson:3.5", "isp"]
    views = [("plain", spec) for spec in [*under, "gaussian:15@1"]]
    views += [(f"untrained {i} of plain", spec) for i in (1, 2, 3) for spec in under]
    assert Counter(seen) == Counter(2 * views)
    seen.clear()
    plain = started("plain.pth", *FEW, *size, "--no-controls", "--output-dir", "without")
    assert Counter(seen) == Counter(2 * [("plain", spec) for spec in under])
    kept = [name for name in frame if name in plain["srga"]]
    assert [*plain["srga"]] == kept and not {*CONTROLS} & {*kept}
    pd.testing.assert_frame_equal(frame[kept], plain["srga"], check_exact=True)
    assert plain["robustness"].ceiling.isna().all()


def test_what_has_no_controls_is_blank(folder):
    one = started("plain.pth", *FEW, "--untrained", "1", "--no-intervals")["srga"].iloc[1]
    assert one.untrained > 0 and math.isnan(one.untrained_sd) and one.above_ceiling > 0
    assert math.isnan(one.above_ceiling_low) and math.isnan(one.above_untrained_low)
    none = started("plain.pth", *FEW, "--untrained", "0")["srga"].iloc[1]
    assert none.ceiling >= 0 and math.isnan(none.untrained) and math.isnan(none.above_untrained)
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype("uint8")
    made = score_models(
        "plain.pth", images=[image], crop=16, limit=8, noises=["poisson:3.5"], progress=False
    )
    row = made.scores.iloc[1]
    assert math.isnan(row.floor) and row.ceiling > 0 and row.untrained > 0  # one photograph
    with pytest.raises(BadInput, match="from 0"):
        score_models("plain.pth", untrained=-1)


def test_other_numbers_of_components_and_patches(folder):
    frames = started("plain.pth", "hidden.pth", *FEW, "--components", "15")
    frame, scores = frames["robustness"], frames["srga"]
    assert set(zip(frame.patches, frame.components, strict=True)) == {
        *((24, n) for n in (5, 10, 15, 20, 23)),
        *((12, n) for n in (5, 10, 11)),
    }
    assert len(frame) == 16 and set(frame.noises) == {2}
    table = frame.set_index(["model", "patches", "components"])
    for name in ("plain", "hidden"):
        own = scores[(scores.model == name) & (scores.noise != "gaussian:15")]
        assert table.srga[name, 24, 15] == own.srga.mean()
        assert table.ceiling[name, 24, 15] == own.ceiling.iloc[0]
        held = {s: features(name, s, COUNT)[::2] for s in ("gaussian:15", "poisson:3.5", "isp")}
        by_hand = [srga(held["gaussian:15"], held[s], 5).srga for s in ("poisson:3.5", "isp")]
        assert table.srga[name, 12, 5] == pytest.approx(np.mean(by_hand), abs=0.02)


def test_no_more_components_than_features(folder):
    torch.manual_seed(0)
    narrow = torch.nn.Sequential(
        torch.nn.Conv2d(3, 3, 1), torch.nn.AvgPool2d(8), torch.nn.Upsample(scale_factor=8)
    )
    narrow.append(torch.nn.Conv2d(3, 3, 1))
    layer = {"layer": "1", "crop": 16, "limit": COUNT, "noises": ["poisson:3.5"]}
    made = score_models({"narrow": narrow}, progress=False, **layer)
    assert set(made.scores.features) == {12} == set(made.scores.components)
    assert set(made.robustness.components) == {5, 10, 11, 12}  # 11 are those of 12 patches
    torch.save(DnCNN(DnCNNConfig(features=8, depth=3)).state_dict(), "dncnn.pth")
    wide = score_models("dncnn.pth", crop=16, limit=COUNT, noises=["isp"], progress=False)
    assert set(wide.scores.components) == {23}
