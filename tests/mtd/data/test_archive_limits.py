"""Archives are refused by what their directories say, before anything is unpacked."""

from __future__ import annotations

import gzip
import io
import os
import signal
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mtd.data import photograph_archives, unpacking, zip_directory
from mtd.utils import input_files, temporary
from mtd.utils.errors import BadInput
from tests.helpers.processes import fresh


def zipped(path: Path, files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be unpacked fails the test."""

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("it is unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", reached)
    monkeypatch.setattr(unpacking, "_write", reached)


@pytest.mark.usefixtures("kept")
def test_more_members_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is not even read."""
    path = zipped(tmp_path / "a.zip", {f"x/{i}.png": b"" for i in range(11)})
    monkeypatch.setenv("MTD_MAX_ARCHIVE_MEMBERS", "10")
    monkeypatch.setattr(zipfile, "ZipFile", None)
    words = r"11 members; the limit is 10: .* MTD_MAX_ARCHIVE_MEMBERS to raise it"
    with pytest.raises(BadInput, match=words):
        photograph_archives.opened([path])
    with pytest.raises(BadInput, match=words):
        unpacking.unpack(path, tmp_path / "b")
    monkeypatch.setenv("MTD_MAX_ARCHIVE_MEMBERS", "11")
    zip_directory.check_count(path)


def test_counting_members_reads_in_proportion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = [0]

    class Counting(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            read[0] += 1
            return super().read(size)

    monkeypatch.setattr(input_files, "opened", lambda path: Counting(path))
    steps = []
    for count in (10, 20, 40):
        read[0] = 0
        zip_directory.check_count(
            zipped(tmp_path / f"{count}.zip", {f"x/{i}": b"" for i in range(count)})
        )
        steps.append(read[0])
    assert steps[2] - steps[1] == 2 * (steps[1] - steps[0]) == 20


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    "unpack",
    [
        lambda path: photograph_archives.opened([path]),
        lambda path: unpacking.unpack(path, path.parent / "b"),
    ],
)
def test_members_that_overlap(tmp_path: Path, unpack: Callable[[Path], object]) -> None:
    path = zipped(tmp_path / "a.zip", {f"x/{i}.png": b"a" * 50 for i in range(3)})
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
    content[second + 42 : second + 46] = (8).to_bytes(4, "little")  # within the first one
    path.write_bytes(content)
    with pytest.raises(BadInput, match="members that overlap"):
        unpack(path)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("other, words", [("X/A.png", "differ in case"), ("x/a.png", "one name")])
def test_photographs_in_the_place_of_each_other(tmp_path: Path, other: str, words: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/a.png", b"a")
        with pytest.warns() if other == "x/a.png" else tempfile.TemporaryFile():
            archive.writestr(other, b"b")
    with pytest.raises(BadInput, match=words):
        photograph_archives.opened([path])


@pytest.mark.usefixtures("kept")
def test_photographs_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "a.zip", {"x/a.png": b"a" * 2000})
    monkeypatch.setattr(temporary, "free", lambda: 1000)
    with pytest.raises(BadInput, match="set the environment variable TMPDIR"):
        photograph_archives.opened([path])


@pytest.mark.usefixtures("kept")
def test_a_set_that_is_far_larger_than_its_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "SMALL", 10**5)
    files = {f"{i}.png": bytes(10**6) for i in range(2)}
    path = zipped(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match=r"times its size once unpacked.*MTD_MAX_UNPACKED_RATIO"):
        unpacking.unpack(path, tmp_path / "b")
    monkeypatch.setenv("MTD_MAX_UNPACKED_GB", "0.001")
    with pytest.raises(BadInput, match=r"0.002 GB once unpacked.*MTD_MAX_UNPACKED_GB"):
        unpacking.unpack(path, tmp_path / "b")


def test_a_name_of_gigabytes_in_a_tar_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GNU's long names are read at once, and a few megabytes of gzip stand for gigabytes."""
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2**30
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + bytes(2**20)))
    with pytest.raises(BadInput, match=f"a header of {2**30} bytes"):
        unpacking.unpack(path, tmp_path / "b")


def test_a_tar_archive_is_not_inflated_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "SMALL", 10**6)
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("a/1", "a/2"):
            entry = tarfile.TarInfo(name)
            entry.size = 2**23
            archive.addfile(entry, io.BytesIO(bytes(2**23)))
    inflated, opened = [], gzip.open

    def counted(path: Path) -> gzip.GzipFile:
        stream = opened(path)
        read = stream.read

        def block(size: int = -1) -> bytes:
            inflated.append(read(size))
            return inflated[-1]

        monkeypatch.setattr(stream, "read", block)
        return stream

    monkeypatch.setattr(gzip, "open", counted)
    with pytest.raises(BadInput, match="times its size once unpacked"):
        unpacking.unpack(path, tmp_path / "b")
    assert 0 < sum(map(len, inflated)) < 2**22


def test_a_path_longer_than_any(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a/" * 5000 + "b": b""})
    with pytest.raises(BadInput, match="a path of more than 4096 bytes"):
        unpacking.unpack(path, tmp_path / "b")


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_a_fifo_is_no_archive(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadInput, match="is a FIFO"):
        unpacking.unpack(tmp_path / name, tmp_path / "b")
    if name == "a.zip":
        with pytest.raises(BadInput, match="is a FIFO"):
            photograph_archives.opened([tmp_path / name])


def test_folders_of_killed_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary, "_folders", [])
    monkeypatch.setattr(temporary, "_locks", [])
    script = """
import os, signal
from mtd.utils import temporary
(temporary.folder("killed-") / "photo.png").write_bytes(b"a")
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = fresh("-c", script, cwd=tmp_path.parent, TMPDIR=str(tmp_path))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = tmp_path.iterdir()
    assert (left / "photo.png").exists()
    mine = temporary.folder("mine-")
    assert list(tmp_path.iterdir()) == [mine]
    other = temporary.folder("other-")  # what is in use stays
    assert sorted(tmp_path.iterdir()) == [mine, other]
    temporary.remove_all()
    assert not list(tmp_path.iterdir())
