"""Two tiny networks, photographs, and a run of CKA with its controls, for each file of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.control_runs import (
    CROPS,
    PHOTOGRAPHS,
    POSITIONED,
    POSITIONS,
    SEED,
    Samples,
    prepare,
    run,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("controls"))


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def path(folder: Path) -> Path:
    """The run that most tests read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder / run("run", "plain.pth", "hidden.pth", *POSITIONED, "--untrained", "2")


@pytest.fixture(scope="module")
def samples(folder: Path) -> Samples:
    found = Samples(folder, CROPS, POSITIONS, SEED)
    assert sorted(map(found.names.count, set(found.names))) == [2] * PHOTOGRAPHS
    return found
