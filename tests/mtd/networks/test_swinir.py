"""The network: golden parity, sizes, published state dicts, masks at inference."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mtd.loading.load import load
from mtd.masking import PIXEL_FILL, MaskedInference, MaskPolicy
from mtd.networks import windows
from mtd.networks.registry import detect
from mtd.networks.swinir import SwinIR, is_recomputable
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.networks.window_attention import PATHS, set_path
from mtd.networks.windows import (
    HIDDEN,
    partition,
    shift_mask,
    unpartition,
    window_kinds,
    window_regions,
)
from mtd.utils.counter_random import BatchStream
from mtd.utils.errors import BadInput
from tests.helpers.golden_files import golden, golden_weights
from tests.helpers.networks import MASKED, TINY, tiny_network
from tests.helpers.swinir_oracle import swinir

GOLDENS = (
    "masked_swinir_attention_mask_off",
    "masked_swinir_attention_mask_on",
    "swinir_color_denoising_small",
)


DOUBLE, SINGLE = (torch.float64, 1e-9), (torch.float32, 1e-4)
COMPUTED = [
    # slow: single precision of flex, which is slow on the CPU, is tested with one network
    pytest.param(
        name,
        path,
        *how,
        marks=pytest.mark.slow if path == "flex" and how == SINGLE and name != GOLDENS[1] else (),
    )
    for name in GOLDENS
    for path in ("auto", *PATHS)
    for how in (DOUBLE, SINGLE)
]


@pytest.mark.parametrize("name, path, dtype, tolerance", COMPUTED)
def test_output_of_the_published_network(name, path, dtype, tolerance):
    meta, arrays = golden(name)
    weights = golden_weights(meta)
    network = SwinIR(detect(weights)[1]).to(dtype).eval()
    network.load_state_dict(weights)
    set_path(network, path)
    assert sum(p.numel() for p in network.parameters()) == meta["parameters"]
    masks = None
    if "masks" in arrays:
        recorded = torch.from_numpy(arrays["masks"]).bool()  # (blocks, windows, tokens)
        masks = lambda block, *shape: recorded[block].expand(*shape)  # noqa: E731
    with torch.no_grad():
        output = network(torch.from_numpy(arrays["input"]).to(dtype), masks=masks)
    assert (output.double() - torch.from_numpy(arrays["output"])).abs().max() < tolerance


def test_keys_and_shapes_are_the_published_ones():
    meta, _ = golden("masked_swinir_attention_mask_off")
    published = {
        name: tuple(shape) for name, shape, _, is_buffer in meta["state_dict"] if not is_buffer
    }
    assert {k: tuple(v.shape) for k, v in SwinIR().state_dict().items()} == published
    assert sum(p.numel() for p in SwinIR().parameters()) == 824_118


def test_published_buffers_load_strictly_for_any_image_size():
    network = tiny_network()
    state = dict(network.state_dict())
    for count in (4, 64):
        for group in range(2):
            for block in range(2):
                prefix = f"layers.{group}.residual_group.blocks.{block}"
                state[f"{prefix}.attn.relative_position_index"] = torch.zeros(64, 64).long()
            state[f"layers.{group}.residual_group.blocks.1.attn_mask"] = torch.ones(count, 64, 64)
        SwinIR(TINY).load_state_dict(copy.copy(state), strict=True)
    with pytest.raises(RuntimeError, match="strange"):
        SwinIR(TINY).load_state_dict(state | {"strange": torch.zeros(1)})


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (8, 17), (13, 21), (15, 64)])
def test_any_size_from_8_keeps_its_shape(size):
    assert tiny_network()(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_padding_is_by_reflection_to_the_right_and_below():
    network, x = tiny_network(), torch.rand(1, 3, 13, 21)
    padded = torch.nn.functional.pad(x, (0, 3, 0, 3), mode="reflect")
    assert torch.allclose(network(x), network(padded)[..., :13, :21], atol=1e-6)


def test_smaller_than_a_window_is_refused():
    with pytest.raises(ValueError, match="at least 8 x 8"):
        tiny_network()(torch.rand(1, 3, 7, 8))


def naive_shift_mask(height: int, width: int, window: int) -> Tensor:
    """By definition: tokens attend to each other iff they came from the same region."""
    shift = window // 2

    def region(i: int, size: int) -> int:
        return 0 if i < size - window else 1 if i < size - shift else 2

    masks = []
    for top in range(0, height, window):
        for left in range(0, width, window):
            places = [
                (region(top + i, height), region(left + j, width))
                for i in range(window)
                for j in range(window)
            ]
            masks.append([[0.0 if a == b else HIDDEN for b in places] for a in places])
    return torch.tensor(masks)


@pytest.mark.parametrize("rows, columns", [(1, 1), (2, 3), (4, 1), (1, 2), (3, 4)])
@pytest.mark.parametrize("window", [1, 4, 7, 8])
def test_shift_mask_by_definition(rows, columns, window):
    kinds = window_kinds(rows, columns, torch.device("cpu"))
    mask = shift_mask(window_regions(window))[kinds]
    assert torch.equal(mask, naive_shift_mask(rows * window, columns * window, window))


def test_hidden_tokens_have_no_weight_and_the_output_of_published_networks(monkeypatch):
    """Published networks add -100, whose weights are subnormal numbers, slow on CPUs."""
    network, image = tiny_network(), torch.rand(1, 3, 24, 24)
    logits = shift_mask(window_regions(8)) + 20 * torch.randn(4, 64, 64)
    weights = logits.softmax(-1)
    assert not weights[(shift_mask(window_regions(8)) < 0)].any()
    with torch.no_grad():
        output = network(image, [0])
        monkeypatch.setattr(windows, "HIDDEN", -100.0)
        assert torch.equal(network(image, [0]), output)


STOCK = SwinIRConfig(
    embed_dim=8,
    depths=(2,),
    num_heads=(2,),
    window_size=4,
    mlp_hidden=8,
    embed_kernel=3,
    convolution="1conv",
    global_residual=True,
)


def published(img_size: int, window: int = 4) -> dict[str, Tensor]:
    """Weights with the buffers that the authors' code saves for an image size."""
    network = tiny_network(3, replace(STOCK, window_size=window))
    state = dict(network.state_dict())
    for key in list(state):
        if key.endswith("position_bias_table"):
            block = key.removesuffix(".attn.relative_position_bias_table")
            tokens = window**2
            state[f"{block}.attn.relative_position_index"] = torch.zeros(tokens, tokens).long()
            if block.endswith(".1") and img_size > window:
                count = (img_size // window) ** 2
                state[f"{block}.attn_mask"] = torch.zeros(count, tokens, tokens)
    return state


@pytest.mark.parametrize("img_size", [4, 16])
@pytest.mark.parametrize("size", [(4, 4), (4, 8), (12, 8)])
@pytest.mark.parametrize("img_range", [1, 255])
def test_shift_and_range_are_those_it_was_built_with(img_size, size, img_range, tmp_path):
    """Whatever the size of the image at hand: buffers tell the shift, the user the range."""
    weights = published(img_size)
    torch.save(weights, tmp_path / "a.pth")
    network = load(tmp_path / "a.pth", value_range=img_range)
    assert network.config.shifted == (img_size > 4)
    stream = torch.Generator().manual_seed(1)
    image = torch.rand(1, 3, *size, generator=stream, dtype=torch.float64)
    with torch.no_grad():
        expected = swinir(weights, network.config, image, img_size, img_range)
        output = network.double()(image)
        assert (output - expected).abs().max() < 1e-7
        wrong = swinir(weights, network.config, image, 20 - img_size, img_range)
    assert (wrong - expected).abs().max() > 1e-4 / img_range


def test_what_buffers_do_not_tell_is_assumed_and_said(tmp_path):
    path, weights = tmp_path / "a.pth", published(4)
    told = "values from 0 to 1, RGB"
    for img_size in (4, 16):
        torch.save(published(img_size), path)
        assert load(path).source["assumed"] == told
    torch.save({k: v for k, v in weights.items() if not is_recomputable(k)}, path)
    assert load(path).source["assumed"].startswith("every second block shifts its windows, since")
    assert load(path).config.shifted
    alone = load(path, value_range=255, bgr=False).source["assumed"]
    assert alone.endswith("since no buffer in the file shows otherwise")
    key = "layers.0.residual_group.blocks.1.attn_mask"
    torch.save(weights | {key: torch.zeros(4, 64, 64)}, path)
    with pytest.raises(BadInput, match=r"attn_mask of shape .*for the windows of 4"):
        load(path)


def test_windows_of_seven_are_of_networks_on_values_up_to_255(tmp_path):
    torch.save(published(126, 7), tmp_path / "a.pth")
    network = load(tmp_path / "a.pth")
    assert network.input_format.value_range == network.config.value_range == 255
    assert network.source["assumed"] == "values from 0 to 255, RGB"
    assert load(tmp_path / "a.pth", value_range=1).input_format.value_range == 1


@pytest.mark.parametrize("white", [1, 255])
def test_hidden_pixels_have_the_same_value_on_either_scale(white):
    network, seen = tiny_network(0, replace(TINY, value_range=white)), []
    network.inference = MaskedInference(MASKED, "off")
    network.conv_first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    keep = torch.arange(64).view(1, 1, 8, 8) % 3 > 0
    network(torch.full((1, 3, 8, 8), 0.75), input_mask=keep)
    values = seen[0] / white + network.mean
    expected = torch.where(keep, 0.75, PIXEL_FILL).expand(1, 3, 8, 8)
    assert torch.allclose(values, expected, atol=1e-6)


def test_partition_has_an_inverse():
    x = torch.rand(2, 24, 16, 5)
    assert torch.equal(unpartition(partition(x, 8), 8, 24, 16), x)


def test_masked_tokens_are_zeroed_not_removed():
    """A window whose tokens are all hidden attends to value biases alone."""
    attention = tiny_network().layers[0].residual_group.blocks[0].attn
    bias = attention.qkv.bias[24:]
    expected = attention.proj(bias)
    output = attention(torch.zeros(3, 64, 12))
    assert torch.allclose(output, expected.expand_as(output), atol=1e-6)


class Counting(nn.Module):
    """Attention masks that count their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int, int, int]] = []

    def __call__(self, *shape: int) -> Tensor:
        self.calls.append(shape)
        return torch.ones(shape[1:], dtype=torch.bool)


def test_every_block_asks_for_its_mask_once_in_order():
    masks = Counting()
    tiny_network()(torch.rand(2, 3, 16, 24), masks=masks)
    assert masks.calls == [(block, 2, 6, 64) for block in range(4)]


def masked_network(samples: int = 1, seed: int = 0) -> SwinIR:
    network = tiny_network()
    network.inference = MaskedInference(MASKED, samples=samples, seed=seed)
    return network


def test_inference_is_deterministic_and_depends_on_seed_and_key_only():
    x, network = torch.rand(3, 3, 16, 16), masked_network()
    once = network(x, ["a", "b", "c"])
    assert torch.equal(once, network(x, ["a", "b", "c"]))
    torch.manual_seed(5)
    order = network(x[[2, 0, 1]], ["c", "a", "b"])
    assert torch.allclose(order, once[[2, 0, 1]], atol=1e-6)
    assert torch.allclose(network(x[1:2], ["b"]), once[1:2], atol=1e-6)
    assert not torch.allclose(network(x, ["x", "b", "c"])[0], once[0], atol=1e-4)
    assert not torch.allclose(masked_network(seed=1)(x, ["a", "b", "c"]), once, atol=1e-4)
    assert torch.equal(network(x), network(x, [0, 0, 0]))


def test_mask_samples_average_the_outputs_of_single_draws():
    x = torch.rand(2, 3, 16, 16)
    network = masked_network(samples=3)
    draws = network.inference.draws(["a", "b"])
    singles = torch.stack([network(x, masks=draw) for draw in draws])
    assert torch.allclose(network(x, ["a", "b"]), singles.mean(0), atol=1e-6)
    assert not torch.allclose(singles[0], singles[1], atol=1e-4)


def test_attention_mask_switch():
    x, network = torch.rand(1, 3, 16, 16), masked_network()
    plain = tiny_network()(x)
    on = network(x)
    assert not torch.allclose(on, plain, atol=1e-4)
    network.inference = MaskedInference(MASKED, "off")
    assert torch.equal(network(x), plain)
    train_only = MaskPolicy((75, 85), "pixel", 75, "train")
    network.inference = MaskedInference(train_only)
    assert torch.equal(network(x), plain)
    network.inference = MaskedInference(train_only, "on")
    assert torch.equal(network(x), on)
    network.inference = MaskedInference(MaskPolicy(), "on", samples=4)
    assert torch.equal(network(x), plain)


def test_output_is_not_clamped():
    network = tiny_network()
    with torch.no_grad():
        network.conv_last.bias.fill_(3.0)
    assert network(torch.rand(1, 3, 8, 8)).max() > 1


@pytest.mark.parametrize("fill", ["pixel", "zero", "learnable"])
def test_input_mask_hides_pixels(fill):
    config = SwinIRConfig(**(TINY.to_dict() | {"depths": (1,), "num_heads": (2,)}))
    if fill == "learnable":
        config = SwinIRConfig(
            **(config.to_dict() | {"mask_token": True, "depths": (1,), "num_heads": (2,)})
        )
    network = tiny_network(config=config).train()
    network.inference.policy = MaskPolicy((50, 50), fill)
    x = torch.rand(2, 3, 9, 16)
    kept = torch.rand(2, 1, 9, 16) > 0.5
    changed = torch.where(kept, x, torch.rand_like(x))
    assert torch.allclose(network(x, input_mask=kept), network(changed, input_mask=kept), atol=1e-6)
    assert not torch.allclose(network(x, input_mask=kept), network(x), atol=1e-4)
    if fill == "pixel":
        filled = torch.where(kept, x, torch.tensor(-0.1))
        assert torch.allclose(network(x, input_mask=kept), network(filled), atol=1e-6)
    if fill == "learnable":
        network(x, input_mask=kept).sum().backward()
        assert network.mask_token.grad.abs().sum() > 0
        assert set(network.state_dict()) - set(SwinIR(TINY).state_dict()) == {"mask_token"}


def stream(seed: int, total: int = 2) -> BatchStream:
    return BatchStream.of(seed, 0, total)


def test_stochastic_depth_is_in_training_only_and_from_the_stream():
    config = SwinIRConfig(
        **(TINY.to_dict() | {"drop_path": 0.9, "depths": (2, 2), "num_heads": (2, 2)})
    )
    network, x = tiny_network(config=config), torch.rand(4, 3, 8, 8)
    calm = network(x, stream=stream(0, 4))
    network.train()
    assert torch.equal(network(x), calm)
    first, again, other = (network(x, stream=stream(s, 4)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-4)
    assert not torch.allclose(first, calm, atol=1e-4)


def test_global_random_state_is_left_alone():
    network = masked_network()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    network(torch.rand(1, 3, 8, 8, generator=torch.Generator()))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("side", [-1, 0, 2])
def test_the_first_kernel_is_odd(side):
    with pytest.raises(BadInput, match=f"embed_kernel {side}: expected an odd number, 1 or more"):
        SwinIRConfig(embed_kernel=side).check()
