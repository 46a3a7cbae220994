"""Extending images to sizes that networks take."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mtd.networks.padding import extend


def test_padding_reflects_where_it_can():
    x = torch.rand(1, 3, 13, 3)
    expected = F.pad(F.pad(x, (0, 5, 0, 0), mode="replicate"), (0, 0, 0, 3), mode="reflect")
    assert torch.equal(extend(x, 8), expected)
    assert extend(torch.rand(1, 1, 8, 16), 8).shape[-2:] == (8, 16)


@pytest.mark.parametrize("multiple, least, side", [(1, 1, 5), (4, 1, 8), (4, 9, 12), (1, 20, 20)])
def test_sides(multiple, least, side):
    mask = torch.rand(2, 1, 5, 5) > 0.5
    large = extend(mask, multiple, least)
    assert large.shape == (2, 1, side, side) and large.dtype == torch.bool
    assert torch.equal(large[..., :5, :5], mask)
