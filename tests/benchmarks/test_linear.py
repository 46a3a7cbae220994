"""The whole Jacobian of a network, against one backward pass for each output value."""

from __future__ import annotations

import time

import torch

from analysis.linear.derivatives import Linearized, call_of, frozen
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig

SIDE = 24


def test_rows_together_and_one_by_one(capsys):
    network = SwinIR(SwinIRConfig(embed_dim=60, depths=(6,) * 4, num_heads=(6,) * 4)).eval()
    network.initialize(torch.Generator().manual_seed(0))
    y = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    n, some = y.numel(), 16
    with frozen(network):
        call = call_of(network)
        line = Linearized(call, y)
        basis = torch.eye(n)[: 2 * line.copies].view(-1, *y.shape)
        start = time.process_time()
        rows = line.vjp(basis)
        together = (time.process_time() - start) / len(basis)
    leaf = y[None].clone().requires_grad_()
    start = time.process_time()
    flat = network(leaf, [0]).flatten()
    single = [torch.autograd.grad(flat[i], leaf, retain_graph=True)[0] for i in range(some)]
    apart = (time.process_time() - start) / some
    assert torch.allclose(rows[:some], torch.cat(single), atol=1e-5)
    count = sum(parameter.numel() for parameter in network.parameters())
    with capsys.disabled():
        print(
            f"\n{count:,} parameters, {SIDE} px: {1e3 * together:.1f} ms of CPU a row together, "
            f"{1e3 * apart:.1f} ms one by one, {apart / together:.1f} x; {n} rows "
            f"{n * together:.0f} s"
        )
