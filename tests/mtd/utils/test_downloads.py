"""Downloads from a server on 127.0.0.1: continued, checked, recorded, and refused in one line."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtd.utils import digests, downloads
from mtd.utils.downloads import Remote
from mtd.utils.errors import BadInput
from tests.helpers.file_server import FileServer, serving

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(file=CONTENT) as running:
        yield running


def remote(server: FileServer, folder: Path, **known: Any) -> Remote:
    about = {"licence": "MIT", "command": "mtd zoo get a/file", "page": "https://example.org/page"}
    return Remote("a/file", f"{server.address}file", folder / "file.pth", **about | known)


def test_a_file_is_downloaded_once_and_the_licence_is_shown(server, tmp_path, capsys):
    known = remote(server, tmp_path / "new" / "folder", sha256=DIGEST, size=len(CONTENT))
    assert downloads.fetch(known).read_bytes() == CONTENT
    err = capsys.readouterr().err
    assert err.splitlines()[0] == (
        f"downloading a/file (0.3 MB; licence: MIT) from {server.address}file"
    )
    assert downloads.fetch(known) == known.place
    assert len(server.requests) == 1
    assert [path.name for path in known.place.parent.iterdir()] == ["file.pth"]


def test_an_unknown_digest_is_recorded_and_another_file_is_refused(server, tmp_path, capsys):
    unknown = remote(server, tmp_path)
    downloads.fetch(unknown)
    assert f"recorded SHA-256 {DIGEST}" in capsys.readouterr().err
    record = digests.record_of(unknown.place)
    assert record.read_text() == f"{DIGEST}  file.pth\n"  # as sha256sum -c reads it
    downloads.fetch(unknown)
    assert capsys.readouterr().err == ""
    unknown.place.write_bytes(OTHER)  # by hand
    with pytest.raises(BadInput, match=f"at the first download.*recorded was {DIGEST}.*delete"):
        downloads.fetch(unknown)
    unknown.place.unlink()
    server.files["file"] = OTHER
    with pytest.raises(BadInput, match=f"recorded was {DIGEST}"):
        downloads.fetch(unknown)
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["file.pth.sha256"]
    record.unlink()
    assert downloads.fetch(unknown).read_bytes() == OTHER


def test_a_file_put_there_by_hand_is_checked_without_a_network(tmp_path):
    place = tmp_path / "file.pth"
    place.write_bytes(CONTENT)
    for known in ({"sha256": DIGEST}, {"begins": DIGEST[:8]}, {"git": git_blob(CONTENT)}):
        absent = Remote("a/file", "http://127.0.0.1:9/file", place, "MIT", **known)
        assert downloads.fetch(absent) == place
    wrong = Remote("a/file", "http://127.0.0.1:9/file", place, "MIT", sha256="0" * 64)
    with pytest.raises(BadInput, match=f"SHA-256 is {DIGEST}, expected {'0' * 64}; delete it"):
        downloads.fetch(wrong)


def git_blob(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@pytest.mark.parametrize(
    "known, message",
    [
        ({"sha256": "0" * 64}, f"another file: its SHA-256 is {DIGEST}, expected {'0' * 64}"),
        ({"begins": "00000000"}, f"SHA-256 is {DIGEST}, expected 00000000… \\(first digits\\)"),
        ({"git": "0" * 40}, f"git calls it {git_blob(CONTENT)}, expected {'0' * 40}"),
        ({"size": 7}, "300000 bytes instead of 7"),
    ],
)
def test_another_file_is_refused_in_one_line_and_not_kept(server, tmp_path, known, message):
    with pytest.raises(BadInput, match=message) as refused:
        downloads.fetch(remote(server, tmp_path, **known))
    text = str(refused.value)
    assert "\n" not in text and "nothing was kept" in text and str(tmp_path / "file.pth") in text
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_a_web_page_is_not_recorded_as_the_file(server, tmp_path):
    server.files["file"] = b"\n<!DOCTYPE html><title>Log in</title>"
    with pytest.raises(BadInput, match="an HTML page, not the file; nothing was kept"):
        downloads.fetch(remote(server, tmp_path))
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_it_is_continued_where_the_connection_broke(server, tmp_path):
    server.breaks["file"] = [98_304, 49_152]
    assert downloads.fetch(remote(server, tmp_path)).read_bytes() == CONTENT
    starts = [wanted for _, wanted in server.requests]
    assert starts[0] is None and len(starts) == 3
    assert [int(text[6:-1]) for text in starts[1:] if text] == [98_304, 147_456]


def test_without_a_validator_an_unknown_file_begins_again(server, tmp_path):
    server.breaks["file"], server.validators = [98_304], False
    assert downloads.fetch(remote(server, tmp_path)).read_bytes() == CONTENT
    assert server.requests == [("file", None), ("file", None)]


def test_a_later_command_continues_what_was_kept(server, tmp_path):
    server.breaks["file"] = [98_304, 0]
    unknown = remote(server, tmp_path)
    with pytest.raises(BadInput, match=r"98304 bytes are kept, mtd zoo get a/file cont"):
        downloads.fetch(unknown)
    assert unknown.part.stat().st_size == 98_304 and not unknown.place.exists()
    assert downloads.fetch(unknown).read_bytes() == CONTENT
    assert server.requests[-1] == ("file", "bytes=98304-")


@pytest.mark.parametrize("ranges, validators", [(False, True), (True, False), (True, True)])
def test_a_changed_file_is_never_joined_to_an_old_beginning(server, tmp_path, ranges, validators):
    server.breaks["file"] = [98_304, 0]
    server.ranges, server.validators = ranges, validators
    unknown = remote(server, tmp_path)
    with pytest.raises(BadInput):
        downloads.fetch(unknown)
    server.files["file"] = OTHER
    assert downloads.fetch(unknown).read_bytes() == OTHER


def test_a_beginning_of_another_file_is_noticed_by_a_known_digest(server, tmp_path):
    known = remote(server, tmp_path, sha256=DIGEST)
    server.validators = False
    server.breaks["file"] = [98_304, 0]
    server.files["file"] = OTHER
    with pytest.raises(BadInput):
        downloads.fetch(known)
    server.files["file"] = CONTENT
    assert downloads.fetch(known).read_bytes() == CONTENT
    assert server.requests[-1] == ("file", None)


def test_what_is_complete_already_is_not_requested_beyond_its_end(server, tmp_path):
    known = remote(server, tmp_path, sha256=DIGEST)
    known.part.write_bytes(CONTENT)
    known.part.with_name("file.pth.part.from").write_text(f"{known.address}\n\n")
    assert downloads.fetch(known).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "address, reason",
    [
        ("{server}absent", "HTTP 404 Not Found"),
        ("http://127.0.0.1:9/file", "the connection was refused"),
        ("http://nowhere.invalid/file", "no network: the server's name cannot be resolved"),
    ],
)
def test_without_the_file_one_line_says_address_digest_and_place(server, tmp_path, address, reason):
    address, place = address.format(server=server.address), tmp_path / "file.pth"
    with pytest.raises(BadInput) as refused:
        downloads.fetch(Remote("a/file", address, place, "MIT", sha256=DIGEST))
    assert str(refused.value) == (
        f"a/file: cannot be downloaded ({reason}); get {address} (SHA-256 {DIGEST}, put it at "
        f"{place})"
    )


def test_without_a_known_address_the_page_is_named(tmp_path):
    unknown = Remote("a/file", "unknown", tmp_path / "x.pth", "MIT", page="https://example.org/p")
    with pytest.raises(BadInput, match=r"look at https://example.org/p, SHA-256 unknown, put it"):
        downloads.fetch(unknown)


def test_an_interruption_keeps_what_arrived(server, tmp_path, monkeypatch):
    import tqdm

    class Interrupted(tqdm.tqdm):  # type: ignore[type-arg]
        def update(self, n: float | None = 1) -> bool | None:
            if part.stat().st_size > 100_000:
                raise KeyboardInterrupt
            return super().update(n)

    unknown = remote(server, tmp_path)
    part = unknown.part
    with monkeypatch.context() as patched:
        patched.setattr(tqdm, "tqdm", Interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"a/file; .* are kept, mtd zoo get a/fi"):
            downloads.fetch(unknown)
    assert 100_000 < part.stat().st_size < 300_000
    assert downloads.fetch(unknown).read_bytes() == CONTENT


def test_several_processes_download_it_once(server, tmp_path):
    unknown = remote(server, tmp_path)
    threads = [threading.Thread(target=downloads.fetch, args=(unknown,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unknown.place.read_bytes() == CONTENT and len(server.requests) == 1


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        downloads.fetch(remote(server, tmp_path / "file"))


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "a.sha256").write_text("x")
    with pytest.raises(BadInput, match=r"a\.sha256: damaged"):
        digests.recorded(tmp_path / "a")
