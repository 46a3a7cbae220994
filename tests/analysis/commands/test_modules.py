"""Models and images from Python: what is understood, and what is refused in one line."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import analysis
import mtd
from analysis.commands import networks
from analysis.commands.inputs import load_inputs, manifest_of
from analysis.commands.modules import (
    device_of,
    from_python,
    module_digest,
    named_models,
    photographs_from,
)
from analysis.commands.settings import Settings
from mtd.networks.ffdnet import FFDNet
from mtd.utils.errors import BadInput


class Own(nn.Module):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.layer, self.factor = nn.Conv2d(3, 3, 3, padding=1), factor

    def extra_repr(self) -> str:
        return f"factor={self.factor}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.factor * self.layer(x)


def test_settings_of_masks_reach_modules_as_they_reach_files():
    network = mtd.load("masked.pth")
    for settings in (
        Settings(attention_mask="off"),
        Settings(mask_samples=3),
        Settings(seed=5),
        Settings(),
    ):
        of_module = from_python({"m": network}, settings, "cpu")["m"].inference
        of_file = from_python({"m": "masked.pth"}, settings, "cpu")["m"].inference
        assert of_module == of_file
    assert network.inference.switch == "auto" and network.inference.samples == 1


def test_a_noise_level_that_was_given_when_loading_is_kept():
    with pytest.raises(BadInput, match=r"mtd\.load\(path, sigma=25\)"):
        from_python({"f": FFDNet()}, Settings(), "cpu")


def test_other_weights_classes_and_arguments_are_other_models():
    torch.manual_seed(0)
    one, other = Own(1.0), Own(0.2)
    other.load_state_dict(one.state_dict())
    digests = [from_python([m], Settings(), "cpu")["Own"].source["sha256"] for m in (one, other)]
    assert digests[0] != digests[1]
    again = from_python([one], Settings(), "cpu")["Own"].source["sha256"]
    assert again == digests[0]


class Hidden(Own):
    """What decides its outputs is in no `repr` and in no state dict."""

    def __init__(self, factor: float | torch.Tensor | np.ndarray) -> None:
        super().__init__()
        self.factor = factor  # type: ignore[assignment]

    def extra_repr(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("a", "b"), [(1.0, 0.2), (torch.ones(1), torch.zeros(1)), (np.ones(1), np.zeros(1))]
)
def test_attributes_are_part_of_what_a_module_is(a, b):
    one, other, same = Hidden(a), Hidden(b), Hidden(a)
    for module in (other, same):
        module.layer.load_state_dict(one.layer.state_dict())
    digests = [module_digest(module) for module in (one, other, same)]
    assert digests[0] == digests[2] != digests[1]


def test_weights_that_were_changed_after_loading_are_not_those_of_the_file():
    network, file = mtd.load("baseline.pth"), mtd.load("baseline.pth").source
    unchanged = from_python({"b": network}, Settings(), "cpu")["b"].source
    assert unchanged == file
    with torch.no_grad():
        network.conv_first.weight.mul_(1.3)
    source = from_python({"b": network}, Settings(), "cpu")["b"].source
    for name in ("sha256", "weights_sha256"):
        assert source[name] not in (file["sha256"], file["weights_sha256"])
    assert source["recognised"].endswith("weights changed after loading")
    assert network.source == file


@pytest.mark.parametrize("given", [lambda m: m, lambda m: [m], lambda m: {"masked": m}])
def test_modules_run_in_eval_mode_however_they_are_given(given):
    """Random depth and batch statistics are for training; the mode is restored afterwards."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5)).train()
    reference = copy.deepcopy(network).eval()
    images = [np.random.default_rng(0).random((16, 16, 3))]
    options = {"images": images, "noises": ["gaussian:15"], "lpips": False, "progress": False}
    benchmark = analysis.generalization.benchmark
    result = benchmark(given(network), **options)
    expected = benchmark({"masked": reference}, **options)
    values = [r.results.query("metric == 'psnr' and model != 'noisy'") for r in (result, expected)]
    assert np.array_equal(*(rows.value for rows in values))
    assert network.training and network[1].training and network[1].num_batches_tracked == 0


