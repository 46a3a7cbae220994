"""`python -m analysis.causal`: tables against patches by hand, what it says and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import mtd
from analysis.causal import command, reading, recoveries, trace
from analysis.causal.passes import is_whole
from analysis.causal.result import CausalResult
from analysis.causal.screening import pick
from analysis.causal.settings import CausalSettings
from analysis.causal.traced import Traced
from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.networks import save_trainings

FEW = ("--crop", "16", "--limit", "4", "--quiet", "--noise", "gaussian:50")
LESS = ("--no-ablation", "--branches", "mlp")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


def scenes(count: int, side: int = 16) -> list[np.ndarray]:
    return [np.random.default_rng(i).random((side, side, 3)) for i in range(count)]


def test_recovery_and_ablation_are_those_made_by_hand(folder, capsys):
    path = started("baseline.pth", "hidden.pth", *FEW, "--batch-size", "3")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "causal.csv", "causal_together.csv"),
        *("ablation.csv", "causal_difference.csv", "causal.png", "ablation.png"),
    }
    found = read_tables(path, ["causal", "ablation"])
    frame, worth = found["causal"], found["ablation"]
    assert len(frame) == 16 + 8 and len(worth) == 2 * (16 + 8)
    network, layer = mtd.load("baseline.pth"), "layers.1.residual_group.blocks.0.mlp"
    crops = data_crops.crops(photographs.photographs(), 16, 4)
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    a, b = (
        noise_base.pair_keyed(noise_specs.parse(spec), clean, keys)[0]
        for spec in ("gaussian:15", "gaussian:50")
    )
    module, kept = dict(network.named_modules())[layer], []

    def error(image: torch.Tensor, hook=None) -> np.ndarray:
        handle = module.register_forward_hook(hook) if hook else None
        with torch.no_grad():
            output = network(image, keys).double()
        if handle:
            handle.remove()
        return (255**2 * (output - clean) ** 2).mean((1, 2, 3)).numpy()

    under_a = error(a, lambda _, __, value: kept.append(value.clone()))
    under_b = error(b, lambda _, __, value: kept.append(value.clone()))
    patched = error(b, lambda *_: kept[0])
    row = frame[(frame.model == "baseline") & (frame.branch == layer)].iloc[0]
    recovery = (under_b - patched).sum() / (under_b - under_a).sum()
    assert row.recovery == pytest.approx(recovery, rel=1e-4)
    assert (row.mse, row.mse_reference) == pytest.approx((under_b.mean(), under_a.mean()), rel=1e-5)
    assert row.status == "changed" and row.patched == "exact" and row.kind == "mlp"
    mean = kept[1].mean((0, 1), keepdim=True).expand_as(kept[1])
    without = error(b, lambda *_: mean)
    row = worth[
        (worth.model == "baseline") & (worth.branch == layer) & (worth.noise == "gaussian:50")
    ].iloc[0]
    assert row.mse_without == pytest.approx(without.mean(), rel=1e-4)
    assert row.loss == pytest.approx(10 * np.log10(without.sum() / under_b.sum()), abs=1e-3)
    out = " ".join(capsys.readouterr().out.split())
    assert "Recovery by patching branches with features from Gaussian σ = 15: 4 crops" in out


def test_resumed_and_in_batches_of_other_sizes(folder):
    first = started("baseline.pth", *FEW, *LESS, "--output-dir", "run")
    again = started("baseline.pth", *FEW, *LESS, "--output-dir", "run", "--resume")
    other = started("baseline.pth", *FEW, *LESS, "--output-dir", "other", "--batch-size", "1")
    tables_ = [read_tables(path, ["causal"])["causal"] for path in (first, again, other)]
    pd.testing.assert_frame_equal(tables_[0], tables_[1])
    assert tables_[2].recovery.to_numpy() == pytest.approx(tables_[0].recovery, abs=1e-4)
    assert tables_[0].recovery.notna().all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--branches", "attentoin"], "did you mean attention"),
        (["--branches", "heads,mpl"], "did you mean mlp"),
        (["--mask-draws", "independent"], "needs the same masks under both noises"),
        (["--reference", "gaussian:50"], "it is the reference itself"),
        (["--autocast", "bf16"], "gradients need float32"),
        (["--confirm", "0"], "from 1 up"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_networks_that_cannot_be_patched_are_refused_in_one_line():
    how = {"images": scenes(1), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    with pytest.raises(BadInput, match=r"no convolutions in the network") as caught:
        trace({"own": nn.Identity()}, **how)
    assert "\n" not in str(caught.value)
    scripted = torch.jit.script(nn.Conv2d(3, 3, 3, padding=1))
    with pytest.raises(BadInput, match="a TorchScript module"):
        trace({"own": scripted}, **how)
    with pytest.raises(BadInput, match="it is not a neural network"):
        trace("classical:blur:1", **how)
    with pytest.raises(BadInput, match="no attention in the network"):
        trace({"own": nn.Conv2d(3, 3, 1)}, **how, branches="attention")


class Ignored(nn.Module):
    """Subtracts a convolution of the image; another one is of the image's size alone."""

    def __init__(self) -> None:
        super().__init__()
        self.constant, self.seen = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)
        self.more = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return 0.5 * x - 0.1 * self.seen(x) + self.constant(torch.ones_like(x)) + self.more(x)


