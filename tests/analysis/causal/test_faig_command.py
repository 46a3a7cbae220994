"""`python -m analysis.causal.faig`: its tables, what it says, and what it refuses."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import analysis
from analysis.causal import discriminative_filters
from analysis.causal.faig import choices, command, losses, passes, reading, reading_path
from analysis.causal.faig.choices import ATTRIBUTION, CHANGE, RANDOM, Choice
from analysis.causal.faig.result import FaigResult
from analysis.commands import console
from analysis.commands.command import run_arguments
from analysis.commands.registry import command_of
from analysis.commands.run_tables import read_tables
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput
from tests.helpers.external_networks import nafnet
from tests.helpers.networks import save_trainings
from tests.helpers.processes import fresh, two_processes

FEW = ("--crop", "16", "--limit", "4", "--quiet", "--noise", "gaussian:50", "--steps", "2")
LESS = ("--percent", "10", "--random", "2")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


def scenes(count: int, side: int = 16) -> list[np.ndarray]:
    return [np.random.default_rng(i).random((side, side, 3)) for i in range(count)]


def stack(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, 3, 1))


def test_a_run_has_tables_figures_and_a_result(folder, capsys):
    path = started("plain.pth", "hidden.pth", *FEW, "--output-dir", "run", "--random", "2")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "faig.csv", "faig_layers.csv"),
        *("faig_errors.csv", "faig_path.csv", "faig_reverting.csv"),
        *("faig.png", "faig_path.png", "faig_reverting.png"),
    }
    assert "Filter attribution from plain to hidden: 4 crops" in capsys.readouterr().out
    result = analysis.open_run(path, "faig")
    assert isinstance(result, FaigResult) and len(result.reverting) == 2 * 2 * 4
    assert result.plot_layers().get_ylabel().startswith("sum over")
    reverting = result.plot_reverting(measured="gaussian:15")
    assert reverting.get_xlabel() == "filters reverted (%)"
    assert reverting.get_ylabel() == "PSNR lost (dB)"
    assert result.plot_path().get_xlabel().startswith("share of the way")


def test_an_interrupted_run_is_resumed(folder, monkeypatch):
    made, done = passes.gradients, []
    first = started("plain.pth", "hidden.pth", *FEW, *LESS, "--output-dir", "run")

    def interrupted(*given):
        done.append(given)
        if len(done) > 3:
            raise KeyboardInterrupt
        return made(*given)

    monkeypatch.setattr(passes, "gradients", interrupted)
    with pytest.raises(KeyboardInterrupt):
        started("plain.pth", "hidden.pth", *FEW, *LESS, "--output-dir", "again")
    done.clear()
    monkeypatch.setattr(passes, "gradients", lambda *given: done.append(given) or made(*given))
    again = started("plain.pth", "hidden.pth", *FEW, *LESS, "--output-dir", "again", "--resume")
    assert len(done) == 8 - 3
    names = command.ANALYSIS.all_table_names
    expected = read_tables(first, names)
    for name, table in read_tables(again, names).items():
        pd.testing.assert_frame_equal(table, expected[name])


def test_two_processes_write_what_one_does(folder):
    given = ("plain.pth", "hidden.pth", *FEW, *LESS, "--limit", "2")
    one = started(*given, "--output-dir", "one")
    module = ("-m", "analysis.causal.faig")
    done = two_processes(*module, *given, "--output-dir", "two", cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in command.ANALYSIS.table_names:
        file = f"{name}.csv"
        assert (one / file).read_bytes() == (folder / "two" / file).read_bytes(), file


def test_help_is_instant(tmp_path):
    code = (
        "import sys, runpy\nsys.argv = ['x', '--help']\n"
        "try:\n    runpy.run_module('analysis.causal.faig', run_name='__main__')\n"
        "except SystemExit as e:\n    assert e.code == 0\n"
        "assert not {'torch', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)\n"
    )
    done = fresh("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "python -m analysis.causal.faig baseline.pth masked.pth" in done.stdout


def test_it_is_reached_by_name(monkeypatch):
    assert command_of("faig") == "analysis.causal.faig"
    assert console.commands()["causal.faig"] == "analysis.causal.faig.command"
    assert "analysis.causal.faig" in command.command.parser(command.ANALYSIS).format_help()


def test_layers_and_errors_are_sums_of_filters():
    how = {"images": scenes(4), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    result = discriminative_filters([stack(0), stack(1)], **how, steps=12, reverting=False)
    errors = result.errors.set_index("noise").loc["gaussian:50"]
    both = result.filters[result.filters.noise == "gaussian:50"]
    mean = (both.absolute + both.absolute_reference) / 2
    ranks = both.attribution.corr(mean, method="spearman")
    assert errors.with_mean == pytest.approx(ranks)
    assert -1 <= errors.with_mean_chance <= 1
    own = result.layers
    for name in ("attribution", "signed"):
        sums = result.filters.groupby("layer")[name].sum()
        for layer in ("0", "2"):
            assert own[own.layer == layer][name].item() == pytest.approx(sums[layer])
    assert own.signed.sum() == pytest.approx(errors.difference, abs=1e-3 * errors.absolute)
    assert own.signed.sum() == pytest.approx(errors["filters"] + errors.others)
    assert result.filters["rank"].tolist() == list(range(1, 9))
    assert result.filters.attribution.is_monotonic_decreasing
    above = result.filters[result.filters.attribution > 0]
    assert above.share.sum() == pytest.approx(1)
    path = result.path[result.path.noise == "gaussian:50"]
    assert (path.mse.iloc[0], path.mse.iloc[-1]) == (errors.mse_baseline, errors.mse_twin)


def test_filters_are_chosen_by_other_photographs_than_those_that_measure():
    """Loss, random control and intervals, from the errors of every crop."""
    how = {"images": scenes(6), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    how |= {"percent": [30], "random": 2, "steps": 2}
    kept = []
    collect = passes.collect

    def noted(*given, **more):
        kept.append((collect(*given, **more), given[0]))
        return kept[-1][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "collect", noted)
        result = discriminative_filters([stack(0), stack(1)], **how)
    results, job = kept[0]
    orders = choices.orders(results.absolute, job.inputs, results.pair, job.settings)
    half = choices.half_of(job.inputs.photographs)
    assert half.tolist() == [0, 1] * 3
    single = results.absolute["gaussian:50"] - results.absolute["gaussian:15"]
    for own in (0, 1):
        expected = np.argsort(-single[half != own].mean(0), kind="stable")
        assert orders.attribution["gaussian:50", own].tolist() == expected.tolist()
        assert int(orders.chosen(Choice(ATTRIBUTION, 30, "gaussian:50"), own).sum()) == 2
    errors = results.reverted["gaussian:50"]
    twin = results.path["gaussian:50"][:, -1]

    def lost(choice: Choice, kept: np.ndarray) -> float:
        return 10 * np.log10(errors[choice][kept].mean() / twin[kept].mean())

    every = np.ones(6, dtype=bool)
    row = result.reverting.query(f"measured == 'gaussian:50' and selection == '{ATTRIBUTION}'")
    chosen, drawn = (
        Choice(ATTRIBUTION, 30, "gaussian:50"),
        [Choice(RANDOM, 30, draw=draw) for draw in (0, 1)],
    )
    assert row.loss.item() == pytest.approx(lost(chosen, every))
    chance = [lost(one, every) for one in drawn]
    assert row.random.item() == pytest.approx(np.mean(chance))
    assert (row.random_low.item(), row.random_high.item()) == pytest.approx(
        (min(chance), max(chance))
    )
    without = np.array(
        [
            lost(chosen, np.arange(6) != i) - np.mean([lost(o, np.arange(6) != i) for o in drawn])
            for i in range(6)
        ]
    )
    se = np.sqrt(5 / 6 * ((without - without.mean()) ** 2).sum())
    # Student's t for 6 photographs, and for 2 random draws
    half = np.hypot(2.5705818 * se, 12.7062047 * np.std(chance, ddof=1) / np.sqrt(2))
    low, high = row.beyond.item() - half, row.beyond.item() + half
    assert (row.beyond_low.item(), row.beyond_high.item()) == pytest.approx((low, high), rel=1e-5)
    under = result.reverting.query(f"measured == 'gaussian:15' and selection == '{ATTRIBUTION}'")
    assert row.specific.item() == pytest.approx(row.beyond.item() - under.beyond.item())
    assert under.specific.isna().all()
    by_change = lost(Choice(CHANGE, 30), every)
    assert row.minus_change.item() == pytest.approx(row.loss.item() - by_change)
    assert orders.change.tolist() == np.argsort(-results.change, kind="stable").tolist()


def test_equal_weights_have_no_attribution(tmp_path):
    network = stack(0)
    how = {"images": scenes(3), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    result = discriminative_filters(
        {"a": network, "b": copy.deepcopy(network)}, **how, steps=2, random=2
    )
    assert (result.filters[["attribution", "absolute", "signed", "change"]] == 0).all().all()
    assert (result.reverting[["loss", "random", "beyond"]] == 0).all().all()
    text = result.sentences()
    assert any(t.startswith("All attributions are 0: `a` and `b` have equal") for t in text)
    saved = FaigResult.read(command.ANALYSIS, result.save(tmp_path / "run"))
    assert saved.sentences() == text


class Frozen(nn.Module):
    """Its output has no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        with torch.no_grad():
            return self.body(x)


