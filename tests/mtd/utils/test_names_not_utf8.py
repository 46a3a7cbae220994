"""Names whose bytes are no UTF-8 are refused in one line, before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtd import denoise, models
from mtd.data.photographs import photographs
from mtd.utils import atomic_write, input_files
from mtd.utils.errors import BadInput

BYTES = b"a\xffb"
NAME = os.fsdecode(BYTES)
REFUSED = "its name is not UTF-8; rename it, or set LC_ALL=C.UTF-8"


@pytest.mark.parametrize("main", (models.main, denoise.main))
def test_an_argument(main, in_process, tiny_pair: Path, tmp_path: Path):
    path = os.fsdecode(bytes(tmp_path) + b"/" + BYTES)
    Path(path).write_bytes((tiny_pair / "plain.pth").read_bytes())
    code, out, err = in_process(main, path)
    assert (code, out) == (2, "")
    assert err.endswith(f"a\\udcffb: {REFUSED}\n") and err.count("\n") == 1


def test_the_working_folder(in_process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / NAME).mkdir()
    monkeypatch.chdir(tmp_path / NAME)
    code, _, err = in_process(models.main)
    assert code == 2 and REFUSED in err


def test_an_image_of_a_folder(tmp_path: Path):
    for name in ("a.png", f"{NAME}.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    with pytest.raises(BadInput, match=REFUSED):
        photographs(tmp_path)


def test_names_in_json(tmp_path: Path):
    path = tmp_path / "manifest.json"
    path.write_text(r'{"models": {"a\udcff": 1}}')
    with pytest.raises(BadInput, match="half a character"):
        input_files.json(path)
    path.write_text(r'{"models": {"\ud83d\ude00": 1, "\\udcff": 2}}')
    assert input_files.json(path) == {"models": {"\U0001f600": 1, "\\udcff": 2}}


def test_what_is_written(tmp_path: Path):
    with pytest.raises(BadInput, match="a name in it is not UTF-8"):
        atomic_write.write(tmp_path / "a.json", f'"{NAME}"')
    assert list(tmp_path.iterdir()) == []
