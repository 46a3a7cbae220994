"""Several trainings of one network as one model: names, files, refusals, manifest."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.commands import trainings
from analysis.commands.inputs import load_inputs, manifest_of
from analysis.commands.settings import Settings
from mtd.loading.cli_options import add, resolve_requests
from mtd.loading.model_names import named_files
from mtd.utils import cli
from mtd.utils.errors import BadInput
from tests.helpers.networks import TINY, save_tiny


def parsed(*arguments: str) -> Namespace:
    parser = cli.Parser("analysis.example", "", "")
    parser.add_argument("models", nargs="*")
    add(parser)
    return parser.parse_args(list(arguments))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed in (1, 2, 10):
        save_tiny(tmp_path / f"b{seed}" / "model.pth", seed=seed)
    save_tiny(tmp_path / "other.pth", seed=4)
    return tmp_path


SETTINGS = Settings(crop=16, limit=2)


def test_a_pattern_is_one_model(runs: Path) -> None:
    requests = resolve_requests(parsed(f"baseline={runs}/b*/model.pth", str(runs / "other.pth")))
    inputs = load_inputs(requests, SETTINGS)
    expected = ("baseline (b1)", "baseline (b2)", "baseline (b10)")
    assert inputs.trainings == {"baseline": expected, "other": ("other",)}
    assert inputs.label == "baseline-other"


def test_files_of_one_name_are_one_model(runs: Path) -> None:
    files = [f"mine={runs / f'b{seed}' / 'model.pth'}" for seed in (1, 2)]
    inputs = load_inputs(resolve_requests(parsed(*files)), SETTINGS)
    assert inputs.trainings == {"mine": ("mine (b1)", "mine (b2)")}


def test_a_single_file_is_named(runs: Path) -> None:
    inputs = load_inputs(resolve_requests(parsed(f"mine={runs}/other.pth")), SETTINGS)
    assert inputs.trainings == {"mine": ("mine",)}
    assert "trainings" not in manifest_of("cka", SETTINGS, inputs)["models"]["mine"]


def test_a_file_whose_name_has_an_equals_sign_is_itself(tmp_path: Path) -> None:
    file = save_tiny(tmp_path / "a=b.pth")
    assert named_files(str(file)) == [("", str(file))]


@pytest.mark.parametrize("given", ["runs/a=b/c.pth", "filter:a.pth@gaussian:=poisson:3"])
def test_an_equals_sign_of_a_path_or_noise_names_nothing(given: str) -> None:
    assert named_files(given) == [("", given)]


def test_options_may_name_the_model(runs: Path) -> None:
    arguments = parsed(f"baseline={runs}/b*/model.pth", "--value-range", "baseline=1")
    assert [of.options.value_range for of in resolve_requests(arguments)] == [1, 1, 1]


def test_python_takes_lists_and_patterns(runs: Path) -> None:
    files = [runs / "b1" / "model.pth", runs / "b2" / "model.pth"]
    inputs = load_inputs({"a": files, "b": str(runs / "b*" / "model.pth")}, SETTINGS)
    assert inputs.trainings["a"] == ("a (b1)", "a (b2)")
    assert inputs.trainings["b"] == ("b (b1)", "b (b2)", "b (b10)")


def test_python_takes_modules() -> None:
    networks = [torch.nn.Conv2d(3, 3, 3, padding=1) for _ in range(2)]
    inputs = load_inputs({"mine": networks}, SETTINGS)
    assert inputs.trainings == {"mine": ("mine (1)", "mine (2)")}


def test_python_takes_patterns_as_paths(runs: Path) -> None:
    inputs = load_inputs({"b": runs / "b*" / "model.pth"}, SETTINGS)
    assert inputs.trainings == {"b": ("b (b1)", "b (b2)", "b (b10)")}


@pytest.mark.parametrize("order", [1, -1])
def test_python_models_do_not_take_the_place_of_a_training(runs: Path, order: int) -> None:
    files = [runs / "b1" / "model.pth", runs / "b2" / "model.pth"]
    models = {"a": files, "a (b1)": runs / "other.pth"}
    with pytest.raises(BadInput, match="two models are named 'a \\(b1\\)'"):
        load_inputs(dict(list(models.items())[::order]), SETTINGS)


def test_the_manifest_has_the_model_with_its_trainings(runs: Path) -> None:
    requests = resolve_requests(parsed(f"baseline={runs}/b*/model.pth"))
    inputs = load_inputs(requests, SETTINGS)
    about = manifest_of("cka", SETTINGS, inputs)["models"]
    assert list(about) == ["baseline"]
    assert list(about["baseline"]["trainings"]) == list(inputs.models)
    digests = {own["sha256"] for own in about["baseline"]["trainings"].values()}
    assert len(digests) == 3
    assert about["baseline"]["sha256"] not in digests
    assert "training_of" not in about["baseline"]


def test_a_subset_keeps_all_trainings(runs: Path) -> None:
    inputs = load_inputs({"a": f"{runs}/b*/model.pth", "c": runs / "other.pth"}, SETTINGS)
    assert list(inputs.subset(models=["a"]).models) == ["a (b1)", "a (b2)", "a (b10)"]


def refused(*models: str) -> str:
    with pytest.raises(BadInput) as error:
        load_inputs(resolve_requests(parsed(*models)), SETTINGS)
    return str(error.value)


def test_no_match_is_one_line(runs: Path) -> None:
    text = refused(f"baseline={runs}/c*/model.pth")
    assert "no file matches" in text
    assert "\n" not in text


def test_a_name_without_a_file_is_refused() -> None:
    assert "expected NAME=FILE" in refused("baseline=")


def test_other_networks_are_refused(runs: Path) -> None:
    save_tiny(runs / "b3" / "model.pth", 3, replace(TINY, depths=(1, 2)))
    assert "differ in more than their weights" in refused(f"baseline={runs}/b*/model.pth")


def test_equal_weights_are_refused(runs: Path) -> None:
    copy = runs / "b4" / "model.pth"
    copy.parent.mkdir()
    copy.write_bytes((runs / "b2" / "model.pth").read_bytes())
    assert "equal weights" in refused(f"baseline={runs}/b*/model.pth")


def test_a_name_that_is_taken_is_refused(runs: Path) -> None:
    text = refused(f"other={runs}/b*/model.pth", str(runs / "other.pth"))
    assert "two models are named 'other'" in text


def test_rows_of_single_trainings() -> None:
    frame = pd.DataFrame({"model": ["a (1)", "a (2)", "b"], "value": [1.0, 2.0, 3.0]})
    rows = trainings.by_training(frame, {"a": ("a (1)", "a (2)"), "b": ("b",)})
    assert rows.to_dict("list") == {
        "model": ["a", "a"],
        "training": ["a (1)", "a (2)"],
        "value": [1.0, 2.0],
    }


@pytest.mark.parametrize("missing", [0, 1])
def test_a_mean_without_a_value_has_the_reason_of_any_training(missing: int) -> None:
    values, reasons = [1.0, 2.0], ["", ""]
    values[missing], reasons[missing] = float("nan"), "its features do not vary"
    frame = pd.DataFrame({"model": ["a (1)", "a (2)"], "value": values, "reason": reasons})
    mean = trainings.averaged(frame, {"a": ("a (1)", "a (2)")}).iloc[0]
    assert np.isnan(mean.value)
    assert mean.reason == "its features do not vary"
