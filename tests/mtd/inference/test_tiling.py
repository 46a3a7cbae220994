"""Any size, tiles against the whole, and how far a network sees."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtd.inference import tiling as inference_tiling
from mtd.inference.forward import GIB, denoise, forward
from mtd.masking import MaskedInference
from mtd.networks import swinir_receptive_field
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.errors import BadInput
from tests.helpers.networks import MASKED, TINY, tiny_network
from tests.helpers.paths import ROOT


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def convolutions(depth: int = 5, features: int = 8) -> DnCNN:
    torch.manual_seed(0)
    return DnCNN(DnCNNConfig(features=features, depth=depth)).eval()


@pytest.mark.parametrize("height, width", [(1, 1), (7, 300), (8, 8), (13, 29), (1, 40), (5, 4)])
def test_any_size(height: int, width: int) -> None:
    x = noise(2, 3, height, width)
    for network in (tiny_network(), convolutions(), nn.Conv2d(3, 3, 3, padding=1)):
        for tile in ("auto", "off", 64):
            y = denoise(network, x, tile=tile)
            assert y.shape == x.shape and y.isfinite().all() and not y.requires_grad


def test_large_enough_images_are_not_touched() -> None:
    network, x = tiny_network(), noise(1, 3, 21, 40)
    with torch.no_grad():
        assert torch.equal(denoise(network, x), network(x))


def test_the_layout_says_how_images_go_through_the_network() -> None:
    network = tiny_network()
    each = inference_tiling.bytes_per_pixel(network)

    def key(tile: inference_tiling.Tile, memory: int = GIB, batch: int = 2) -> list[object]:
        return inference_tiling.layout(network, (batch, 64, 80), tile, None, memory).key

    assert key("auto") == key("off") == key("off", 1) == key(128) == ["batch"]
    assert key("auto", each * 64 * 80) == ["one by one"]
    assert key("auto", each * 64 * 80, batch=1) == ["batch"]
    assert key(48)[0] == "batch" and key(48)[1:] == [[48, 0, 16], [48, 0, 16, 32]]
    assert key("auto", each * 48**2) == ["one by one", *key(48)[1:]]


def test_images_one_by_one_are_those_of_a_batch_and_progress_covers_all_pixels() -> None:
    network, x = convolutions(), noise(3, 3, 20, 24)
    memory = inference_tiling.bytes_per_pixel(network) * 20 * 24
    pixels: list[int] = []
    alone = denoise(network, x, memory=memory, progress=pixels.append)
    assert pixels == [20 * 24] * 3
    assert torch.allclose(alone, denoise(network, x), atol=1e-6)


def test_a_network_says_itself_whether_it_takes_masks() -> None:
    network = tiny_network()
    assert network.takes_masks and not convolutions().takes_masks
    assert not network.fills_input_mask
    network.inference = MaskedInference(MASKED)
    assert network.fills_input_mask


def test_small_images_are_padded_by_reflection_or_edge() -> None:
    seen: list[Tensor] = []
    network = tiny_network()
    network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = noise(1, 3, 7, 3)
    denoise(network, x)
    assert seen[0].shape == (1, 3, 8, 8)
    assert torch.equal(seen[0][..., 7, :3], x[..., 5, :])
    assert torch.equal(seen[0][..., :7, 7], x[..., 2])


@pytest.mark.parametrize("length", [65, 100, 257, 1000])
@pytest.mark.parametrize("tile, overlap", [(64, 0), (64, 16), (64, 32), (64, 56), (32, 24)])
@pytest.mark.parametrize("sight", [None, 0, 5, 16, 100])
def test_weights_sum_to_one(length: int, tile: int, overlap: int, sight: int | None) -> None:
    starts = inference_tiling.corners(length, tile, overlap, 8)
    weights = inference_tiling.weights(length, starts, tile, sight)
    assert torch.allclose(weights.sum(0), torch.ones(length, dtype=torch.float64), atol=1e-15)
    assert weights.min() >= 0
    assert starts[0] == 0 and all(start % 8 == 0 for start in starts)
    assert length <= starts[-1] + tile < length + 8
    for i in range(len(starts) - 1):
        shared = starts[i] + tile - starts[i + 1]
        assert shared >= overlap
        guard = sight if sight is not None and 2 * sight <= shared else shared // 4
        assert not weights[i, starts[i] + tile - guard :].any()
        assert not weights[i + 1, : starts[i + 1] + guard].any()


def test_constant_images_and_identity_pass() -> None:
    x = noise(2, 3, 150, 211, dtype=torch.float64)
    for overlap in (None, 0, 8, 24, 56):
        y = denoise(nn.Identity(), x, tile=64, overlap=overlap)
        assert torch.allclose(y, x, atol=1e-15, rtol=0)
    flat = torch.full((1, 3, 150, 211), 0.3)
    assert (denoise(nn.Identity(), flat, tile=64) - 0.3).abs().max() < 1e-7


@pytest.mark.parametrize("height, width", [(64, 200), (131, 97), (250, 40)])
def test_tiles_of_convolutions_are_the_whole(height: int, width: int) -> None:
    network = convolutions()
    for tile in (32, 48, 100):
        x = noise(2, 3, height, width)
        difference = denoise(network, x, tile=tile) - denoise(network, x, tile="off")
        assert difference.abs().max() < 1e-5
        x = noise(1, 3, height, width, dtype=torch.float64)
        whole = denoise(network.double(), x, tile="off")
        assert (denoise(network, x, tile=tile) - whole).abs().max() < 1e-12
        network.float()


def test_without_the_overlap_tiles_of_convolutions_are_not_the_whole() -> None:
    network, x = convolutions(), noise(1, 3, 64, 126)
    difference = denoise(network, x, tile=64, overlap=2) - denoise(network, x, tile="off")
    assert difference.abs().max() > 1e-4


def test_tiles_of_a_swinir_are_the_whole_beyond_reach() -> None:
    network, x = tiny_network(), noise(1, 3, 61, 203)
    sight = inference_tiling.reach(network)
    assert sight is not None
    whole = denoise(network, x, tile="off")
    exact = denoise(network, x, tile=96, overlap=2 * sight)
    assert (exact - whole).abs().max() < 1e-5
    grid = inference_tiling.plan(network, (1, 61, 203), 72, 16, GIB)
    assert grid is not None
    starts = grid[1].starts
    far = torch.ones(203, dtype=torch.bool)
    for start in starts[1:]:
        far[start : start + sight] = False
    for start in starts[:-1]:
        far[start + 72 - sight : start + 72] = False
    difference = (denoise(network, x, tile=72, overlap=16) - whole).abs()
    assert 20 < far.sum() < 200
    assert difference[..., far].max() < 1e-5
    assert difference.max() > 1e-5


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, depths=(3, 1), convolution="1conv", embed_kernel=3, global_residual=True),
        replace(TINY, depths=(1,), num_heads=(2,), window_size=4),
        replace(TINY, shifted=False),
    ],
)
def test_reach_is_how_far_a_pixel_sees(config: SwinIRConfig) -> None:
    network, sight = tiny_network(1, config).double(), swinir_receptive_field.reach(config)
    side = 2 * (-(-sight // 8) * 8 + 8)
    x = noise(1, 3, side, side, dtype=torch.float64).requires_grad_()
    farthest = 0
    for place in range(side // 2, side // 2 + config.window_size):
        (slope,) = torch.autograd.grad(network(x)[0, 0, place, place], x)
        rows = slope.abs().amax((0, 1, 3))  # a shifted window's hidden neighbours leave 1e-44
        touched = (rows > 1e-30).nonzero().flatten()
        farthest = max(farthest, place - int(touched[0]), int(touched[-1]) - place)
    assert farthest == sight


def test_reach_of_networks() -> None:
    assert inference_tiling.reach(convolutions(7)) == 7
    assert swinir_receptive_field.reach(SwinIRConfig()) == 104
    assert inference_tiling.reach(nn.Identity()) is None


def test_reach_of_a_dncnn_is_exact() -> None:
    network, x = convolutions(6), noise(1, 3, 1, 41).requires_grad_()
    (slope,) = torch.autograd.grad(network(x)[0, 0, 0, 20], x)
    touched = slope.abs().amax((0, 1, 2)).nonzero().flatten()
    assert (int(touched[0]), int(touched[-1])) == (14, 26)


def test_attention_masks_of_tiles_have_keys_of_their_own() -> None:
    network, x = tiny_network(), noise(2, 3, 40, 96)
    network.inference = MaskedInference(MASKED)
    whole = denoise(network, x, keys=["a", "b"], tile="off")
    with torch.no_grad():
        assert torch.equal(whole, network(x, ["a", "b"]))
        corner = network(x[..., :40, :64], ["a@0,0", "b@0,0"])
    tiled = denoise(network, x, keys=["a", "b"], tile=64, overlap=0)
    assert torch.allclose(tiled[..., :40], corner[..., :40], atol=1e-6)
    assert torch.equal(tiled, denoise(network, x, keys=["a", "b"], tile=64, overlap=0))
    assert not torch.allclose(tiled, whole, atol=1e-3)


def test_batches_over_budget_go_one_by_one() -> None:
    network, x = convolutions(), noise(3, 3, 40, 40)
    budget = 40 * 40 * inference_tiling.bytes_per_pixel(network)
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda module, given: sizes.append(given[0].shape[0]))
    y = denoise(network, x, memory=budget)
    assert sizes == [1, 1, 1]
    assert torch.allclose(y, denoise(network, x, tile="off"), atol=1e-6)


def test_tiles_stay_within_budget() -> None:
    network, x = tiny_network(), noise(1, 3, 200, 300)
    each = inference_tiling.bytes_per_pixel(network)
    shapes: list[torch.Size] = []
    network.register_forward_pre_hook(lambda module, given: shapes.append(given[0].shape))
    done: list[int] = []
    denoise(network, x, memory=100 * 100 * each, progress=done.append)
    assert len(shapes) > 1 and all(s[-1] * s[-2] <= 100 * 100 for s in shapes)
    assert sum(done) == 200 * 300 and len(done) == len(shapes)


def test_forward_calls_any_network() -> None:
    x = noise(2, 3, 16, 16)
    for network in (tiny_network(), convolutions(), nn.Conv2d(3, 3, 1)):
        assert forward(network, x, ["a", "b"]).shape == x.shape


def test_input_mask_fills_as_trained_or_black() -> None:
    x, mask = noise(2, 3, 40, 100), noise(2, 1, 40, 100) > 0.8
    trained, other = tiny_network(), tiny_network()
    trained.inference = MaskedInference(MASKED, "off")
    with torch.no_grad():
        assert torch.equal(denoise(trained, x, input_mask=mask), trained(x, input_mask=mask))
        assert torch.equal(denoise(other, x, input_mask=mask), other(x * mask))
    exact = 2 * (inference_tiling.reach(trained) or 0)
    tiled = denoise(trained, x, input_mask=mask, tile=80, overlap=exact)
    assert torch.allclose(tiled, denoise(trained, x, input_mask=mask), atol=1e-5)
    small = denoise(trained, x[..., :3, :5], input_mask=mask[..., :3, :5])
    assert small.shape == (2, 3, 3, 5)


def test_mode_and_precision_stay() -> None:
    network = convolutions().train()
    x = noise(1, 3, 40, 80)
    assert denoise(network, x.double().float(), tile=32).dtype == torch.float32
    assert network.training


def test_bad_input() -> None:
    network, x = tiny_network(), noise(1, 3, 40, 100)
    for given, words in (
        ({"tile": 8}, "tile 8: expected 32"),
        ({"tile": 64, "overlap": 64}, "overlap 64"),
        ({"tile": 64, "overlap": -1}, "overlap -1"),
        ({"tile": "some"}, "tile 'some'"),
        ({"memory": 1000}, "too little for a tile"),
    ):
        with pytest.raises(BadInput, match=words):
            denoise(network, x, **given)  # type: ignore[arg-type]
    for wrong in (x[0], x[..., :0]):
        with pytest.raises(BadInput, match="shape"):
            denoise(network, wrong)


MEASURE = """
import sys, torch
import mtd
from mtd.inference import tiling
from mtd.inference.forward import denoise
from mtd.networks.dncnn import DnCNN
torch.set_num_threads(2)
network = DnCNN().eval() if sys.argv[1] == "dncnn" else mtd.load(sys.argv[1])
side, memory = int(sys.argv[2]), int(sys.argv[3])
x = torch.rand(1, 3, side, side)
denoise(network, x[..., :32, :32])
def peak():  # of this process alone: getrusage counts that of its parent too
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = peak()
denoise(network, x, memory=memory)
print(peak() - before, tiling.bytes_per_pixel(network))
"""


def growth(network: str, side: int, memory: int) -> tuple[int, int]:
    """Growth of resident memory in a process of its own, and the estimate for each pixel."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("resident memory is read from /proc")
    command = [sys.executable, "-c", MEASURE, network, str(side), str(memory)]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    peak, each = map(int, out.split())
    return peak, each


@pytest.mark.slow  # resident memory is not this process's alone to decide
@pytest.mark.parametrize("network, side", [("masked.pth", 320), ("dncnn", 512)])
def test_estimated_memory_is_about_right(network: str, side: int) -> None:
    peak, each = growth(network, side, GIB)
    assert 1 / 1.5 < peak / (each * side**2) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("network", ["masked.pth", "dncnn"])
def test_large_images_stay_within_the_budget(network: str) -> None:
    budget = GIB // 2
    peak, each = growth(network, 1500, budget)
    assert each * 1500**2 > budget
    # the estimate is right to a factor of 1.5; input, output and weights come on top of it
    assert peak < 1.5 * budget + 10 * 3 * 4 * 1500**2
