"""Local attribution: closed forms, completeness, and where it must be nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from analysis.attribution import integrated_gradients
from analysis.attribution.integrated_gradients import Window
from mtd import masking
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput
from tests.helpers.networks import MASKED, tiny_network

WINDOW = Window(9, 10, 6)


def picture(side: int = 24) -> Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(1)).double()


def smooth_network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 3, 3, padding=1))
    return nn.Sequential(*layers).double()


class Constant(nn.Module):
    """An output that does not depend on the input, but perhaps on the weights."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.level, self.factor = nn.Parameter(torch.ones(1, 3, 1, 1)), factor

    def forward(self, x: Tensor) -> Tensor:
        return self.level.double().expand_as(x) * 1 if self.factor else torch.zeros_like(x)


@pytest.mark.parametrize("factor", [0, 1])
def test_nothing_is_attributed_of_an_output_that_does_not_depend_on_the_input(factor):
    found = integrated_gradients.attribute(Constant(factor), picture(), WINDOW, sigma=2.0, steps=2)
    assert not found.values.any() and found.start == found.end


def test_gini_and_diffusion_index_in_closed_form():
    assert integrated_gradients.gini(torch.ones(7, 3)) == pytest.approx(0)
    one = torch.zeros(50)
    one[3] = 2
    assert (
        integrated_gradients.gini(one) == pytest.approx(1 - 1 / 50)
        and integrated_gradients.diffusion_index(one) > 0
    )
    ramp = torch.arange(1, 101)  # (n − 1) / 3n
    assert integrated_gradients.gini(ramp) == pytest.approx(99 / 300)
    assert integrated_gradients.diffusion_index(5 * ramp.flip(0)) == pytest.approx(67)
    values = torch.rand(40)
    pairs = (values[:, None] - values).abs().sum() / (2 * 40 * values.sum())
    assert integrated_gradients.gini(values) == pytest.approx(float(pairs), rel=1e-5)
    assert math.isnan(integrated_gradients.diffusion_index(torch.zeros(4)))


def test_a_flat_image_has_no_attribution():
    image = torch.full((3, 32, 32), 0.3, dtype=torch.float64)
    network = torch.nn.Conv2d(3, 3, 3, padding=1).double()
    found = integrated_gradients.attribute(network, image, Window(8, 8, 8), steps=4)
    assert not found.values.any()
    assert math.isnan(integrated_gradients.diffusion_index(found.map))


def test_detail_is_that_of_a_ramp():
    ramp = torch.arange(12.0).repeat(2, 3, 12, 1)
    assert integrated_gradients.detail(ramp, Window(2, 3, 4)) == pytest.approx(3 * 16, rel=1e-6)
    # the last column has no neighbour on its right
    assert integrated_gradients.detail(ramp, Window(0, 8, 4))[0] == pytest.approx(3 * 12, abs=0.01)
    flat = torch.zeros(1, 3, 12, 12, requires_grad=True)
    (slope,) = torch.autograd.grad(integrated_gradients.detail(flat, Window(2, 3, 4)).sum(), flat)
    assert torch.equal(slope, torch.zeros_like(slope))


def test_the_path_goes_from_the_blur_to_the_image():
    image = picture()
    points = integrated_gradients.path(image, 2.0, 5)
    assert torch.equal(points[-1], image) and torch.equal(
        points[0], integrated_gradients.blur(image, 2.0)
    )
    assert torch.allclose(
        integrated_gradients.blur(torch.full((3, 24, 24), 0.3), 2.0), torch.tensor(0.3).double()
    )
    spread = [float(point.var()) for point in points]
    assert spread == sorted(spread)
    white = torch.randn(1, 400, 400, dtype=torch.float64)
    assert float(integrated_gradients.blur(white, 3.0).std()) == pytest.approx(
        1 / (6 * math.sqrt(math.pi)), rel=0.1
    )


