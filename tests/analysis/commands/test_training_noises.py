"""What models were trained on: by the user, by their checkpoints, or unknown."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from analysis.commands.training_noises import (
    GIVEN,
    entry,
    from_entry,
    given_entry,
    notes,
    of_models,
    overruled,
    splits,
)
from mtd.utils.errors import BadInput

SPECS = ["gaussian:15", "gaussian:50", "poisson:3", "gaussian:0"]


def models(**noises: str | None) -> dict[str, SimpleNamespace]:
    """Models by name, and the training noise in their metadata."""
    return {
        name: SimpleNamespace(
            source={"path": f"{name}.pth", "training": {"noise": noise} if noise else {}}
        )
        for name, noise in noises.items()
    }


def test_a_checkpoint_says_it_else_it_is_unknown():
    found = of_models(models(a="gaussian:15", b="gaussian:0..gaussian:55", c=None), [], SPECS)
    assert found == {"a": ("gaussian:15",), "b": ("gaussian:15", "gaussian:50"), "c": None}
    assert of_models(models(a="a noise of another package"), [], SPECS) == {"a": ()}


def test_several_noises_and_test_sets_stand_between_semicolons():
    several = models(a="gaussian:10..20; poisson:3; sidd_small")
    assert of_models(several, [], [*SPECS, "sidd_small"]) == {
        "a": ("gaussian:15", "poisson:3", "sidd_small")
    }
    blank = models(a="gaussian:15; ", b=" ", c=";")
    assert of_models(blank, [], SPECS) == {"a": ("gaussian:15",), "b": None, "c": None}


def test_the_user_goes_before_the_checkpoint_and_a_model_before_all():
    two = models(a="gaussian:15", b=None)
    assert of_models(two, ["poisson:3.0"], SPECS) == {"a": ("poisson:3",), "b": ("poisson:3",)}
    of_one = of_models(two, ["b.pth=gaussian:0..55", "b=poisson:3"], SPECS)
    assert of_one == {"a": ("gaussian:15",), "b": ("gaussian:15", "gaussian:50", "poisson:3")}
    given = ["isp,shot=0.01", "a=gaussian:50"]
    assert of_models(two, given, SPECS) == {"a": ("gaussian:50",), "b": ()}
    with pytest.raises(BadInput, match="no model 'x'; known: a, b"):
        of_models(two, ["x=gaussian:15"], SPECS)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("gaussian:=poisson:3", {"a": ["gaussian:=poisson:3"], "lr=1/b": ["gaussian:=poisson:3"]}),
        ("a=gaussian:=poisson:3", {"a": ["gaussian:=poisson:3"], "lr=1/b": []}),
        ("lr=1/b=gaussian:=poisson:3", {"a": [], "lr=1/b": ["gaussian:=poisson:3"]}),
        ("lr=1/b=poisson:3,values=unique", {"a": [], "lr=1/b": ["poisson:3,values=unique"]}),
        ("folder:x=1@2", {"a": ["folder:x=1@2"], "lr=1/b": ["folder:x=1@2"]}),
        ("a=folder:x=1@2", {"a": ["folder:x=1@2"], "lr=1/b": []}),
    ],
)
def test_a_prefix_counts_only_if_it_names_a_model(text, expected):
    specs = ["gaussian:=poisson:3", "poisson:3,values=unique", "folder:x=1@2", "folder:x=1"]
    two = models(**{"a": "gaussian:15", "lr=1/b": "gaussian:15"})
    assert of_models(two, [text], specs) == {name: tuple(of) for name, of in expected.items()}


@pytest.mark.parametrize(
    "text, message",
    [
        ("aa=gaussian:15", "no model 'aa'; did you mean a?"),
        ("lr=2/b=gaussian:=isp", "no model 'lr=2/b'; did you mean lr=1/b?"),
        ("aa=gausian:15", "no model 'aa'; did you mean a?"),
        ("a=gausian:15", "noise 'gausian:15': did you mean gaussian:15?"),
        ("poison:3,values=unique", "did you mean poisson:3,values=unique?"),
        ("poisson:3,value=unique", "poisson has no option 'value'; did you mean values?"),
        ("gaussian:=poison:3", "no kind 'poison'; did you mean poisson?"),
        ("gausian:=poisson:3", "noise 'gausian:=poisson:3': expected gaussian:="),
    ],
)
def test_a_misspelt_name_is_no_noise_and_a_misspelt_noise_no_name(text, message):
    two = models(**{"a": "gaussian:15", "lr=1/b": "gaussian:15"})
    with pytest.raises(BadInput) as error:
        of_models(two, [text], SPECS)
    assert f"--in-distribution {text}: " in str(error.value) and message in str(error.value)


def test_what_the_option_says_against_a_checkpoint_is_said():
    three = models(a="gaussian:15", b=None, c="gaussian:0..gaussian:55")
    given = ["a=gaussian:50", "b=gaussian:50", "c=gaussian:0..55"]
    held = given_entry(three, given, SPECS)[GIVEN]
    assert held == {
        "a": {"option": ["gaussian:50"], "checkpoint": "gaussian:15"},
        "b": {"option": ["gaussian:50"], "checkpoint": None},
        "c": {"option": ["gaussian:0..55"], "checkpoint": "gaussian:0..gaussian:55"},
    }
    assert overruled(held) == [
        "`a` is taken to be trained on Gaussian σ = 50, as `--in-distribution` says; its "
        "checkpoint says Gaussian σ = 15."
    ]
    assert given_entry(three, [], SPECS) == {} and overruled({}) == []
    zoo = {"a": {"training": {"noise": "gaussian:15", "zoo": "kair/dncnn_15"}}}
    assert overruled(held, zoo)[0].endswith(
        "; the entry `kair/dncnn_15` of the model zoo says Gaussian σ = 15."
    )


def test_a_noise_of_level_0_is_neither():
    found = of_models(models(a="gaussian:0..gaussian:55"), [], SPECS)
    assert splits(found, SPECS) == {
        "gaussian:15": True,
        "gaussian:50": True,
        "poisson:3": False,
        "gaussian:0": None,
    }


def test_indices_are_over_noises_that_are_the_same_to_all():
    found = of_models(models(a="gaussian:15", b="gaussian:0..gaussian:55", c=None), [], SPECS)
    assert splits(found, SPECS) == {
        "gaussian:15": True,
        "gaussian:50": None,
        "poisson:3": False,
        "gaussian:0": None,
    }
    said = " ".join(notes(found, SPECS))
    assert (
        "What `c` was trained on is unknown" in said and "trained on Gaussian σ = 50, and" in said
    )
    assert "gaussian:0" not in said
    assert splits({"c": None}, SPECS) == dict.fromkeys(SPECS)
    assert notes({"a": ["gaussian:15"]}, SPECS) == []


def test_what_a_manifest_holds():
    assert entry({"a": ("x",), "b": ("x",)}) == ["x"]
    for trained in ({"a": ["x"], "b": None}, {"a": None}, {"a": [], "b": ["x"]}):
        assert from_entry(entry(trained), trained) == trained
    assert from_entry(["x"], ["a", "b"]) == {"a": ("x",), "b": ("x",)}  # as runs had before


def trainings(**noises: str | None) -> dict[str, SimpleNamespace]:
    """The trainings of a model `base`, and the training noise in their metadata."""
    found = models(**noises)
    for network in found.values():
        network.source["training_of"] = "base"
    return found


def test_several_trainings_have_what_their_model_was_trained_on():
    two = {**trainings(b1="gaussian:15", b2="gaussian:15"), **models(other=None)}
    assert of_models(two, [], SPECS) == {"base": ("gaussian:15",), "other": None}
    given = ["base=gaussian:50", "other=poisson:3"]
    assert of_models(two, given, SPECS) == {"base": ("gaussian:50",), "other": ("poisson:3",)}
    with pytest.raises(BadInput, match="no model 'b1'; known: base, other"):
        of_models(two, ["b1=gaussian:15"], SPECS)


@pytest.mark.parametrize("noise, said", [("gaussian:50", "gaussian:50"), (None, "unknown")])
def test_trainings_on_different_noises_are_no_trainings_of_one_model(noise, said):
    two = trainings(b1="gaussian:15", b2=noise)
    with pytest.raises(BadInput) as error:
        of_models(two, [], SPECS)
    assert (
        f"base: its trainings were trained on different noises (gaussian:15 of b1 and {said}"
        in (str(error.value))
    )
    assert of_models(two, ["base=gaussian:15"], SPECS) == {"base": ("gaussian:15",)}
