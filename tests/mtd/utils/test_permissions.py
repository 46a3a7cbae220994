"""Files are written with the permissions that the user's umask leaves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.card import folder as card_folder
from analysis.commands.run_folder import RunFolder
from mtd.data import photograph_archives
from mtd.data.photographs import photographs
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.training import decoded_store, state
from mtd.training.logs import Log
from mtd.utils import atomic_write, digests, downloads
from tests.helpers.file_server import serving
from tests.helpers.networks import TINY, tiny_network


def atomic(folder: Path) -> None:
    atomic_write.write(folder / "new" / "a.json", "{}")


def checkpoint(folder: Path) -> None:
    weights = tiny_network().state_dict()
    for name in ("a.pth", "a.safetensors"):
        checkpoint_file.save(folder / name, weights, network=TINY, mask=MaskPolicy())


def states_and_logs(folder: Path) -> None:
    for step in (1, 2):
        state.save(folder, {"step": step})
    log = Log(folder)
    log.start(0)
    log.loss(1, 0.5, 1e-3, 2.0)
    log.close()


def store(folder: Path) -> None:
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "a.png")
    decoded_store.build(folder / "store", photographs(folder))


def card(folder: Path) -> None:
    card_folder.write(folder / "card", {"": {"card.json": "{}"}, "inner": {"a.md": ""}})


def record(folder: Path) -> None:
    digests.write(folder / "SHA256SUMS", {"a": "0" * 64})


def download(folder: Path) -> None:
    with serving(file=b"content") as server:
        address, digest = f"{server.address}file", hashlib.sha256(b"content").hexdigest()
        place = folder / "models" / "file.pth"
        downloads.fetch(
            downloads.Remote("a/file", address, place, licence="MIT", sha256=digest), quiet=True
        )


def archive(folder: Path) -> None:
    photograph_archives.write(folder / "a.zip", {"photos/a.png": Path(__file__)})


def run_folder(folder: Path) -> None:
    run = RunFolder(folder / "runs" / "run", "srga", {"analysis": "srga"})
    run.table("srga", pd.DataFrame({"model": ["a"]}))
    run.figure("srga", Figure())


WRITERS = (
    *(atomic, checkpoint, states_and_logs, store, card, record, download),
    *(archive, run_folder),
)


@pytest.fixture(params=(0o002, 0o077), ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_what_is_written_has_the_permissions_of_the_umask(
    write: Callable[[Path], None], umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NO_PROXY", "*")
    write(tmp_path)
    modes = {path: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert any(path.is_file() for path in modes)
    for path, mode in modes.items():
        assert mode == (0o777 if path.is_dir() else 0o666) & ~umask, path
