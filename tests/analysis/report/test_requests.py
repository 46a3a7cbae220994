"""Models of a report from Python: paths and bundled names."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from torch import nn

from analysis.cka import command as cka_command
from analysis.commands.command import parser as analysis_parser
from analysis.commands.model_names import names_of
from analysis.report import command, requests, verify_trust
from analysis.report.requests import SHARED
from analysis.report.settings import ReportOptions, ReportSettings
from mtd.loading import cli_options
from mtd.loading.cli_options import ModelRequest
from mtd.loading.options import LoadOptions
from mtd.utils.errors import BadInput


def test_paths_and_bundled_names_are_models():
    settings = ReportSettings(seed=3, mask_samples=2)
    options = LoadOptions(seed=3, mask_samples=2)
    expected = [ModelRequest("a.pth", options), ModelRequest("b.pth", options)]
    assert requests.of(["a.pth", Path("b.pth")], settings) == expected
    assert requests.of("a.pth", settings) == requests.of(Path("a.pth"), settings) == expected[:1]
    assert requests.of(expected, settings) == expected
    assert requests.of((path for path in ("a.pth", "b.pth")), settings) == expected


@pytest.mark.parametrize("models", [[], (), None, 3, [None], [nn.Identity()], nn.Identity()])
def test_anything_else_is_refused(models):
    with pytest.raises(BadInput, match="expected paths of checkpoints or bundled names"):
        requests.of(models, ReportSettings())


def test_the_function_takes_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"absent\.pth"):
        command.run(["absent.pth"])
    with pytest.raises(BadInput, match="expected paths"):
        command.run([])
    with pytest.raises(BadInput, match="one or the other"):
        command.run(["absent.pth"], folders=["runs/x"])
    with pytest.raises(BadInput, match="run folder"):
        command.run(folders=["runs/x"])
    with pytest.raises(BadInput, match="verify"):
        command.run(["absent.pth"], options=ReportOptions(verify="runs/x"))
    assert not list(tmp_path.iterdir())


def test_requests_are_the_same_from_json_and_from_a_command_line():
    given = [
        ModelRequest("a.pth", LoadOptions(sigma=15, value_range=255, residual="minus")),
        ModelRequest("./a.pth", LoadOptions(sigma=25)),
        ModelRequest("a.pth", LoadOptions(sigma=25, weights="state_dict.model")),
        ModelRequest("c.pth", LoadOptions(sigma="oracle", per_channel=True, options="c.json")),
        ModelRequest("b.pth", LoadOptions(factory="m:f", arguments={"w": 3}, bgr=True)),
        ModelRequest("b.pth", LoadOptions(factory="m:f", arguments={"w": 5}, bgr=False)),
    ]
    assert requests.from_json(requests.to_json(given), "a report") == given
    parsed = analysis_parser(cka_command.ANALYSIS).parse_args(requests.arguments(given))
    again = cli_options.resolve_requests(parsed)
    assert [(r.path, r.options) for r in again] == [(r.path, r.options) for r in given]
    assert names_of(again) == [
        "a (sigma 15, value range 255, residual minus)",
        "a (sigma 25)",
        "a (weights state_dict.model, sigma 25)",
        "c",
        "b (w 3, channel order bgr)",
        "b (w 5, channel order rgb)",
    ]


OPTIONS = {
    "options": "c.json",
    "weights": "params_ema",
    "sigma": 15.0,
    "value_range": 255.0,
    "bgr": True,
    "per_channel": True,
    "residual": "flip",
    "factory": "m:f",
    "arguments": {"w": 3},
    "wrap": "normalize",
}


@pytest.mark.parametrize("name", [f.name for f in fields(LoadOptions) if f.name not in SHARED])
def test_every_option_makes_another_model_of_a_file(name):
    """It reaches the name in tables, the command line and the manifest."""
    own = {name: OPTIONS[name]} | ({"factory": "m:f"} if name == "arguments" else {})
    plain = ModelRequest("a.pth", LoadOptions())
    other = ModelRequest("a.pth", LoadOptions(**own))
    parsed = analysis_parser(cka_command.ANALYSIS).parse_args(requests.arguments([plain, other]))
    again = cli_options.resolve_requests(parsed)
    assert [r.options for r in again] == [plain.options, other.options]
    assert requests.from_json(requests.to_json([other]), "a report") == [other]
    first, second = names_of(again)
    assert first == "a" and second.startswith("a (") and "=" not in second
    if name == "weights":
        assert second == "a (weights params_ema)"


def test_replacements_of_a_class_that_is_there_twice():
    requested = [
        ModelRequest("b.pth", LoadOptions(factory="m:f", arguments={"w": w})) for w in (3, 5)
    ]
    one = ModelRequest("x.pth", LoadOptions(factory="m:f"))
    both = [one, ModelRequest("y.pth", LoadOptions(factory="m:f"))]
    replaced = verify_trust.replaced_paths("r", requested, [one])
    assert [r.path for r in replaced] == ["x.pth", "x.pth"]
    assert [r.options for r in replaced] == [r.options for r in requested]
    replaced = verify_trust.replaced_paths("r", requested, both)
    assert [r.path for r in replaced] == ["x.pth", "y.pth"]
