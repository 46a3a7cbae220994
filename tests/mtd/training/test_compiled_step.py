"""The training forward of SwinIR as one compiled graph, the same from step to step."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mtd.masking import DrawnMasks, draw_input_mask
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.training import run as training_run
from mtd.utils.counter_random import BatchStream
from mtd.utils.errors import BadInput
from tests.helpers.compilers import needs_a_compiler
from tests.helpers.networks import MASKED, tiny_network
from tests.helpers.training import make

CONFIG = SwinIRConfig(
    embed_dim=8,
    depths=(2,),
    num_heads=(2,),
    mlp_hidden=8,
    window_size=4,
    drop_path=0.5,
    output_dropout=0.3,
)


def step(network: SwinIR, forward: torch.nn.Module, key: int, first: int) -> list[torch.Tensor]:
    """Output and gradients with input mask, attention masks, stochastic depth and dropout."""
    x = torch.rand(4, 3, 8, 16, generator=torch.Generator().manual_seed(key))
    stream = BatchStream.of(key, first, len(x))
    kept = draw_input_mask(8, 16, (75, 85), stream)
    masks = DrawnMasks(75, stream).__call__  # as the trainer does
    output = forward(x, input_mask=kept, masks=masks, stream=stream)
    network.zero_grad()
    F.l1_loss(output, x).backward()
    return [output.detach(), *(p.grad.clone() for p in network.parameters())]


@pytest.mark.filterwarnings("error:.*lru_cache")
@pytest.mark.parametrize(
    "backend",
    ["eager", pytest.param("inductor", marks=[pytest.mark.slow, needs_a_compiler])],
)
def test_training_compiles_once_as_one_graph_and_gives_the_same(backend):
    torch._dynamo.reset()
    network = tiny_network(config=CONFIG).train()
    network.inference.policy = MASKED
    compiled = torch.compile(network, fullgraph=True, backend=backend)
    graphs = torch._dynamo.utils.counters["stats"]
    before, outputs = graphs["unique_graphs"], []
    for key, first in ((0, 0), (0, 4), (1, 0), (2**62, 60)):
        eager, fast = (step(network, forward, key, first) for forward in (network, compiled))
        for one, other in zip(eager, fast, strict=True):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)
        assert graphs["unique_graphs"] == before + 1
        outputs.append(eager[0])
    assert len({tuple(output.flatten().tolist()) for output in outputs}) == 4
    torch._dynamo.reset()


@pytest.mark.parametrize(
    "text, cause",
    [
        ("Failed to find C compiler. Please specify via CC\nmore", "Failed to find C compiler. "),
        (
            "backend='inductor' raised:\nNo C compiler\n\nmore",
            "raised: No C compiler); ",
        ),
        ("sizes do not match", None),
    ],
)
def test_what_does_not_compile_is_one_line_with_its_cause(
    photos, tmp_path, monkeypatch, text, cause
):
    def fails(*_, **__):
        raise RuntimeError(text)

    monkeypatch.setattr(torch, "compile", lambda network, **_: fails)
    with pytest.raises(BadInput if cause else RuntimeError) as raised:
        training_run.train(make(photos, "run.compile=true"), tmp_path, quiet=True)
    if cause:
        message = str(raised.value)
        assert cause in message and "\n" not in message
        assert message.endswith("or set compile = false")
