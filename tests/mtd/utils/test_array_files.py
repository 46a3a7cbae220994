"""Files of named arrays beside the tables of a run."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from mtd.utils import array_files
from mtd.utils.errors import BadInput

SOUND = {"0": np.ones((2, 3, 3), np.uint8), "1": np.zeros((1, 1, 3), np.uint8)}


def test_arrays_and_metadata_are_read():
    arrays, about = array_files.read(save(SOUND, {"names": "[1]"}), "x", "uint8", 3)
    assert (arrays["0"] == SOUND["0"]).all() and about == {"names": [1]}
    with pytest.raises(BadInput, match="x: damaged, no 'a' in it"):
        arrays["a"]


def crafted(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**62) + b"{}",
        save(SOUND)[:-1],
        save(SOUND, {"names": "[" * 10_000}),
        save(SOUND, {"names": "{"}),
        save({"0": np.ones((2, 3), np.uint8)}),
        save({"0": np.ones((2, 3, 3), np.float32)}),
        crafted({"0": {"dtype": "F8_E4M3", "shape": [0], "data_offsets": [0, 0]}}),
        crafted({"0": {"dtype": "F8_E8M0", "shape": [0], "data_offsets": [0, 0]}}),
        crafted({"__metadata__": ["x"]}),
        crafted({"__metadata__": None}),
        crafted(["x" * 10_000]),
    ],
)
def test_other_files_are_refused_in_one_line(content: bytes):
    with pytest.raises(BadInput, match=r"^x: ") as error:
        array_files.read(content, "x", "uint8", 3)
    assert len(str(error.value)) < 300 and "\n" not in str(error.value)
