"""What files hold beside a network: said, or refused where it may be the network's own."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import mtd
from mtd import models as models_command
from mtd.loading.choice import addresses
from mtd.loading.listing import sets_line, weights_line
from mtd.loading.weight_sets import WeightSet
from tests.helpers.architectures import X, output, refused, tiny
from tests.helpers.wrappings import Weights, lightning, renamed, shifted

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


def weights_of(name: str) -> Weights:
    return dict(tiny(name).state_dict())


class Holder:
    """An object of a trainer's class that holds weights."""

    def __init__(self, held: Any) -> None:
        self.held = held


def arrays(weights: Weights) -> dict[str, Any]:
    return {name: value.numpy() for name, value in weights.items()}


UNREAD: dict[str, Callable[[Weights], Any]] = {
    "an object": Holder,
    "a module in an object": lambda w: Holder(nn.Sequential(nn.Conv2d(3, 3, 3))),
    "a list in an object": lambda w: Holder([{"net": w}]),
    "arrays of NumPy": arrays,
    "arrays in an object": lambda w: Holder(arrays(w)),
    "a long array": lambda w: torch.ones(20_000).numpy(),
    "bytes of a file": lambda w: pickle.dumps({**arrays(w), "more": list(range(9000))}),
    "lists of numbers": lambda w: {name: value.tolist() for name, value in w.items()},
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("unread", UNREAD)
@pytest.mark.parametrize("beside", ["discriminator", "init", "estimator"])
def test_another_network_is_not_run_in_place_of_one_that_is_not_read(
    tmp_path, unread, beside, zipped
):
    path, weights = tmp_path / "a.pth", weights_of("DnCNN")
    content = {"model": UNREAD[unread](weights_of("FFDNet")), beside: weights}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    message = refused(path)
    assert f"--weights {beside}" in message
    if beside in ("init", "estimator"):
        assert "holds weights in model" in message
    assert torch.equal(output(mtd.load(path, weights=beside)), output(tiny("DnCNN")))


@pytest.mark.parametrize("zipped", [True, False])  # the older format holds source text as well
def test_another_network_is_not_run_in_place_of_a_pickled_module(tmp_path, zipped):
    path, weights = tmp_path / "a.pth", weights_of("DnCNN")
    content = {"model": nn.Sequential(nn.Conv2d(3, 3, 3)), "estimator": weights}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    message = refused(path)
    assert "2 other tensors in model (0.weight, 0.bias" in message
    assert "--weights estimator" in message
    assert torch.equal(output(mtd.load(path, weights="estimator")), output(tiny("DnCNN")))


def test_objects_that_hold_no_network_are_no_hindrance(tmp_path):
    weights = weights_of("DnCNN")
    content = {
        "state_dict": weights,
        "settings": Holder({"sigma": torch.ones(3), "sizes": torch.ones(3).numpy()}),
        "optimizer": torch.optim.SGD(nn.Conv2d(3, 3, 3).parameters(), lr=0.1),
        "criterion": nn.Sequential(nn.Conv2d(3, 3, 3)),
        "confusion": torch.ones(3, 3).numpy(),
    }
    shared: list[Any] = []
    for _ in range(40):  # each list twice in the next one: counted once
        shared = [shared, shared]
    content["log"] = Holder(shared)
    torch.save(content, tmp_path / "a.pth")
    assert torch.equal(output(mtd.load(tmp_path / "a.pth")), output(tiny("DnCNN")))


@pytest.mark.parametrize("name", ["discriminator", "D", "netD_ema", "teacher", "vgg", "val_metric"])
def test_a_network_of_training_alone_is_refused(tmp_path, name):
    path, weights = tmp_path / "a.pth", weights_of("DnCNN")
    for content in ({name: weights}, {"state_dict": renamed(weights, f"{name}.")}):
        torch.save(content, path)
        key = name if name in content else f"state_dict.{name}"
        assert f"in {key}, by its name a network of the training" in refused(path)
        assert torch.equal(output(mtd.load(path, weights=key)), output(tiny("DnCNN")))


BRANCHES = ("inception", "history_fusion", "vgg_encoder", "metric_head", "teacher_fuse", "critic")
BRANCHES = (
    *BRANCHES,
    "ssim_gate",
    "loss_weight",
    "disc",
    "D",
    "avg_branch",
    "average",
    "netD_fuse",
)


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_of_the_network_itself_is_not_dropped(tmp_path, branch):
    path, weights = tmp_path / "a.pth", weights_of("DnCNN")
    inside = {**weights, f"{branch}.weight": X}
    for content in (inside, {"state_dict": renamed(inside, "net.")}):
        torch.save(content, path)
        message = refused(path)
        assert f"{branch}.weight" in message or f"an average in {branch}" in message.replace(
            "state_dict.net.", ""
        )


@pytest.mark.parametrize("branch", ["vgg_encoder", "metric_head", "teacher_fuse", "loss_weight"])
def test_a_branch_beside_the_network_that_may_be_its_own_is_not_dropped(tmp_path, branch):
    inside = {**renamed(weights_of("DnCNN"), "net."), f"{branch}.weight": X}
    torch.save({"state_dict": inside}, tmp_path / "a.pth")
    assert f"1 other tensor ({branch}.weight" in refused(tmp_path / "a.pth")


def test_what_is_dropped_is_said(tmp_path):
    weights, path = weights_of("DnCNN"), tmp_path / "a.pth"
    inside = {**renamed(weights, "net."), "net.loss.vgg.0.weight": X, "teacher.0.weight": X}
    torch.save({"state_dict": inside}, path)
    assert weights_line(mtd.load(path).source) == (
        "state_dict.net; left out, of training: state_dict.net.loss (1 tensor), "
        "state_dict.teacher (1 tensor)"
    )
    layers = {"net.0.weight": X, "net.2.weight": X, "net.scale": X[0], "net.loss.weight": X}
    sets = [WeightSet("state_dict", layers)]
    assert addresses(sets) == {"state_dict.net": 3, "state_dict.net.loss": 1}
    torch.save({"generator": weights, "discriminator": shifted(weights)}, path)
    source = mtd.load(path).source
    assert "left out, of training: discriminator (" in weights_line(source)
    assert sets_line(source).startswith("generator (")
    assert sets_line(source).endswith("tensors, of training)")
    chosen = mtd.load(path, weights="discriminator").source
    assert "generator (" in sets_line(chosen) and "discriminator (" in sets_line(chosen)
    assert weights_line(chosen) == "discriminator"
    torch.save(weights, path)
    assert weights_line(mtd.load(path).source) == sets_line(mtd.load(path).source) == ""


VALUES: dict[str, Any] = {
    "hyper_parameters": {"lr": torch.tensor(0.1), "w": torch.ones(3)},
    "sched": {"x": torch.ones(3)},
    "scaler": {"scale": torch.ones(1), "growth": torch.tensor(2.0)},
    "sigmas": torch.tensor([15.0, 25.0]),
    "mean": torch.ones(3),
    "std": torch.ones(3),
    "train_curve": [torch.ones(1), torch.ones(1)],
    "ema_losses": {"l1": torch.ones(3)},
    "psnr": torch.ones(4),
    "history": {"loss": torch.ones(4)},
    "ema_decay": torch.tensor([0.999]),
}


@pytest.mark.parametrize("name", ["DnCNN", "FFDNet"])
def test_values_that_are_no_weights_do_not_hinder_and_are_listed(tmp_path, name):
    weights, how = weights_of(name), {"sigma": 25} if name == "FFDNet" else {}
    for key, value in VALUES.items():
        torch.save({"model": weights, key: value}, tmp_path / "a.pth")
        network = mtd.load(tmp_path / "a.pth", **how)
        assert torch.equal(output(network), output(tiny(name))), key
        assert all(listed.startswith(key) for listed in network.source["values"]), key
    torch.save({**lightning(renamed(weights, "model.")), **VALUES}, tmp_path / "a.ckpt")
    line = weights_line(mtd.load(tmp_path / "a.ckpt", **how).source)
    assert line.startswith("state_dict.model; left out, no weights: ema_decay, ") and "…" in line
    torch.save({**weights, "decay": torch.tensor(0.9)}, tmp_path / "b.pth")
    assert mtd.load(tmp_path / "b.pth", **how).source["counts"] == ["decay"]


@pytest.mark.parametrize("key", ["net", "ema", "weights"])
def test_vectors_that_may_be_all_weights_in_a_row_are_not_left_out(tmp_path, key):
    torch.save({"model": weights_of("DnCNN"), key: torch.ones(20_000)}, tmp_path / "a.pth")
    assert f"1 other tensor in its top ({key}" in refused(tmp_path / "a.pth")


@pytest.mark.parametrize("place", ["raw", "current", "online", "average_pool", "optimal"])
def test_another_mapping_of_weights_is_refused_whatever_its_name(tmp_path, place):
    torch.save({"net": weights_of("DnCNN"), place: {"0.weight": X}}, tmp_path / "a.pth")
    assert f"1 other tensor in {place} (0.weight" in refused(tmp_path / "a.pth")


@pytest.mark.parametrize("key", ["0.bias", "norm.running_mean", "head.weight"])
def test_vectors_that_are_weights_by_their_names_are_not_left_out(tmp_path, key):
    torch.save({"model": weights_of("DnCNN"), "refine": {key: torch.ones(3)}}, tmp_path / "a.pth")
    assert f"1 other tensor in refine ({key}" in refused(tmp_path / "a.pth")


def test_keys_above_a_network_say_nothing_of_discriminators(tmp_path):
    weights = weights_of("DnCNN")
    content = {"a": [{"d": renamed(weights, "netG.")}]}
    torch.save(content, tmp_path / "a.pth")
    assert torch.equal(output(mtd.load(tmp_path / "a.pth")), output(tiny("DnCNN")))
    torch.save({"c": weights, "d": shifted(weights)}, tmp_path / "a.pth")  # a third and a fourth
    assert "--weights c or --weights d" in refused(tmp_path / "a.pth")
    torch.save({"nets": {"g": weights, "d": {"0.weight": X}}}, tmp_path / "a.pth")
    assert mtd.load(tmp_path / "a.pth").source["weights"]["of_training"] == {"nets.d": 1}


def test_everything_is_listed(in_process: Call, tmp_path: Path) -> None:
    path, weights = str(tmp_path / "a.pth"), weights_of("DnCNN")
    torch.save({"netG": weights, "netD": shifted(weights), "psnr": torch.ones(3)}, path)
    given = (path, "--size", "8", "--no-self-test")
    code, out, err = in_process(models_command.main, *given)
    assert code == 0, err
    told = dict(line.split("  ", 1) for line in out.splitlines() if "  " in line)
    assert told["weights"].strip().startswith("netG; left out, of training: netD (")
    assert "netG (" in told["all weights"] and "tensors, of training)" in told["all weights"]
    assert told["not weights"].strip() == "psnr"
    out = in_process(models_command.main, *given, "--json", "--weights", "netD")[1]
    assert json.loads(out)["results"]["models"][0]["weights"]["sets"].keys() == {"netG", "netD"}