def test_values_that_do_not_exist_have_a_reason():
    how = {"images": scenes(3), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    how |= {"steps": 2, "random": 2, "percent": [50]}
    broken = stack(1)
    with torch.no_grad():
        broken[0].weight[0, 0, 0, 0] = float("nan")
    for models, reason in (
        ([stack(0), broken], losses.NOT_FINITE),
        ([Frozen(), Frozen()], losses.NO_GRADIENT),
    ):
        result = discriminative_filters(models, **how)
        assert result.filters.attribution.isna().all() and result.reverting.loss.isna().all()
        for frame in (result.filters, result.layers, result.errors, result.reverting):
            assert set(frame.reason) == {reason}
        text = result.sentences()
        assert f"No value for Gaussian σ = 50: {reason}." in text
        assert not any("nan" in t or "All attributions are 0" in t for t in text)


def test_one_photograph_cannot_choose_and_measure():
    how = {"images": scenes(1), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    result = discriminative_filters([stack(0), stack(1)], **how, steps=2)
    assert result.reverting.loss.isna().all() and set(result.reverting.reason) == {losses.ONE}
    text = " ".join(result.sentences())
    assert f"No value for Gaussian σ = 50: {losses.ONE}." in text
    assert "faig_reverting" not in result.figures()


def test_sentences_have_verdicts_and_speak_of_the_path():
    how = {"noises": ["gaussian:50"], "crop": 16, "progress": False, "steps": 3, "random": 2}
    models = {"a": stack(0), "b": stack(1)}
    few = discriminative_filters(models, images=scenes(4), **how)
    assert "too few images to tell" in " ".join(reading.main(few.frames, few.manifest))
    enough = discriminative_filters(models, images=scenes(10), limit=10, **how)
    text = " ".join(enough.sentences())
    assert "too few images" not in text and "shown" in text
    row = enough.reverting.iloc[0]
    assert f"`b` loses {row.loss:.2f} dB" in text
    high = enough.errors.copy()
    high["highest"] = 1e6
    frames = {**enough.frames, "faig_errors": high}
    assert (
        "On the path between the weights the error rises above both ends, to 1000000.0"
        in " ".join(reading_path.detour(frames))
    )
    high["highest"] = 0.0
    assert not reading_path.detour(frames)


def test_masks_of_the_twin_are_those_of_the_path(folder):
    path = started("plain.pth", "hidden.pth", *FEW, *LESS, "--no-reverting")
    frame = read_tables(path, ["faig_errors"])["faig_errors"]
    text = " ".join((path / "summary.txt").read_text().split())
    assert "The whole path is run in hidden, with its attention masks" in text
    assert (frame.mse_as_used != frame.mse_baseline).all()
    off = started("plain.pth", "hidden.pth", *FEW, "--no-reverting", "--attention-mask", "off")
    frame = read_tables(off, ["faig_errors"])["faig_errors"]
    assert frame.mse_as_used.to_numpy() == pytest.approx(frame.mse_baseline, rel=1e-9)


def test_a_pair_of_dncnns(tmp_path):
    for seed in (0, 1):
        torch.manual_seed(seed)
        weights = DnCNN(DnCNNConfig(features=4, depth=3)).state_dict()
        torch.save(weights, tmp_path / f"d{seed}.pth")
    how = {"images": scenes(2), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    models = [tmp_path / "d0.pth", tmp_path / "d1.pth"]
    result = discriminative_filters(models, **how, steps=12, random=2)
    errors = result.errors
    assert errors.rest.abs().max() < 1e-2 * errors.absolute.min()
    assert result.reverting.loss.notna().all()


def test_a_pair_of_spandrel(tmp_path):
    """A published architecture, whose scales and shifts are among the other parameters."""
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save(nafnet().state_dict(), tmp_path / f"n{seed}.pth")
    how = {"images": scenes(2), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    models = [tmp_path / "n0.pth", tmp_path / "n1.pth"]
    result = discriminative_filters(models, **how, steps=8, random=2, percent=[10])
    errors = result.errors
    assert errors.rest.abs().max() < 1e-2 * errors.absolute.min()
    assert (errors.absolute_others > 0).all() and result.reverting.loss.notna().all()


@pytest.mark.parametrize(
    "models, message",
    [
        ({"a": stack(0)}, r"1 models \(a\): expected two of one architecture, the baseline first"),
        ({n: stack(0) for n in "abc"}, r"3 models \(a, b, c\): expected two"),
        ({"a": stack(0), "b": nn.Conv2d(3, 3, 1)}, "a and b: 0.weight is .* and absent"),
        (
            {"a": nn.Sequential(nn.Conv2d(3, 3, 1)), "b": nn.Sequential(nn.Conv2d(3, 3, 3, 1, 1))},
            r"0.weight is \(3, 3, 1, 1\) and \(3, 3, 3, 3\); expected two networks of one",
        ),
        (
            {
                "a": nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()),
                "b": nn.Sequential(nn.Conv2d(3, 3, 1), nn.Tanh()),
            },
            "a and b: different classes",
        ),
        ({"a": nn.Identity(), "b": nn.Identity()}, "no convolution or linear layer"),
        ({"a": stack(0), "b": "classical:blur:1"}, "it is not a neural network"),
    ],
)
def test_two_networks_of_one_architecture_are_needed(models, message):
    how = {"images": scenes(1), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    with pytest.raises(BadInput, match=message) as caught:
        discriminative_filters(models, **how)
    assert "\n" not in str(caught.value)


def test_networks_that_differ_in_more_than_parameters_are_refused():
    a, b = (nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)) for _ in range(2))
    b[1].running_mean += 1
    how = {"images": scenes(1), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    with pytest.raises(BadInput, match=r"1\.running_mean differs, which is not a parameter"):
        discriminative_filters({"a": a, "b": b}, **how)
    scripted = torch.jit.script(nn.Conv2d(3, 3, 3, padding=1))
    with pytest.raises(BadInput, match="a TorchScript module"):
        discriminative_filters({"a": scripted, "b": scripted}, **how)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--mask-draws", "independent"], "compared with the same masks; use shared"),
        (["--reference", "gaussian:50"], "it is the reference itself"),
        (["--autocast", "bf16"], "gradients need float32"),
        (["--percent", "101"], "101"),
        (["--percent", "5", "--percent", "5"], "expected each percentage once"),
        (["--steps", "0"], "from 1"),
        (["--random", "1"], "from 2"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", "hidden.pth", *FEW[:-2], *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_several_trainings_are_refused(tmp_path):
    pattern = save_trainings(tmp_path, 2)
    how = {"images": scenes(1), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    with pytest.raises(BadInput, match="faig takes single networks"):
        discriminative_filters({"a": pattern, "b": tmp_path / "b1" / "model.pth"}, **how)
