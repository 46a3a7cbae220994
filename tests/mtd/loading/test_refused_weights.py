"""Files whose weights no rule decides, or are in objects: refused in one line with a way out."""

from __future__ import annotations

import argparse
import json
import pickle
import tarfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch

import mtd
from mtd import models as models_command
from mtd.loading import checkpoint_file
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput
from tests.helpers.architectures import X, output, refused, saved, tiny
from tests.helpers.external_networks import nafnet
from tests.helpers.wrappings import EXTRAS, lightning, optimizer, renamed, shifted

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


def weights_of(name: str) -> dict[str, torch.Tensor]:
    return dict(tiny(name).state_dict())


def test_several_sets_that_no_rule_tells_apart(tmp_path):
    path, weights = tmp_path / "a.pth", weights_of("FFDNet")
    torch.save({"best": weights, "last": shifted(weights)}, path)
    message = refused(path, sigma=25)
    assert "several sets of weights of a FFDNet: --weights best or --weights last" in message
    assert torch.equal(output(mtd.load(path, sigma=25, weights="best")), output(tiny("FFDNet")))
    torch.save({"best": weights, "last": weights}, path)  # the same, so that it does not matter
    assert torch.equal(output(mtd.load(path, sigma=25)), output(tiny("FFDNet")))
    torch.save({"a": weights, "ema_999": shifted(weights), "ema_9999": weights}, path)
    assert "--weights ema_999 or --weights ema_9999" in refused(path, sigma=25)
    torch.save({"g_a": weights, "g_b": shifted(weights), "g_a_ema": shifted(weights)}, path)
    assert "--weights g_a or --weights g_b or --weights g_a_ema" in refused(path, sigma=25)
    torch.save({"last": weights, "best": weights, "last_ema": shifted(weights)}, path)
    assert mtd.load(path, sigma=25).source["weights"]["key"] == "last_ema"
    both = {**renamed(weights, "generator_a."), **renamed(shifted(weights), "generator_b.")}
    torch.save({"state_dict": both}, path)
    message = refused(path, sigma=25)
    assert "--weights state_dict.generator_a or --weights state_dict.generator_b" in message
    loaded = mtd.load(path, sigma=25, weights="state_dict.generator_a")
    assert torch.equal(output(loaded), output(tiny("FFDNet")))
    torch.save({"top": {**weights, **renamed(shifted(weights), "other.")}}, path)
    assert "to use it alone: --weights top.other" in refused(path, sigma=25)


def test_several_networks(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"first": weights_of("FFDNet"), "second": weights_of("RIDNet")}, path)
    message = refused(path, sigma=25)
    assert "several networks, a FFDNet in first, a RIDNet in second" in message
    loaded = mtd.load(path, weights="second")
    assert torch.equal(output(loaded), output(tiny("RIDNet")))
    both = {**renamed(dict(nafnet().state_dict()), "a."), **renamed(weights_of("RIDNet"), "b.")}
    torch.save(both, path)
    assert "NAFNet" in refused(path) or "RIDNet" in refused(path)


PARTS = {
    "a layer before": lambda w: {**renamed(w, "body."), "head.weight": X},
    "a semantic prior": lambda w: {**renamed(w, "body."), "semantic_prior.weight": X},
    "a remapped head": lambda w: {**renamed(w, "body."), "remap.weight": X},
    "a learned step": lambda w: {**renamed(w, "prior."), "step": torch.tensor(0.1)},
    "a learned scale": lambda w: {**renamed(w, "prior."), "scale": torch.tensor(1.0)},
    "a learned vector": lambda w: {**renamed(w, "prior."), "iter": torch.tensor([1.0, 2.0])},
    "another mapping": lambda w: {"net": w, "refine": {"0.weight": X}},
    "whole numbers": lambda w: {"net": w, "tables": {"codes": torch.ones(9, 3, dtype=torch.int8)}},
    "in a list": lambda w: [w, {"fusion.weight": X}],
    "beside it": lambda w: {**w, "else.weight": X},
    "inside it": lambda w: {**renamed(w, "net."), "net.else.weight": X},
    "under the loss alone": lambda w: {**renamed(w, "loss.net."), "model.0.weight": X},
    "the teacher alone": lambda w: {"teacher": w, "student": {"stem.weight": X}},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["DnCNN", "NAFNet", "own"])
