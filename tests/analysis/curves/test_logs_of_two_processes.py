"""Two processes that wrote one log with other values are told from a run that was resumed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from analysis.curves.run_curves import read_logs
from mtd.utils.errors import BadInput
from tests.helpers.training_logs import own

Loss = tuple[int, float]
"""A step and the loss there."""

RUNS = {
    "a": [(100 * number, 1 / number) for number in range(1, 21)],
    "b": [(100 * number, 3 / number) for number in range(1, 21)],
}


def interleaved(pattern: str) -> list[Loss]:
    """Lines of two runs in the order in which letters name them; of each up to its end."""
    left = {name: iter(lines) for name, lines in RUNS.items()}
    return [line for name in pattern if (line := next(left[name], None))]


def kair(lines: Iterable[Loss]) -> str:
    text = ""
    for step, loss in lines:
        text += f"<epoch:{step // 500:3d}, iter:{step:8,d}, lr:1.0e-04> G_loss: {loss:.4e} \n"
        if step % 400 == 0:
            text += f"<epoch:{step // 500:3d}, iter:{step:8,d}, Average PSNR : {20 + loss:.2f}dB\n"
    return text


def basicsr(lines: Iterable[Loss]) -> str:
    head = "[swin..][epoch:  1, iter:{:8,d}, lr:(1.0e-04,)] l_pix: {:.4e} \n"
    return "".join(head.format(step, loss) for step, loss in lines)


def table(lines: Iterable[Loss]) -> str:
    return "".join(f"{step},{loss:.4e},0.001,20\n" for step, loss in lines)


WRITERS = {"kair": kair, "basicsr": basicsr, "mtd": table}


def losses(folder: Path, program: str, lines: Iterable[Loss]) -> dict[int, float]:
    text = WRITERS[program](lines)
    if program == "mtd":
        own(folder, log=text)
    else:
        (folder / "train.log").write_text(text)
    frame = read_logs({"run": folder}).curves
    rows = frame[frame.quantity == "loss"]
    return dict(zip(rows.step, rows.value, strict=True))


BLOCKS = {
    "ahead and overtaken": "aaaabbaaabbbbaaabbbbaabbbbbaaaaaaaabbbbb",
    "one killed": "aaaabbbaaaabbbaaaabbb",
    "three lines behind": "aaa" + "ab" * 5,
    "many lines behind": "a" * 12 + "ab" * 8,
    "once each": "aaaabbaaaa",
    "equal blocks": "aabb" * 4,
    "large equal blocks": "aaaaabbbbb" * 4,
    "unequal blocks": "aaaabbbbbbaaaabbbbaaaabb",
    "a little overlap": "bb" + "a" * 10 + "b" * 10 + "a" * 8,
    "by turns": "ab" * 8,
    "two steps": "abab",
}


@pytest.mark.parametrize("program", WRITERS)
@pytest.mark.parametrize("pattern", BLOCKS.values(), ids=BLOCKS)
def test_two_processes_in_blocks_are_refused(program, pattern, tmp_path):
    with pytest.raises(BadInput, match=r"two processes wrote it at once.*without the lines") as no:
        losses(tmp_path, program, interleaved(pattern))
    assert "\n" not in str(no.value) and str(tmp_path) in str(no.value)


def attempts(*parts: tuple[int, int, int]) -> tuple[list[Loss], dict[int, float]]:
    """The lines of a run's attempts, FIRST, LAST, INTERVAL each, and those that count."""
    lines, right = [], {}
    for number, (first, last, interval) in enumerate(parts, 1):
        own_lines = [(step, number + step / 1e4) for step in range(first, last + 1, interval)]
        right = {step: loss for step, loss in right.items() if step < first} | dict(own_lines)
        lines += own_lines
    return lines, right


RESUMED = {
    "once": [(100, 900, 100), (600, 1500, 100)],
    "thrice": [(100, 900, 100), (600, 1500, 100), (1400, 2000, 100), (1900, 2500, 100)],
    "to an earlier end": [(100, 900, 100), (300, 500, 100)],
    "from the start": [(100, 900, 100), (100, 1200, 100)],
    "one line, again and again": [(100, 100, 1), (100, 100, 1), (100, 100, 1)],
    "two lines, again and again": [(100, 200, 100)] * 4,
    "from one step, again and again": [(100, 600, 100), *[(500, 700, 100)] * 4],
    "farther apart": [(100, 900, 100), (600, 2000, 200)],
    "closer": [(200, 1000, 200), (700, 2000, 100)],
    "an odd last step": [(300, 900, 300), (1000, 1000, 1), (900, 1200, 300), (1250, 1250, 1)],
    "beyond the end": [(100, 900, 100), (1000, 1500, 100)],
}


