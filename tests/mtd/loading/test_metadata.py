"""Metadata of any types: a file is refused in one line, or loaded with what is understood."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from mtd import models
from mtd.loading import checkpoint_file
from mtd.loading.checkpoint_file import ABOUT, METADATA, WEIGHTS, about_digest
from mtd.loading.load import load
from mtd.loading.options import LoadOptions
from mtd.masking import MaskPolicy
from mtd.networks import registry
from mtd.networks.weights import weights_digest
from mtd.utils.errors import BadInput
from tests.helpers.architectures import TINY, saved, tiny

DEEP: Any = 3
for _ in range(95):
    DEEP = [DEEP]

ODD = (
    *(None, True, False, 0, -1, 1, 2, 10**9, 10**14, 10**18, 10**4000, 0.5, -0.0, 1e308, 1e-320),
    *(float("nan"), float("inf"), -float("inf"), "", "x", "-", "gaussian:15", "a\0b", "\ud800"),
    *("\x1b[31m", "$x_$", "a" * 70_000, "\n", [], {}, [[]], [None], [1], [1, 2], [-1, 101]),
    *([10**9], [1.5], ["a"], ["\udfff"], {"a": 1}, {"": {}}, DEEP, list(range(3000))),
)
"""Values that metadata never has, or has elsewhere."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    return [path, *(place for key, one in items for place in places(one, (*path, key)))]


def changed(about: dict[str, Any], stream: random.Random) -> dict[str, Any]:
    """Metadata with one to three odd values."""
    made = copy.deepcopy(about)
    for _ in range(stream.choice([1, 1, 1, 2, 3])):
        path = stream.choice([p for p in places(made) if p and p[0] not in (WEIGHTS, ABOUT)])
        inner = made
        for key in path[:-1]:
            inner = inner[key]
        kind = stream.random()
        if kind < 0.1 and isinstance(inner, dict):
            del inner[path[-1]]
        elif kind < 0.2 and isinstance(inner, dict):
            inner[stream.choice(["", "x", "a\0", "\ud800", "b" * 5000])] = copy.deepcopy(
                stream.choice(ODD)
            )
        else:
            inner[path[-1]] = copy.deepcopy(stream.choice(ODD))
    return made


def attack(folder: Path, count: int, seed: int, names: Iterable[str] = TINY) -> tuple[int, int]:
    """Numbers of files that were loaded, and refused."""
    stream, loaded, messages = random.Random(seed), 0, list[str]()
    training = {
        "version": "0.1",
        "torch": "2",
        "command": "mtd train",
        "steps": 9,
        "batch_size": 2,
        "crop": 8,
        "noise": "gaussian:15",
        "seed": 0,
        "precision": "float32",
        "ema": 0.9,
        "data": ["a"],
        "images": 3,
        "noise_stream": "",
        "accumulate": 1,
        "out_of_memory_at": [],
    }
    files = []
    for number, name in enumerate(names):
        network = tiny(name)
        weights = {k: v.contiguous() for k, v in network.state_dict().items()}
        about = {
            WEIGHTS: weights_digest(weights),
            "network": registry.describe(network.config),
            "mask": MaskPolicy((60, 70), attention_percent=75).to_dict(),
            "training": training,
        }
        files.append((folder / f"{number}.safetensors", weights, about))
    for number in range(count):
        path, weights, about = files[number % len(files)]
        made = changed(about, stream)
        made[ABOUT] = about_digest(json.loads(json.dumps(made)))
        save_file(weights, path, {METADATA: json.dumps(made)})
        try:
            source = load(path, sigma=25, value_range=None).source
        except BadInput as error:
            messages.append(str(error))
            continue
        loaded += 1
        json.dumps(source, ensure_ascii=False, allow_nan=False).encode()
        trained = source["training"]
        assert isinstance(trained.get("steps", 0), int) and trained.get("steps", 0) >= 0
        assert isinstance(trained.get("noise", ""), str)
    assert all(one.startswith(str(folder)) and "\n" not in one for one in messages)
    return loaded, len(messages)


def test_metadata_of_other_types(tmp_path, capfd):
    loaded, refused = attack(tmp_path, 60, 0, ["DnCNN", "FFDNet"])
    assert min(loaded, refused) > 5
    out, err = capfd.readouterr()
    assert out == "" and all("another type than expected" in line for line in err.splitlines())


@pytest.mark.attack
@pytest.mark.parametrize("seed", range(1, 6))
def test_metadata_of_other_types_at_length(tmp_path, seed):
    assert min(attack(tmp_path, 2000, seed)) > 200


def test_what_is_left_out_is_said(tmp_path, capsys):
    path = tmp_path / "a.pth"
    network = tiny("DnCNN")
    checkpoint_file.save(
        path,
        network.state_dict(),
        network=network.config,
        mask=MaskPolicy(),
        training={"steps": "many", "noise": {"gaussian": 15}, "crop": 8},
    )
    facts = models.inspect(str(path), LoadOptions(), 32, tested=False)
    assert facts["training"] == {"crop": 8} and models.lines(facts)
    said = "read without what it says of its training under noise, steps, which has another type"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_numbers_that_json_does_not_have_are_written_for_every_reader(tmp_path, suffix):
    network, path = tiny("DnCNN"), tmp_path / f"a{suffix}"
    about = {"best": float("inf"), "loss": float("nan"), "seed": 3, "folders": ("a", "b")}
    saved(network, path, **about)
    content = path.read_bytes()
    assert b"NaN" not in content and b": Infinity" not in content
    assert checkpoint_file.read(path).metadata["training"] == {
        **about,
        "best": "inf",
        "loss": None,
        "folders": ["a", "b"],
    }