def test_a_linear_objective_is_complete_at_any_number_of_steps(monkeypatch):
    monkeypatch.setattr(
        integrated_gradients, "detail", lambda y, w: y[..., 9:15, 10:16].sum((1, 2, 3))
    )
    convolution = nn.Conv2d(3, 3, 3, padding=1, bias=False).double()
    found = integrated_gradients.attribute(convolution, picture(), WINDOW, sigma=2.0, steps=1)
    assert found.error < 1e-12
    weights = torch.zeros(1, 3, 24, 24, dtype=torch.float64)
    weights[..., 9:15, 10:16] = 1
    slope = nn.functional.conv_transpose2d(weights, convolution.weight, padding=1)[0]
    expected = slope * (picture() - integrated_gradients.blur(picture(), 2.0))
    assert torch.allclose(found.values, expected)


def test_what_is_lost_falls_with_the_steps():
    errors = {
        steps: integrated_gradients.attribute(
            smooth_network(), picture(), WINDOW, sigma=2.0, steps=steps
        ).error
        for steps in (4, 16, 64, 256)
    }
    assert errors[256] < 1e-3 < errors[4] and errors[256] < errors[64] < errors[4]
    # the published sum, with gradients at the end of each step, loses more
    points, total = integrated_gradients.path(picture(), 2.0, 64), 0.0
    for some, move in zip(points[1:], points[1:] - points[:-1], strict=True):
        given = some[None].requires_grad_()
        value = integrated_gradients.detail(smooth_network()(given), WINDOW).sum()
        total += float((torch.autograd.grad(value, given)[0][0] * move).sum())
    found = integrated_gradients.attribute(smooth_network(), picture(), WINDOW, sigma=2.0, steps=64)
    gained = found.end - found.start
    assert abs(total - gained) / abs(gained) > errors[64]


def test_nothing_is_attributed_beyond_the_receptive_field():
    torch.manual_seed(0)
    network = DnCNN(DnCNNConfig(features=4, depth=3)).double().eval()
    window = Window(10, 9, 4)
    values = integrated_gradients.attribute(network, picture(), window, sigma=2.0, steps=3).values
    seen = torch.zeros(24, 24, dtype=torch.bool)
    # 3 pixels each way, and 1 for the neighbours on the right and below
    seen[10 - 3 : 10 + 4 + 1 + 3, 9 - 3 : 9 + 4 + 1 + 3] = True
    assert (values[:, ~seen] == 0).all() and (values[:, seen] != 0).any()
    assert integrated_gradients.reach(values.sum(0).abs(), window, 1.0) <= 4


def test_how_many_go_together_decides_nothing():
    parts = [
        integrated_gradients.attribute(
            smooth_network(), picture(), WINDOW, sigma=2.0, steps=7, batch=size
        ).values
        for size in (1, 3, 8)
    ]
    assert torch.allclose(parts[0], parts[1]) and torch.allclose(parts[0], parts[2])


def test_masks_are_the_same_along_the_path(monkeypatch):
    network = tiny_network(1)
    network.inference = masking.MaskedInference(MASKED)
    drawn: list[list[object]] = []
    original = masking.KeyedMasks.__call__

    def call(self, block, batch, windows, tokens):
        found = original(self, block, batch, windows, tokens)
        assert all(torch.equal(found[0], other) for other in found) and not found.all()
        drawn.append(list(self.keys))
        return found

    monkeypatch.setattr(masking.KeyedMasks, "__call__", call)
    image = picture(16).float()
    window = Window(5, 5, 6)
    how = {"sigma": 2.0, "steps": 5, "batch": 2}
    one, again, other = (
        integrated_gradients.attribute(network, image, window, key=key, **how).values
        for key in "aab"
    )
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert {key for keys in drawn for key in keys} == {"a", "b"}


def test_reach_is_a_distance_from_the_window():
    values = torch.zeros(20, 20)
    values[9:13, 9:13] = 1  # 16 within
    values[5, 9] = 16  # 4 above
    window = Window(9, 9, 4)
    assert [integrated_gradients.reach(values, window, share) for share in (0.5, 0.9, 1.0)] == [
        0,
        4,
        4,
    ]
    for value in (0.0, math.nan, math.inf):
        assert math.isnan(integrated_gradients.reach(torch.full((9, 9), value), window, 0.5))


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="not inside"):
        integrated_gradients.attribute(smooth_network(), picture(), Window(20, 4, 6), sigma=2.0)
    with pytest.raises(BadInput, match="lower --blur"):
        integrated_gradients.attribute(smooth_network(), picture(), WINDOW, sigma=6.0)
