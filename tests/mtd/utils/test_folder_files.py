"""Files of folders that may come from anybody."""

from __future__ import annotations

import gzip
import os

import pytest

from mtd.utils import folder_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.limits import Limit
from mtd.utils.unpacked import unpacked

SMALL = Limit("MTD_MAX_TEST_MB", 0.001, "MB")


def test_files_inside_are_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.csv").write_text("x\n")
    assert folder_files.content(tmp_path, "a/b.csv", limits.TABLE) == b"x\n"
    assert folder_files.holds(tmp_path, "a/b.csv") and not folder_files.holds(tmp_path, "a/c.csv")
    assert list(folder_files.below(tmp_path)) == [tmp_path / "a/b.csv"]


@pytest.mark.parametrize("name", ["../private", "/etc/passwd", "a/../../private", "", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(BadInput, match="not the name of a file in this folder"):
        folder_files.path_of(tmp_path / "run", name)


def test_links_are_refused_but_for_the_folder_itself(tmp_path):
    private = tmp_path / "private"
    private.mkdir()
    (private / "b.csv").write_text("secret\n")
    run = tmp_path / "run"
    run.mkdir()
    (run / "b.csv").symlink_to(private / "b.csv")
    (run / "a").symlink_to(private)
    (run / "gone").symlink_to(private / "absent")
    for name in ("b.csv", "a/b.csv", "gone"):
        with pytest.raises(BadInput, match="is a link"):
            folder_files.content(run, name, limits.TABLE)
        with pytest.raises(BadInput, match="is a link"):
            folder_files.holds(run, name)
    assert list(folder_files.below(run)) == []
    (tmp_path / "link").symlink_to(private)
    assert folder_files.content(tmp_path / "link", "b.csv", limits.TABLE) == b"secret\n"


def test_fifos_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "z.csv")
    for read in (folder_files.holds, folder_files.json):
        with pytest.raises(BadInput, match="is a FIFO"):
            read(tmp_path, "z.csv")


def test_gzip_data_is_unpacked_up_to_the_limit():
    assert unpacked(gzip.compress(b"1" * 1000), SMALL, "x") == b"1" * 1000
    with pytest.raises(BadInput, match=r"x: more than 0\.001 MB when unpacked.*MTD_MAX_TEST_MB"):
        unpacked(gzip.compress(b"1" * 1001), SMALL, "x")
    with pytest.raises(BadInput, match="more than"):
        unpacked(gzip.compress(b"1" * 900), SMALL, "x", already=101)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b, lambda b: b[1:], bytes])
def test_damaged_gzip_data_is_refused(damage):
    with pytest.raises(BadInput, match="x: damaged; expected gzip data"):
        unpacked(
            damage(gzip.compress(b"text"))[: 10**6] if damage is not bytes else b"", SMALL, "x"
        )


def test_every_flipped_bit_of_gzip_data_is_refused_or_harmless():
    packed = gzip.compress(b"text" * 9)
    for place in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[place // 8] ^= 1 << place % 8
        try:
            content = unpacked(bytes(damaged), SMALL, "x")
        except BadInput:
            continue
        assert content == b"text" * 9  # time and system in the header mean nothing
