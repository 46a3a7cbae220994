"""Logs that are damaged, or made to use up the machine: one line, or what is sound of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from analysis.curves import event_records, read_curves
from analysis.curves.log_readers import read
from analysis.curves.logged import LOSS
from analysis.curves.tables import curves_of_log
from mtd.utils.errors import BadInput
from tests.helpers import event_files
from tests.helpers.event_files import event, framed
from tests.helpers.training_logs import own

HEAD = b"step,loss,learning_rate\n"
BASICSR = "[epoch: 1, iter: 100, lr:(1)] l_pix: 1\n"
TEST = "<epoch: 1, iter: 100, Average PSNR : 30.0dB\n"


def calls(function: Callable[[], object]) -> int:
    """How many Python functions and generators are entered."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        function()
    except BadInput:
        pass
    finally:
        sys.setprofile(None)
    return count


def steps_back(size: int) -> str:
    steps = [*range(1, size), *(n + 1 for n in range(size, 0, -1))]
    return HEAD.decode() + "".join(f"{step},0.5,0.1\n" for step in steps)


GROWING = {
    "tests of one step": ("a.log", lambda size: TEST * size),
    "steps that go back": ("log.csv", steps_back),
    "programs that start": ("a.log", lambda size: TEST + f"task: x\n{TEST}" * size),
    "validations": (
        "a.log",
        lambda size: TEST.replace("<", "[") + "Validation a # psnr: 1\n" * size,
    ),
    "columns": ("log.csv", lambda size: HEAD.decode()[:-1] + ",a" * size + "\n1,2,3\n" * size),
}


@pytest.mark.parametrize("kind", GROWING)
def test_steps_grow_with_the_length_of_a_log(tmp_path, kind):
    name, text = GROWING[kind]
    counts = []
    for size in (100, 200, 400):
        path = tmp_path / name
        path.write_text(text(size))
        counts.append(calls(lambda: curves_of_log("run", read(path).lines)))  # noqa: B023
    first, middle, last = counts
    assert last - middle < 2.5 * (middle - first)


@pytest.mark.parametrize(
    "name, content, message",
    [
        (
            "a.log",
            b"<epoch: 1, iter: " + b"9" * 5000 + b"> l: 1\n",
            "a.log: step '999.*up to 15 dig",
        ),
        ("a.log", b"<epoch: 1, iter: 1" + b"0" * 23 + b", lr: 1> G_loss: 1\n", "a.log: step '1000"),
        (
            "a.log",
            TEST.encode() * 3 + b" " * 2_000_000 + b"\n",
            "a.log: line 4 is too long, .*LINE",
        ),
        ("log.csv", HEAD + b"1e23,1,1\n", r"line 2: step '1e23'"),
        ("log.csv", HEAD + b"1,2,3\n" + HEAD, r"line 3: step 'step'"),
        ("log.csv", b"step,loss,step,learning_rate\n1,2,3,4\n", "column step is there twice"),
        ("log.csv", HEAD + b"1,2,3\n" + b'"' + b"9\n" * 90_000 + b"\n", "damaged .field larger"),
        ("log.csv", HEAD + b"\xff\xfe,2,3\n", "line 2: step '..'; expected a whole number"),
        ("log.csv", HEAD + b"1,\0,3\n", "no column step"),
        ("log.csv", HEAD + b"1,2,3\n" * 1000 + b"2,\0,3\n\0,2,3\n", r"line 1003: step '\\x00'"),
        ("log.csv", b"", "no column step"),
    ],
)
def test_damaged_texts_end_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message) as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_line_ends_of_all_systems(tmp_path):
    for end in (b"\r\n", b"\r", b"\n"):
        (tmp_path / "log.csv").write_bytes((HEAD + b"1,0.5,0.1\n2,0.25,0.1\n").replace(b"\n", end))
        assert len(read(tmp_path / "log.csv").lines) == 2


@pytest.mark.parametrize("recipe", ["[" * 100_000, "9" * 5000, "{", "[1]", '{"data": 1}', "\0"])
def test_a_damaged_recipe_says_nothing(tmp_path, recipe):
    folder = own(tmp_path / "a")
    (folder / "recipe.json").write_text(recipe)
    assert read(folder).trained == ""


@pytest.mark.parametrize(
    "variable, value, message",
    [
        ("MTD_MAX_LOG_MB", "0.00005", r"log\.csv, \S+ MB; the limit is 5e-05"),
        ("MTD_MAX_LINE", "20", "line 1 is too long, 21 characters; the limit is 20"),
        ("MTD_MAX_LOG_FILES", "1", "2 files; the limit is 1"),
        ("MTD_MAX_LOGGED_VALUES", "5", "6 values; the limit is 5"),
        ("MTD_MAX_CURVES", "3", "4 curves; the limit is 3"),
        ("MTD_MAX_TESTS", "3", "4 steps times test sets; the limit is 3"),
    ],
)
def test_limits(tmp_path, monkeypatch, variable, value, message):
    folder = own(tmp_path / "a", "100,gaussian:15,30\n100,isp,20\n200,gaussian:15,31\n200,isp,19\n")
    read(folder)
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadInput, match=f"{message}.*{variable}"):
        read(folder)


