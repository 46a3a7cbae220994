"""Files of maps and filters beside the tables of a run that came from somebody else."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save

from analysis.attribution.tables import read_maps
from analysis.linear.tables import read_filters
from mtd.utils.errors import BadInput

HUGE = "1e999"
"""A number of JSON that is read as infinity."""


@pytest.mark.parametrize(
    "names",
    [
        "null",
        "[1]",
        '[["a"]]',
        f'[["a", "gaussian:15", {HUGE}]]',
        '[["a", "gaussian:15", "x"]]',
    ],
)
def test_damaged_names_of_maps_are_one_line(names):
    content = save({"0": torch.ones(3, 2, 2)}, {"names": names})
    with pytest.raises(BadInput, match=r"^[^\n]*(not the maps of a run|damaged)[^\n]*$"):
        read_maps(content)


@pytest.mark.parametrize(
    "names", ["null", '[["a", "b", 0]]', f'[["a", "gaussian:15", {HUGE}, "clean"]]']
)
def test_damaged_names_of_filters_are_one_line(names):
    content = save({"0": torch.ones(2, 2)}, {"names": names})
    with pytest.raises(BadInput, match=r"^[^\n]*(not the filters of a run|damaged)[^\n]*$"):
        read_filters(content)


def test_sound_files_are_read():
    names = json.dumps([["a", "gaussian:15", 0]])
    assert list(read_maps(save({"0": torch.ones(3, 2, 2)}, {"names": names})))
    names = json.dumps([["a", "gaussian:15", 0, "clean"]])
    assert list(read_filters(save({"0": torch.ones(2, 2)}, {"names": names})))
