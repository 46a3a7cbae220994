"""Models and images from Python: what is understood, and what is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mtd
from analysis.commands.modules import from_python, named_models, photographs_from
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


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (None, "models None: expected a module"),
        ([], "no model"),
        ({"a": 3}, "model a: int; expected a module"),
        ({"a": Own}, "model a: type; expected a module: call the class, Own"),
        ({"a": Own().state_dict()}, "a state dict has to be loaded into one first"),
        ("absent.pth", "absent.pth: no such file"),
    ],
)
def test_what_is_no_model_is_refused(models, message):
    with pytest.raises(BadInput, match=message):
        from_python(models, Settings(), "cpu")


def test_models_without_names_have_that_of_file_or_class():
    assert list(named_models(["baseline.pth", Own(), Own()])) == ["baseline", "Own", "Own 2"]


def test_arrays_tensors_and_files_are_photographs(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    as_tensor = torch.from_numpy(image / 255).permute(2, 0, 1)
    for images in (image, image[None], image / 255, as_tensor, [as_tensor]):
        (photo,) = photographs_from(images)
        assert np.array_equal(photo.load(), image) and photo.name == "image 0"
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
        ([], "no image"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(BadInput, match=message):
        photographs_from(images)
