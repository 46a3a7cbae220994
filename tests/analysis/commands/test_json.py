"""`--json` of every command: one valid object on stdout, however the command ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.commands import console, printed
from analysis.commands.registry import analyses
from analysis.commands.run_tables import read_tables
from analysis.report import printed as printed_report
from analysis.report import verdict
from mtd.data import image_io
from mtd.data.image_io import ImageFile
from mtd.utils import output
from tests.helpers.json_output import strict
from tests.helpers.paths import ROOT
from tests.helpers.processes import two_processes

Call = Callable[..., tuple[int, str, str]]

COMMANDS = tuple(dict.fromkeys((*console.commands(), *analyses())))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_it_and_refuses_by_an_object(in_process: Call, name: str) -> None:
    code, out, err = in_process(console.dispatch, name, "--json", "--no-such-option")
    found = strict(out)
    assert code == 2 and err == f"error: {found['error']}\n"
    owner = "mtd" if name in console.OWN else "analysis"
    assert found["command"] == f"{owner}.{name.replace('-', '_')}"
    assert (found["status"], found["exit_code"]) == ("bad_input", 2)
    assert "--help" in found["error"] and found["results"] == {}
    code, out, _ = in_process(console.dispatch, name, "--help", "--json")
    assert code == 0 and "--json" in out and "usage:" in out  # help is text


def test_the_console_itself(in_process: Call) -> None:
    found = strict(in_process(console.dispatch, "--json")[1])
    assert found["command"] == "mtd" and list(found["results"]["commands"]) == list(console.TASKS)
    assert strict(in_process(console.dispatch, "--version", "--json")[1])["version"]
    code, out, err = in_process(console.dispatch, "ckaa", "--json")
    assert code == 2 and strict(out)["error"] in err and "did you mean cka" in err


def test_test_sets(in_process: Call) -> None:
    found = strict(in_process(console.dispatch, "testsets", "--json")[1])["results"]["test_sets"]
    one = strict(in_process(console.dispatch, "testsets", "kodak24", "--json")[1])["results"]
    assert one["test_sets"][0] in found and one["test_sets"][0]["name"] == "kodak24"
    code, out, _ = in_process(console.dispatch, "testsets", "kodak24", "nowhere", "--json")
    assert code == 2 and "no such folder" in strict(out)["error"]


def test_images_that_were_denoised_and_packed(in_process: Call, pair: Path) -> None:
    folder = pair / "photos"
    for name in ("a", "b"):
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        image_io.write(folder / f"{name}.png", ImageFile(pixels))
    packed = str(pair / "photos.zip")
    found = strict(in_process(console.dispatch, "pack", str(folder), packed, "--json")[1])
    assert found["files"] == [packed] and found["results"]["images"] == 2
    assert found["results"]["bytes"] == Path(packed).stat().st_size
    given = ("denoise", str(pair / "plain.pth"), str(folder), str(pair / "out"), "--json")
    content = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(content[: len(content) // 2])
    code, out, _ = in_process(console.dispatch, *given, "--quiet")
    found = strict(out)
    assert code == 3 and found["status"] == "partial" and "b.png: damaged" in found["error"]
    assert found["files"] == [str(pair / "out" / "a.png")]  # the one that is written
    (folder / "b.png").write_bytes(content)
    found = strict(in_process(console.dispatch, *given, "--resume")[1])
    assert [image["skipped"] for image in found["results"]["images"]] == [True, False]
    assert found["files"] == [str(pair / "out" / "b.png")]


def test_what_quiet_hides_is_in_the_object(in_process: Call, pair: Path) -> None:
    given = ("generalization", str(pair / "plain.pth"), "--crop", "16", "--limit", "1", "--json")
    more = ("--noise", "gaussian:15", "--no-lpips", "--no-references", "--output-dir")
    _, out, err = in_process(console.dispatch, *given, *more, str(pair / "told"))
    notes = strict(out)["messages"]
    assert notes[0].startswith("plain: ") and notes[1] == "device: cpu"
    assert all(note in err for note in notes)
    _, out, err = in_process(console.dispatch, *given, *more, str(pair / "silent"), "--quiet")
    assert strict(out)["messages"] == notes and not err


def test_of_several_processes_the_first_one_prints(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("base = 'small.toml'\n[grid]\n'run.seed' = [0, 1]")
    (tmp_path / "photos").mkdir()
    given = ("-m", "mtd.train", "a.toml", "--data", "photos", "--list", "--json")
    found = strict(two_processes(*given, cwd=tmp_path).stdout)
    assert [cell["number"] for cell in found["results"]["cells"]] == [0, 1]
    done = two_processes(*given, "--cell", "9", cwd=tmp_path)
    found = strict(done.stdout)
    assert done.returncode == 2 and "--cell 9" in found["error"] and found["error"] in done.stderr


def test_curves_of_logs(in_process: Call, tmp_path: Path) -> None:
    logs = [str(ROOT / "mtd/pretrained" / name) for name in ("baseline", "masked")]
    given = ("curves", *logs, "--output-dir", str(tmp_path / "run"), "--json")
    found = strict(in_process(console.dispatch, *given)[1])
    assert found["run"] == str(tmp_path / "run") and found["command"] == "analysis.curves"
    assert found["results"]["summary"]["records"][0]["run"] == "baseline"


def test_tables_are_whole_or_named_alone(tmp_path: Path) -> None:
    for name, rows in (("short", printed.MOST_ROWS), ("long", printed.MOST_ROWS + 1)):
        frame = pd.DataFrame({"model": "a", "value": np.full(rows, np.inf), "p": np.nan})
        frame.to_csv(tmp_path / f"{name}.csv", index=False, na_rep="nan")
    found = output.plain(printed.tables(tmp_path, read_tables(tmp_path, ("short", "long"))))
    assert [found[name]["rows"] for name in ("short", "long")] == [1000, 1001]
    assert found["long"] == {"file": str(tmp_path / "long.csv"), "rows": 1001, "records": None}
    assert found["short"]["records"] == [{"model": "a", "value": "inf", "p": None}] * 1000


def test_a_report_has_its_leaderboard_and_names_other_tables() -> None:
    folder = ROOT / "reports/example"
    parts = output.plain(printed_report.parts(folder))
    board = parts["results"]["leaderboard"]
    assert board["file"] == str(folder / "leaderboard.csv") and board["records"][0]["model"]
    table = parts["results"]["cka/depth"]
    assert table["rows"] == len(pd.read_csv(table["file"])) and table["records"] is None
    assert any("PSNR" in sentence for sentence in parts["sentences"])
    assert parts["sentences"][0] == verdict.headline(folder)
    assert not any("`" in sentence for sentence in parts["sentences"])
