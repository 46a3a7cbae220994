"""Patched runs and estimates against float64 computations by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from analysis.causal import branches as causal_branches
from analysis.causal import patching
from analysis.causal.branches import Branch
from analysis.engine.network_input import NetworkInput
from mtd.networks import external
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput
from tests.helpers.architectures import tiny
from tests.helpers.external_networks import SOURCE
from tests.helpers.networks import tiny_network


class TwoBranches(nn.Module):
    """x + g(x) + h(x + g(x)), g a product of channels with weights, h their square."""

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Conv2d(3, 3, 1, bias=False)
        self.h = nn.Conv2d(3, 3, 1, bias=False)
        self.unused = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.g(x)
        return x + self.h(x.square())


def batch(seed: int, count: int = 2, side: int = 8, dtype: torch.dtype = torch.float32):
    stream = torch.Generator().manual_seed(seed)
    target = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(99))
    noise = 0.1 * (seed + 1) * torch.randn(target.shape, generator=stream)
    noisy, target = (target + noise).to(dtype), target.to(dtype)
    return NetworkInput(noisy, target, [str(i) for i in range(count)])


def two_branches() -> TwoBranches:
    torch.manual_seed(0)
    return TwoBranches().double().eval()


def test_two_branches_by_hand_in_float64():
    network = two_branches()
    a, b = batch(0, dtype=torch.float64), batch(1, dtype=torch.float64)
    both = [Branch("g", "convolutions", "g"), Branch("h", "convolutions", "h")]
    values = patching.record(network, a, both).values
    g, h = (w.detach().numpy()[..., 0, 0] for w in (network.g.weight, network.h.weight))
    xa, xb, target = (t.numpy() for t in (a.noisy, b.noisy, a.target))

    def mixed(weights: np.ndarray, image: np.ndarray) -> np.ndarray:
        return np.einsum("oc,bchw->bohw", weights, image)

    def error(output: np.ndarray) -> np.ndarray:
        return (255**2 * (output - target) ** 2).mean((1, 2, 3))

    stream_a, stream_b = xa + mixed(g, xa), xb + mixed(g, xb)
    by_hand = {
        "g": (xb + mixed(g, xa)) + mixed(h, (xb + mixed(g, xa)) ** 2),
        "h": stream_b + mixed(h, stream_a**2),
    }
    for branch in both:
        for base in (None, patching.record(network, b, both, around=True)):
            output = patching.patched(network, b, [branch], values, base)
            assert output.numpy() == pytest.approx(by_hand[branch.path], abs=1e-14)
            assert b.errors(output).numpy() == pytest.approx(error(by_hand[branch.path]))
    # to first order: small steps from B towards A change the error as much as estimated
    small = {s: [torch.lerp(y, x, 1e-6)] for (s, (x,)), (y,) in pairs(network, a, b, both)}
    found = patching.estimates(network, b, both, small)
    whole = b.errors(patching.record(network, b, both).output)
    for row, branch in zip(found, both, strict=True):
        output = patching.patched(network, b, [branch], small)
        change = (b.errors(output) - whole).numpy()
        assert row.numpy() == pytest.approx(change, rel=1e-4)


def pairs(network, a, b, both):
    first, second = (patching.record(network, x, both).values for x in (a, b))
    return zip(first.items(), second.values(), strict=True)


def test_estimates_are_exact_to_first_order_in_a_linear_network():
    """L(h + d) − L(h) = ⟨∂L/∂h, d⟩ + ‖J d‖²/N of a linear tail: the second term is what is left."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 3, 3, padding=1)).double()
    a, b = batch(0, dtype=torch.float64), batch(1, dtype=torch.float64)
    own = [Branch("0[1:3]", "channels", "0", "output", 1, 3)]
    first, second = (patching.record(network, x, own) for x in (a, b))
    (found,) = patching.estimates(network, b, own, first.values)
    output = patching.patched(network, b, own, first.values)
    change = b.errors(output) - b.errors(second.output)
    quadratic = (255 * (output - second.output)).square().mean((1, 2, 3))
    assert (change - quadratic).numpy() == pytest.approx(found.numpy(), rel=1e-9)
    untouched = own[0]._replace(start=0, stop=1)
    moved = patching.patched(network, b, [untouched], first.values)
    assert not torch.equal(moved, output)


