"""Maps: tokens laid out again, and means removed, against loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.cka import command as cka_command
from analysis.commands.command import run_arguments
from analysis.engine.feature_maps import HIGHPASS, center, lay_out, paddings
from analysis.engine.layers import windowed_layers
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.restormer import Restormer, RestormerConfig
from mtd.utils.errors import BadInput
from tests.helpers.networks import tiny_network


def drawn(*shape: int, mean: float = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)) + mean


def tokens(maps: torch.Tensor) -> torch.Tensor:
    """As a transformer has them: (B, C, h, w) to (B, h · w, C), row by row."""
    return maps.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("shape", [(2, 5, 12, 20), (2, 5, 6, 10), (2, 1, 24, 40), (2, 7, 1, 1)])
def test_images_of_any_resolution_are_maps_already(shape):
    maps = drawn(*shape)
    assert torch.equal(lay_out("conv", maps, 2, 12, 20), maps)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "laid, size",
    [
        ((12, 20), (12, 20)),
        ((24, 16), (20, 12)),  # windows of 8
        ((24, 64), (21, 57)),  # windows of 8
        ((12, 9), (10, 7)),  # windows of 3
        ((8, 8), (8, 8)),
    ],
)
def test_tokens_go_back_to_their_places_also_those_of_a_padded_image(laid, size, batch):
    maps = drawn(batch, 5, *laid)
    found = lay_out("layers.0.residual_group.blocks.1", tokens(maps), batch, *size)
    assert torch.equal(found, maps)


def test_paddings_are_to_whole_windows_smallest_first():
    assert paddings(5, 3) == [(5, 3), (6, 4), (6, 3)]
    found = paddings(20, 100)
    assert len(found) == 20 and found[7] == (24, 104) and found[-1] == (20, 100)
    assert len(paddings(64, 64)) == 32


@pytest.mark.parametrize("shape", [(2, 64, 4), (2, 4, 8, 8)])
def test_window_attention_has_no_positions_whatever_its_shape(shape):
    with pytest.raises(BadInput, match=r"works inside attention windows.*--unit image"):
        lay_out("a", torch.zeros(shape), 2, 8, 8, windowed=True)


def test_the_module_says_whether_it_is_window_attention_and_not_its_name():
    block = "layers.0.residual_group.blocks.1"
    layers = [f"{block}.attn", f"input:{block}.attn", f"{block}.attn.qkv", block, f"{block}.norm1"]
    found = windowed_layers(tiny_network(), layers)
    assert found == {f"{block}.attn", f"{block}.attn.qkv"}
    config = RestormerConfig(
        dim=4, num_blocks=(1, 1, 1, 1), refinement_blocks=1, heads=(1, 1, 1, 1)
    )
    channel_attention = Restormer(config)
    assert not windowed_layers(channel_attention, ["latent.0.attn", "latent.0.attn.qkv"])


def test_positions_in_channel_attention_are_compared(tmp_path, monkeypatch):
    config = RestormerConfig(
        dim=4, num_blocks=(1, 1, 1, 1), refinement_blocks=1, heads=(1, 1, 1, 1)
    )
    network = Restormer(config)
    network.initialize(torch.Generator().manual_seed(0))
    checkpoint_file.save(
        tmp_path / "r.pth", network.state_dict(), network=config, mask=MaskPolicy()
    )
    monkeypatch.chdir(tmp_path)
    options = ("--crop", "16", "--limit", "4", "--positions", "8", "--layers", "*.0.attn")
    arguments = ["r.pth", *options, "--quiet", "--output-dir", "run"]
    path = run_arguments(cka_command.ANALYSIS, arguments, "test")
    assert "encoder_level1.0.attn" in set(pd.read_csv(path / "layers.csv").layer)


@pytest.mark.parametrize("size", [(12, 20), (16, 16), (24, 40)])
def test_channels_may_come_last(size):
    """As from a linear layer or a layer norm: the same maps, whole and downsampled."""
    maps = drawn(2, 5, size[0] // 2, size[1] // 2)
    assert torch.equal(lay_out("norm", maps.permute(0, 2, 3, 1), 2, *size), maps)
    assert torch.equal(lay_out("conv", maps, 2, *size), maps)
    whole = drawn(2, 48, *size)
    assert torch.equal(lay_out("norm", whole.permute(0, 2, 3, 1), 2, *size), whole)


def test_shapes_that_fit_both_ways_have_channels_first():
    maps = drawn(2, 16, 16, 16)
    assert torch.equal(lay_out("conv", maps, 2, 16, 16), maps)


@pytest.mark.parametrize("count", [1, 63, 65])
def test_tokens_that_fill_no_grid_are_refused(count):
    with pytest.raises(BadInput, match=rf"'odd' has {count} tokens, no grid of a 8 x 8 crop"):
        lay_out("odd", torch.zeros(2, count, 5), 2, 8, 8)


@pytest.mark.parametrize("shape", [(2, 7), (8, 64, 5), (1, 64, 5), (4, 3, 8, 8), (2, 3, 4, 5, 6)])
def test_outputs_that_are_not_of_the_images_are_refused(shape):
    with pytest.raises(BadInput, match=r"layer 'odd' outputs .* no positions of a batch"):
        lay_out("odd", torch.zeros(shape), 2, 8, 8)


def test_global_leaves_maps_alone():
    maps = drawn(2, 3, 5, 6, mean=9)
    assert torch.equal(center(maps, "global"), maps)


def test_image_removes_the_mean_of_each_image_and_channel():
    maps = drawn(2, 3, 5, 6, mean=9)
    found = center(maps, "image")
    for b in range(2):
        for c in range(3):
            expected = maps[b, c].double() - maps[b, c].double().mean()
            assert torch.allclose(found[b, c].double(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(23, 14), (9, 9), (5, 30), (3, 2), (1, 1)])
def test_highpass_removes_the_mean_of_the_window_around_each_place(size):
    maps = drawn(2, 3, *size, mean=2)
    exact, half = maps.double().numpy(), HIGHPASS // 2
    expected = np.empty_like(exact)
    for i, j in np.ndindex(size):
        rows = slice(max(0, i - half), i + half + 1)
        columns = slice(max(0, j - half), j + half + 1)
        expected[..., i, j] = exact[..., i, j] - exact[..., rows, columns].mean((2, 3))
    assert HIGHPASS == 9
    assert np.abs(center(maps, "highpass").numpy() - expected).max() < 1e-5


def test_highpass_leaves_nothing_of_a_slope_inside_and_all_of_a_checkerboard_but_its_mean():
    rows, columns = torch.meshgrid(torch.arange(30.0), torch.arange(40.0), indexing="ij")
    inside = (..., slice(4, -4), slice(4, -4))
    slope = (2 * rows - 0.5 * columns + 7)[None, None]
    assert center(slope, "highpass")[inside].abs().max() < 1e-3
    board = ((rows + columns) % 2 * 2 - 1)[None, None]
    left = center(board, "highpass")[inside]
    # of 81 places 41 have the sign of the one in the middle
    assert torch.allclose(left, board[inside] * (1 - 1 / 81), atol=1e-6)


def test_unknown_centering_is_refused():
    with pytest.raises(BadInput, match="centering 'hipass': did you mean highpass"):
        center(drawn(1, 1, 4, 4), "hipass")  # type: ignore[arg-type]
