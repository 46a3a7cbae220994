"""Test sets from a server on 127.0.0.1: complete or not at all, recorded, and found by name."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.generalization.settings import GeneralizationSettings
from analysis.generalization.sources import find_sources
from mtd import testsets
from mtd.data import test_set_downloads as sets
from mtd.data import test_sets
from mtd.data.test_set_downloads import Download
from mtd.utils import downloads
from mtd.utils.errors import BadInput
from tests.helpers.file_server import FileServer, serving
from tests.helpers.paths import data_folder


def png(seed: int, side: int = 500) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 1, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.broadcast_to(pixels, (side, side, 3)).copy()).save(file, "png")
    return file.getvalue()


NAMES = ("kodim01.png", "kodim02.png", "kodim03.png")


@pytest.fixture
def server(mtd_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serves three images of kodak24, which is complete with these, and PolyU's in an archive."""
    monkeypatch.setenv("NO_PROXY", "*")
    for name, count in (("kodak24", 3), ("polyu", 2)):
        recipe = test_sets.RECIPES[name]
        forms = tuple(replace(form, count=count) for form in recipe.forms)
        monkeypatch.setitem(test_sets.RECIPES, name, replace(recipe, forms=forms))
    with serving() as running:
        running.files |= {name: png(i) for i, name in enumerate(NAMES)}
        running.files["polyu.zip"] = polyu()
        files = dict.fromkeys(NAMES, "unknown")
        table = {
            "kodak24": Download("free", base=running.address, files=files),
            "polyu": Download("free", archive=f"{running.address}polyu.zip", folder="Cropped"),
        }
        monkeypatch.setattr(sets, "table", lambda: table)
        yield running


