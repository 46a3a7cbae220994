"""One JSON object on stdout, however a command ends, and nothing else."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

import mtd
from mtd.utils import output
from mtd.utils.errors import BadInput, Failed, Partial
from mtd.utils.messages import note
from tests.helpers.json_output import strict
from tests.helpers.paths import ROOT

Call = Callable[..., tuple[int, str, str]]


def test_values_are_strictly_json() -> None:
    given = {
        "nan": [math.nan, np.float32("nan")],
        "inf": (np.float64("inf"), -math.inf),
        "numbers": [np.int64(3), np.bool_(True), np.float64(0.1), 2],
        1: ROOT,
        "none": None,
    }
    assert output.plain(given) == {
        "nan": [None, None],
        "inf": ["inf", "-inf"],
        "numbers": [3, True, 0.1, 2],
        "1": str(ROOT),
        "none": None,
    }


def test_text_and_object_are_of_the_same_call(in_process: Call) -> None:
    def main() -> None:
        note("a note")
        note("a quiet one", quiet=True)
        print("of a library")
        output.show("as text", run="runs/a", results={"psnr": math.inf}, sentences=["One."])
        output.show("more", results={"ssim": math.nan}, files=["runs/a/x.csv"])

    code, out, err = in_process(main)
    assert (code, out, err) == (0, "of a library\nas text\nmore\n", "a note\n")
    code, out, err = in_process(main, "--json")
    found = strict(out)
    assert code == 0 and err == "a note\nof a library\n"
    assert (found["status"], found["error"], found["version"]) == ("done", None, mtd.__version__)
    assert found["run"] == "runs/a" and found["results"] == {"psnr": "inf", "ssim": None}
    assert found["sentences"] == ["One."] and found["files"] == ["runs/a/x.csv"]
    assert found["messages"] == ["a note", "a quiet one"] and found["arguments"] == ["--json"]
    assert not output.collecting()


@pytest.mark.parametrize(
    "error, code, status, line, text",
    [
        (BadInput("x: y"), 2, "bad_input", "error: x: y\n", "x: y"),
        (Failed("no"), 1, "failed", "failed: no\n", "no"),
        (Partial("2 of 3"), 3, "partial", "failed: 2 of 3\n", "2 of 3"),
        (KeyboardInterrupt("at 5"), 130, "interrupted", "interrupted: at 5\n", "at 5"),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted\n", "interrupted"),
        (
            FileNotFoundError(2, "gone", "a.png"),
            2,
            "bad_input",
            "error: a.png: gone\n",
            "a.png: gone",
        ),
    ],
)
def test_a_command_that_ends_early(
    in_process: Call, error: BaseException, code: int, status: str, line: str, text: str
) -> None:
    def main() -> None:
        output.show("begun", results={"kept": 1})
        raise error

    assert in_process(main) == (code, "begun\n", line)
    left, out, err = in_process(main, "--json")
    found = strict(out)
    assert (left, err) == (code, line) and found["results"] == {"kept": 1}
    assert (found["status"], found["exit_code"], found["error"]) == (status, code, text)


def test_a_defect_keeps_its_traceback(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["command", "--json"])
    from mtd.utils import cli

    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: print(1 // 0))
    found = strict(capsys.readouterr().out)
    assert found["status"] == "failed" and "ZeroDivisionError" in found["error"]


def test_only_the_first_process_prints(in_process: Call, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert in_process(lambda: output.show("text"), "--json") == (0, "", "")


def test_programs_that_a_command_starts_do_not_print_on_stdout(tmp_path) -> None:
    code = (
        "import os\nfrom mtd.utils import cli, output\n"
        "def main():\n    os.system('echo started'); os.write(1, b'raw')\n    output.show('')\n"
        "cli.run(main)\n"
    )
    (tmp_path / "command.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "command.py", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and strict(done.stdout)["status"] == "done"
    assert done.stderr == "started\nraw"


@pytest.mark.parametrize("given", [["--json", "--help"], ["x", "--", "--json"], ["--json=1"]])
def test_when_json_is_not_wanted(monkeypatch, given: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *given])
    assert not output.wanted()


def test_nothing_else_prints_on_stdout() -> None:
    in_notebooks = {"analysis/commands/run_lookup.py"}
    for folder in ("mtd", "analysis"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in in_notebooks or name == "mtd/utils/output.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                    given = {keyword.arg for keyword in node.keywords}
                    assert "file" in given, f"{name}:{node.lineno}: use output.show"