def test_unchanged_branches_whole_streams_and_parts_of_them():
    torch.manual_seed(0)
    stack = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
    how = {"images": scenes(10), "noises": ["gaussian:50"], "crop": 16, "limit": 10}
    result = trace({"own": Ignored(), "stack": stack}, **how, progress=False)
    rows = result.causal.set_index(["model", "branch"])
    assert rows.status["own", "constant"] == "unchanged" and rows.recovery["own", "constant"] == 0
    assert rows.status["own", "seen"] == "changed"
    assert list(rows.status["stack"]) == ["whole stream"] * 2
    if not rows.reason["stack", "0"]:
        assert rows.recovery["stack"].to_numpy() == pytest.approx([1, 1], abs=1e-4)
    joint = result.together.set_index("model")
    assert np.isnan(joint.recovery["stack"]) and "whole stream" in joint.reason["stack"]
    text = " ".join(result.sentences())
    assert "The same under both noises in `own` under Gaussian σ = 50" in text
    assert "In `stack`, all patched branches are the whole stream" in text
    parts = trace({"stack": stack}, **how, branches="channels", progress=False).causal
    assert set(parts.status) == {"changed"} and len(parts) == 7
    axes = result.plot_recovery()
    assert axes.get_ylabel().startswith("recovery")
    assert result.plot_ablation(noise="gaussian:15").get_ylabel().startswith("PSNR")
    with pytest.raises(BadInput):
        result.plot_recovery(noise="gaussian:15")


