"""Photograph archives: what they hold, what is refused, and that training reads them as folders."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtd import pack
from mtd.data import photograph_archives as archives
from mtd.data import photographs
from mtd.training.pairs import TrainingPairs
from mtd.training.validation import Validator
from mtd.utils import temporary
from mtd.utils.errors import BadInput
from tests.helpers.paths import data_folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two folders of the same name; `b` sorts before `a` in the order that is given."""
    made = [tmp_path / "z" / "photos", tmp_path / "y" / "photos"]
    rng = np.random.default_rng(0)
    for folder, names in zip(made, (("b.png", "é c.bmp"), ("a.jpg", "B.PNG")), strict=True):
        folder.mkdir(parents=True)
        for name in names:
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / name)
        (folder / "notes.txt").write_text("not an image")
    return made


def packed(folders: list[Path], path: Path) -> Path:
    archives.write(path, archives.members(folders))
    return path


def test_members_are_the_bytes_of_the_files_and_the_archive_is_the_same_each_time(
    folders, tmp_path
):
    first = packed(folders, tmp_path / "a.zip").read_bytes()
    for path in folders[0].iterdir():
        os.utime(path, (0, 2e9))
    assert packed(folders, tmp_path / "b.zip").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        held = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert list(held) == [
        *("photos/b.png", "photos/é c.bmp"),
        *("photos-2/B.PNG", "photos-2/a.jpg"),
    ]
    assert held["photos-2/a.jpg"] == (folders[1] / "a.jpg").read_bytes()


def test_training_and_validation_read_an_archive_as_its_folders(folders, tmp_path):
    archive = packed(folders, tmp_path / "photographs.zip")
    plain = TrainingPairs([str(folder) for folder in folders], 16, "gaussian:15")
    from_archive = TrainingPairs([str(archive)], 16, "gaussian:15")
    mixed = TrainingPairs(
        [str(folders[0]), str(packed(folders[1:], tmp_path / "second.ZIP"))], 16, "gaussian:15"
    )
    for other in (from_archive, mixed):
        assert other.digest == plain.digest
        assert [p.name for p in other.photographs] == [p.name for p in plain.photographs]
        assert all(map(torch.equal, other.batch(0, 9), plain.batch(0, 9)))
    one = Validator([str(folders[0])], ["gaussian:15"], 2, 16, 0)
    two = Validator([str(packed(folders[:1], tmp_path / "one.zip"))], ["gaussian:15"], 2, 16, 0)
    assert one.keys == two.keys and torch.equal(one.clean, two.clean)
    found = archives.opened([archive])
    assert found == archives.opened([archive]) and found[0].parent.parent != tmp_path
    with pytest.raises(BadInput, match="zip: not an image that can be read"):
        photographs.photographs(archive)


def test_extracted_folders_are_removed(folders, tmp_path):
    (one,) = archives.opened([packed(folders[:1], tmp_path / "removed.zip")])
    assert (one / "b.png").exists()
    temporary.remove_all()
    assert not one.parent.exists()