def polyu(**more: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i, name in enumerate(("a_1_real", "a_1_mean", "b_2_real", "b_2_mean")):
            archive.writestr(f"repo-1234/Cropped/{name}.png", png(i, 512))
        for name, content in more.items():
            archive.writestr(name, content)
        archive.writestr("repo-1234/README.md", "")
    return file.getvalue()


def known(server: FileServer, name: str) -> None:
    """Give the table the digests of the files."""
    files = {key: hashlib.sha256(server.files[key]).hexdigest() for key in NAMES}
    sets.table()[name] = replace(sets.table()[name], files=files)


def test_every_download_is_of_a_recipe_and_at_a_commit():
    assert set(sets.table()) <= set(test_sets.RECIPES)
    assert {"cbsd68", "kodak24", "mcmaster", "urban100", "cc"} <= set(sets.table())
    for name, one in sets.table().items():
        assert one.terms and bool(one.files) != bool(one.archive)
        if "github" in one.address:
            assert re.search("/[0-9a-f]{40}[/.]", one.address), name
        for digest in one.files.values():
            assert digest == "unknown" or re.fullmatch("[0-9a-f]{64}", digest)
    counts = {name: len(one.files) for name, one in sets.table().items() if one.files}
    assert counts["cbsd68"] == 68 and counts["kodak24"] == 24 and counts["cc"] == 30
    assert counts["mcmaster"] == 18 and counts["urban100"] == 100


@pytest.mark.parametrize("name", ["cbsd68", "kodak24", "cc"])
def test_known_digests_are_those_of_the_development_data(name):
    folder = data_folder(name)
    held = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert sets.table()[name].files == held


def test_it_is_downloaded_recorded_and_found(server, mtd_home, capsys):
    folder = sets.download("kodak24")
    err = capsys.readouterr().err
    assert "downloading the test set kodak24 (3 files; terms: free)" in err
    assert folder == mtd_home / "testsets" / "kodak24" == sets.require("kodak24")
    assert sorted(path.name for path in folder.iterdir()) == list(NAMES)
    record = (mtd_home / "testsets" / "kodak24.sha256").read_text()
    assert record.splitlines()[0] == f"{hashlib.sha256(png(0)).hexdigest()}  kodim01.png"
    assert not (mtd_home / "testsets" / ".kodak24.part").exists()
    sets.download("kodak24")
    assert len(server.requests) == 3
    settings = GeneralizationSettings.of(testset=["kodak24"])
    assert len(find_sources(settings).photographs) == 3


def test_an_interrupted_one_is_continued(server, mtd_home):
    missing = server.files.pop("kodim03.png")
    with pytest.raises(BadInput, match=r"kodim03.png: .*HTTP 404.*or put the whole test set at"):
        sets.download("kodak24")
    assert sets.located("kodak24") is None
    with pytest.raises(
        BadInput, match=r"not downloaded; python -m mtd.testsets --download kodak24"
    ):
        sets.require("kodak24")
    server.files["kodim03.png"] = missing
    sets.download("kodak24")
    assert [name for name, _ in server.requests] == [*NAMES, "kodim03.png"]


def test_a_changed_set_is_refused(server, mtd_home):
    folder = sets.download("kodak24")
    (folder / "kodim02.png").write_bytes(png(9))
    with pytest.raises(
        BadInput, match=r"1 file of 3 differs .*first kodim02.png \(expected [0-9a-f]"
    ):
        sets.require("kodak24")
    (folder / "kodim02.png").unlink()
    with pytest.raises(BadInput, match="got absent"):
        sets.require("kodak24")
    (folder / "kodim02.png").write_bytes(png(1))
    sets.require("kodak24")
    (folder / "more.png").write_bytes(png(1))
    with pytest.raises(BadInput, match=r"more.png \(expected no such file"):
        sets.require("kodak24")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    server.files["kodim01.png"] = png(7)  # another one than at the first download
    with pytest.raises(BadInput, match=r"first kodim01.png"):
        sets.download("kodak24")
    assert not folder.exists()


def test_known_digests_refuse_other_files_also_those_put_there_by_hand(server, mtd_home):
    known(server, "kodak24")
    content = server.files["kodim02.png"]
    server.files["kodim02.png"] = png(9)
    with pytest.raises(BadInput, match=r"kodak24, kodim02.png: .*another file"):
        sets.download("kodak24")
    server.files["kodim02.png"] = content
    sets.download("kodak24")
    folder = mtd_home / "testsets" / "kodak24"
    (mtd_home / "testsets" / "kodak24.sha256").unlink()
    (folder / "kodim02.png").write_bytes(png(9))
    with pytest.raises(BadInput, match=r"differs from what is known, first kodim02.png"):
        sets.require("kodak24")


def test_one_that_is_not_complete_is_not_kept(server, mtd_home):
    server.files["kodim02.png"] = png(1, 300)
    with pytest.raises(BadInput, match=r"kodim02.png is 300 x 300"):
        sets.download("kodak24")
    assert sets.located("kodak24") is None


def test_an_archive(server, mtd_home):
    folder = sets.download("polyu")
    assert len(list(folder.iterdir())) == 4
    opened = test_sets.open("polyu", folder)
    assert len(test_sets.photographs(opened)) == 2


def test_an_archive_that_leads_out_of_its_folder(server, mtd_home):
    server.files["polyu.zip"] = polyu(**{"../../evil.txt": b""})
    with pytest.raises(BadInput, match="leads out of the folder"):
        sets.download("polyu")
    assert not list(mtd_home.rglob("evil*")) and sets.located("polyu") is None


@pytest.mark.parametrize("content", [b'{"error": "rate limit"}', polyu()[:-200], b"PK\x03\x04"])
def test_what_is_no_archive_is_not_kept(server, mtd_home, content):
    good, server.files["polyu.zip"] = server.files["polyu.zip"], content
    with pytest.raises(BadInput, match=r"neither a zip nor a tar archive|a damaged archive"):
        sets.download("polyu")
    server.files["polyu.zip"] = good
    assert len(list(sets.download("polyu").iterdir())) == 4


def test_an_archive_of_another_set_is_not_kept(server, mtd_home):
    good = server.files["polyu.zip"]
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("Cropped/a.png", png(0))
    server.files["polyu.zip"] = file.getvalue()
    with pytest.raises(BadInput, match=r"polyu: .*expected"):
        sets.download("polyu")
    assert not sets.record_of("polyu").exists()
    server.files["polyu.zip"] = good
    assert len(list(sets.download("polyu").iterdir())) == 4


def test_an_archive_that_does_not_fit_is_kept(server, mtd_home, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3})())
        with pytest.raises(BadInput, match="not unpacked, it needs"):
            sets.download("polyu")
    sets.download("polyu")
    assert len(server.requests) == 1


