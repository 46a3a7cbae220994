"""Filter attribution against closed forms, independent gradients, and a planted filter."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mtd
from analysis.causal import discriminative_filters
from analysis.causal.faig.attribution import attribute, error, points_of
from analysis.causal.faig.filters import by_filter, count, exchanged, layers, others
from analysis.engine.network_input import NetworkInput
from mtd.masking import MaskedInference
from mtd.networks import external
from tests.helpers.networks import MASKED, tiny_network


def scenes(number: int, side: int = 16) -> list[np.ndarray]:
    return [np.random.default_rng(i).random((side, side, 3)) for i in range(number)]


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.named_parameters()}


def example(side: int = 12, seed: int = 0) -> NetworkInput:
    stream = torch.Generator().manual_seed(seed)
    clean = torch.rand(1, 3, side, side, generator=stream)
    return NetworkInput(clean + 0.1 * torch.randn(clean.shape, generator=stream), clean, ["key"])


def stack(seed: int, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=bias),
        nn.Tanh(),
        nn.ConvTranspose2d(5, 5, 1, bias=bias),
        nn.Conv2d(5, 3, 1, bias=bias),
    )


def error_of(network: nn.Module, given: NetworkInput) -> torch.Tensor:
    return given.errors(given.run(network)).mean()


def by_hand(a: nn.Module, b: nn.Module, given: NetworkInput, steps: int) -> dict[str, np.ndarray]:
    """(θ̄ − θ) times the mean gradient in float64, at many middles of equal steps."""
    network, total = copy.deepcopy(b).double(), {}
    ends = [{n: p.detach().double() for n, p in model.named_parameters()} for model in (a, b)]
    for k in range(steps):
        alpha = (k + 0.5) / steps
        with torch.no_grad():
            for name, value in network.named_parameters():
                value.copy_((1 - alpha) * ends[0][name] + alpha * ends[1][name])
        network.zero_grad()
        output = network(given.noisy.double())
        (255**2 * (output - given.target.double()).square().mean()).backward()
        for name, value in network.named_parameters():
            total[name] = total.get(name, 0) + value.grad.numpy() / steps
    return {name: (ends[0][name] - ends[1][name]).numpy() * total[name] for name in total}


def test_attributions_are_those_of_an_independent_float64_computation():
    a, b, given = stack(0), stack(1), example()
    of = layers(b)
    found = attribute(b.eval(), given, parameters(a), parameters(b), of, 30)
    own = by_hand(a, b, given, 400)
    signed = [own["0.weight"].sum((1, 2, 3)), own["2.weight"].sum((0, 2, 3))]
    signed.append(own["3.weight"].sum((1, 2, 3)))
    sizes = [np.abs(own["0.weight"]).sum((1, 2, 3)), np.abs(own["2.weight"]).sum((0, 2, 3))]
    sizes.append(np.abs(own["3.weight"]).sum((1, 2, 3)))
    scale = np.concatenate(sizes).max()
    assert found.signed.numpy() == pytest.approx(np.concatenate(signed), abs=1e-4 * scale)
    assert found.absolute.numpy() == pytest.approx(np.concatenate(sizes), abs=1e-4 * scale)
    rest = [own[name].sum() for name in ("0.bias", "2.bias", "3.bias")]
    assert found.others.numpy() == pytest.approx(rest, abs=1e-4 * scale)


def test_signed_attributions_sum_to_the_difference_of_the_errors():
    a, b, given = stack(0), stack(1), example()
    with torch.no_grad():
        ends = [
            float((255 * (model.double()(given.noisy.double()) - given.target)).square().mean())
            for model in (copy.deepcopy(a), copy.deepcopy(b))
        ]
    found = attribute(b, given, parameters(a), parameters(b), layers(b), 20)
    total = float(found.signed.sum() + found.others.sum())
    assert total == pytest.approx(ends[0] - ends[1], rel=1e-4)
    assert (found.path[0], found.path[-1]) == pytest.approx(ends, rel=1e-5)
    assert found.rest == pytest.approx(0, abs=1e-4 * abs(ends[0] - ends[1]))
    few = attribute(b, given, parameters(a), parameters(b), layers(b), 2)
    assert abs(few.rest) > abs(found.rest)


def test_a_quadratic_error_has_the_closed_form():
    """L(θ) = 255² mean (θ · y − x)²: its gradient is linear, so that one point is exact."""
    a, b = nn.Conv2d(3, 3, 1, groups=3, bias=False), nn.Conv2d(3, 3, 1, groups=3, bias=False)
    given = example()
    found = attribute(b, given, parameters(a), parameters(b), layers(b), 1)
    y, x = (part[0].double().flatten(1) for part in (given.noisy, given.target))
    ends = [model.weight.detach().double().view(3, 1) for model in (a, b)]
    middle = (ends[0] + ends[1]) / 2
    slope = 255**2 * 2 * ((middle * y - x) * y).mean(1) / 3
    expected = ((ends[0] - ends[1])[:, 0] * slope).numpy()
    assert found.signed.numpy() == pytest.approx(expected, rel=1e-5)
    assert found.absolute.numpy() == pytest.approx(np.abs(expected), rel=1e-5)
    assert abs(found.rest) < 1e-4 * np.abs(expected).sum()


def test_points_and_weights_integrate_polynomials():
    points, weights = (np.array(values) for values in points_of(5))
    for power in range(10):
        assert (weights * points**power).sum() == pytest.approx(1 / (power + 1))


@pytest.mark.parametrize(
    "layer, axes",
    [
        (nn.Conv2d(4, 6, 3, groups=2), (1, 2, 3)),
        (nn.Linear(4, 6), (1,)),
        (nn.ConvTranspose2d(4, 6, 3), (0, 2, 3)),
    ],
)
def test_filters_are_output_channels(layer, axes):
    (of,) = layers(layer)
    weight = layer.weight.detach()
    sums = by_filter({"weight": weight}, [of])
    assert sums.numpy() == pytest.approx(weight.numpy().sum(axes), abs=1e-5)
    assert of.filters == 6 and others({"weight": weight, "bias": layer.bias}, [of]) == ["bias"]


def test_filters_of_a_grouped_transposed_convolution_change_one_output_channel():
    layer = nn.ConvTranspose2d(4, 6, 3, groups=2)
    (of,) = layers(layer)
    weight = layer.weight.detach()
    for i in range(6):
        chosen = torch.arange(6) == i
        mixed = exchanged({"weight": weight}, {"weight": weight + 1}, [of], chosen)["weight"]
        x = torch.rand(1, 4, 5, 5)
        before = nn.functional.conv_transpose2d(x, weight, groups=2)
        after = nn.functional.conv_transpose2d(x, mixed, groups=2)
        moved = (before != after).flatten(2).any(2)[0]
        assert moved.tolist() == chosen.tolist()
        assert by_filter({"weight": mixed - weight}, [of]).numpy() == pytest.approx(
            18.0 * chosen.numpy(), abs=1e-4
        )


def test_all_parameters_of_the_baseline_give_its_output_and_nothing_is_left_changed():
    a, b = tiny_network(0), tiny_network(1)
    for network in (a, b):
        network.inference = MaskedInference(MASKED, "on", 1, 0)
    next(b.parameters()).requires_grad_(False)
    before = {name: value.clone() for name, value in b.state_dict().items()}
    wanted = [value.requires_grad for value in b.parameters()]
    given = example(16)
    attribute(b, given, parameters(a), parameters(b), layers(b), 2)
    with torch.no_grad():
        assert error(b, given, parameters(a)) == error_of(a, given)
        assert error(b, given, parameters(b)) == error_of(b, given) != error_of(a, given)
    every = torch.ones(count(layers(b)), dtype=torch.bool)
    own = {
        **parameters(a),
        **{
            name: parameters(b)[name] for name in others(before, layers(b)) if name in parameters(b)
        },
    }
    mixed = exchanged(parameters(b), parameters(a), layers(b), every)
    assert all(torch.equal(mixed[name], own[name]) for name in own)
    assert all(torch.equal(value, before[name]) for name, value in b.state_dict().items())
    assert [value.requires_grad for value in b.parameters()] == wanted
    assert all(value.grad is None for value in b.parameters()) and not b.training


def test_reverting_all_filters_gives_the_error_of_the_baseline():
    a, b = stack(0, bias=False), stack(1, bias=False)
    how = {"images": scenes(4), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    result = discriminative_filters({"a": a, "b": b}, **how, percent=[50, 100], steps=2)
    rows = result.reverting[result.reverting.percent == 100]
    errors = result.errors.set_index("noise")
    assert len(rows) == 4
    for row in rows.itertuples():
        assert row.mse == pytest.approx(errors.mse_baseline[row.measured], rel=1e-12)
        assert row.filters == count(layers(b)) == 13
        assert row.beyond == pytest.approx(0, abs=1e-9)  # random filters are all filters, too
    assert errors.mse_baseline.to_numpy() == pytest.approx(errors.mse_as_used, rel=1e-12)


def test_a_planted_filter_ranks_first_and_has_all_of_it():
    """One filter of a network that returns its input is scaled by 0.8, for noise to be less."""
    baseline = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(3)))
    with torch.no_grad():
        for layer in baseline:
            layer.weight.copy_(torch.eye(3)[..., None, None])
            layer.bias.zero_()
        twin = copy.deepcopy(baseline)
        twin[1].weight[2] *= 0.8
    dark = [0.3 * scene for scene in scenes(4)]
    how = {"images": dark, "noises": ["gaussian:100"], "crop": 16, "progress": False}
    result = discriminative_filters([baseline, twin], **how, percent=[1], random=2, steps=4)
    rows, errors = result.filters, result.errors.set_index("noise")
    first = rows.iloc[0]
    assert (first["rank"], first.layer, first["filter"], first.share) == (1, "1", 2, 1)
    assert first.attribution > 0 and (rows.attribution[1:] == 0).all()
    assert (rows[["absolute", "signed", "change"]][1:] == 0).all().all()
    assert first.signed == pytest.approx(errors.difference["gaussian:100"], rel=1e-5)
    assert result.layers.top.tolist() == [0, 1, 0, 0]
    assert len(result.reverting) == 4
    for row in result.reverting.itertuples():
        assert row.mse == pytest.approx(errors.mse_baseline[row.measured], rel=1e-12)


def test_equal_noises_have_no_difference():
    """The reference with another name has the same attribution: A = B gives 0 everywhere."""
    how = {"images": scenes(3), "crop": 16, "progress": False, "steps": 2, "quantize": False}
    result = discriminative_filters(
        {"a": stack(0), "b": stack(1)}, reference="gaussian:0", noises=["poisson:0"], **how
    )
    assert (result.filters.attribution == 0).all() and (result.layers.attribution == 0).all()
    assert (result.filters.absolute > 0).all() and result.filters.share.isna().all()


def test_modules_of_ones_own_and_single_layers():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.scale = nn.Conv2d(3, 3, 1), nn.Parameter(torch.rand(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * self.body(x)

    how = {"images": scenes(2), "noises": ["gaussian:50"], "crop": 16, "progress": False}
    result = discriminative_filters([Scaled(), Scaled()], **how, steps=6, reverting=False)
    errors = result.errors
    assert errors.rest.abs().max() < 1e-4 * errors.absolute.max()
    assert (errors.others.abs() > 0).all() and len(result.filters) == 3
    wrapped = external.wrap(nn.Conv2d(3, 3, 1))
    assert [of.name for of in layers(wrapped)] == ["network"]


def test_the_bundled_pair_has_one_architecture():
    a, b = mtd.load("baseline.pth"), mtd.load("masked.pth")
    of = layers(b)
    assert count(of) == 2955 and {one.kind for one in of} == {"convolution", "linear"}
    given = example(16)
    with torch.no_grad():
        b.inference = a.inference
        assert error(b, given, parameters(a)) == error_of(a, given)
