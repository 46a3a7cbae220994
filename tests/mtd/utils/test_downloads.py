"""Downloads from a server on 127.0.0.1: continued, checked, recorded, and refused in one line."""

from __future__ import annotations

import hashlib
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtd.utils import digests, downloads, progress
from mtd.utils.downloads import Remote
from mtd.utils.errors import BadInput
from mtd.utils.resumable import Resumable
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
        ({"size": 300_001}, "300000 bytes instead of 300001"),
    ],
)
def test_another_file_is_refused_in_one_line_and_not_kept(server, tmp_path, known, message):
    with pytest.raises(BadInput, match=message) as refused:
        downloads.fetch(remote(server, tmp_path, **known))
    text = str(refused.value)
    assert "\n" not in text and "nothing was kept" in text and str(tmp_path / "file.pth") in text
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize(
    "page, what",
    [
        (b"\n<!DOCTYPE html><title>Log in</title>", "an HTML page, not the file"),
        (b"\xef\xbb\xbf <HTML><title>Log in</title>", "an HTML page, not the file"),
        (b"<!-- a proxy -->\n<html></html>", "an HTML page, not the file"),
        (b"", "empty"),
    ],
)
def test_what_is_no_file_is_not_recorded_as_the_file(server, tmp_path, page, what):
    server.files["file"] = page
    with pytest.raises(BadInput, match=f"file is {what}; nothing was kept"):
        downloads.fetch(remote(server, tmp_path))
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    place = tmp_path / "file.pth"
    if not page:
        place.write_bytes(b"")  # by hand
        with pytest.raises(BadInput, match=r"file\.pth: empty; delete it"):
            downloads.fetch(remote(server, tmp_path))
        place.unlink()
    server.files["file"] = CONTENT
    assert downloads.fetch(remote(server, tmp_path)).read_bytes() == CONTENT


def test_a_digest_is_recorded_only_of_what_is_recognized(server, tmp_path):
    seen = []

    def recognize(path: Path) -> None:
        seen.append(path.name)
        if path.read_bytes() != CONTENT:
            raise BadInput(f"{path}: holds a list")

    wanted = remote(server, tmp_path, recognize=recognize)
    server.files["file"] = OTHER
    with pytest.raises(BadInput, match="file is not the expected file: holds a list; nothing was"):
        downloads.fetch(wanted)
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    wanted.place.write_bytes(OTHER)  # by hand
    with pytest.raises(BadInput, match=r"file\.pth: not the expected file: holds a list; delete"):
        downloads.fetch(wanted)
    assert not wanted.record
    wanted.place.write_bytes(CONTENT)
    assert downloads.fetch(wanted) == wanted.place and wanted.record == DIGEST
    downloads.fetch(wanted)
    assert seen == ["file.pth.part", "file.pth", "file.pth"]  # a recorded one suffices


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of a server that sends the same bytes to everyone, and counts them."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            with suppress(OSError):
                self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/file"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "answer, reason",
    [
        (b"302 Found\r\nLocation: /file\r\nConnection: close", "it redirects without end"),
        (b"302 Found\r\nLocation: file:///etc/passwd", "it redirects to what is no web address"),
        (b"302 Found\r\nLocation: http://[/\r\nConnection: close", "to no valid address"),
        (b"200 OK\r\nContent-Length: 10, 20\r\n\r\nx", "its headers are invalid"),
        (b"200 OK\r\nContent-Length: -5\r\n\r\nx", "its headers are invalid"),
        (b"200 OK\r\nContent-Encoding: gzip\r\n\r\nx", "its content is damaged"),
    ],
)
def test_an_answer_that_cannot_be_used(tmp_path, monkeypatch, answer, reason):
    monkeypatch.setenv("NO_PROXY", "*")
    with (
        answering(b"HTTP/1.1 " + answer + b"\r\n\r\n") as address,
        pytest.raises(BadInput, match=r"server's answer cannot be used \(.*" + reason) as refused,
    ):
        downloads.fetch(Remote("a/file", address, tmp_path / "file.pth", "MIT"))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "file.pth").exists()


def test_a_redirect_to_an_unencrypted_address_is_refused(tmp_path, monkeypatch):
    plain = SimpleNamespace(url="http://elsewhere.org/file", status_code=200, headers={})
    secret = SimpleNamespace(url="https://known.org/file", status_code=302, headers={})

    @contextmanager
    def get(*_: object, **__: object) -> Iterator[object]:
        yield SimpleNamespace(**vars(plain) | {"history": [secret], "iter_content": never})

    def never(*_: object) -> None:
        raise AssertionError("nothing of it is read")

    monkeypatch.setattr("requests.get", get)
    with pytest.raises(BadInput, match=r"cannot be used \(it redirects from https to http\)"):
        downloads.fetch(Remote("a/file", secret.url, tmp_path / "file.pth", "MIT"))
    assert not (tmp_path / "file.pth").exists()


