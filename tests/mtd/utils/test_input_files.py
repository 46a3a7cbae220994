"""Files that users give end in their content or in one line, whatever they are."""

import json
import os
import socket

import pytest

from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput


def refused(read, *given):
    with pytest.raises(BadInput) as error:
        read(*given)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture(params=[input_files.opened, input_files.check, input_files.json, input_files.toml])
def reader(request):
    return request.param


def test_a_fifo_is_refused_without_waiting(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refused(reader, tmp_path / "pipe").endswith("pipe is a FIFO: expected a file")


def test_a_socket_is_refused(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert refused(reader, "socket") == "socket is a socket: expected a file"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(reader, device):
    assert refused(reader, device) == f"{device} is a device: expected a file"


def test_a_folder_a_missing_file_and_a_broken_link_are_refused(reader, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    assert refused(reader, tmp_path) == f"{tmp_path} is a folder: expected a file"
    assert refused(reader, tmp_path / "none") == f"{tmp_path / 'none'}: no such file"
    assert refused(reader, tmp_path / "link") == f"{tmp_path / 'link'}: no such file"


def test_a_name_with_a_zero_byte_is_refused(reader):
    assert "cannot be read" in refused(reader, "a\0b")


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"[1]")
    (tmp_path / "link").symlink_to("file")
    assert input_files.json(tmp_path / "link") == [1]


def test_sizes_are_compared_before_reading(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(10**12)  # a sparse file of a terabyte
    assert "1000000 MB; the limit is 32" in refused(input_files.json, path)


def test_what_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_bytes(b" " * 2000)
    monkeypatch.setenv("MTD_MAX_JSON_MB", "0.001")
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result([0o100644] + [0] * 9))
    assert "the limit is 0.001:" in refused(input_files.content, tmp_path / "a.json", limits.JSON)


def test_byte_order_marks_and_line_ends(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert input_files.toml(tmp_path / "a.toml") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "not UTF-8 at byte 0"),
        (b"", "line 1, column 1"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 101 + b"]" * 101, "nested too deeply"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested too deeply"),
        (b"1" * 5000, "too many digits"),
    ],
)
def test_malformed_json_ends_in_one_line(tmp_path, content, reason):
    (tmp_path / "a.json").write_bytes(content)
    message = refused(input_files.json, tmp_path / "a.json")
    assert reason in message
    assert message.startswith(f"{tmp_path / 'a.json'}: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "not UTF-8 at byte 0"),
        (b"a = ", "not TOML (Invalid value"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"[" * 101 + b"]" * 101, "nested too deeply"),
        (b"a = " + b"1" * 5000, "too many digits"),
        (b"a." * 200 + b"b = 1", "a key of more than 100 parts"),
        (b"x = {" + b"a." * 200 + b"b = 1}", "a key of more than 100 parts"),
    ],
)
def test_malformed_toml_ends_in_one_line(tmp_path, content, reason):
    (tmp_path / "a.toml").write_bytes(content)
    message = refused(input_files.toml, tmp_path / "a.toml")
    assert reason in message
    assert message.startswith(f"{tmp_path / 'a.toml'}: ")


def test_ordinary_nesting_and_long_rows_of_numbers_are_read(tmp_path):
    value = {"rows": [[0.5] * 500, {"deep": [[[[1]]]]}]}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert input_files.json(tmp_path / "a.json") == value
    (tmp_path / "a.toml").write_text(f"row = {value['rows'][0]}\n")
    assert input_files.toml(tmp_path / "a.toml") == {"row": [0.5] * 500}


def test_no_more_is_allocated_than_a_file_holds(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert input_files.content(tmp_path / "x", limits.Limit("MTD_MAX_X", 1e12, "MB")) == b"abc"
