"""Which test set and which step a test PSNR in a log is of, and which one counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.curves.run_curves import RunCurves, read_logs
from mtd.utils.errors import BadInput
from tests.helpers.training_logs import own


def kair(*values: tuple[int, *tuple[float | str, ...]]) -> str:
    """A KAIR log: at each step a line of training, then tests; a text before one is its name."""
    lines = []
    for step, *tests in values:
        head = f"<epoch:  1, iter:{step:8,d}, "
        lines.append(f"{head}lr:1.000e-04> G_loss: {step / 1e5:.3e} ")
        name = ""
        for test in tests:
            if isinstance(test, str):
                name = f"{test} "
            else:
                lines.append(f"{name}{head}Average PSNR : {test:.2f}dB")
                name = ""
    return "".join(f"24-03-02 09:14:01.120 : {line}\n" for line in lines)


def basicsr(step: int) -> str:
    return f"[swin..][epoch:  1, iter:{step:8,d}, lr:(1.0e-04,)] l_pix: {step / 1e5:.4e} \n"


def validated(name: str, psnr: float, best: int) -> str:
    return f"Validation {name}\n\t # psnr: {psnr:.4f}\tBest: 30.0000 @ {best} iter\n"


def read(folder: Path, text: str = "") -> tuple[RunCurves, dict[str, dict[int, float]]]:
    """The curves of a log, and the test curves by name."""
    if text:
        (folder / "train.log").write_text(text)
    found = read_logs({"run": folder})
    tests = found.curves[found.curves.quantity == "psnr"]
    return found, {
        str(name): dict(zip(of.step, of.value, strict=True)) for name, of in tests.groupby("noise")
    }


UNNAMED = {
    "repeated at the end": (
        [(100, 28.0), (200, 28.5, 28.5)],
        {"test": {100: 28, 200: 28.5}},
    ),
    "repeated with another value": (
        [(100, 28.0), (200, 28.5, 28.75), (300, 29.0)],
        {"test": {100: 28, 200: 28.75, 300: 29}},
    ),
    "two sets, repeated": (
        [(100, 28.0, 25.0), (200, 28.5, 25.5, 28.5, 25.5), (300, 29.0, 26.0)],
        {"test": {100: 28, 200: 28.5, 300: 29}, "test 2": {100: 25, 200: 25.5, 300: 26}},
    ),
    "two sets, ended between and repeated": (
        [(100, 28.0, 25.0), (200, 28.5, 28.75, 25.5), (300, 29.0, 26.0)],
        {"test": {100: 28, 200: 28.75, 300: 29}, "test 2": {100: 25, 200: 25.5, 300: 26}},
    ),
    "two sets, ended between": (
        [(100, 28.0, 25.0), (200, 28.5, 25.5), (300, 29.0)],
        {"test": {100: 28, 200: 28.5, 300: 29}, "test 2": {100: 25, 200: 25.5}},
    ),
    "beside one with a name": (
        [(100, 28.0, "isp", 20.0), (200, 28.5, "isp", 21.0)],
        {"test": {100: 28, 200: 28.5}, "isp": {100: 20, 200: 21}},
    ),
}


@pytest.mark.parametrize("values, right", UNNAMED.values(), ids=UNNAMED)
def test_tests_without_names(values, right, tmp_path):
    found, tests = read(tmp_path, kair(*values))
    assert tests == right
    losses = found.curves[found.curves.quantity == "loss"].step
    assert losses.tolist() == [step for step, *_ in values]
    repeated = [step for step, *of in values if len(of) > len(values[0]) - 1]
    notes = [note for note in found.notes if "taken for repeated tests" in note]
    assert len(notes) == len(repeated) and all("step 200 has more" in note for note in notes)


def test_a_repeated_test_is_no_unseen_set(tmp_path):
    found, _ = read(tmp_path, kair((100, 28.0), (200, 28.5, 28.5)))
    row = found.decided(["run=test"]).tables()["summary.csv"].iloc[0]
    assert row.trained == "test" and row.unseen == 0 and row.best_in_psnr == 28.5


def test_two_sets_whose_run_ended_between_them_and_was_started_again(tmp_path):
    start = "24-03-02 09:16:01.120 :   task: denoising\n"
    before, after = kair((100, 28.0, 25.0), (200, 28.5)), kair((300, 29.0, 26.0))
    _, tests = read(tmp_path, start + before + start + after)
    assert tests == {"test": {100: 28, 200: 28.5, 300: 29}, "test 2": {100: 25, 300: 26}}


def test_where_most_steps_have_more_tests_than_another_it_is_refused(tmp_path):
    log = kair((100, 28.0, 25.0), (200, 28.5), (300, 29.0, 26.0))
    with pytest.raises(
        BadInput, match=r"1 test without a name at step 200, 2 at step 100:.*write"
    ) as no:
        read(tmp_path, log)
    assert "\n" not in str(no.value) and str(tmp_path) in str(no.value)


def test_a_named_test_that_is_repeated_is_replaced(tmp_path):
    log = kair((100, "Set12", 28.5, "CBSD68", 27.5), (200, "Set12", 28.71, "Set12", 28.91))
    found, tests = read(tmp_path, log)
    assert tests == {"Set12": {100: 28.5, 200: 28.91}, "CBSD68": {100: 27.5}}
    losses = found.curves[found.curves.quantity == "loss"]
    assert dict(zip(losses.step, losses.value, strict=True)) == {100: 0.001, 200: 0.002}
    assert any("back, to 200 at the earliest" in note for note in found.notes)


def test_the_best_psnr_so_far_is_no_test(tmp_path):
    best = "best_PSNR: 28.00dB Average PSNR : 28.00dB\n"
    _, tests = read(tmp_path, kair((100, 28.0)) + best + kair((200, 27.0)) + best)
    assert tests == {"test": {100: 28, 200: 27}}


def test_all_sets_of_one_validation_are_of_one_step(tmp_path):
    """Validated every 250 steps, logged every 100."""
    log = basicsr(100) + basicsr(200) + validated("Set5", 30, 250) + validated("Urban", 26, 250)
    log += basicsr(300) + basicsr(400) + basicsr(500)
    log += validated("Set5", 29, 250) + validated("Urban", 25, 250)
    log += basicsr(600) + basicsr(700) + validated("Set5", 29.5, 250) + validated("Urban", 27, 750)
    for text in (log, log + basicsr(800)):
        _, tests = read(tmp_path, text)
        assert tests == {
            "Set5": {250: 30, 500: 29, 750: 29.5},
            "Urban": {250: 26, 500: 25, 750: 27},
        }


def test_validations_without_training_between_them_are_several(tmp_path):
    log = basicsr(100) + validated("Set5", 29, 250) + validated("Urban", 25, 250)
    log += validated("Set5", 30, 500) + validated("Urban", 26, 500)
    assert read(tmp_path, log)[1] == {"Set5": {250: 29, 500: 30}, "Urban": {250: 25, 500: 26}}


def test_the_first_step_that_is_logged_again_is_named(tmp_path):
    first = basicsr(100) + basicsr(200) + basicsr(300) + basicsr(400)
    again = "Resuming training from epoch: 2, iter: 200.\n" + basicsr(300).replace("3.0", "3.5")
    found, _ = read(tmp_path, first + again)
    assert any("go back, to 300 at the earliest" in note for note in found.notes)
    losses = found.curves[found.curves.quantity == "loss"]
    assert dict(zip(losses.step, losses.value, strict=True)) == {
        100: 0.001,
        200: 0.002,
        300: 0.0035,
    }


TRAINED = "100,0.5,0.001,20\n200,0.25,0.001,20\n300,0.125,0.001,20\n"
STALE = {
    "beyond the end": ("200,0.2,0.001,20\n", "200,isp,28.5\n", {100: 27, 200: 28.5}),
    "trained again": ("200,0.2,0.001,20\n", "", {100: 27}),
    "trained to the old end": (
        "200,0.2,0.001,20\n300,0.1,0.001,20\n",
        "",
        {100: 27, 200: 28, 300: 29},
    ),
    "not trained again": ("", "", {100: 27, 200: 28, 300: 29}),
}


@pytest.mark.parametrize("log, tested, right", STALE.values(), ids=STALE)
def test_tests_of_steps_that_were_trained_again_do_not_count(log, tested, right, tmp_path):
    own(tmp_path, "100,isp,27\n200,isp,28\n300,isp,29\n" + tested, TRAINED + log)
    assert read(tmp_path)[1] == {"isp": right}


def test_decimal_commas_in_a_table_are_points_in_the_noise_too(tmp_path):
    own(tmp_path)
    for mark in ";\t":
        rows = ("step noise psnr", "100 poisson:3,5 28,5", "100 gaussian:15,values=0,5 25,25")
        text = "".join(f"{row}\n" for row in rows).replace(" ", mark)
        (tmp_path / "validation.csv").write_text(text)
        right = {"poisson:3.5": {100: 28.5}, "gaussian:15,values=0.5": {100: 25.25}}
        assert read(tmp_path)[1] == right