@pytest.mark.parametrize(
    "answer, reason",
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204 No Content"),
        (b"HTTP/1.1 203 Other\r\nContent-Length: 1\r\n\r\nx", "HTTP 203 Other"),
        (b"", "the connection was closed"),
    ],
)
def test_only_a_file_or_a_part_of_it_is_accepted(tmp_path, monkeypatch, answer, reason):
    monkeypatch.setenv("NO_PROXY", "*")
    with answering(answer) as address, pytest.raises(BadInput, match=re.escape(f"({reason})")):
        downloads.fetch(Remote("a/file", address, tmp_path / "file.pth", "MIT"))
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize("header", [b"", b"Content-Length: 5000000\r\n"])
def test_a_server_that_sends_more_than_the_file_is_stopped(tmp_path, monkeypatch, header):
    monkeypatch.setenv("NO_PROXY", "*")
    written = []
    write = Resumable._write

    def watched(loader: Resumable, *arguments: Any) -> None:
        try:
            write(loader, *arguments)
        finally:
            written.append(loader.arrived)

    monkeypatch.setattr(Resumable, "_write", watched)
    with (
        answering(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n" + bytes(5_000_000)) as address,
        pytest.raises(BadInput, match="another file, of more than 1000 bytes") as refused,
    ):
        downloads.fetch(Remote("a/file", address, tmp_path / "file.pth", "MIT", size=1000))
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert all(count <= 1000 for count in written) and "\n" not in str(refused.value)


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


def test_a_part_without_a_length_is_complete_only_at_the_size_in_its_range(server, tmp_path):
    unknown = remote(server, tmp_path)
    server.breaks["file"] = [98_304, 0]
    with pytest.raises(BadInput):
        downloads.fetch(unknown)
    server.lengths, server.breaks["file"] = False, [49_152]
    assert downloads.fetch(unknown).read_bytes() == CONTENT


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


def test_a_server_that_ignores_if_range_cannot_join_two_files(server, tmp_path):
    server.breaks["file"], server.conditions = [98_304, 0], False
    unknown = remote(server, tmp_path)
    with pytest.raises(BadInput):
        downloads.fetch(unknown)
    server.files["file"] = OTHER
    assert downloads.fetch(unknown).read_bytes() == OTHER
    assert server.requests[-2:] == [("file", "bytes=98304-"), ("file", None)]


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


def test_a_damaged_origin_of_a_beginning_is_that_of_another_file(server, tmp_path):
    known = remote(server, tmp_path, sha256=DIGEST)
    known.part.write_bytes(OTHER[:100])
    known.part.with_name("file.pth.part.from").write_bytes(b"\xff\xfe")
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
    def advance(_: float) -> None:
        if part.stat().st_size > 100_000:
            raise KeyboardInterrupt

    unknown = remote(server, tmp_path)
    part = unknown.part
    with monkeypatch.context() as patched:
        patched.setattr(progress, "advance", advance)
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


@pytest.mark.parametrize("below, said", [("", ""), ("mtd", r" in one \(.*/file is a file\)")])
def test_a_home_that_is_no_folder_is_named(server, tmp_path, monkeypatch, below, said):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / below
    monkeypatch.setenv("MTD_HOME", str(folder))
    with pytest.raises(BadInput, match=f"^MTD_HOME={folder} is not a folder{said}; set MTD_HOME"):
        downloads.fetch(remote(server, folder / "zoo" / "kair"))
    with pytest.raises(BadInput, match=f"^MTD_HOME={folder} is not a folder{said}; set MTD_HOME"):
        digests.write(folder / "testsets" / "a.sha256", {})
    assert digests.recorded(folder / "zoo" / "kair" / "file.pth") == ""


def test_a_home_that_cannot_be_written_is_named(server, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("MTD_HOME", str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", refuse)  # also where tests run as root
        for act in (
            lambda: downloads.fetch(remote(server, tmp_path / "zoo")),
            lambda: digests.write(tmp_path / "zoo" / "a.sha256", {}),
        ):
            with pytest.raises(BadInput, match=r"^MTD_HOME=.*: .* \(Permission denied\); set MTD"):
                act()


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        downloads.fetch(remote(server, tmp_path / "file"))


@pytest.mark.parametrize("text", ["x", f"{'z' * 64}  a", "0" * 64])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "a.sha256").write_text(text)
    with pytest.raises(BadInput, match=r"a\.sha256: damaged"):
        digests.recorded(tmp_path / "a")