def test_no_recovery_where_errors_hardly_differ(tmp_path):
    blind = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        blind.weight.zero_()
    how = {"images": scenes(3), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    result = trace({"blind": nn.Sequential(blind)}, **how)
    assert result.causal.recovery.isna().all() and result.causal.low.isna().all()
    assert "nothing to recover" in result.causal.reason[0]
    assert any(text.startswith("No recovery in `blind`") for text in result.sentences())
    saved = CausalResult.read(command.ANALYSIS, result.save(tmp_path / "run"))
    assert len(saved.sentences()) == len(result.sentences())


def traced(reference: list[float], error: list[float], patched: list[float]) -> Traced:
    one = torch.tensor([patched], dtype=torch.float64)
    a, b = (torch.tensor(values, dtype=torch.float64) for values in (reference, error))
    of = {0: one[0]}
    return Traced(
        *(a, b, one - b, torch.tensor([False]), torch.tensor([0])),
        *(of, frozenset(), {"mlp": one[0]}, frozenset(), {0: "exact"}),
    )


def test_recovery_is_a_ratio_of_means_with_photographs_left_out():
    rng = np.random.default_rng(0)
    a, gap = rng.uniform(10, 20, 24), rng.uniform(50, 90, 24)
    share = rng.uniform(0.2, 0.4, 24)
    draws = np.arange(24) // 2
    of = traced(list(a), list(a + gap), list(a + gap - share * gap))
    series = recoveries.recovery(of, of.exact[0].numpy(), draws)
    assert series.value == pytest.approx((share * gap).sum() / gap.sum())
    kept = draws != 3
    assert series.without[3] == pytest.approx((share * gap)[kept].sum() / gap[kept].sum())
    assert len(series.without) == 12
    assert recoveries.undefined(a, a + gap, draws) == ""
    assert "at most 2%" in recoveries.undefined(a, a * 1.01, draws)
    noisy = a * 1.05 + 100 * np.repeat(rng.normal(size=12), 2)
    assert "not shown" in recoveries.undefined(a, noisy - noisy.mean() + a.mean() * 1.05, draws)
    assert "not finite" in recoveries.undefined(a, a * np.nan, draws)


def test_the_largest_and_as_many_random_branches_are_patched():
    estimates = torch.arange(100.0)[:, None] * torch.tensor([[1.0, 1.0]])
    picked = pick(estimates, CausalSettings.of(confirm=5), "a")
    assert [i for i, why in picked.items() if why == "top"] == [95, 96, 97, 98, 99]
    assert sum(why == "random" for why in picked.values()) == 5
    assert picked == pick(estimates, CausalSettings.of(confirm=5), "a")
    assert picked != pick(estimates, CausalSettings.of(confirm=5), "b")
    assert set(pick(estimates[:48], CausalSettings(), "a").values()) == {"exact"}
    assert len(pick(estimates, CausalSettings(), "a")) == 32
    inputs = torch.rand(1, 3, 4, 4)
    assert is_whole(torch.zeros_like(inputs), inputs) and is_whole(inputs, inputs)
    assert not is_whole(0.01 * inputs, inputs)


def test_screened_branches_have_an_estimate_alone(folder):
    more = ("--confirm", "2", "--branches", "mlp,attention,heads", "--no-ablation")
    path = started("baseline.pth", *FEW, "--limit", "2", *more)
    frame = read_tables(path, ["causal"])["causal"]
    counts = dict(frame.patched.value_counts())
    assert counts == {"screened": len(frame) - 4, "top": 2, "random": 2} and len(frame) > 24
    screened = frame[frame.patched == "screened"]
    assert screened.recovery.isna().all() and screened.estimate.notna().all()
    joint = read_tables(path, ["causal_together"])["causal_together"]
    assert list(joint.kind) == ["attention", "mlp", "heads", "all"] and joint["sum"].isna().all()
    assert list(joint.branches)[-1] == 16  # heads are parts of attention


def test_means_over_trainings(tmp_path):
    pattern = save_trainings(tmp_path, 3)
    how = {"images": scenes(4), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    how |= {"ablation": False}
    together = trace({"a": pattern}, **how)
    alone = [trace({"a": tmp_path / f"b{i}" / "model.pth"}, **how).causal for i in (1, 2, 3)]
    frame = together.causal
    for name in ("mse", "recovery"):
        single = np.array([one[name] for one in alone])
        known = frame[name].notna()
        assert frame[name][known].to_numpy() == pytest.approx(single.mean(0)[known], rel=1e-9)
    assert len(together.frames["causal_by_training"]) == 3 * 8


def test_sentences_have_verdicts():
    torch.manual_seed(0)
    how = {"noises": ["gaussian:50"], "crop": 16, "limit": 12, "progress": False}
    network = Ignored()
    enough = trace({"own": network, "same": network}, images=scenes(12), **how)
    text = reading.main(enough.frames, enough.manifest)
    top = enough.causal[enough.causal.model == "own"]
    count = int((top.band_low > 0).sum())
    are = "is" if count == 1 else "are"
    assert f"{count} of 3 patched branches {are} shown to recover part of the error" in text[0]
    assert any(
        "`same` - `own` is +0.00 [+0.00, +0.00]: not shown." in t for t in enough.sentences()
    )
    few = trace({"own": network}, images=scenes(3), **how)
    assert "too few images to tell" in few.sentences()[0]


def test_networks_that_predict_the_noise_are_named(tmp_path: Path):
    """Their recoveries may be below 0 for a reason that is not in the branch."""
    torch.manual_seed(0)
    torch.save(DnCNN(DnCNNConfig(features=4, depth=3)).state_dict(), tmp_path / "dncnn.pth")
    models = {"d": tmp_path / "dncnn.pth", "stack": nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))}
    how = {"noises": ["gaussian:50"], "crop": 16, "limit": 4, "branches": "channels"}
    result = trace(models, images=scenes(4), **how, ablation=False, progress=False)
    text = " ".join(result.sentences())
    assert "`d`: the output is the input minus the noise that the last layer predicts" in text
