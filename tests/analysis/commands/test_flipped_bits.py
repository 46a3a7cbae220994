"""No flipped bit of a run folder is believed: it is computed anew, or refused in one line."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.commands.command import run_arguments
from analysis.commands.run_folder import RunFolder
from analysis.commands.run_manifest import finished, intact, read_digests
from analysis.engine.cache import ActivationCache
from analysis.srga import command
from mtd.utils.errors import BadInput
from tests.helpers.run_folders import contents

ABOUT = {"analysis": "srga", "models": {"a": {"sha256": "1"}}, "noises": ["isp"]}
RUN = ("masked.pth", "--noise", "isp", "--crop", "16", "--limit", "6", "--no-controls", "--quiet")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small finished run, with a table, a file that is no table, and a figure."""
    folder = RunFolder(tmp_path / "run", "srga", ABOUT)
    folder.table("srga.csv", pd.DataFrame({"model": ["a"], "srga": [0.5]}))
    folder.write("maps.safetensors", b"pixels")
    folder.write("srga.png", b"picture")
    folder.finish()
    return folder.path


NAMES = ("manifest.json", "run.json", "srga.csv", "maps.safetensors", "srga.png")


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_of_a_finished_run_counts(small, name):
    path, known = small / name, read_digests(small)
    assert set(known) == {*NAMES} - {"run.json"} and finished(small, ABOUT)
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        if intact(small):  # what is said of the run itself: time, host and command
            assert name == "run.json" and read_digests(small) == known
    path.write_bytes(content)
    assert intact(small)


def test_a_run_without_digests_is_not_believed(small):
    about = json.loads((small / "run.json").read_text())
    (small / "run.json").write_text(json.dumps({"runs": about["runs"]}))
    assert not finished(small, ABOUT)
    assert not RunFolder(small, "srga", ABOUT, resume=True).complete()


def started(output: str, *more: str) -> None:
    run_arguments(command.ANALYSIS, [*RUN, "--output-dir", output, *more], "test")


@pytest.mark.attack
def test_200_flipped_bits_end_to_end(tmp_path, monkeypatch):
    """Of a finished run, and of one that was interrupted with a result in its cache."""
    monkeypatch.chdir(tmp_path)
    started("finished")
    real, count = ActivationCache.put, 0

    def put(cache, key, tensors):
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        return real(cache, key, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(ActivationCache, "put", put)
        with pytest.raises(KeyboardInterrupt):
            started("interrupted")
    draw, refused = random.Random(0), list[str]()
    for _ in range(200):
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree(draw.choice(["finished", "interrupted"]), "run")
        files = [path for path in sorted(Path("run").rglob("*")) if path.is_file()]
        path = draw.choice([path for path in files if path.stat().st_size])
        damaged = bytearray(path.read_bytes())
        place = draw.randrange(8 * len(damaged))
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            started("run", "--resume")
        except BadInput as error:
            refused.append(str(error))
            continue
        assert contents(Path("run")) == contents(Path("finished")), (path, place)
    assert refused and not any("\n" in message for message in refused)
