"""What names runs of snapshots may have, and what is said without any."""

from __future__ import annotations

import pytest

from analysis.cka import compare_snapshots
from analysis.commands.snapshots import as_texts
from analysis.srga.matched_psnr.command import score_snapshots
from mtd.utils.errors import BadInput


@pytest.mark.parametrize("function", [compare_snapshots, score_snapshots])
@pytest.mark.parametrize("runs", [[], (), {}])
def test_no_run_is_one_clear_line(function, runs):
    with pytest.raises(BadInput, match="none given; expected folders of snapshots") as error:
        function(runs)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("function", [compare_snapshots, score_snapshots])
@pytest.mark.parametrize("name", ["a=b", "runs/a", "a\\b", "a:b", ""])
def test_names_that_could_not_be_told_from_folders_are_refused(function, name):
    with pytest.raises(BadInput, match="expected a name without = / ") as error:
        function({name: "folder"})
    assert repr(name) in str(error.value)


def test_a_name_without_folders_is_refused():
    with pytest.raises(BadInput, match="run 'a': no folder given"):
        as_texts({"a": []})


def test_runs_as_the_command_line_has_them():
    assert as_texts({"a": ["x", "y"], "b": "z"}) == ["a=x", "a=y", "b=z"]
    assert as_texts(["x", "y"]) == ["x", "y"] and as_texts("x") == ["x"]
