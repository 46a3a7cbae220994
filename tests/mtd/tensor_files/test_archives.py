"""Zip archives whose directory lies, and what few bytes unpack to: refused before unpacking."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
import torch

from mtd.loading import checkpoint_file
from mtd.tensor_files import archive
from mtd.tensor_files.archive import ENTRY, Archive
from mtd.tensor_files.budget import Budget
from mtd.utils import digests
from mtd.utils.errors import BadInput
from tests.helpers.pickles import WEIGHTS, parts_of

METHOD, PACKED, SIZE, PLACE = 10, 20, 24, 42
"""Where an entry of the directory has how a member is packed, its two sizes and its place."""


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return bytearray(buffer.getvalue())


def entries(content: bytes) -> list[int]:
    """The places of the directory's entries."""
    found, at = [], content.find(ENTRY)
    while at >= 0:
        found.append(at)
        at = content.find(ENTRY, at + 1)
    return found


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        checkpoint_file.read(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path))
    return message


@pytest.fixture
def never_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is unpacked."""

    class Refusing:
        @staticmethod
        def decompressobj(*_: object) -> object:
            raise AssertionError("unpacked")

        crc32 = staticmethod(zlib.crc32)

    monkeypatch.setattr(archive, "zlib", Refusing)


@pytest.mark.usefixtures("never_unpacked")
def test_members_that_share_their_bytes_are_not_unpacked(tmp_path):
    members = {f"archive/data/{i}": bytes(100_000) for i in range(20)}
    content = packed(parts_of(WEIGHTS) | members)
    for at in entries(content)[-20:]:  # all are the last one
        place = content[entries(content)[-1] + PLACE :][:4]
        content[at + PLACE : at + PLACE + 4] = place
    assert "shares its bytes with another member" in refusal(tmp_path / "a.pth", bytes(content))


def test_a_member_is_unpacked_to_the_size_in_the_directory_and_no_further(tmp_path, monkeypatch):
    made = []

    class Counting:
        crc32 = staticmethod(zlib.crc32)

        @staticmethod
        def decompressobj(*how: int) -> object:
            inner = zlib.decompressobj(*how)

            class Counted:
                def decompress(self, content: bytes, most: int = 0) -> bytes:
                    made.append(len(result := inner.decompress(content, most)))
                    return result

            return Counted()

    monkeypatch.setattr(archive, "zlib", Counting)
    content = packed(parts_of(WEIGHTS) | {"archive/data/9": bytes(3 * 2**20)})
    for at in entries(content):
        name = content[at + 46 :][:14]
        if name == b"archive/data/9":
            struct.pack_into("<I", content, at + SIZE, 10)
    message = refusal(tmp_path / "a.pth", bytes(content))
    assert "archive/data/9 does not unpack to 10 bytes" in message and max(made) < 10_000


@pytest.mark.usefixtures("never_unpacked")
@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_packed_in_other_ways_are_refused(tmp_path, method):
    assert f"is packed by method {method}" in refusal(
        tmp_path / "a.pth", bytes(packed(parts_of(WEIGHTS), method))
    )


@pytest.mark.parametrize(
    "place, value, message",
    [
        (SIZE, 2**31, "is not packed, but has two sizes"),
        (METHOD, 8, "is not where the directory says"),
        (PLACE, 3, "is not where the directory says"),
        (PLACE, 2**31 - 1, "is not in the file"),
        (8, 1, "is encrypted"),
    ],
)
def test_a_directory_that_lies_about_a_member(tmp_path, place, value, message):
    content = packed(parts_of(WEIGHTS), zipfile.ZIP_STORED)
    size = 2 if place < PACKED else 4
    at = entries(content)[-1]
    content[at + place : at + place + size] = value.to_bytes(size, "little")
    assert message in refusal(tmp_path / "a.pth", bytes(content))


def test_the_number_of_members_is_limited_before_the_directory_is_read(tmp_path, monkeypatch):
    content = bytes(packed(parts_of(WEIGHTS)))
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *_: pytest.fail("read"))
    monkeypatch.setenv("MTD_MAX_MEMBERS", "5")
    assert "members; the limit is 5: set the environment variable MTD_MAX_MEMBERS" in refusal(
        tmp_path / "a.pth", content
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_the_pickled_part_of_a_file_is_limited(tmp_path, monkeypatch, zipped):
    buffer = io.BytesIO()
    content = {"w": torch.ones(5, 5), "history": list(range(300, 9_000))}
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    monkeypatch.setenv("MTD_MAX_PICKLE_MB", "0.01")
    message = refusal(tmp_path / "a.pth", buffer.getvalue())
    assert "MB; the limit is 0.01: set the environment variable MTD_MAX_PICKLE_MB" in message
    monkeypatch.setenv("MTD_MAX_PICKLE_MB", "1")
    assert len(checkpoint_file.read(tmp_path / "a.pth").sets) == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    members, path = parts_of(WEIGHTS), tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as file:
        for name in (*members, "archive/data/0"):
            file.writestr(name, members[name])
    assert "two members of one name" in refusal(path, path.read_bytes())


def test_packed_members_are_those_that_zipfile_reads():
    members = {"a": b"x" * 999, "b/c": b"", "d": bytes(range(256))}
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        held = Archive(bytes(packed(members, method)), Budget(0))
        held.check()
        assert {name: bytes(held.read(name)) for name in held.names} == members


def test_a_sealed_file_has_a_digest_of_every_bit():
    whole = b"some bytes"
    sealed = digests.sealed(whole)
    assert digests.unsealed(sealed) == whole
    for at in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[at] ^= 1 << bit
            assert digests.unsealed(bytes(changed)) is None
    for cut in range(len(sealed)):
        assert digests.unsealed(sealed[:cut]) is None


def test_an_archive_of_several_disks_is_refused(tmp_path: Path):
    """Of which `zipfile.is_zipfile` raises an error of its own."""
    end = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 2) + b"PK\x05\x06" + bytes(18)
    (tmp_path / "x.pth").write_bytes(end)
    with pytest.raises(BadInput, match=r"x\.pth: damaged"):
        checkpoint_file.read(tmp_path / "x.pth")
