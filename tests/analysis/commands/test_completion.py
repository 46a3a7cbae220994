"""Completion of commands, options and values, in the functions and in bash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.commands import completion, console
from mtd.utils.errors import BadInput
from tests.helpers.paths import ROOT


def follow(*words: str) -> list[str]:
    return completion.candidates(words, console.commands())


def test_commands():
    assert follow("com") == ["compare", "compare-cards"]
    assert set(console.commands()) < set(follow(""))
    assert follow("help", "ck") == ["cka"] and follow("no-command", "--") == []


@pytest.mark.parametrize("name", console.commands())
def test_options_are_those_of_the_command(name):
    found = follow(name, "--")
    assert {"--help", "--json"} <= set(found) and "--grey" not in found
    assert follow(name, "--js") == ["--json"]


def test_values():
    assert follow("cka", "--crop-rule", "") == ["grid", "center", "random"]
    assert follow("cka", "a.pth", "--attention-mask", "o") == ["on", "off"]
    assert follow("cka", "--images", "") == []  # the shell's own: names of files
    assert follow("cka", "") == follow("denoise", "") == ["baseline.pth", "masked.pth"]
    assert follow("cka", "--no-controls", "m") == ["masked.pth"]
    assert follow("train", "sm") == ["small.toml"] and follow("zoo", "v") == ["verify"]


def test_an_unknown_shell_names_those_that_are_known(in_process):
    with pytest.raises(BadInput, match="--completion 'tcsh': "):
        completion.script("tcsh")
    code, out, _ = in_process(console.dispatch, "--completion", "fish")
    assert code == 0 and "complete -c mtd" in out
    code, out, _ = in_process(console.dispatch, "--complete", "--", "cka", "--json", "--crop-")
    assert (code, out) == (0, "--crop-rule\n")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path):
    """What Tab does: the function that the script registers, on the words of a line."""
    command = tmp_path / "mtd"
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from analysis.commands.console import main\nmain()\n"
    )
    command.chmod(0o755)
    lines = ["mtd cka --crop-", "mtd rep", "mtd cka --device=cpu mas"]
    ask = "".join(
        f'COMP_WORDS=({line}); COMP_CWORD={len(line.split()) - 1}; _mtd; echo "${{COMPREPLY[*]}}"\n'
        for line in lines
    )
    done = subprocess.run(
        ["bash", "-c", f'eval "$(mtd --completion bash)"\ncomplete -p mtd\n{ask}'],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    registered, *found = done.stdout.splitlines()
    assert "-F _mtd mtd" in registered, done.stderr
    assert found == ["--crop-rule", "report", "masked.pth"]