def test_patching_a_run_with_itself_changes_nothing():
    network, own = tiny_network(), causal_branches.find(tiny_network())
    b = batch(1, side=16)
    run = patching.record(network, b, own, around=True)
    for branch in own:
        assert torch.equal(patching.patched(network, b, [branch], run.values, run), run.output)
    assert not patching.estimates(network, b, own, run.values).any()


def test_the_last_convolution_gives_the_output_of_the_other_run():
    network, a, b = tiny_network(), batch(0, side=16), batch(1, side=16)
    own = [Branch("conv_last", "convolutions", "conv_last")]
    run = patching.record(network, a, own)
    output = patching.patched(network, b, own, run.values)
    assert output.numpy() == pytest.approx(run.output.numpy(), abs=1e-6)


def unet() -> nn.Module:
    space: dict[str, type[nn.Module]] = {}
    exec(SOURCE, space)
    return external.wrap(space["UNet"]())


NETWORKS = {
    "SwinIR": (tiny_network, ("attention", "mlp", "heads")),
    "DnCNN": (lambda: DnCNN(DnCNNConfig(features=8, depth=4)).eval(), ("convolutions", "channels")),
    "UNet": (unet, ("convolutions", "channels")),
    "Restormer": (lambda: tiny("Restormer"), ("attention", "mlp", "heads")),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_only_what_follows_a_branch_is_computed_again_with_equal_outputs(name):
    make, kinds = NETWORKS[name]
    network, a, b = make(), batch(0, side=32), batch(1, side=32)
    own = causal_branches.find(network, kinds)
    values = patching.record(network, a, own).values
    base = patching.record(network, b, own, around=True)
    kept = own if len(own) < 40 else own[:: len(own) // 20]
    for branch in kept:
        whole = patching.patched(network, b, [branch], values)
        assert torch.equal(patching.patched(network, b, [branch], values, base), whole)
    found = patching.estimates(network, b, own, values)
    assert found.shape == (len(own), 2) and found.isfinite().all() and found.any()


def test_averaged_masks_are_patched_draw_by_draw(tiny_pair):
    import mtd

    network = mtd.load(str(tiny_pair / "hidden.pth"), mask_samples=2)
    a, b = batch(0, side=16), batch(1, side=16)
    own = causal_branches.find(network)
    run, base = patching.record(network, a, own), patching.record(network, b, own, around=True)
    assert len(run.values[own[0].path, "output"]) == 2
    assert not base.before([(own[-1].path, "output")])  # the next draw follows the last layer
    output = patching.patched(network, b, own[:1], run.values, base)
    again = patching.patched(network, b, own[:1], base.values, base)
    assert torch.equal(again, base.output) and not torch.equal(output, base.output)


def test_a_branch_that_never_fires_or_returns_no_tensor_is_an_error():
    network = two_branches()
    unused = [Branch("unused", "convolutions", "unused")]
    b = batch(1, dtype=torch.float64)
    with pytest.raises(BadInput, match="layer 'unused' never fired"):
        patching.record(network, b, unused)
    pair = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Identity()).double()
    pair[0].register_forward_hook(lambda _, __, value: (value, value))
    pair[1].register_forward_pre_hook(lambda _, inputs: inputs[0][0])
    with pytest.raises(BadInput, match="layer '0' has a tuple as output, expected a tensor"):
        patching.record(pair, b, [Branch("0", "convolutions", "0")])


def test_branches_of_networks():
    swin = causal_branches.find(tiny_network())
    assert [branch.kind for branch in swin] == ["attention", "mlp"] * 4
    assert swin[0].path == "layers.0.residual_group.blocks.0.attn"
    heads = causal_branches.find(tiny_network(), ["heads"])
    assert len(heads) == 8 and (heads[1].start, heads[1].stop) == (6, 12)
    assert {branch.kind for branch in causal_branches.find(tiny("Restormer"))} == {
        "attention",
        "mlp",
    }
    assert {branch.kind for branch in causal_branches.find(unet())} == {"convolutions"}
    with pytest.raises(BadInput, match="no attention or mlp in the network"):
        causal_branches.find(unet(), ["attention", "mlp"])
    with pytest.raises(BadInput, match="no convolutions in the network"):
        causal_branches.find(nn.Identity())