def test_masks_that_a_module_has_of_its_own_are_in_the_manifest():
    masked = mtd.load("masked.pth", mask_samples=3, attention_mask="on")
    models = {"three": masked, "one": "masked.pth"}
    settings = Settings(crop=16, limit=1)
    about = manifest_of("x", settings, load_inputs(models, settings))
    assert about["mask_samples"] == {"three": 3, "one": 1}
    assert about["attention_mask"] == {"three": "on", "one": "auto"}
    identities = [about["models"][name]["identity"] for name in models]
    assert len(set(identities)) == 2 and about["models"]["one"]["sha256"] == masked.source["sha256"]
    alone = manifest_of("x", settings, load_inputs({"three": masked}, settings))
    assert alone["mask_samples"] == 3 and alone["models"]["three"]["identity"] == identities[0]


def test_a_network_is_the_same_one_whatever_the_seed():
    digests = {
        networks.identity_digest(from_python({"m": "masked.pth"}, Settings(seed=seed), "cpu")["m"])
        for seed in (0, 5)
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (None, "models None: expected a module"),
        ([], "no model"),
        ({"a": 3}, "model a: int; expected a module"),
        ({"a": Own}, "model a: type; expected a module: call the class, Own"),
        ({"a": Own().state_dict()}, "a state dict has to be loaded into one first"),
        ("absent.pth", "absent.pth: no such file"),
        (["baseline.pth", "./baseline.pth"], "baseline.pth and ./baseline.pth are the same model"),
        (["baseline.pth"] * 2, "the same model: give it once"),
    ],
)
def test_what_is_no_model_is_refused(models, message):
    with pytest.raises(BadInput, match=message):
        from_python(models, Settings(), "cpu")


def test_models_without_names_have_that_of_file_or_class():
    assert list(named_models(["baseline.pth", Own(), Own()])) == ["baseline", "Own", "Own 2"]
    assert list(named_models(["Own 2.pth", Own(), Own()])) == ["Own 2", "Own", "Own 3"]


def test_arrays_tensors_and_files_are_photographs(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    as_tensor = torch.from_numpy(image / 255).permute(2, 0, 1)
    for images in (image, image[None], image / 255, as_tensor, [as_tensor]):
        (photo,) = photographs_from(images)
        assert np.array_equal(photo.load(), image) and photo.name == "image 0"
    half = as_tensor.to(torch.bfloat16)
    assert np.array_equal(
        photographs_from(half)[0].load(), photographs_from(half.float())[0].load()
    )
    (gray,) = photographs_from(image[..., 0])
    assert gray.load().shape == (8, 9, 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (5, "images of type int: expected a folder"),
        ({"a": np.zeros((8, 8, 3))}, "images of type dict"),
        ([None], "image 0: NoneType; expected a path"),
        (np.full((8, 8, 3), 2.0), "values from 2 to 2; expected"),
        (np.full((8, 8, 3), np.nan), "holds NaN or infinite values"),
        (np.zeros((8, 8, 4)), r"shape \(8, 8, 4\); expected \(H, W, 3\)"),
        (np.zeros((8, 8, 3), int), "expected uint8, or real numbers"),
        (np.zeros((0, 0, 3)), "has no pixels"),
        ([], "no image"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(BadInput, match=message):
        photographs_from(images)


def test_modules_are_run_where_they_are_unless_a_device_is_given(monkeypatch):
    monkeypatch.setenv("MTD_DEVICE", "cuda:3")
    there = {"a": nn.Conv2d(3, 3, 3, device="meta"), "b": "masked.pth"}
    assert device_of(there, "auto") == device_of({"m": [there["a"]]}, "auto") == "meta"
    assert device_of(there, "cpu") == "cpu"
    assert device_of({"b": "masked.pth"}, "auto") == device_of(["a log"], "auto") == "cuda:3"


def test_a_manifest_names_the_device_that_was_chosen():
    of = [Settings(crop=16, limit=2, device=device) for device in ("auto", "cpu")]
    manifests = [manifest_of("x", settings, load_inputs([Own()], settings)) for settings in of]
    assert manifests[0]["device"] == manifests[1]["device"] == "cpu"
