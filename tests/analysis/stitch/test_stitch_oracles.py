"""What a stitch costs where the answer is known: equal, rotated and exchanged networks."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mtd
from analysis.commands.inputs import RunInputs, load_inputs
from analysis.commands.modules import named_models, photographs_from
from analysis.engine.observer import View
from analysis.stitch import costs, fit, recordings, stitch_models
from analysis.stitch.pairs import Stitched
from analysis.stitch.recordings import Recordings
from analysis.stitch.settings import StitchSettings
from mtd.utils.errors import BadInput

NOISE = "gaussian:30"


def images(count: int = 4, side: int = 20) -> list[np.ndarray]:
    """Smooth photographs of random blobs."""
    rng = np.random.default_rng(0)
    waves = np.linspace(0, 6, side)
    return [
        0.5
        + 0.4
        * np.sin(waves[:, None, None] * rng.normal(size=3) + rng.normal(size=3))
        * np.cos(waves[None, :, None] * rng.normal(size=3) + rng.normal(size=3))
        for _ in range(count)
    ]


def small_network(seed: int = 0) -> nn.Sequential:
    """A CNN without a skip, whose convolutions follow one another twice without activation."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(6, 3, 3, padding=1),
    )


def rotated(network: nn.Sequential) -> nn.Sequential:
    """The same function: channels of the third layer rotated, the inverse in the next one."""
    twin = copy.deepcopy(network)
    matrix, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))
    rotation = torch.from_numpy(matrix).float()
    here, after = twin[2], twin[3]
    with torch.no_grad():
        here.weight.copy_(torch.einsum("oc,cihw->oihw", rotation, here.weight))
        here.bias.copy_(rotation @ here.bias)
        after.weight.copy_(torch.einsum("ocij,dc->odij", after.weight, rotation))
    return twin


def recordings_of(models: dict[str, nn.Module], **settings: object) -> Recordings:
    how = {"crop": 16, "limit": 4, "noises": [NOISE], "ridge": 1e-10} | settings
    chosen = StitchSettings.of(**how)
    inputs: RunInputs = load_inputs(named_models(models), chosen, photographs_from(images()))
    return Recordings(inputs, chosen)


def cost(found: dict[str, torch.Tensor]) -> np.ndarray:
    """(layers,), mean over crops."""
    return (found[costs.OWN] - found[costs.PSNR]).mean(1).numpy()


def test_a_network_stitched_to_itself_costs_nothing():
    stage = recordings_of({"a": small_network()})
    found = costs.measure(stage, Stitched(View("a", NOISE), View("a", NOISE)))
    assert cost(found) == pytest.approx(0, abs=1e-3) and len(cost(found)) >= 3
    assert found[costs.R2].numpy() == pytest.approx(1, abs=1e-6)
    assert found[costs.CKA].numpy() == pytest.approx(1, abs=1e-9)


def test_the_bundled_network_stitched_to_itself_costs_nothing():
    stage = recordings_of({"masked": mtd.load("masked.pth")}, ridge=1e-6)
    found = costs.measure(stage, Stitched(View("masked", NOISE), View("masked", NOISE)))
    assert cost(found) == pytest.approx(0, abs=1e-3) and len(cost(found)) == 9


def test_rotated_channels_cost_nothing():
    network = small_network()
    stage = recordings_of({"a": network, "b": rotated(network)}, layers=["2"])
    x = torch.rand(1, 3, 8, 8)
    own, twin = (stage.inputs.models[name](x) for name in "ab")
    assert torch.allclose(own, twin, atol=1e-6)
    found = costs.measure(stage, Stitched(View("a", NOISE), View("b", NOISE)))
    assert cost(found) == pytest.approx(0, abs=1e-3)
    assert found[costs.R2].numpy() == pytest.approx(1, abs=1e-6)


def test_stitches_fitted_to_exchanged_photographs_cost_much():
    view = View("masked", NOISE)
    stage = recordings_of({"masked": mtd.load("masked.pth")})
    own, floor = (
        costs.measure(stage, Stitched(view, view, permuted)) for permuted in (False, True)
    )
    # the first half of the network works inside the range of a global skip: the cost is smaller
    assert (cost(floor) > 1).all() and (cost(floor) > cost(own) + 1).all()
    assert (floor[costs.R2] < 0.2).all()


def test_a_stitch_between_two_networks_is_that_made_by_hand():
    """Plain modules called one after another, and a map of NumPy's least squares."""
    models = {"a": small_network(0), "b": small_network(1)}
    stage = recordings_of(models, layers=["2"])
    found = costs.measure(stage, Stitched(View("a", NOISE), View("b", NOISE)))
    folds = recordings.folds(stage.inputs.crops)
    for fold, places in enumerate(folds):
        sides = []
        for which in (folds[1 - fold], places):
            noisy = stage.noisy(View("a", NOISE), which).noisy
            sides.append([models[name][:3](noisy).detach().double().numpy() for name in "ab"])
        x, y = (maps.transpose(0, 2, 3, 1).reshape(-1, 6) for maps in sides[0])
        full, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
        mapped = np.einsum("bchw,co->bohw", sides[1][0], full[:-1]) + full[-1][:, None, None]
        output = models["b"][3:](torch.from_numpy(mapped).float()).detach().double().numpy()
        clean = stage.noisy(View("a", NOISE), places).batch.clean.double().numpy()
        expected = -10 * np.log10(np.square(output - clean).mean((1, 2, 3)))
        assert found[costs.PSNR][0, places].numpy() == pytest.approx(expected, abs=1e-4)


def test_the_fit_has_not_seen_the_photographs_on_which_it_is_measured():
    """Another image in one fold changes the stitches of the other alone."""
    stage = recordings_of({"a": small_network(0), "b": small_network(1)}, layers=["2"])
    crops = stage.inputs.crops
    folds = recordings.folds(crops)
    scenes = [{stage.scenes[i] for i in places} for places in folds]
    assert not scenes[0] & scenes[1] and sorted([*folds[0], *folds[1]]) == list(range(len(crops)))
    unit = Stitched(View("a", NOISE), View("b", NOISE))
    before = costs.match(stage, unit)["2"]
    changed = folds[0][0]
    crops[changed] = replace(crops[changed], pixels=255 - crops[changed].pixels)
    stage._kept.clear()
    after = costs.match(stage, unit)["2"]
    assert torch.equal(before.stitches[0].weight, after.stitches[0].weight)
    assert not torch.equal(before.stitches[1].weight, after.stitches[1].weight)


class Unused(nn.Module):
    """A network with a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.used(x)


def test_a_layer_that_never_fires_is_an_error():
    with pytest.raises(BadInput, match=r"'.*unused' never fired"):
        stitch_models({"a": Unused()}, images(), crop=16, layers="**unused", progress=False)


def test_fit_is_exported():
    assert fit.__module__ == "analysis.stitch.matching"
