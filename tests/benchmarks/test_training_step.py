"""A training step of the paper's network, masks on and off: `--benchmark-only`, compare medians."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mtd.masking import DrawnMasks, draw_input_mask
from mtd.networks.swinir import SwinIR
from mtd.seeds import BatchStream


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_step(benchmark, masked):
    stream = torch.Generator().manual_seed(0)
    network = SwinIR()
    network.initialise(stream)
    network.train()
    x = torch.rand(2, 3, 64, 64, generator=stream)

    def step() -> None:
        drawn = BatchStream.whole(stream, 2)
        kept = draw_input_mask(64, 64, (75, 85), drawn) if masked else None
        masks = DrawnMasks(75, drawn) if masked else None
        F.l1_loss(network(x, input_mask=kept, masks=masks), x).backward()
        network.zero_grad()

    benchmark.pedantic(step, rounds=5, warmup_rounds=1)
