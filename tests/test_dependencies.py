"""What CI says of licences and known vulnerabilities of dependencies."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.paths import ROOT

SCRIPT = ROOT / ".ci" / "dependencies.py"
AUDITED = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not on PyPI"}
VULNERABLE = {
    "name": "c",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}],
}


@pytest.fixture
def script() -> ModuleType:
    if not SCRIPT.is_file():
        pytest.skip("no checkout")
    spec = importlib.util.spec_from_file_location("dependencies", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_findings_are_never_hidden_by_packages_that_were_not_audited(script):
    found, skipped = script.findings(report(AUDITED, SKIPPED, VULNERABLE), "")
    assert found == ["c 2: PYSEC-1, fixed in 3"]
    assert skipped == "1 of 3 packages, first b: not on PyPI"
    assert script.findings(report(AUDITED), "") == ([], "")


def test_a_known_finding_is_listed_with_its_reason(script, monkeypatch, capsys):
    monkeypatch.setitem(script.KNOWN_VULNERABILITIES, "CVE-1", "no release mends it")
    monkeypatch.setattr(script, "licences", list)
    done = subprocess.CompletedProcess((), 1, report(VULNERABLE), "")
    monkeypatch.setattr(script.subprocess, "run", lambda *args, **options: done)
    assert script.main() == 0
    assert "known: CVE-1 (no release mends it)" in capsys.readouterr().out


@pytest.mark.parametrize("said", ("ConnectionError", "No module named pip_audit"))
def test_without_a_network_it_says_so_and_does_not_fail(script, monkeypatch, capsys, said):
    monkeypatch.setattr(script, "licences", list)
    done = subprocess.CompletedProcess((), 1, "", f"Traceback\n{said}\n")
    monkeypatch.setattr(script.subprocess, "run", lambda *args, **options: done)
    assert script.main() == 0
    assert f"not audited (pip-audit failed ({said}))" in capsys.readouterr().out


@pytest.mark.parametrize("packages, status", ((VULNERABLE, 1), (AUDITED, 0)))
def test_a_finding_fails(script, monkeypatch, packages, status):
    monkeypatch.setattr(script, "licences", list)
    done = subprocess.CompletedProcess((), 0, report(packages, SKIPPED), "")
    monkeypatch.setattr(script.subprocess, "run", lambda *args, **options: done)
    assert script.main() == status


@pytest.mark.parametrize(
    "licence, refused",
    (
        ("MIT", False),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", False),
        ("GNU Lesser General Public License v3 or later (LGPLv3+)", False),
        ("GPL-3.0-only OR MIT", False),
        ("GPL-3.0-only", True),
        ("(MIT OR BSD) AND AGPL-3.0", True),
        ("GNU General Public License (GPL)", True),
        ("Other/Proprietary License", True),
        ("", True),
        ("Something new", True),
    ),
)
def test_licences(script, licence: str, refused: bool):
    assert script.refused(licence) is refused


def test_ci_runs_it():
    text = (ROOT / ".ci" / "run").read_text() if SCRIPT.is_file() else ""
    assert not text or f".venv/bin/python {Path('.ci') / 'dependencies.py'}" in text
