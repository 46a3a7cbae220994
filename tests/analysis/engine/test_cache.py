"""Cached activations come back bit for bit, or not at all."""

from __future__ import annotations

import pytest
import torch

from analysis.engine.cache import ActivationCache

KEY = {"model": "a", "noise": ["gaussian:15", 0]}


def stored(folder) -> ActivationCache:
    cache = ActivationCache(folder)
    tensors = {"features": torch.rand(3, 4), "empty": torch.zeros(0), "flag": torch.tensor([True])}
    cache.put(KEY, tensors)
    again = cache.get(KEY)
    assert again is not None
    for name, value in again.tensors().items():
        assert value.dtype == tensors[name].dtype and torch.equal(value, tensors[name])
    return cache


def test_every_flipped_bit_of_a_cached_file_is_noticed(tmp_path):
    cache = stored(tmp_path)
    (path,) = (tmp_path / "cache").iterdir()
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = cache.get(KEY)
        # spaces that pad the header hold no information
        assert found is None or content[place : place + 1] == b" ", place
    path.write_bytes(content)
    assert cache.get(KEY) is not None


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_a_cached_file_that_was_cut_short_is_not_used(tmp_path, length):
    cache = stored(tmp_path)
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(path.read_bytes()[:length])
    assert cache.get(KEY) is None


def test_a_link_where_a_cache_is_moved_to_be_deleted_is_removed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / "run").mkdir()
    cache = stored(tmp_path / "run")
    (tmp_path / "run" / ".cache").symlink_to(tmp_path / "precious")
    cache.clear()
    assert not list((tmp_path / "run").iterdir()) and (tmp_path / "precious" / "file").exists()