def test_a_part_of_a_network_is_not_run_alone(tmp_path, monkeypatch, name, part):
    how = {}
    weights = weights_of(name) if name == "DnCNN" else dict(nafnet().state_dict())
    if name == "own":
        (tmp_path / "part_of_own.py").write_text(
            "from tests.helpers.external_networks import nafnet as Net\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        how = {"factory": "part_of_own:Net"}
    torch.save(PARTS[part](weights), tmp_path / "a.pth")
    message = refused(tmp_path / "a.pth", **how)
    assert "--weights None" not in message


@pytest.mark.parametrize(
    "name, prefix", [("FFDNet", ""), ("FFDNet", "model."), ("DnCNN", "net.module."), ("SwinIR", "")]
)
def test_missing_weights_stay_missing(tmp_path, name, prefix):
    """An average that lacks weights is not filled up with others' either."""
    weights, path = weights_of(name), tmp_path / "a.pth"
    last = [key for key in weights if key.endswith("weight")][-1]
    less = {key: value for key, value in weights.items() if key != last}
    for content in (
        {"state_dict": renamed(less, prefix)},
        lightning(renamed(less, prefix)),
        {"params": renamed(less, prefix), "optimizer": optimizer(weights)},
        {"model": weights, "model_ema": less} if name != "SwinIR" else {"model": less},
    ):
        torch.save(content, path)
        refused(path, **({"sigma": 25} if name == "FFDNet" else {}))


def test_an_average_that_does_not_fit_names_the_way_to_the_raw_weights(tmp_path):
    path, weights = tmp_path / "a.pth", weights_of("DnCNN")
    torch.save({"model": weights, "ema": {"shadow": {"conv.weight": X}}}, path)
    message = refused(path)
    assert "an average in ema.shadow (1 tensor) that does not fit the DnCNN in model" in message
    assert "--weights model takes the latter" in message
    assert torch.equal(output(mtd.load(path, weights="model")), output(tiny("DnCNN")))
    torch.save({**weights, "ema.conv.weight": X}, path)
    assert "--weights . takes the latter" in refused(path)
    assert torch.equal(output(mtd.load(path, weights=".")), output(tiny("DnCNN")))


def test_keys_of_weights_that_are_none(tmp_path):
    path, weights = tmp_path / "a.pth", weights_of("DnCNN")
    torch.save({"params": weights, "params_ema": weights}, path)
    assert "--weights parms: nothing there; did you mean params" in refused(path, weights="parms")
    assert "no network known here" in refused(path, weights="params.model.0")
    with pytest.raises(BadInput, match="weights 3: expected keys"):
        mtd.load(path, weights=3)
    ours = saved(tiny("DnCNN"), tmp_path / "b.pth")
    assert mtd.load(ours, weights="params").source["recognised"] == "its own metadata"


def test_a_dncnn_under_other_names_is_named(tmp_path):
    weights = dict(DnCNN(DnCNNConfig(depth=17, batch_norm=True, bias=False)).state_dict())
    other = {f"module.dncnn.{key.removeprefix('model.')}": v for key, v in weights.items()}
    torch.save(other, tmp_path / "a.pth")
    message = refused(tmp_path / "a.pth")
    assert "nearest: a DnCNN with batch normalization under module.dncnn.*" in message
    assert "depth=17, batch_norm=True, bias=False), which is expected under model.*" in message
    torch.save({"state_dict": renamed(weights, "a.") | {"b.weight": X}}, tmp_path / "b.pth")
    assert "holds a DnCNN and 1 other tensor (b.weight" in refused(tmp_path / "b.pth")


class Plain:
    """A trainer's own class."""


@pytest.mark.parametrize("zipped", [True, False])
def test_the_class_that_is_in_the_way_is_named(tmp_path, zipped):
    path = tmp_path / "a.pth"
    inside = Plain()
    inside.weights = weights_of("FFDNet")
    for content, place in ((inside, ""), ({"net": inside}, " in net")):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        message = refused(path, sigma=25)
        assert f"its weights are not read ({__name__}.Plain{place}); save the state" in message
    torch.save({"epoch": 3, "args": Plain()}, path, _use_new_zipfile_serialization=zipped)
    assert f"read without 1 object that is not a tensor ({__name__}.Plain)" in refused(path)
    path.write_bytes(pickle.dumps(argparse.Namespace(a=1), protocol=2))
    assert "a pickle of argparse.Namespace that torch.save did not write" in refused(path)


def test_all_protocols_are_read_and_archives_of_the_oldest_format_refused(tmp_path):
    path = tmp_path / "a.pth"
    for protocol, zipped in product(range(2, 6), (True, False)):
        torch.save(
            {"net": weights_of("FFDNet"), "args": Plain()},
            path,
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=zipped,
        )
        assert torch.equal(output(mtd.load(path, sigma=25)), output(tiny("FFDNet")))
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            (tmp_path / name).write_bytes(b"x")
            archive.add(tmp_path / name, name)
    assert "of a PyTorch before 0.1.10" in refused(path)


def test_all_sets_are_listed(in_process: Call, tmp_path: Path) -> None:
    path, weights = str(tmp_path / "a.ckpt"), weights_of("DnCNN")
    inside = {**renamed(weights, "model."), **renamed(shifted(weights), "ema_model.")}
    inside |= EXTRAS["loss"]("", {}) | {"model.total_ops": torch.zeros(1)}
    torch.save(lightning(inside), path)
    given = (path, "--size", "8", "--json")
    code, out, err = in_process(models_command.main, *given)
    assert code == 0, err
    (told,) = json.loads(out)["results"]["models"]
    sets = told["weights"]["sets"]
    assert sets["state_dict.model"] == len(weights) + 1
    assert sets["state_dict.ema_model"] == len(weights)
    assert sets["state_dict.loss"] == 1 and not any("Checkpoint" in key for key in sets)
    assert told["weights"]["key"] == "state_dict.ema_model" and told["weights"]["averaged"]
    out = in_process(models_command.main, path, "--size", "8")[1]
    assert "averaged, state_dict.ema_model" in out
    assert f"state_dict.model ({len(weights) + 1} tensors)" in out
    assert "test_refused" not in out and "wrappings.Settings" in out
    out = in_process(models_command.main, *given, "--weights", "state_dict.model")[1]
    (told,) = json.loads(out)["results"]["models"]
    assert told["weights"]["key"] == "state_dict.model" and not told["weights"]["averaged"]
    assert told["counts"] == ["model.total_ops"]
    assert "optimizer_states.0, of an optimizer" in told["left_out"]
    code, _, err = in_process(models_command.main, *given, "--weights", "state_dict.modl")
    assert code == 2 and err.count("\n") == 1 and "did you mean state_dict.model" in err


def test_files_of_ours_say_nothing_new(tmp_path):
    source = mtd.load(saved(tiny("DnCNN"), tmp_path / "a.pth")).source
    assert not {"prefix", "weights", "counts", "left_out"} & source.keys()
    assert source["container"] == "params"
    assert checkpoint_file.read(tmp_path / "a.pth").left_out == []


def test_counts_that_the_network_has_not_are_listed(tmp_path):
    weights = weights_of("FFDNet")
    stray = {"model.1.num_batches_tracked": torch.tensor(5), "n_averaged": torch.tensor(3)}
    torch.save({"model": {**weights, **stray}, "optim": optimizer(weights)}, tmp_path / "a.pth")
    source = mtd.load(tmp_path / "a.pth", sigma=25).source
    assert source["counts"] == sorted(stray)
    assert source["left_out"] == ["optim, of an optimizer"]
    torch.save(weights_of("DnCNN"), tmp_path / "b.pth")  # which has such counts
    assert "counts" not in mtd.load(tmp_path / "b.pth").source
