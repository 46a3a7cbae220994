"""Products with the Jacobian of a network: copies of one image, images apart, and one by one.

`python -m pytest tests/benchmarks/test_linear.py -s`: CPU time on one thread and on all, so that
other work on the machine matters little. Rows together must be those of single gradients.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from analysis.linear.derivatives import Linearized, call_of, frozen
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.device import keep_freed_memory

ROUNDS = 3


@pytest.mark.parametrize("side", [24, 40])
def test_rows_of_the_whole_jacobian(side, capsys):
    keep_freed_memory()  # as commands do
    network = SwinIR(SwinIRConfig(embed_dim=60, depths=(6,) * 4, num_heads=(6,) * 4)).eval()
    network.initialize(torch.Generator().manual_seed(0))
    y = torch.rand(3, side, side, generator=torch.Generator().manual_seed(1))
    n = y.numel()
    with frozen(network):
        shared = Linearized(call_of(network, copies=True), y)
        both = Linearized(call_of(network, copies=True), y, both=True)
        apart = Linearized(call_of(network), y, most=shared.copies)
        basis = torch.eye(shared.copies, n).view(-1, *y.shape)
        single = y[None].clone().requires_grad_()
        flat = network(single, [0]).flatten()

        def one_by_one(vectors: torch.Tensor) -> torch.Tensor:
            some = range(0, len(vectors), 4)
            rows = [torch.autograd.grad(flat[i], single, retain_graph=True)[0] for i in some]
            return torch.cat(rows)

        ways: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
            "copies of one image": shared.vjp,
            "images apart": apart.vjp,
            "one by one": one_by_one,
            "J v": both.jvp,
        }
        costs = {name: cost(way, basis) for name, way in ways.items()}
        costs["one by one"] *= 4
        rows, expected = shared.vjp(basis), one_by_one(basis)
        assert torch.allclose(rows[::4], expected, atol=1e-6)
        assert torch.allclose(rows, apart.vjp(basis), atol=1e-6)
    each = costs["copies of one image"] / len(basis)
    lines = [
        f"{name}: {1e3 * value / len(basis):.1f} ms of CPU time a product, "
        f"{value / costs['copies of one image']:.2f} x the first"
        for name, value in costs.items()
    ]
    with capsys.disabled():
        print(
            f"\n{side} px, {torch.get_num_threads()} threads, {len(basis)} copies\n"
            + "\n".join(lines)
            + f"\nall {n} rows: {n * each:.0f} s of CPU time"
        )


def cost(way: Callable[[torch.Tensor], torch.Tensor], vectors: torch.Tensor) -> float:
    """The least CPU time of a few calls, in seconds."""
    way(vectors)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        way(vectors)
        times.append(time.process_time() - start)
    return min(times)
