"""Every path of window attention against softmax(q kᵀ / √d + bias + shift) v in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import flex_attention

from mtd.masking import MaskedInference
from mtd.networks import window_attention
from mtd.networks.dncnn import DnCNN
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.networks.window_attention import (
    FASTEST,
    PATHS,
    Shift,
    WindowAttention,
    attend,
    fastest,
    is_used_by,
    set_path,
)
from mtd.networks.windows import shift_mask, window_kinds, window_regions
from tests.helpers.networks import MASKED, tiny_network

EVERY = pytest.mark.parametrize("path", ["auto", *PATHS])
GRIDS = pytest.mark.parametrize("grid", [None, (1, 1), (2, 3), (3, 1)])

WINDOW, HEADS, WIDTH, BATCH = 3, 2, 5, 2
TOKENS = WINDOW**2


def example(grid: tuple[int, int] | None, seed: int = 0) -> tuple[Tensor, Tensor, Shift | None]:
    """Queries, keys and values of `BATCH` images of rows x columns windows; biases; shift."""
    stream = torch.Generator().manual_seed(seed)
    rows, columns = grid or (2, 3)
    shape = (BATCH * rows * columns, TOKENS, 3, HEADS, WIDTH)
    qkv = torch.randn(shape, generator=stream, dtype=torch.float64)
    bias = torch.randn((HEADS, TOKENS, TOKENS), generator=stream, dtype=torch.float64)
    if grid is None:
        return qkv, bias, None
    added = shift_mask(window_regions(WINDOW)).double()
    return qkv, bias, Shift(added, window_kinds(rows, columns, torch.device("cpu")))


def oracle(qkv: Tensor, bias: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """The definition, one window, head and token at a time; -100 as published."""
    images, outputs = (grid[0] * grid[1] if grid else 1), []
    for n, window in enumerate(qkv):
        heads = []
        for head in range(HEADS):
            rows = []
            for i in range(TOKENS):
                logits = []
                for j in range(TOKENS):
                    logit = (window[i, 0, head] * window[j, 1, head]).sum() / math.sqrt(WIDTH)
                    logit = logit + bias[head, i, j]
                    if grid and side(n % images, i, grid) != side(n % images, j, grid):
                        logit = logit - 100
                    logits.append(logit)
                weights = torch.stack(logits).exp()
                rows.append((weights / weights.sum()) @ window[:, 2, head])
            heads.append(torch.stack(rows))
        outputs.append(torch.cat(heads, 1))
    return torch.stack(outputs)


def side(window: int, token: int, grid: tuple[int, int]) -> tuple[bool, bool]:
    """Whether a token of the shifted image comes from its upper and left border."""
    rows, columns = grid
    y = window // columns * WINDOW + token // WINDOW
    x = window % columns * WINDOW + token % WINDOW
    return y >= rows * WINDOW - WINDOW // 2, x >= columns * WINDOW - WINDOW // 2


def dense(q: Tensor, k: Tensor, v: Tensor, *, score_mod, scale: float, kernel_options) -> Tensor:
    """flex_attention as it is documented, of (N, heads, T, width), for gradients on the CPU."""
    assert q.shape[-1] == 16, "its kernels need a power of two"
    assert kernel_options == {"FORCE_USE_FLEX_ATTENTION": True}, "not that of decoding"
    sizes = (*q.shape[:3], q.shape[2])
    places = torch.meshgrid(*map(torch.arange, sizes), indexing="ij")
    return score_mod(torch.einsum("nhid,nhjd->nhij", q, k) * scale, *places).softmax(-1) @ v


@pytest.mark.parametrize("path", ["auto", *PATHS])
@GRIDS
def test_the_definition_and_its_gradients(path, grid, monkeypatch):
    monkeypatch.setattr(flex_attention, "flex_attention", dense)
    qkv, bias, shift = example(grid)
    inputs = [qkv.requires_grad_(), bias.requires_grad_()]
    expected, output = oracle(qkv, bias, grid), attend(qkv, bias, shift, path)
    weights = torch.rand(expected.shape, generator=torch.Generator().manual_seed(1)).double()
    slopes = torch.autograd.grad((expected * weights).sum(), inputs)
    found = torch.autograd.grad((output * weights).sum(), inputs)
    monkeypatch.undo()
    with torch.no_grad():
        alone = attend(qkv, bias, shift, path)
    for one, other in zip((expected, expected, *slopes), (output, alone, *found), strict=True):
        assert (one - other).abs().max() < 1e-12


@pytest.mark.parametrize("compute", [window_attention.by_matmul, window_attention.by_sdpa])
def test_both_orders_of_heads_are_the_same(compute):
    for grid in (None, (2, 3)):
        qkv, bias, shift = example(grid)
        assert torch.allclose(
            compute(qkv, bias, shift),
            window_attention.by_matmul_of_heads(qkv, bias, shift),
            rtol=0,
            atol=1e-12,
        )


@GRIDS
def test_kernels_may_lay_their_output_out_as_they_like(grid, monkeypatch):
    """That of GPUs has tokens before heads in memory, as that of older versions on the CPU."""
    qkv, bias, shift = example(grid)
    expected, kernel = attend(qkv, bias, shift, "sdpa"), F.scaled_dot_product_attention

    def other(*inputs: Tensor, **options: float) -> Tensor:
        return kernel(*inputs, **options).transpose(1, 2).contiguous().transpose(1, 2)

    monkeypatch.setattr(F, "scaled_dot_product_attention", other)
    assert torch.equal(attend(qkv, bias, shift, "sdpa"), expected)


@EVERY
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 4e-2)])
def test_lower_precision(path, dtype, tolerance):
    qkv, bias, shift = example((2, 3))
    added = None if shift is None else Shift(shift.added.to(dtype), shift.kinds)
    output = attend(qkv.to(dtype), bias.to(dtype), added, path)
    assert output.dtype == dtype
    assert (output.double() - oracle(qkv, bias, (2, 3))).abs().max() < tolerance


@EVERY
@GRIDS
@pytest.mark.parametrize("limit", [1, 5, 8])
def test_parts_of_the_windows_give_the_same(path, grid, limit, monkeypatch):
    """12 windows of 2 heads, by one, two and four windows; parts need not hold whole images."""
    qkv, bias, shift = example(grid)
    sizes, compute = [], PATHS.get(path, window_attention.by_matmul_of_heads)
    whole = attend(qkv, bias, shift, path)
    monkeypatch.setattr(window_attention, "LIMIT", limit)

    def counted(qkv: Tensor, bias: Tensor, shift: Shift | None) -> Tensor:
        sizes.append(len(qkv))
        return compute(qkv, bias, shift)

    monkeypatch.setitem(PATHS, path, counted)
    monkeypatch.setattr(window_attention, "by_matmul_of_heads", counted)
    assert torch.allclose(attend(qkv, bias, shift, path), whole, rtol=0, atol=1e-12)
    most = max(1, limit // HEADS)
    assert max(sizes) == min(most, len(qkv)) and sum(sizes) == len(qkv)


def test_gradients_of_parts(monkeypatch):
    qkv, bias, shift = example((2, 3))
    inputs = [qkv.requires_grad_(), bias.requires_grad_()]
    whole = torch.autograd.grad(attend(qkv, bias, shift).square().sum(), inputs)
    monkeypatch.setattr(window_attention, "CPU_WINDOWS", 5)
    parts = torch.autograd.grad(attend(qkv, bias, shift).square().sum(), inputs)
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("path", ["auto", "sdpa"])
def test_networks_of_every_path_are_the_same(path, training):
    """Masked, on an image that is not square, a batch of two, with the gradients of all weights."""
    image = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    found = []
    for one in ("matmul", path):
        network = tiny_network().double().train(training)
        network.inference = MaskedInference(MASKED)
        set_path(network, one)
        masks = network.inference.draws(["a", "b"])[0]
        output = network(image.double(), masks=masks)
        output.square().sum().backward()
        found.append([output, *(p.grad for p in network.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def test_half_precision_by_autocast_stays_half():
    """The table of biases, in float32, is cast; softmax is in the type of the queries."""
    layer, seen = WindowAttention(8, 4, 2, True), []
    layer.proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    for path in ("sdpa", "matmul"):
        set_path(layer, path)
        with torch.autocast("cpu", torch.bfloat16):
            layer(torch.rand(4, 16, 8), window_kinds(2, 2, torch.device("cpu"))).sum().backward()
    assert seen == [torch.bfloat16] * 2
    assert layer.relative_position_bias_table.grad.dtype == torch.float32


@pytest.mark.parametrize("path", ["sdpa", "matmul"])
def test_gradients_of_the_table_are_summed_in_its_own_precision(path, monkeypatch):
    """Up to 64 of bf16 for each entry, whose sum in bf16 would be rounded each time."""
    layer, seen = WindowAttention(8, 8, 2, True), []

    def watched(qkv, bias, *rest):
        bias.register_hook(seen.append)
        return attend(qkv, bias, *rest)

    monkeypatch.setattr(window_attention, "attend", watched)
    set_path(layer, path)
    stream = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 4, 64, 8, generator=stream)
    with torch.autocast("cpu", torch.bfloat16):
        (layer(x) * weight).sum().backward()
    expected = torch.zeros(15, 15, 2, dtype=torch.float64)
    for i in range(64):
        for j in range(64):
            dy, dx = i // 8 - j // 8, i % 8 - j % 8
            expected[dy + 7, dx + 7] += seen[0][:, i, j].double()
    assert seen[0].dtype == torch.bfloat16
    found = layer.relative_position_bias_table.grad.double()
    assert float((found - expected.view(-1, 2)).norm() / expected.norm()) < 1e-5


def test_the_choice_is_by_device_gradient_and_compilation(monkeypatch):
    assert set(FASTEST) == {
        (device, gradient, compiled)
        for device in ("cpu", "cuda")
        for gradient in (False, True)
        for compiled in (False, True)
    }
    assert set(FASTEST.values()) <= set(PATHS)
    assert fastest("another", True, False) == "sdpa"
    asked: list[tuple[str, bool, bool]] = []
    monkeypatch.setattr(
        window_attention, "fastest", lambda *about: asked.append(about) or fastest(*about)
    )
    qkv, bias, shift = example((2, 3))
    attend(qkv, bias, shift)
    attend(qkv, bias.requires_grad_(), shift)
    with torch.no_grad():
        attend(qkv, bias, shift)
    attend(qkv, bias, shift, "sdpa")
    compiled = torch.compile(attend, backend="eager", fullgraph=True)
    compiled(qkv, bias, shift)
    with torch.no_grad():  # flex in one graph, too
        expected = attend(qkv, bias, shift, "matmul")
        assert torch.allclose(compiled(qkv, bias, shift, "flex"), expected)
    assert asked[:3] == [("cpu", False, False), ("cpu", True, False), ("cpu", False, False)]
    assert asked[3:] == [("cpu", True, True)]
    torch._dynamo.reset()


def test_the_path_is_set_in_every_block():
    network = tiny_network()
    layers = [m for m in network.modules() if isinstance(m, WindowAttention)]
    assert [layer.path for layer in layers] == ["auto"] * 4 and is_used_by(network)
    set_path(network, "flex")
    assert [layer.path for layer in layers] == ["flex"] * 4
    assert not is_used_by(DnCNN())


def test_what_is_computed_is_not_in_the_state():
    network = tiny_network()
    assert not [key for key in network.state_dict() if key.endswith(("index", "regions"))]
    with torch.inference_mode():
        network(torch.rand(1, 3, 16, 16))
    network.train()(torch.rand(1, 3, 16, 16)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.slow
def test_a_photograph_of_2000_by_3000():
    """93,750 windows of 6 heads, more than a kernel takes; its corner is that of a small image."""
    config = SwinIRConfig(embed_dim=6, depths=(2,), num_heads=(6,), mlp_hidden=6)
    network = tiny_network(config=config)
    image = torch.rand(1, 3, 2000, 3000, generator=torch.Generator().manual_seed(0))
    assert window_attention.LIMIT < 250 * 375 * 6
    with torch.no_grad():
        for path in ("matmul", "sdpa"):
            set_path(network, path)
            output = network(image)
            small = network(image[..., -80:, -80:])[..., 40:, 40:]
            assert torch.allclose(output[..., -40:, -40:], small, atol=1e-5)
