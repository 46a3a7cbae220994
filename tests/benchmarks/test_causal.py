"""Causal tracing against plain loops, and attribution patching against captum's gradients.

    python -m pytest tests/benchmarks/test_causal.py -s
    pip install --no-deps captum

Seconds are those of the processor, of all threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from analysis.causal import branches as causal_branches
from analysis.causal import patching
from analysis.causal.branches import Branch
from analysis.engine.network_input import NetworkInput
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig

Value = TypeVar("Value")

SIDE = 64


def published() -> SwinIR:
    """The SwinIR of the paper, of 824,118 parameters, 24 blocks, with random weights."""
    network = SwinIR(SwinIRConfig(embed_dim=60, depths=(6,) * 4, num_heads=(6,) * 4)).eval()
    network.initialize(torch.Generator().manual_seed(0))
    return network


def given(deviation: float, images: int = 1, side: int = SIDE) -> NetworkInput:
    stream = torch.Generator().manual_seed(round(1000 * deviation))
    target = torch.rand(images, 3, side, side, generator=torch.Generator().manual_seed(0))
    noisy = target + deviation * torch.randn(target.shape, generator=stream)
    return NetworkInput(noisy, target, [str(i) for i in range(images)])


def timed(job: Callable[[], Value]) -> tuple[Value, float]:
    start = time.process_time()
    return job(), time.process_time() - start


def by_hand(network: nn.Module, a: NetworkInput, b: NetworkInput, branch: Branch) -> Tensor:
    """One branch patched as anyone would: hooks, and the whole network again."""
    module, kept = dict(network.named_modules())[branch.path], []
    with torch.no_grad():
        handle = module.register_forward_hook(lambda _, __, value: kept.append(value.clone()))
        network(a.noisy, a.keys)
        handle.remove()
        handle = module.register_forward_hook(lambda *_: kept[0])
        output = network(b.noisy, b.keys)
        handle.remove()
    return output


def test_patches_against_whole_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """48 attention and MLP updates of one crop: the loop runs the network twice for each."""
    network = published()
    a, b = given(15 / 255), given(50 / 255)
    own = causal_branches.find(network)

    def ours() -> list[Tensor]:
        values = patching.record(network, a, own).values
        base = patching.record(network, b, own, around=True)
        return [patching.patched(network, b, [branch], values, base) for branch in own]

    b.run(network)
    found, seconds = timed(ours)
    plain, whole = timed(lambda: [by_hand(network, a, b, branch) for branch in own])
    assert all(torch.equal(x, y) for x, y in zip(found, plain, strict=True)) and len(own) == 48
    with capsys.disabled():
        print(
            f"\n{len(own)} branches of a crop of {SIDE} x {SIDE}: {seconds:.1f} s of CPU, plain "
            f"loop {whole:.1f} s, {whole / seconds:.2f} x"
        )


NETWORKS = {
    "SwinIR": published,
    "DnCNN": lambda: DnCNN(DnCNNConfig()).eval(),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_estimates_against_captum(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Captum's activations h of both runs, and its gradients of run B's error, of all layers.

    Σ (h_A − h_B) · ∂L_B/∂h is made of `LayerActivation` and `LayerGradientXActivation` without the
    factor; `LayerIntegratedGradients`, which has the difference, takes two steps at least.
    """
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    torch.manual_seed(0)
    network = NETWORKS[name]()
    a, b = given(15 / 255, 2, 32), given(50 / 255, 2, 32)
    own = causal_branches.find(network)
    modules = dict(network.named_modules())

    def error(noisy: Tensor) -> Tensor:
        return (255 * (network(noisy, b.keys) - b.target)).square().mean((1, 2, 3))

    layers = [modules[branch.path] for branch in own]

    def peer() -> Tensor:
        activations = attr.LayerActivation(error, layers)
        slopes = attr.LayerGradientXActivation(error, layers, multiply_by_inputs=False)
        parts = zip(
            activations.attribute(a.noisy),
            activations.attribute(b.noisy),
            slopes.attribute(b.noisy),
            strict=True,
        )
        changes = [(x - y).double() * slope for x, y, slope in parts]
        return torch.stack([change.reshape(len(b.noisy), -1).sum(1) for change in changes])

    def ours() -> Tensor:
        return patching.estimates(network, b, own, patching.record(network, a, own).values)

    ours()
    found, seconds = timed(ours)
    theirs, other = timed(lambda: peer().detach())
    assert found.numpy() == pytest.approx(theirs.numpy(), abs=1e-4 * float(theirs.abs().max()))
    apart = float((found - theirs).abs().max() / theirs.abs().max())
    with capsys.disabled():
        print(
            f"\n{name}, {len(own)} branches: {seconds:.2f} s of CPU, captum {other:.2f} s, "
            f"{other / seconds:.1f} x; they differ by {apart:.0e} of the largest"
        )
