"""Logs of training: what is read from each program's, restarts, and what is no log."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from analysis.curves.log_readers import read
from analysis.curves.logged import LOSS, PSNR, RATE, Line, Point
from analysis.curves.tables import curves_of_log
from mtd.utils.errors import BadInput
from tests.helpers.training_logs import KAIR, own

BASICSR = """\
2024-03-02 10:00:00,123 INFO: Dataset [PairedImageDataset] - Set5 is built.
2024-03-02 10:01:00,123 INFO: [swin..][epoch:  0, iter:   1,000, lr:(2.000e-04,)] [eta: 1 day, \
2:03:04, time (data): 0.310 (0.002)] l_pix: 4.5000e-02 l_percep: 1.0e+00
2024-03-02 10:02:00,123 INFO: Validation Set5, # psnr: 31.5000 Best: 31.5000 @ 1,200 iter \
# ssim: 0.9 Best: 0.9 @ 1,200 iter
2024-03-02 10:02:01,123 INFO: Validation Kodak24
\t # psnr: 30.2500\tBest: 30.2500 @ 1200 iter
\t # ssim: 0.8500\tBest: 0.8500 @ 1200 iter
2024-03-02 10:04:00,123 INFO: [swin..][epoch:  1, iter:   2,000, lr:(1.000e-04,)] [eta: 1 day, \
1:03:04, time (data): 0.310 (0.002)] l_pix: nan l_percep: 1.0e+00
2024-03-02 10:05:00,123 INFO: Validation Set5
\t # psnr: 31.0000\tBest: 31.5000 @ 1200 iter
"""


def table(path: Path):
    log = read(path)
    frame, notes = curves_of_log("run", log.lines)
    return frame, notes, log


def curve(frame, quantity: str, noise: str = "") -> dict[int, float]:
    rows = frame[(frame.quantity == quantity) & (frame.noise == noise)]
    return dict(zip(rows.step, rows.value, strict=True))


def test_a_folder_of_ours(tmp_path):
    folder = own(tmp_path / "a", "100,gaussian:15,30\n100,isp,20\n200,gaussian:15,31\n200,isp,19\n")
    frame, notes, log = table(folder)
    assert curve(frame, LOSS) == {100: 0.5, 200: 0.25}
    assert curve(frame, RATE) == {100: 0.001, 200: 0.001}
    assert curve(frame, PSNR, "isp") == {100: 20, 200: 19}
    assert set(frame.source) == {"log", "validation"} and not notes
    assert log.trained == "" and set(log.files) == {"log.csv", "validation.csv"}
    (folder / "recipe.json").write_text(json.dumps({"data": {"noise": "isp"}}))
    assert read(folder / "log.csv").trained == "isp"
    assert read(own(tmp_path / "b")).trained == ""


def test_the_half_row_of_a_killed_run_is_left_out(tmp_path):
    frame, notes, _ = table(own(tmp_path / "a", "100,isp,20\n200,i", "100,0.5,0.001,2\n200,0.2"))
    assert curve(frame, LOSS) == {100: 0.5} and curve(frame, PSNR, "isp") == {100: 20}
    assert not notes


def test_kair(tmp_path):
    (tmp_path / "train.log").write_text(KAIR)
    frame, notes, log = table(tmp_path / "train.log")
    assert curve(frame, LOSS) == {200: 0.08125, 1000: 0.0325, 12000: 0.025}
    assert curve(frame, RATE) == {200: 2e-4, 1000: 1e-4, 12000: 5e-5}
    assert curve(frame, PSNR, "test") == {1000: 29.75, 12000: 30.25}
    assert curve(frame, PSNR, "test 2") == {1000: 24.5}
    assert curve(frame, PSNR, "poisson_20") == {1000: 23.25}
    assert set(frame.source) == {"kair"} and log.trained == ""
    assert notes == ["Of the losses that `run` logs, `G_loss` is shown, not `F_loss`."]


def test_the_log_of_the_published_code(tmp_path):
    text = """
    24-03-02 10:00:00.000 : <epoch:  0, iter:     200, lr:1.000e-04> G_loss: 8.125e-02
    24-03-02 10:00:01.000 : <epoch:  1, iter:   1,000, Average: PSNR: 29.75, SSIM: 0.86, PSNRY: 31.2
    24-03-02 10:00:01.000 : --- best PSNRY ---> iter:   1,000, Average: PSNR: 29.75, PSNRY: 31.2
    24-03-02 10:00:02.000 : <epoch:  2, iter:   2,000, Average: PSNR: 29.50, SSIM: 0.86, PSNRY: 31.0
    24-03-02 10:00:02.000 : --- best PSNRY ---> iter:   1,000, Average: PSNR: 29.75, PSNRY: 31.2
    """
    (tmp_path / "train.log").write_text("\n".join(map(str.strip, text.splitlines())))
    frame, _, log = table(tmp_path / "train.log")
    assert curve(frame, LOSS) == {200: 0.08125} and log.trained == ""
    assert curve(frame, PSNR, "test") == {1000: 29.75, 2000: 29.5}
    assert set(frame[frame.quantity == PSNR].noise) == {"test"}


def test_basicsr(tmp_path):
    (tmp_path / "train_swin_20240302.log").write_text(BASICSR)
    frame, notes, _ = table(tmp_path)
    assert curve(frame, LOSS) == {1000: 0.045}
    assert curve(frame, PSNR, "Set5") == {1200: 31.5, 2000: 31.0}
    assert curve(frame, PSNR, "Kodak24") == {1200: 30.25}
    assert curve(frame, RATE) == {1000: 2e-4, 2000: 1e-4}
    assert notes[1] == "Of `run`, 1 value dropped: NaN or infinite."


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as events:
        for step, value in ((100, 0.5), (200, 0.25), (300, 9.0), (300, 0.125)):
            events.add_scalar("loss", value, step)
            events.add_scalar("loss/validation", 7.0, step)
        events.add_scalar("validation/gaussian:15/psnr", 30.5, 200)
        events.add_scalar("Kodak PSNR", 29.5, 200, new_style=True)
        events.add_scalar("images/s", 100, 200)
        events.add_scalar("learning_rate", 0.5, 200)
    for place in (tmp_path, next(tmp_path.glob("events*"))):
        frame, notes, log = table(place)
        assert curve(frame, LOSS) == {100: 0.5, 200: 0.25, 300: 0.125}
        assert curve(frame, PSNR, "gaussian:15") == {200: 30.5}
        assert curve(frame, PSNR, "Kodak PSNR") == {200: 29.5}
        assert curve(frame, RATE) == {200: 0.5} and len(frame) == 6
        assert log.trained == ""
        assert notes[0] == "Of the losses that `run` logs, `loss` is shown, not `loss/validation`."
        assert "to 300 at the earliest" in notes[1]


def lines(*values: tuple[str, int, float], apart: bool = False) -> list[Line]:
    return [
        Line((Point("log", quantity, "isp", step, value),), quantity if apart else "")
        for quantity, step, value in values
    ]


def test_after_a_restart_later_values_replace_earlier_ones():
    logged = ((LOSS, 1, 1.0), (LOSS, 2, 2.0), (PSNR, 2, 2.0), (LOSS, 3, 3.0), (LOSS, 2, 9.0))
    alone, notes = curves_of_log("run", lines(*logged, apart=True))
    assert curve(alone, LOSS) == {1: 1.0, 2: 9.0} and curve(alone, PSNR, "isp") == {}
    assert notes == [
        "The steps of `run` go back, to 2 at the earliest: after a restart, later values replace "
        "earlier ones."
    ]
    together, _ = curves_of_log("run", lines(*logged))
    assert curve(together, LOSS) == {1: 1.0, 2: 9.0} and curve(together, PSNR, "isp") == {}
    tested_again = lines(*logged, (PSNR, 2, 4.0), apart=True)
    assert curve(curves_of_log("run", tested_again)[0], PSNR, "isp") == {2: 4.0}


def test_values_that_are_no_numbers_are_dropped_and_counted():
    logged = lines((LOSS, 1, math.nan), (LOSS, 2, math.inf), (LOSS, 3, 1))
    frame, notes = curves_of_log("run", logged)
    assert curve(frame, LOSS) == {3: 1.0}
    assert notes == ["Of `run`, 2 values dropped: NaN or infinite."]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("none", None, "no such file or folder; expected a folder of mtd.train"),
        ("notes.txt", b"hello\n", "not a log of a known program"),
        ("model.pth", b"PK\x03\x04\x00", "for checkpoints, --checkpoints FOLDER"),
        ("log.csv", b"step,loss\n1,2\n", "no column learning_rate"),
        ("log.csv", b"step,loss,learning_rate\nx,2,1\n3,2,1\n", "line 2: step 'x'"),
        (
            "log.csv",
            b"step,loss,learning_rate\n1,2,3\n" + b"9" * 200_000 + b"\n",
            r"log\.csv: damaged \(field larger .*; expected step, loss, learning_rate",
        ),
        ("log.csv", b"step,loss,learning_rate\n" + b"9" * 5000 + b",2,3\n", "line 2: step '999"),
        ("log.csv", b"step,loss,learning_rate\n", "no loss, learning rate or PSNR"),
        ("a.log", b"<epoch: 1, iter: 10> nothing\n", "no loss, learning rate or PSNR"),
    ],
)
def test_what_is_no_log(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read(tmp_path / name)


def test_a_folder_without_a_log(tmp_path):
    (tmp_path / "notes.log").write_text("hello")
    with pytest.raises(BadInput, match="no log in it; expected"):
        read(tmp_path)