def test_a_training_that_starts_again_and_again(tmp_path, monkeypatch):
    (tmp_path / "a.log").write_text(f"task: x\n{TEST}" * 20)
    monkeypatch.setenv("MTD_MAX_RESTARTS", "10")
    with pytest.raises(BadInput, match=r"11 restarts; the limit is 10: .*MTD_MAX_RESTARTS"):
        curves_of_log("run", read(tmp_path / "a.log").lines)


@pytest.fixture
def tensorboard():
    pytest.importorskip("tensorboard")


GOOD = {"loss": 0.5}


@pytest.mark.parametrize(
    "tensor, counted",
    [
        ({"dtype": 1, "float_val": [0.25]}, 1),
        ({"dtype": 3, "int_val": [2]}, 1),
        ({"dtype": 1, "tensor_content": b"\0\0\0\x3f"}, 1),
        ({"dtype": 1, "float_val": [0.5], "sizes": [10**9]}, 0),
        ({"dtype": 1, "float_val": [0.5], "sizes": [2**62, 2**62]}, 0),
        ({"dtype": 1, "tensor_content": b"\0" * 1000}, 0),
        ({"dtype": 1, "float_val": []}, 0),
        ({"dtype": 7, "string_val": [b"x"]}, 0),
        ({"dtype": 99}, 0),
        ({"dtype": 1, "tensor_content": b"\0\0\0"}, 0),
    ],
)
def test_only_scalars_of_events_are_decoded(tmp_path, tensorboard, monkeypatch, tensor, counted):
    from tensorboard.util import tensor_util

    def decoded(tensor, real=tensor_util.make_ndarray):
        assert not tensor.tensor_shape.dim and len(tensor.tensor_content) < 20
        return real(tensor)

    monkeypatch.setattr(tensor_util, "make_ndarray", decoded)
    data = framed(event(1, **GOOD), event(2, loss=tensor), event(3, **GOOD))
    frame, _ = curves_of_log("run", read(event_files.write(tmp_path, data)).lines)
    assert len(frame[frame.quantity == LOSS]) == 2 + counted


def test_large_records_of_events_are_skipped(tmp_path, tensorboard, monkeypatch):
    monkeypatch.setenv("MTD_MAX_EVENT_MB", "0.001")
    data = framed(event(1, **GOOD), event(2, **GOOD, x={"dtype": 7, "string_val": [b"x" * 2000]}))
    result = read_curves({"a": event_files.write(tmp_path, data)})
    assert len(result.curves) == 1
    note = result.manifest["notes"][0]
    assert "1 record above 0.001 MB is not read" in note and "MTD\\_MAX" not in note


@pytest.mark.parametrize("length", [2**63 - 1, 2**64 - 1, 10**12])
def test_lengths_of_records_beyond_the_file(tmp_path, tensorboard, length):
    head = length.to_bytes(8, "little")
    data = framed(event(1, **GOOD)) + head + event_records.masked(head) + b"x"
    log = read(event_files.write(tmp_path, data))
    assert len(log.lines) == 1 and not log.notes  # as of a program that still writes


def damaged_files() -> dict[str, bytes]:
    first, second = framed(event(1, **GOOD)), framed(event(2, **GOOD))
    flipped = bytearray(second)
    flipped[-6] ^= 1
    return {
        "a checksum": first + bytes(flipped),
        "no event": first + framed(b"\xff\xff\xff") + second,
        "a length": first + b"\0" * 12 + second,
        "deep groups": first + framed(b"\x0b" * 100_000) + second,
    }


@pytest.mark.parametrize("kind", ["a checksum", "no event", "a length", "deep groups"])
def test_damaged_events_count_up_to_the_damage(tmp_path, tensorboard, kind):
    result = read_curves({"a": event_files.write(tmp_path, damaged_files()[kind])})
    assert result.curves.step.tolist() == [1]
    assert "is damaged; what it holds before that is read" in result.manifest["notes"][0]


def test_steps_of_events_that_are_too_large(tmp_path, tensorboard):
    with pytest.raises(BadInput, match="step 9223372036854775807; expected up to 15 digits"):
        read(event_files.write(tmp_path, framed(event(2**63 - 1, **GOOD))))


def test_losses_of_events_that_are_no_numbers(tmp_path, tensorboard):
    values = (float("inf"), float("nan"), -float("inf"), 1e38)
    data = framed(*(event(step, loss=value) for step, value in enumerate(values, 1)))
    result = read_curves({"a": event_files.write(tmp_path, data)})
    assert result.curves.step.tolist() == [4]
    assert json.dumps(result.manifest, allow_nan=False)


def test_a_test_set_may_have_the_name_of_one_without(tmp_path):
    text = f"{TEST}<epoch: 1, iter: 100, lr: 1> G_loss: 0.5 # psnr: 20\n"
    (tmp_path / "a.log").write_text(text)
    curves = read_curves({"a": tmp_path}).curves
    tests = curves[curves.quantity == "psnr"]
    assert dict(zip(tests.noise, tests.value, strict=True)) == {"test": 20, "test 2": 30}


def test_two_tags_of_one_meaning_are_one_curve(tmp_path, tensorboard):
    tags = {"validation/psnr of X/psnr": 20.0, "psnr of X": 21.0}
    result = read_curves({"a": event_files.write(tmp_path, framed(event(1, **tags)))})
    assert result.curves.value.tolist() == [21]
