"""`python -m analysis.stitch`: its tables and sentences, what it refuses, networks of all kinds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from analysis.stitch import (
    command,
    costs,
    figures,
    pairs,
    reading,
    reading_disagreements,
    recordings,
    stitch_models,
)
from analysis.stitch.result import StitchResult
from analysis.stitch.settings import StitchSettings
from mtd.networks import dncnn
from mtd.utils.errors import BadInput
from tests.analysis.stitch.test_stitch_oracles import images, small_network
from tests.helpers.networks import TINY, save_trainings

FEW = ("--crop", "16", "--limit", "4", "--quiet")
ONE = ("--noise", "gaussian:15", "--noise", "gaussian:50")
OTHER = replace(TINY, mlp_hidden=12)
HOW = {"crop": 16, "limit": 4, "progress": False}


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


@pytest.mark.drawn
def test_a_run_has_its_tables_and_figure_and_is_resumed(folder, capsys):
    path = run_arguments(command.ANALYSIS, ["plain.pth", "hidden.pth", *FEW, *ONE], "test")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "stitch.csv", "stitch.png"),
        *("stitch_mean.csv", "stitch_difference.csv"),
    }
    frames = read_tables(path, list(command.ANALYSIS.table_names))
    frame, means = frames["stitch"], frames["stitch_mean"]
    assert list(frame.columns[:7]) == [
        *("kind", "sender", "receiver", "noise_sender", "noise_receiver"),
        *("layer_sender", "layer_receiver"),
    ]
    assert (frame.kind == "noises").sum() == (frame.kind == "models").sum() == len(frame) / 2
    assert len(means) == 8 and not frame.duplicated(list(command.ANALYSIS.keys["stitch"])).any()
    assert (frame.reason.fillna("") == "").all()
    assert frame[["cost", "r2", "cka"]].notna().all().all()
    across = frame.groupby(list(frame.columns[:5]), sort=False).cost.mean()
    assert means.cost.to_numpy() == pytest.approx(across.to_numpy())
    out = capsys.readouterr().out
    assert "too few images" in out and "4 crops of 16 x 16" in out
    result = StitchResult.read(command.ANALYSIS, path)
    assert result.plot_cost(kind="models", panel=1).get_lines()
    with pytest.raises(BadInput, match="2 such panels"):
        result.plot_cka(panel=2)


def test_costs_and_intervals_are_those_of_the_crops(folder):
    inputs_of = StitchSettings.of(crop=16, limit=4)
    from analysis.commands.inputs import load_inputs

    stage = recordings.Recordings(load_inputs(["plain.pth"], inputs_of), inputs_of)
    sender, receiver = (pairs.View("plain", f"gaussian:{level}") for level in (50, 15))
    found = costs.measure(stage, pairs.Stitched(sender, receiver))
    values = (found[costs.OWN] - found[costs.PSNR]).numpy()
    row = stitch_models("plain.pth", **HOW).stitch.iloc[0]
    assert (row.noise_sender, row.noise_receiver) == ("gaussian:50", "gaussian:15")
    assert row.cost == pytest.approx(values[0].mean())
    low, high = stats.t.interval(0.95, 3, values[0].mean(), stats.sem(values[0]))
    assert (row.low, row.high) == pytest.approx((low, high))  # a crop of each photograph
    assert row.psnr == pytest.approx(float(found[costs.OWN].mean()))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--layers", "nothing.*"], "matches no module"),
        (["--layers", "input:conv_last"], "stitches replace what a layer returns"),
        (["--ridge", "0"], "above 0"),
        (["--noise", "gaussian:15"], "nothing to stitch"),
        (["--limit", "1"], "crops of 1 photograph"),
        (["--autocast", "bf16"], "stitches need float32"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_a_classical_denoiser_is_refused():
    with pytest.raises(BadInput, match="not a neural network"):
        stitch_models("classical:median:3", images(), **HOW)


def test_networks_of_different_depth_are_paired_by_depth_and_sizes_that_differ_say_so():
    torch.manual_seed(0)
    deep = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)], nn.ReLU())
    halved = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(4, 3, 2, 2), nn.ReLU()
    )
    how = {**HOW, "noises": "gaussian:15", "layers": ["re:[0-2]"], "controls": False}
    result = stitch_models({"deep": deep, "halved": halved}, images(), **how)
    frame = result.stitch[result.stitch.receiver == "halved"].set_index("layer_receiver")
    assert frame.loc["0"].reason == costs.SIZES and np.isnan(frame.loc["0"].cost)
    assert any(costs.SIZES in text for text in result.sentences())
    none = {**result.frames, "stitch": result.stitch.assign(cost=np.nan)}
    assert "nan" not in reading.terminal_table(none, result.manifest)
    assert frame.loc["2"].layer_sender == "2" and np.isfinite(frame.loc["2"].cost)
    assert result.stitch.floor_cost.isna().all()
    assert pairs.partners(["a", "b", "c", "d", "e"], ["x", "y", "z"]) == {
        "x": "a",
        "y": "c",
        "z": "e",
    }


def test_layers_without_positions_or_variation_say_so():
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.mean = nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1)
            self.dead, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 3, 1)
            nn.init.zeros_(self.dead.weight)

        def forward(self, x):
            first = self.first(x)
            return x + self.last((first + self.mean(first) + self.dead(first)).tanh())

    how = {**HOW, "layers": ["first", "dead"]}
    result = stitch_models({"a": Pooled()}, images(), **how)
    frame = result.stitch.set_index("layer_receiver")
    assert (frame.loc["dead"].reason == "its features do not vary").all()
    assert frame.loc["first"].cost.notna().all()


def test_dncnn_and_a_module_of_ones_own_are_stitched():
    torch.manual_seed(0)
    network = dncnn.DnCNN(dncnn.DnCNNConfig(depth=4, features=8))
    result = stitch_models({"dncnn": network, "mine": small_network()}, images(), **HOW)
    frame = result.stitch
    assert frame.cost.notna().all() and set(frame.kind) == {"noises", "models"}
    assert frame.ceiling_cost.notna().all() and frame.floor_cost.notna().all()
    assert set(result.figures()) == {"stitch"}
    above = (frame.cost - frame.ceiling_cost).groupby([frame[name] for name in reading.PAIR])
    wide = result.mean.set_index(reading.PAIR).above_ceiling
    assert wide.to_numpy() == pytest.approx(above.mean().reindex(wide.index).to_numpy())
    assert any("(ceiling): " in text for text in result.sentences())


def rows(photographs: int) -> pd.DataFrame:
    """Three layers: similar and costly, dissimilar and harmless, in agreement."""
    same = {"kind": "models", "sender": "a", "receiver": "b"}
    same |= {"noise_sender": "x", "noise_receiver": "x", "photographs": photographs}
    same["floor_cost"] = 4.0
    of = [("one", 0.95, 1.0), ("two", 0.3, 0.0), ("three", 0.97, 0.02)]
    return pd.DataFrame(
        {**same, "layer_receiver": layer, "cka": cka, "cost": cost}
        | {"low": cost - 0.05, "high": cost + 0.05}
        for layer, cka, cost in of
    )


def test_layers_where_cost_and_cka_disagree_are_named_if_shown():
    costly, harmless = reading_disagreements.disagreements(rows(12))
    assert "(not corrected for 3 stitches): 1 of 3 stitches, one (" in costly
    assert "CKA 0.950, cost 1.00 dB [0.95, 1.05]" in costly
    assert "1 of 3 stitches, two (" in harmless and "three" not in costly + harmless
    assert all("too few images" in text for text in reading_disagreements.disagreements(rows(9)))
    (*_, anything) = reading_disagreements.disagreements(rows(12).assign(floor_cost=0.0))
    assert anything.startswith("In 1 of these 1, a map fitted to other photographs")
    better = rows(12).assign(cost=-1.0, low=-1.05, high=-0.95)  # not harmless: the output changes
    assert all("none of 3 stitches" in text for text in reading_disagreements.disagreements(better))
    wide = rows(12).assign(low=-9.0, high=9.0)
    assert all("none of 3 stitches" in text for text in reading_disagreements.disagreements(wide))


def test_crops_are_exchanged_with_those_of_other_photographs():
    scenes = ["a", "a", "b", "b", "c"]
    other = recordings.exchanged([0, 1, 2, 3, 4], scenes)
    assert sorted(other) == [0, 1, 2, 3, 4]
    assert all(scenes[i] != scenes[j] for i, j in zip(range(5), other, strict=True))
    assert recordings.exchanged([0, 1, 2], ["a", "a", "b"]) is None


def test_trainings_of_a_model_are_averaged(folder):
    torch.manual_seed(1)
    from mtd.loading import checkpoint_file
    from mtd.masking import MaskPolicy
    from tests.helpers.networks import tiny_network

    for seed in (5, 6):
        about = {"network": TINY, "mask": MaskPolicy(), "training": {"noise": "gaussian:15"}}
        checkpoint_file.save(Path(f"run{seed}.pth"), tiny_network(seed).state_dict(), **about)
    path = run_arguments(
        command.ANALYSIS, ["m=run5.pth", "m=run6.pth", *FEW, *ONE, "--no-controls"], "test"
    )
    frame = read_tables(path, ["stitch"])["stitch"]
    single = [stitch_models(f"run{seed}.pth", controls=False, **HOW).stitch for seed in (5, 6)]
    assert frame.cost.to_numpy() == pytest.approx(sum(one.cost for one in single) / 2)
    assert (frame.trainings == 2).all() and set(frame.receiver) == {"m"}


def test_no_training_is_in_two_pairs():
    models = {"a": ["a1", "a2", "a3", "a4"], "b": ["b1", "b2", "b3"], "c": ["c"]}

    def of(sender: str, receiver: str) -> list[tuple[str, str]]:
        pair = pairs.Pair("models", pairs.View(sender, "x"), pairs.View(receiver, "x"))
        return [(one.model, other.model) for one, other in pairs.networks(pair, models)]

    three = [("a1", "b1"), ("a2", "b2"), ("a3", "b3")]
    assert of("a", "b") == three and of("b", "a") == [pair[::-1] for pair in three]
    assert of("a", "a") == [(name, name) for name in models["a"]]
    assert of("c", "b") == [("c", "b1"), ("c", "b2"), ("c", "b3")]
    assert of("b", "c") == [("b1", "c"), ("b2", "c"), ("b3", "c")] and of("c", "c") == [("c", "c")]


def test_costs_between_models_of_four_and_three_trainings_are_those_of_three_pairs(tmp_path):
    models = {"a": save_trainings(tmp_path / "a", 4), "b": save_trainings(tmp_path / "b", 3, OTHER)}
    last = "layers.1.residual_group.blocks.1"  # costs of earlier layers may be rounding alone
    how = {**HOW, "noises": "gaussian:30", "layers": [last], "controls": False}
    result = stitch_models(models, images(), **how)
    pairs_ = [{name: tmp_path / name / f"b{i}" / "model.pth" for name in models} for i in (1, 2, 3)]
    single = [stitch_models(pair, images(), **how).stitch.set_index("sender") for pair in pairs_]
    for sender, row in result.stitch.set_index("sender").iterrows():
        costs_ = [one.loc[sender].cost for one in single]
        assert row.cost == pytest.approx(np.mean(costs_)) and row.trainings == 3
        assert abs(row.cost) > 1e-4
        low, high = stats.t.interval(0.95, 2, np.mean(costs_), stats.sem(costs_))
        assert (row.low_trainings, row.high_trainings) == pytest.approx((low, high))
    (text,) = [text for text in result.sentences() if "one to one" in text]
    assert text.startswith("`a` and `b`: the first 3 trainings of each are stitched")
    how["noises"] = ["gaussian:30", "gaussian:50"]
    same = stitch_models({"a": models["a"]}, images(), **how)
    assert (same.stitch.trainings == 4).all()


def test_panels_are_of_the_same_noises():
    frame = stitch_models({"a": small_network()}, images(), controls=False, **HOW).stitch
    parts = figures.panels(frame)
    assert [len(part) for part in parts] == [len(frame) / 2] * 2
    assert "Gaussian σ = 50 into Gaussian σ = 15" in figures.titled(parts[0])
    figure = figures.cost_over_depth(frame)
    top, _, cka, _ = figure.axes  # both panels in a row, CKA below the cost
    assert figures.titled(parts[0]) == top.get_title() and not top.get_xlabel()
    assert (top.get_ylabel(), cka.get_ylabel()) == ("cost (dB)", "linear CKA")


def test_dashes_are_of_the_sender_where_a_receiver_has_several():
    models = {name: small_network(seed) for seed, name in enumerate("abc")}
    how = {**HOW, "noises": "gaussian:15", "layers": ["2"], "controls": False}
    result = stitch_models(models, images(), **how)
    lines = {line.get_label(): line for line in result.plot_cost(kind="models").get_lines()}
    assert lines["a into b"].get_linestyle() == "-" and lines["b into a"].get_linestyle() == "--"
    assert lines["b into a"].get_color() == lines["c into a"].get_color()
    assert "the sender, in the order of the legend" in figures.heading(result.stitch, list("abc"))
