"""Logs that end, or go on, inside a line: a value that may be cut does not count."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.curves.run_curves import read_logs
from mtd.utils.errors import BadInput
from tests.helpers.training_logs import own

KAIR = """\
24-03-02 09:14:01.120 : <epoch:  1, iter:     100, lr:1.000e-04> G_loss: 5.000e-01
24-03-02 09:14:02.120 : <epoch:  1, iter:     100, Average PSNR : 28.51dB
24-03-02 09:14:03.120 : <epoch:  2, iter:     200, lr:1.000e-04> G_loss: 2.500e-01
24-03-02 09:14:04.120 : <epoch:  2, iter:     200, Average PSNR : 29.12dB
"""
BASICSR = """\
2024-03-02 09:14:01,120 INFO: [x..][epoch:  1, iter:     100, lr:(1.000e-04,)] l_pix: 5.0000e-01
2024-03-02 09:14:02,120 INFO: Validation Set5
\t # psnr: 28.5100
2024-03-02 09:14:03,120 INFO: [x..][epoch:  2, iter:     200, lr:(1.000e-04,)] l_pix: 2.5000e-01
2024-03-02 09:14:04,120 INFO: Validation Set5
\t # psnr: 29.1200
"""
PSNR = {100: 28.51, 200: 29.12}


def curve(place: Path, quantity: str) -> dict[int, float]:
    frame = read_logs({"run": place}).curves
    rows = frame[frame.quantity == quantity]
    return dict(zip(rows.step, rows.value, strict=True))


def notes(place: Path) -> list[str]:
    return [note for note in read_logs({"run": place}).notes if "has no end" in note]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [KAIR, BASICSR], ids=["kair", "basicsr"])
def test_a_text_that_is_cut_anywhere_in_its_last_line(text, encoding, tmp_path):
    place = tmp_path / "train.log"
    place.write_text(text, encoding)
    assert curve(place, "psnr") == PSNR and not notes(place)
    for end in range(text[:-1].rfind("\n") + 1, len(text)):
        place.write_text(text[:end], encoding)
        assert curve(place, "psnr") == {100: 28.51} and curve(place, "loss") == {
            100: 0.5,
            200: 0.25,
        }
        assert len(notes(place)) == bool(text[:end].rpartition("\n")[2].strip())
    assert "Of `run`, the last line of `train.log` is left out" in notes(place)[0]


@pytest.mark.parametrize("end", range(1, len("200,isp,29.1\n")))
def test_a_table_that_is_cut_anywhere_in_its_last_row(end, tmp_path):
    own(tmp_path, "100,isp,28.5\n" + "200,isp,29.1\n"[:end], "100,0.5,0.001,2\n200,0.25,0.001,2\n")
    assert curve(tmp_path, "psnr") == {100: 28.5} and curve(tmp_path, "loss") == {
        100: 0.5,
        200: 0.25,
    }
    assert "`validation.csv` is left out" in notes(tmp_path)[0]
    own(tmp_path, "100,isp,28.5\n", "100,0.5,0.001,2\n" + "200,0.25,0.001,29\n"[:end])
    assert curve(tmp_path, "loss") == {100: 0.5} and "`log.csv` is left out" in notes(tmp_path)[0]


KAIR_STARTS = "24-03-03 00:00:01.120 :   task: denoising\n"
BASICSR_STARTS = "2024-03-03 00:00:01,120 INFO: Resuming training from epoch: 1, iter: 100.\n"


@pytest.mark.parametrize("cut", range(1, 30))
@pytest.mark.parametrize(
    "text, start", [(KAIR, KAIR_STARTS), (BASICSR, BASICSR_STARTS)], ids=["kair", "basicsr"]
)
def test_a_program_that_goes_on_in_the_line_that_was_cut(text, start, cut, tmp_path):
    """The last line is cut within, before or behind its value."""
    again = "".join(text.splitlines(True)[-3 if text is BASICSR else -2 :]).replace("29.1", "30.1")
    last = text[text[:-1].rfind("\n") :]
    cut = min(cut, len(last) - 1)
    (tmp_path / "train.log").write_text(text[:-cut] + start + again)
    assert curve(tmp_path, "psnr") == {100: 28.51, 200: 30.12}
    assert curve(tmp_path, "loss") == {100: 0.5, 200: 0.25} and not notes(tmp_path)


def test_a_log_of_one_line_without_an_end(tmp_path):
    (tmp_path / "train.log").write_text(KAIR.splitlines()[0])
    with pytest.raises(BadInput, match="its only line has no end, so that its last") as no:
        read_logs({"run": tmp_path / "train.log"})
    assert "\n" not in str(no.value)
    own(tmp_path / "a", log="100,0.5,0.001,2")
    with pytest.raises(BadInput, match="PSNR in it but in a last line that has no end"):
        read_logs({"run": tmp_path / "a"})
