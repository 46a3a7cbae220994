"""Positions: which channel vector of which layer belongs to a pixel."""

from __future__ import annotations

import pytest
import torch

from analysis.cka.positions import Positions
from analysis.engine.feature_maps import lay_out
from mtd.utils.errors import BadInput


def coordinates(height: int, width: int) -> torch.Tensor:
    """(1, 2, h, w) whose channels are the row and the column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns])[None].float()


def drawn(height: int, width: int, count: int = 20) -> Positions:
    return Positions.draw(["a", "b"], count, height, width, 0)


def pick(here: Positions, activation: torch.Tensor, name: str = "x") -> torch.Tensor:
    return here.pick(lay_out(name, activation, len(here.rows), here.height, here.width))


def test_positions_are_different_places_and_depend_on_seed_and_key():
    here = drawn(8, 6, 48)
    for rows, columns in zip(here.rows, here.columns, strict=True):
        assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 48
    again = Positions.draw(["b"], 48, 8, 6, 0)
    assert torch.equal(again.rows[0], here.rows[1]) and torch.equal(
        again.columns[0], here.columns[1]
    )
    assert not torch.equal(here.rows[0], here.rows[1])
    assert not torch.equal(Positions.draw(["b"], 48, 8, 6, 1).rows[0], here.rows[1])


def test_same_resolution_and_tokens_give_the_pixel_itself():
    here = drawn(12, 20)
    image = coordinates(12, 20).expand(2, -1, -1, -1)
    expected = torch.stack([here.rows, here.columns], dim=-1).float()
    assert torch.equal(pick(here, image), expected)
    assert torch.equal(pick(here, image.flatten(2).transpose(1, 2)), expected)


@pytest.mark.parametrize("padded", [(16, 24), (12, 24), (18, 27)])
def test_tokens_of_an_image_padded_right_and_below(padded):
    here = drawn(12, 20)
    tokens = coordinates(*padded).expand(2, -1, -1, -1).flatten(2).transpose(1, 2)
    assert torch.equal(pick(here, tokens)[..., 0], here.rows.float())
    assert torch.equal(pick(here, tokens)[..., 1], here.columns.float())


@pytest.mark.parametrize("factor", [2, 4])
def test_lower_resolution_gives_the_cell_the_pixel_lies_in(factor):
    here = drawn(16, 32)
    picked = pick(here, coordinates(16 // factor, 32 // factor).expand(2, -1, -1, -1))
    assert torch.equal(picked[..., 0], (here.rows // factor).float())
    assert torch.equal(picked[..., 1], (here.columns // factor).float())


def test_higher_resolution_gives_a_cell_inside_the_pixel():
    here = drawn(8, 8)
    picked = pick(here, coordinates(16, 16).expand(2, -1, -1, -1))
    assert torch.equal(picked[..., 0] // 2, here.rows.float())


def test_layers_of_a_padded_image_at_any_scale():
    here = drawn(20, 12)  # padded to 24 x 16
    for scale in (1, 2):
        cells = coordinates(24 // scale, 16 // scale).expand(2, -1, -1, -1)
        picked = pick(here, cells)
        assert torch.equal(picked[..., 0], (here.rows // scale).float())
        assert torch.equal(picked[..., 1], (here.columns // scale).float())
    doubled = pick(here, coordinates(48, 32).expand(2, -1, -1, -1))
    assert torch.equal(doubled[..., 0] // 2, here.rows.float())


@pytest.mark.parametrize("shape", [(2, 7), (8, 64, 5), (2, 61, 5), (2, 3, 4, 5, 6)])
def test_outputs_without_positions_are_refused(shape):
    with pytest.raises(BadInput, match="layer 'odd'"):
        pick(drawn(8, 8), torch.zeros(shape), "odd")


def test_more_positions_than_pixels():
    with pytest.raises(BadInput, match="65 positions in a crop of 8 x 8"):
        Positions.draw(["a"], 65, 8, 8, 0)