def test_digests_of_an_incomplete_set_put_there_by_hand_are_not_recorded(server, mtd_home):
    folder = mtd_home / "testsets" / "kodak24"
    folder.mkdir(parents=True)
    (folder / "kodim01.png").write_bytes(png(0))
    with pytest.raises(BadInput, match=r"kodak24: .*expected"):
        sets.require("kodak24")
    assert not sets.record_of("kodak24").exists()
    for i, name in enumerate(NAMES):
        (folder / name).write_bytes(png(i))
    assert sets.require("kodak24") == folder and sets.record_of("kodak24").is_file()


def test_without_a_folder_of_downloads_it_is_named(server, monkeypatch):
    monkeypatch.setenv("MTD_HOME", "/dev/null")
    for name in ("kodak24", "polyu"):
        with pytest.raises(BadInput, match=r"^MTD_HOME=/dev/null is not a folder; [^;]*$"):
            sets.download(name)


def test_what_cannot_be_downloaded_says_where_to_go(mtd_home):
    with pytest.raises(BadInput, match=r"no address is known .*progressive-denoising.*put it at"):
        sets.download("monte_carlo:64")
    with pytest.raises(BadInput, match="did you mean kodak24"):
        sets.download("kodak42")


def test_commands(server, mtd_home, in_process: Callable[..., tuple[int, str, str]]):
    code, out, _ = in_process(testsets.main, "kodak24")
    assert code == 0 and "get:    python -m mtd.testsets --download kodak24 (terms: free" in out
    code, out, err = in_process(testsets.main, "--download", "kodak24", "monte_carlo:64")
    assert code == 3 and "1 test set of 2 not downloaded" in err
    assert "kodak24: 3 images\n  sizes (height x width): 500 x 500 (3)" in out
    code, out, _ = in_process(testsets.main, "kodak24")
    assert code == 0 and "get:    it is there" in out and "kodak24: 3 images" in out
    code, _, err = in_process(testsets.main, "--download", "kodak42")
    assert code == 2 and err == "error: test set 'kodak42': did you mean kodak24?\n"
    with pytest.raises(
        BadInput, match=r"--testset kodak42: expected NAME=DIR.*did you mean kodak24\?$"
    ):
        GeneralizationSettings.of(testset=["kodak42"])


@pytest.mark.parametrize("name", ["kodak24", "polyu"])
def test_several_at_once_download_a_test_set_once(server, name):
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: sets.download(name, quiet=True), range(4)))
    assert set(folders) == {sets.place(name)}
    files = [file for file, _ in server.requests]
    assert len(files) == len(set(files))


def test_what_a_killed_download_left_is_no_file_of_the_set(server, mtd_home):
    """As a temporary file of the library that moves a file into its place."""
    gathered = sets.place("kodak24").with_name(".kodak24.part") / "files"
    gathered.mkdir(parents=True)
    (gathered / "tmp4x1y").write_bytes(b"half")
    folder = sets.download("kodak24", quiet=True)
    assert sorted(path.name for path in folder.iterdir()) == list(NAMES)
    assert sorted(sets.verify("kodak24")) == list(NAMES)


@pytest.mark.parametrize("name", ["kodak24", "polyu"])
@pytest.mark.parametrize("locked", [True, False])
def test_what_was_left_by_a_download_ended_late_is_removed(server, name, locked, monkeypatch):
    """Its lock, and the archive, once the files are in their place."""
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", lambda *_, **__: None)
        if locked:
            patched.setattr(Path, "unlink", lambda *_, **__: None)
        folder = sets.download(name, quiet=True)
    left = {f".{name}.part"} | ({f".{name}.lock"} if locked else set())
    assert left < {path.name for path in folder.parent.iterdir()}
    assert sets.download(name, quiet=True) == folder
    assert {path.name for path in folder.parent.iterdir()} == {name, f"{name}.sha256"}


def test_what_another_process_still_downloads_is_kept(server):
    folder = sets.download("kodak24", quiet=True)
    with downloads.locked(sets._whole("kodak24"), quiet=True):
        sets.download("kodak24", quiet=True)
        assert folder.with_name(".kodak24.lock").exists()
    assert not folder.with_name(".kodak24.lock").exists()