def member(name: str = "photos/a.png", kind: int = stat.S_IFREG, **changes: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (kind | 0o644) << 16
    for key, value in changes.items():
        setattr(entry, key, value)
    return entry


@pytest.mark.parametrize(
    "entry, message",
    [
        *((member(name), "is not FOLDER/FILE") for name in ("a.png", "a/b/c.png", "/a.png", "a/")),
        *((member(name), "is not FOLDER/FILE") for name in ("../a.png", "a/..", "./a.png", "a//b")),
        (member("a/..\\b.png"), "is not FOLDER/FILE"),
        (member("a/b\n.png"), "is not FOLDER/FILE"),
        (member(kind=stat.S_IFLNK), "is a link or a special file"),
        (member(compress_type=zipfile.ZIP_DEFLATED), "is compressed"),
    ],
    ids=lambda value: value.filename if isinstance(value, zipfile.ZipInfo) else "",
)
def test_other_members_are_refused(tmp_path, entry, message):
    path = tmp_path / "photographs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member("photos/0.png"), b"image")
        archive.writestr(entry, b"image" * 100)
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(BadInput, match=message) as raised:
        archives.opened([path])
    assert str(raised.value).startswith(f"{path}: member ") and "\n" not in str(raised.value)
    assert sorted(path.parent.rglob("*")) == before


def changed(path: Path, *changes: tuple[bytes, bytes]) -> None:
    content = path.read_bytes()
    for old, new in changes:
        assert old in content and len(old) == len(new)
        content = content.replace(old, new)
    path.write_bytes(content)


def test_damaged_and_hostile_archives_are_refused_in_one_line(folders, tmp_path):
    def refused(path: Path) -> str:
        with pytest.raises(BadInput) as raised:
            archives.opened([path])
        assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)
        return str(raised.value)

    whole = packed(folders, tmp_path / "whole.zip").read_bytes()
    path = tmp_path / "photographs.zip"
    assert "no such file; make it with python -m mtd.pack" in refused(path)
    path.mkdir()
    assert archives.opened([path]) == [path]
    path.rmdir()
    path.write_bytes(whole)
    inside = (folders[0] / "b.png").read_bytes()[60:80]
    changed(path, (inside, inside[::-1]))
    assert "Bad CRC-32 for file 'photos/b.png'" in refused(path)
    path.write_bytes(whole[:-30])
    assert "not a ZIP file" in refused(path)
    path.write_bytes(b"photographs")
    assert "not a ZIP file" in refused(path)
    path.write_bytes(whole)
    flags = b"PK\x01\x02\x14\x03\x14\x00"
    changed(path, (flags + b"\x00\x00", flags + b"\x01\x00"))
    assert "is encrypted" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        pass
    assert "no photograph in it" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:  # one content under ten names
        archive.writestr(member(), b"image" * 1000)
        entry = archive.infolist()[0]
        for number in range(10):
            again = member(f"photos/{number}.png")
            for key in ("header_offset", "CRC", "file_size", "compress_size", "flag_bits"):
                setattr(again, key, getattr(entry, key))
            archive.filelist.append(again)
    assert "overlap" in refused(path)


def test_the_command(folders, tmp_path, in_process, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [*map(str, folders), "photographs.zip"]
    code, out, err = in_process(pack.main, *given)
    assert code == 0 and out.startswith("photographs.zip: 4 images of 2 folders, 0.0 MB")
    for folder in folders:
        assert f"{folder}: 1 file skipped (1 .txt)" in err
    whole = Path("photographs.zip").read_bytes()
    code, out, err = in_process(pack.main, *given)
    assert (code, out) == (2, "") and "exists already" in err.splitlines()[-1]
    assert Path("photographs.zip").read_bytes() == whole
    for wrong, message in (
        (["z", "new.zip"], "images are in its subfolders"),
        (["none", "new.zip"], "no such folder"),
        (["photographs.zip", "new.zip"], "is a file: expected a folder"),
        (["z/photos", "y/photos"], "expected folders, then a file ending in .zip"),
        (["new.zip"], "arguments are required"),
    ):
        code, out, err = in_process(pack.main, *wrong)
        assert (code, out, len(err.splitlines())) == (2, "", 1) and message in err
        assert not Path("new.zip").exists()
    Path("z/photos/b.png").unlink()
    Path("z/photos/b.png").symlink_to("nothing")
    code, _, err = in_process(pack.main, "--quiet", "z/photos", "new.zip")
    assert (code, len(err.splitlines())) == (2, 1) and "b.png: cannot be read" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photographs.zip", "y", "z"]


def test_all_photographs_of_bsds500(tmp_path):
    folders = [data_folder("bsds500_train"), data_folder("bsds500_test")]
    (train, test) = archives.opened([packed(folders, tmp_path / "photographs.zip")])
    size = (tmp_path / "photographs.zip").stat().st_size
    total = sum(path.stat().st_size for folder in folders for path in folder.glob("*.jpg"))
    assert total < size < 1.01 * total
    for one, other in zip((train, test), folders, strict=True):
        files = sorted(other.glob("*.jpg"))
        assert [path.name for path in sorted(one.iterdir())] == [path.name for path in files]
        assert all((one / path.name).read_bytes() == path.read_bytes() for path in files)
