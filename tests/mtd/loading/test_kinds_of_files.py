"""FIFOs, devices, sockets, folders and links in the place of a file: one line, without waiting."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from pathlib import Path

import pytest
import torch

from mtd.loading import checkpoint_file, kair_options
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.training import config as recipes
from mtd.training import state as training_state
from mtd.training import sweep
from mtd.utils.errors import BadInput

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "checkpoint": ("a.pth", checkpoint_file.read),
    "tensors only": ("a.safetensors", checkpoint_file.read),
    "option file": ("a.json", kair_options.mask_policy),
    "recipe": ("a.toml", lambda path: recipes.load(str(path))),
    "sweep": ("a.toml", lambda path: sweep.load(str(path))),
    "state": ("state.pt", lambda path: training_state.load(path.parent, lambda state: state)),
}


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Callable[[str, str], tuple[Path, str]]]:
    """Makes an odd file of a kind and a name; returns its path and what a message says."""
    with ExitStack() as open_files:

        def make(kind: str, name: str) -> tuple[Path, str]:
            path = tmp_path / name
            if kind == "fifo":
                os.mkfifo(path)
                return path, "is a FIFO: expected a file"
            if kind == "socket":
                server = open_files.enter_context(socket.socket(socket.AF_UNIX))
                with chdir(tmp_path):  # paths of sockets are short
                    server.bind(name)
                return path, "is a socket: expected a file"
            if kind == "folder":
                path.mkdir()
                return path, "is a folder"
            target = "/dev/zero" if kind == "device" else tmp_path / "nothing"
            path.symlink_to(target)
            return path, "is a device: expected a file" if kind == "device" else "no "

        yield make


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "device", "dangling link"])
@pytest.mark.parametrize("reader", READERS)
def test_a_file_of_another_kind_is_refused_at_once(odd, kind, reader):
    name, read = READERS[reader]
    path, message = odd(kind, name)
    with pytest.raises(BadInput) as caught:
        read(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_shrinks_while_it_is_read_is_one_that_is_cut_off(tmp_path, monkeypatch):
    """All of a file is read at once, before its digest is taken and its numbers are used."""
    path = tmp_path / "a.safetensors"
    network = DnCNN(DnCNNConfig(features=4, depth=3))
    checkpoint_file.save(
        path, network.state_dict(), network=network.config, mask=network.inference.policy
    )
    whole = path.read_bytes()

    def shrunk(content: bytes, *rest: object) -> object:
        path.write_bytes(b"")
        return contents(content, *rest)

    contents = checkpoint_file._contents
    monkeypatch.setattr(checkpoint_file, "_contents", shrunk)
    read = checkpoint_file.read(path)
    assert torch.equal(read.own.tensors["model.0.weight"], network.state_dict()["model.0.weight"])
    monkeypatch.undo()
    path.write_bytes(whole[:-9])
    with pytest.raises(BadInput, match="damaged"):
        checkpoint_file.read(path)
