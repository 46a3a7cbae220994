"""Manifests of run folders that came from somebody else."""

from __future__ import annotations

import json

import pytest

from analysis.commands.run_manifest import read_manifest
from mtd.utils.errors import BadInput


@pytest.mark.parametrize(
    "entries, entry",
    [
        ({"analysis": 1}, "analysis"),
        ({"analysis": "a\nb"}, "analysis"),
        ({"analysis": "a\x1b[2J"}, "analysis"),
        ({"analysis": "a" * 1000}, "analysis"),
        ({"models": [1]}, "models"),
        ({"models": {"a": 1}}, "models"),
        ({"models": {"a": {"trainings": {"b": 1}}}}, "models"),
        ({"noises": "gaussian:15"}, "noises"),
        ({"noises": [15]}, "noises"),
        ({"versions": []}, "versions"),
        ({"arguments": [1]}, "arguments"),
    ],
)
def test_entries_of_another_shape_are_refused_in_one_line(tmp_path, entries, entry):
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    with pytest.raises(BadInput) as error:
        read_manifest(tmp_path)
    assert str(error.value) == f"{tmp_path / 'manifest.json'}: damaged ({entry})"
