"""Archives: what is in them arrives, and nothing leads out of the folder."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from mtd.data.unpacking import NotWritten, unpack
from mtd.utils.errors import BadInput


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, *entries: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def arrived(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_files_arrive_without_a_single_folder_at_the_top(tmp_path):
    made = zipped(tmp_path / "a.zip", **{"set/x.png": b"1", "set/sub/y.png": b"2"})
    assert len(unpack(made, tmp_path / "zip")) == 2
    assert arrived(tmp_path / "zip") == {"x.png": b"1", "sub/y.png": b"2"}
    made = tarred(tmp_path / "a.tgz", ("x.png", b"1"), ("sub/y.png", b"2"))
    unpack(made, tmp_path / "tar")
    assert arrived(tmp_path / "tar") == {"x.png": b"1", "sub/y.png": b"2"}


def test_one_folder_of_an_archive(tmp_path):
    names = {"repo-abc/Cropped/x.png": b"1", "repo-abc/Whole/x.png": b"2", "repo-abc/README": b""}
    made = zipped(tmp_path / "a.zip", **names)
    unpack(made, tmp_path / "out", "Cropped")
    assert arrived(tmp_path / "out") == {"x.png": b"1"}
    unpack(zipped(tmp_path / "b.zip", **{"Cropped/y.png": b""}), tmp_path / "top", "Cropped")
    assert arrived(tmp_path / "top") == {"y.png": b""}
    with pytest.raises(BadInput, match="holds no files in Absent"):
        unpack(made, tmp_path / "out", "Absent")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "set/../../evil", "..\\evil", "C:evil", "set/../evil"]
)
def test_no_path_leads_out(tmp_path, name):
    for made in (
        zipped(tmp_path / "a.zip", **{name: b""}),
        tarred(tmp_path / "a.tar", (name, b"")),
    ):
        with pytest.raises(BadInput, match="leads out of the folder"):
            unpack(made, tmp_path / "in" / "out")
    assert not arrived(tmp_path / "in")


def link(name: str, target: str, kind: bytes) -> tuple[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, b"3"])
def test_no_links_and_devices(tmp_path, kind):
    made = tarred(tmp_path / "a.tar", ("x", b"1"), link("y", "/etc/passwd", kind))
    with pytest.raises(BadInput, match=r"holds a link or device \('y'\)"):
        unpack(made, tmp_path / "out")
    assert not arrived(tmp_path / "out")


def test_no_links_in_a_zip(tmp_path):
    info = zipfile.ZipInfo("y")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(BadInput, match="a link or device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_damaged_and_other_files(tmp_path):
    made = zipped(tmp_path / "a.zip", x=bytes(range(256)))
    content = bytearray(made.read_bytes())
    content[100] ^= 1
    made.write_bytes(content)
    with pytest.raises(BadInput, match=r"a damaged archive \(Bad CRC"):
        unpack(made, tmp_path / "out")
    for other in (b"<html>not found</html>", b"", b"x" * 3000):
        made.write_bytes(other)
        with pytest.raises(BadInput, match=r"a\.zip: neither a zip nor a tar archive$"):
            unpack(made, tmp_path / "out")
    made.write_bytes(content[:200])
    with pytest.raises(BadInput, match=r"a damaged archive \(it cannot be opened\)$"):
        unpack(made, tmp_path / "out")


NOISE = b"".join(hashlib.sha256(bytes([i % 7, i % 251])).digest() for i in range(4000))


def compressed(path: Path, kind: int | str) -> Path:
    """An archive of one file, a zip (by its compression) or a tar (by its mode)."""
    if isinstance(kind, int):
        with zipfile.ZipFile(path, "w", kind) as archive:
            archive.writestr("x", NOISE)
        return path
    info = tarfile.TarInfo("x")
    info.size = len(NOISE)
    with tarfile.open(path, kind) as tar:  # type: ignore[call-overload]
        tar.addfile(info, io.BytesIO(NOISE))
    return path


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, "w:gz", "w:bz2", "w:xz"]
)
def test_damage_at_any_byte_is_one_line(tmp_path, kind):
    made = compressed(tmp_path / "a", kind)
    content = made.read_bytes()
    unpack(made, tmp_path / "whole")
    assert arrived(tmp_path / "whole") == {"x": NOISE}
    messages = []
    for start in (3, 12, 60, len(content) // 3, len(content) // 2, len(content) - 30):
        made.write_bytes(content[:start] + b"\xff" * 24 + content[start + 24 :])
        try:
            unpack(made, tmp_path / "out")
        except BadInput as error:
            messages.append(str(error))
    assert len(messages) >= 3
    assert all("\n" not in text and text.startswith(f"{made}: ") for text in messages)
    made.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match=r"a: a damaged archive \("):
        unpack(made, tmp_path / "out")


@pytest.mark.parametrize(
    "names, message",
    [
        (("x", "x"), r"two files of one name \('x'\)"),
        (("set/X.png", "set/x.png"), r"two names that differ in case only, X.png \('x.png'\)"),
        (("a", "a/b"), r"a file and a folder of one name \('a'\)"),
        (("a/b", "A"), r"a file and a folder of one name \('a'\)"),
        (("n" * 300, "y"), r"a name of more than 255 bytes \('n{40}…'\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_collide_or_are_too_long(tmp_path, names, message):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    tarred(tmp_path / "a.tar", *((name, b"1") for name in names))
    for made in ("a.zip", "a.tar"):
        with pytest.raises(BadInput, match=message):
            unpack(tmp_path / made, tmp_path / "out")
    assert not arrived(tmp_path / "out")


def test_files_that_cannot_be_written_are_no_damage(tmp_path):
    made = zipped(tmp_path / "a.zip", x=b"1")
    (tmp_path / "out" / "x").mkdir(parents=True)
    with pytest.raises(NotWritten, match=r"x: cannot be written \(Is a directory\)"):
        unpack(made, tmp_path / "out")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotWritten, match="cannot be written"):
        unpack(made, tmp_path / "file" / "out")


def test_what_does_not_fit_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3})())
    with pytest.raises(BadInput, match=r"it needs 10 bytes and .* has 3 bytes"):
        unpack(zipped(tmp_path / "a.zip", x=b"0" * 10), tmp_path / "out")
    assert not arrived(tmp_path / "out")