@pytest.mark.parametrize("program", WRITERS)
@pytest.mark.parametrize("parts", RESUMED.values(), ids=RESUMED)
def test_resumed_runs_are_read(program, parts, tmp_path):
    lines, right = attempts(*parts)
    assert losses(tmp_path, program, lines) == pytest.approx(right)


def test_what_may_be_of_two_processes_is_said(tmp_path):
    (tmp_path / "train.log").write_text(basicsr(interleaved("aaaabbbbbbbbbaa")))
    notes = read_logs({"run": tmp_path}).notes
    assert [note for note in notes if "two processes" in note] == [
        "The steps of `run` go back to 500, where an earlier part ended: if two processes wrote "
        "the log by turns, its curves are of both."
    ]
    (tmp_path / "train.log").write_text(basicsr(attempts(*RESUMED["thrice"])[0]))
    assert not any("two processes" in note for note in read_logs({"run": tmp_path}).notes)


def write_events(folder: Path, name: str, lines: Iterable[tuple[float, str, int, float]]) -> None:
    """An event file of scalars: time, tag, step, value."""
    writers = pytest.importorskip("torch.utils.tensorboard")
    with writers.SummaryWriter(str(folder), filename_suffix=f".{name}") as events:
        for time, tag, step, value in lines:
            events.add_scalar(tag, value, step, time)


def logged(begin: float, steps: Iterable[int], scale: float, tag: str = "loss"):
    return [(begin + place, tag, step, scale / step) for place, step in enumerate(steps)]


def test_event_files_of_one_time_with_other_values_are_refused(tmp_path):
    write_events(tmp_path, "a", logged(1.7e9, range(1, 9), 1))
    late = [(1.7e9 + 3 * ((step + 2) // 3), "loss", step, 3 / step) for step in range(1, 7)]
    write_events(tmp_path, "b", late)  # three values at once, behind the other
    with pytest.raises(BadInput, match=r"two processes.*step 1, 2, 3") as no:
        read_logs({"run": tmp_path})
    assert str(tmp_path) in str(no.value) and "\n" not in str(no.value)


def test_event_files_of_one_time_with_equal_or_other_curves_are_one_run(tmp_path):
    write_events(tmp_path, "a", logged(1.7e9, (1, 2, 4, 8), 1))
    write_events(tmp_path, "b", logged(1.7e9 + 2.5, (1, 2, 4), 1))
    write_events(tmp_path, "c", logged(1.7e9, (2, 4), 96, "validation/isp/psnr"))
    frame = read_logs({"run": tmp_path}).curves
    curves = {
        name: dict(zip(of.step, of.value, strict=True)) for name, of in frame.groupby("noise")
    }
    assert curves == {"": {1: 1, 2: 0.5, 4: 0.25, 8: 0.125}, "isp": {2: 48, 4: 24}}


def test_event_files_one_after_another_are_a_resumed_run(tmp_path):
    write_events(tmp_path, "9", logged(1.7e9, (1, 2, 4, 8, 16), 1))
    write_events(tmp_path, "1", logged(1.7e9 + 100, (4, 8), 2))
    write_events(tmp_path, "5", logged(1.7e9 + 200, (8, 16, 32), 4))
    frame = read_logs({"run": tmp_path}).curves
    found = dict(zip(frame.step, frame.value, strict=True))
    assert found == {1: 1, 2: 0.5, 4: 0.5, 8: 0.5, 16: 0.25, 32: 0.125}


@pytest.mark.parametrize("program", ["kair", "basicsr"])
def test_texts_of_one_time_with_other_values_are_refused(program, tmp_path):
    stamp = {
        "kair": "24-03-02 09:{:02d}:00.120 : ",
        "basicsr": "2024-03-02 09:{:02d}:00,120 INFO: ",
    }
    texts = {name: WRITERS[program](lines).splitlines() for name, lines in RUNS.items()}

    def write(name: str, text: list[str], begin: int) -> None:
        stamped = [stamp[program].format(begin + n) + line for n, line in enumerate(text)]
        (tmp_path / f"{name}.log").write_text("".join(f"{line}\n" for line in stamped))

    write("a", texts["a"][:9], 0)
    write("b", texts["b"][2:9], 5)
    with pytest.raises(BadInput, match="two processes wrote it at once") as no:
        read_logs({"run": tmp_path})
    assert "\n" not in str(no.value)
    write("b", texts["b"][2:9], 30)
    rows = read_logs({"run": tmp_path}).curves.query("quantity == 'loss'")
    found = dict(zip(rows.step, rows.value, strict=True))
    assert found[100] == 1 and found[200] == 0.5 and found[300] == 1 and found[600] == 0.5
    write("b", texts["a"][:9], 5)
    rows = read_logs({"run": tmp_path}).curves.query("quantity == 'loss'")
    assert rows.value.tolist() == pytest.approx([1 / (step / 100) for step in rows.step], rel=1e-4)
