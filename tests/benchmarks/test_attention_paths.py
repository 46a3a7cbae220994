"""Window attention before and now: `pytest tests/benchmarks/test_attention_paths.py -s`.

Prints ratios of CPU time, one thread, medians of seven alternations in one run. PyTorch 2.14 on two
cores of an AMD EPYC gave, over the time before (float32):

                                      32 channels     bundled    full
    training    8 of 48 x 48          0.75 to 0.79
                8 of 32 x 32                          0.85
                2 of 64 x 64                                     0.78 to 0.85
    inference   256 x 256             0.84 to 0.86    0.86       0.61 to 0.78
                16 of 64 x 64         0.92 to 0.93    0.93       0.70 to 0.92

A training step with 32 channels by torch.profiler, self time: mm 19%, bmm 13%, copy_ 12%, cat
11% (heads, shifts), addmm 7%, gelu_backward 5%, layer norm 4%, softmax 3%, add 3%, backward of
convolutions 3%. Compiled, it takes 0.90 of the time, after 14 to 60 s of compilation; inference
1.01 and 1.06. With channels_last 0.99, and inference 0.93 and 0.98. (Both were measured once, by a
script of its own.) Keeping freed memory (`mtd.utils.device.keep_freed_memory`): 0.86 to 0.99, by
what glibc happens to give back.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.networks.window_attention import WindowAttention, set_path
from mtd.networks.windows import shift_mask

NETWORKS = {
    "32 channels": SwinIRConfig(embed_dim=32, depths=(4, 4), num_heads=(2, 2), mlp_hidden=64),
    "bundled": SwinIRConfig(embed_dim=48, depths=(4, 4), num_heads=(3, 3), mlp_hidden=96),
    "full": SwinIRConfig(),
}
ROUNDS = 7


class Before(WindowAttention):
    """Window attention of version 0.1.0.dev: a copy of the bias, in float32, for every window.

    Masks depended on the image size and were cached; here on the number of windows, which tells
    the sizes below apart.
    """

    masks: dict[int, Tensor] = {}  # noqa: RUF012

    def forward(self, x: Tensor, kinds: Tensor | None = None) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        index = self.relative_position_index
        table = self.relative_position_bias_table
        bias = table[index.view(-1)].view(t, t, -1).permute(2, 0, 1)[None]
        if kinds is not None:
            if len(kinds) not in self.masks:
                self.masks[len(kinds)] = shift_mask(self.regions)[kinds]
            bias = bias + self.masks[len(kinds)][:, None].to(bias.dtype)
        bias = bias.expand(n // bias.shape[0], *bias.shape).flatten(0, 1)
        x = F.scaled_dot_product_attention(q, k, v, bias)
        y: Tensor = self.proj(x.transpose(1, 2).reshape(n, t, c))
        return y


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def networks(name: str) -> dict[str, SwinIR]:
    """The same network with attention as before, as now, and by the path that is not taken."""
    found = {}
    for how in ("before", "auto", "sdpa"):
        network = SwinIR(NETWORKS[name])
        network.initialize(torch.Generator().manual_seed(0))
        if how == "before":
            for module in network.modules():
                if isinstance(module, WindowAttention):
                    module.__class__ = Before
        else:
            set_path(network, how)  # type: ignore[arg-type]
        found[how] = network
    return found


def training(network: SwinIR, x: Tensor) -> Callable[[], object]:
    """A training step without masks."""
    network.train()
    adam = torch.optim.Adam(network.parameters())

    def step() -> None:
        adam.zero_grad()
        F.l1_loss(network(x), x).backward()
        adam.step()

    return step


def inference(network: SwinIR, x: Tensor) -> Callable[[], object]:
    network.eval()

    def work() -> Tensor:
        with torch.no_grad():
            return network(x)

    return work


def ratios(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU times of works in turn, over that of the first."""
    times: dict[str, list[float]] = {name: [] for name in works}
    with one_thread():
        for number in range(1 + ROUNDS):
            for name, work in works.items():
                start = time.process_time()
                work()
                if number:
                    times[name].append(time.process_time() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    first = medians[next(iter(medians))]
    return {name: median / first for name, median in medians.items()}


@pytest.mark.parametrize(
    "name, mode, shape",
    [
        ("32 channels", training, (8, 3, 48, 48)),
        ("32 channels", inference, (1, 3, 256, 256)),
        ("32 channels", inference, (16, 3, 64, 64)),
        ("bundled", training, (8, 3, 32, 32)),
        ("bundled", inference, (1, 3, 256, 256)),
        ("bundled", inference, (16, 3, 64, 64)),
        ("full", training, (2, 3, 64, 64)),
        ("full", inference, (1, 3, 256, 256)),
        ("full", inference, (16, 3, 64, 64)),
    ],
)
def test_nothing_is_slower_than_before(
    name: str, mode: Callable[[SwinIR, Tensor], Callable[[], object]], shape: tuple[int, ...]
) -> None:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    made = networks(name)
    with torch.no_grad():
        outputs = [network(x[:1, :, :32, :32]) for network in made.values()]
    for output in outputs:
        assert torch.allclose(output, outputs[0], atol=1e-5)
    found = ratios({how: mode(network, x) for how, network in made.items()})
    listed = ", ".join(f"{how} {ratio:.2f}" for how, ratio in found.items())
    print(f"\n{name}, {mode.__name__}, {' x '.join(map(str, shape))}: {listed}")
    assert found["auto"] <= 1.03
