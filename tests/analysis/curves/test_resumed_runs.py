"""A grid of generated logs: each gives the curves that count, however it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.curves.log_readers import read
from analysis.curves.run_curves import read_logs
from mtd.utils.errors import BadInput
from tests.helpers.training_logs import (
    COUNTED,
    DECORATIONS,
    HISTORIES,
    STAMPS,
    Row,
    basicsr_lines,
    doubled,
    kair_lines,
    own,
    stamped,
)

TEXTS = {"kair": kair_lines, "basicsr": basicsr_lines}
SETS = {
    "one": {"kair": ("test",), "basicsr": ("Set5",)},
    "two": {"kair": ("test", "test 2"), "basicsr": ("Set5", "Kodak24")},
    "named": {"kair": ("poisson_20", "CBSD68"), "basicsr": ("a", "b")},
}


def found(place: Path) -> dict[tuple[str, str], dict[int, float]]:
    frame = read_logs({"run": place}).curves
    return {
        key: dict(zip(rows.step, rows.value, strict=True))
        for key, rows in frame.groupby(["quantity", "noise"])
    }


def expected(rows: list[Row], sets: tuple[str, ...]) -> dict[tuple[str, str], dict[int, float]]:
    curves = {
        ("loss", ""): {step: loss for step, loss, _, _ in rows},
        ("learning_rate", ""): {step: rate for step, _, rate, _ in rows},
    }
    for place, name in enumerate(sets):
        curves["psnr", name] = {step: tests[place] for step, _, _, tests in rows if tests}
    return curves


def text(lines: list[str], stamp: str) -> str:
    return "".join(f"{line}\n" for line in stamped(lines, STAMPS[stamp]))


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("count", SETS)
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("program", TEXTS)
def test_text_logs(program, history, count, announced, tmp_path):
    sets = SETS[count][program]
    lines = TEXTS[program](HISTORIES[history], sets, announced)
    for decoration, written in DECORATIONS.items():
        (tmp_path / "train.log").write_bytes(written(text(lines, program)))
        assert found(tmp_path) == expected(COUNTED[history], sets), decoration


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("program", TEXTS)
def test_however_times_are_written_they_are_no_names_of_test_sets(program, stamp, tmp_path):
    for sets in (SETS["two"][program], SETS["named"][program]):
        lines = TEXTS[program](HISTORIES["resumed"], sets, announced=True)
        (tmp_path / "train.log").write_text(text(lines, stamp))
        assert found(tmp_path) == expected(COUNTED["resumed"], sets)


@pytest.mark.parametrize("names", [("a.log", "b.log"), ("b.log", "a.log"), ("2.log", "10.log")])
def test_several_texts_are_read_in_the_order_in_which_they_were_begun(names, tmp_path):
    starts, sets = HISTORIES["resumed"], ("test", "test 2")
    stamps = ("23-12-31 23:59:58.120 : ", "24-01-01 00:00:01.120 : ")
    for name, rows, stamp in zip(names, starts, stamps, strict=True):
        lines = kair_lines([rows], sets, announced=False)
        (tmp_path / name).write_text("".join(f"{stamp}{line}\n" for line in lines))
    assert found(tmp_path) == expected(COUNTED["resumed"], sets)


@pytest.mark.parametrize("lag, history", [(0, "resumed"), *((n, "straight") for n in (0, 1, 2, 5))])
@pytest.mark.parametrize("count", SETS)
@pytest.mark.parametrize("program", TEXTS)
def test_lines_that_two_processes_wrote_count_once(program, count, history, lag, tmp_path):
    sets = SETS[count][program]
    single = TEXTS[program](HISTORIES[history], sets, announced=history == "resumed")
    if program == "basicsr":
        single = [line.replace("\t", "") for line in single]
        lag = 0  # its tests do not name their step
    lines = doubled(single, lag)
    (tmp_path / "train.log").write_text(text(lines, program))
    assert found(tmp_path) == expected(COUNTED[history], sets)
    notes = read_logs({"run": tmp_path}).notes
    assert any("as where two processes log" in note for note in notes)


def test_two_processes_that_were_resumed_at_different_times_are_refused(tmp_path):
    lines = doubled(kair_lines(HISTORIES["resumed"], ("test",), announced=True), 5)
    (tmp_path / "train.log").write_text(text(lines, "kair"))
    with pytest.raises(BadInput, match="two processes"):
        read_logs({"run": tmp_path})


@pytest.mark.parametrize("program", TEXTS)
@pytest.mark.parametrize("lag", [0, 1])
def test_two_processes_with_other_values_are_refused(program, lag, tmp_path):
    sets = SETS["two"][program]
    one = TEXTS[program]([FIRST_HALF], sets, announced=False)
    other = [line.replace("loss: ", "loss: 1").replace("pix: ", "pix: 1") for line in one]
    pairs = [*enumerate(one), *((i + lag + 0.5, line) for i, line in enumerate(other))]
    lines = [line for _, line in sorted(pairs, key=lambda pair: pair[0])]
    (tmp_path / "train.log").write_text(text(lines, program))
    with pytest.raises(
        BadInput, match=r"two processes wrote it at once.*the log of one process"
    ) as error:
        read_logs({"run": tmp_path})
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


FIRST_HALF: list[Row] = [(1000 * step, 0.5 / step, 2e-4, (30.0, 25.0)) for step in range(1, 6)]


def test_two_processes_with_other_tests_are_refused(tmp_path):
    lines = doubled(kair_lines([FIRST_HALF], ("test",), announced=False), 0)
    lines[2:4] = [lines[2], lines[3].replace("30.00", "30.01")]
    (tmp_path / "train.log").write_text(text(lines, "kair"))
    with pytest.raises(BadInput, match=r"two processes wrote it at once.* differ \(step 1,000\)"):
        read_logs({"run": tmp_path})


def test_equal_values_of_two_test_sets_are_of_two_test_sets(tmp_path):
    rows: list[Row] = [(1000, 0.5, 1e-4, (30.0, 30.0)), (2000, 0.25, 1e-4, (31.0, 31.0))]
    lines = kair_lines([rows], ("test", "test 2"), announced=False)
    for written in (lines, doubled(lines, 0)):
        (tmp_path / "train.log").write_text(text(written, "kair"))
        assert found(tmp_path) == expected(rows, ("test", "test 2"))


def tables(starts: list[list[Row]], sets: tuple[str, ...]) -> tuple[str, str]:
    rows = [row for start in starts for row in start]
    log = "".join(f"{step},{loss:g},{rate:g},20\n" for step, loss, rate, _ in rows)
    tests = [
        f"{step},{name},{value:g}\n"
        for step, _, _, values in rows
        for name, value in zip(sets, values, strict=False)
    ]
    return "".join(tests), log


def with_semicolons(file: Path) -> None:
    file.write_text(file.read_text().replace(",", ";").replace(".", ","))


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("sets", [("gaussian:15",), ("gaussian:15", "isp")])
def test_our_own_tables(history, sets, tmp_path):
    own(tmp_path, *tables(HISTORIES[history], sets))
    right = expected(COUNTED[history], sets)
    assert found(tmp_path) == right
    files = [tmp_path / "log.csv", tmp_path / "validation.csv"]
    for file in files:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert found(tmp_path) == right
    for file in files:
        with_semicolons(file)
    assert found(tmp_path) == right


def test_our_own_tables_written_by_two_processes(tmp_path):
    validation, log = tables([FIRST_HALF], ("gaussian:15", "isp"))
    twice = ["".join(doubled(part.splitlines(True), 1)) for part in (validation, log)]
    own(tmp_path, *twice)
    assert found(tmp_path) == rounded(expected(FIRST_HALF, ("gaussian:15", "isp")))
    differing = "".join(row + row.replace(",0.", ",0.1") for row in log.splitlines(True))
    with pytest.raises(BadInput, match="two processes"):
        read_logs({"run": own(tmp_path / "b", validation, differing)})


def test_decimal_commas_between_commas_are_refused(tmp_path):
    with pytest.raises(BadInput, match="line 2: more values than columns; where commas are dec"):
        read(own(tmp_path, log="100,0,5,0,001,20\n200,0,25,0,001,20\n"))


@pytest.mark.parametrize("purge", [True, False])
@pytest.mark.parametrize("history", HISTORIES)
def test_events(history, purge, tmp_path):
    sets = ("gaussian:15", "isp")
    write_events(tmp_path, HISTORIES[history], sets, purge)
    assert rounded(found(tmp_path)) == expected(COUNTED[history], sets)


def rounded(curves: dict[tuple[str, str], dict[int, float]]) -> dict[tuple[str, str], dict]:
    """Values as they were before they became float32."""
    return {
        key: {step: float(f"{value:.6g}") for step, value in curve.items()}
        for key, curve in curves.items()
    }


def write_events(
    folder: Path, starts: list[list[Row]], sets: tuple[str, ...], purge: bool, apart: float = 1e4
) -> None:
    writers = pytest.importorskip("torch.utils.tensorboard")
    for number, rows in enumerate(starts):
        step = 2001 if purge and number else None
        begin = 1.7e9 + apart * number
        suffix = f".{9 - number}"  # names need not be in the order of times
        with writers.SummaryWriter(str(folder), purge_step=step, filename_suffix=suffix) as events:
            for place, (at, loss, rate, tests) in enumerate(rows):
                time = begin + 100 * place
                events.add_scalar("loss", loss, at, time)
                events.add_scalar("learning_rate", rate, at, time)
                for name, value in zip(sets, tests, strict=False):
                    events.add_scalar(f"validation/{name}/psnr", value, at, time)
    for file in folder.iterdir():  # starts are stamped with the time of writing
        _set_starts(file, 1.7e9)


def _set_starts(file: Path, begin: float) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.summary.writer.record_writer import RecordWriter

    events = list(EventFileLoader(str(file)).Load())
    first = min((event.wall_time for event in events if event.HasField("summary")), default=begin)
    with file.open("wb") as stream:
        writer = RecordWriter(stream)
        for event in events:
            if not event.HasField("summary"):
                event.wall_time = first - 1
            writer.write(event.SerializeToString())


def test_events_of_two_processes(tmp_path):
    sets = ("gaussian:15",)
    write_events(tmp_path / "same", [FIRST_HALF, FIRST_HALF], sets, purge=False, apart=30)
    assert rounded(found(tmp_path / "same")) == rounded(expected(FIRST_HALF, sets))
    other = [(step, loss + 1, rate, tests) for step, loss, rate, tests in FIRST_HALF]
    write_events(tmp_path / "other", [FIRST_HALF, other], sets, purge=False, apart=30)
    with pytest.raises(BadInput, match="two processes"):
        read_logs({"run": tmp_path / "other"})


def test_epochs_beside_steps_are_left_alone(tmp_path):
    """A curve over epochs is not cut where steps go back, nor one over steps where epochs do."""
    writers = pytest.importorskip("torch.utils.tensorboard")
    with writers.SummaryWriter(str(tmp_path)) as events:
        for epoch in (1, 2, 3, 2, 3):
            events.add_scalar("loss", epoch / 8, epoch)
        for step in (1000, 2000, 3000):
            events.add_scalar("psnr", 30.0, step)
    assert found(tmp_path)["psnr", "psnr"] == {1000: 30, 2000: 30, 3000: 30}
    assert set(found(tmp_path)["loss", ""]) == {1, 2, 3}
