"""Too little memory, and networks that fail in the middle of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import torch

from analysis.brightness.command import measure_brightness
from analysis.commands.command import run_arguments
from analysis.engine import forward
from mtd.inference.forward import denoise
from tests.helpers.run_folders import contents

COMMON = ("plain.pth", "hidden.pth", "--crop", "16", "--limit", "6", "--quiet")
NOISES = ("--noise", "gaussian:15", "--noise", "poisson:3")
RUN = (*COMMON, *NOISES)
OF_ONE = ("plain.pth", *COMMON[2:], *NOISES)


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def start(name: str, *given: str) -> Path:
    return run_arguments(import_module(f"analysis.{name}.command").ANALYSIS, given, "test")


def limited(monkeypatch: pytest.MonkeyPatch, crops: int, error: Exception) -> None:
    """Memory for so many crops at once."""

    def short(model: torch.nn.Module, noisy: torch.Tensor, **how: object) -> torch.Tensor:
        if len(noisy) > crops:
            raise error
        return denoise(model, noisy, **how)

    monkeypatch.setattr(forward, "denoise", short)


ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("CUDA error: out of memory"),
    MemoryError(),
)


@pytest.mark.parametrize(
    "name, error",
    [
        ("brightness", ERRORS[0]),
        pytest.param("cka", ERRORS[1], marks=pytest.mark.attack),
        pytest.param("error", ERRORS[2], marks=pytest.mark.attack),
    ],
)
def test_out_of_memory_continues_as_with_smaller_batches(folder, monkeypatch, name, error):
    size = "6" if name == "cka" else "3"
    more = ("--limit", "12") if name == "cka" else ()
    given = (*(OF_ONE if name == "brightness" else RUN), *more, "--output-dir")
    expected = contents(start(name, *given, "small", "--batch-size", size))
    limited(monkeypatch, int(size), error)
    path = start(name, *given, "short")
    assert contents(path) == expected
    (entry,) = json.loads((path / "run.json").read_text())["runs"]
    assert entry["changes"] == {"batch_size": int(size), "left_out": {}} and entry["finished"]
    assert contents(start(name, *given, "short", "--resume")) == expected
    assert contents(start(name, *given, "short")) == expected


def test_an_interrupted_run_keeps_its_smaller_batches(folder, monkeypatch):
    expected = contents(start("brightness", *OF_ONE, "--batch-size", "1", "--output-dir", "small"))
    limited(monkeypatch, 1, ERRORS[0])
    original, calls = forward.denoise, 0

    def interrupted(*given: object, **how: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return original(*given, **how)

    monkeypatch.setattr(forward, "denoise", interrupted)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        start("brightness", *OF_ONE, "--output-dir", "short")
    assert contents(start("brightness", *OF_ONE, "--output-dir", "short", "--resume")) == expected


def test_a_batch_that_cannot_be_smaller_is_one_line(folder, monkeypatch, in_process):
    limited(monkeypatch, 0, ERRORS[0])
    main: Callable[[], None] = import_module("analysis.brightness.command").main
    code, _, err = in_process(main, *RUN, "--output-dir", "run")
    assert code == 1
    assert err.splitlines() == ["failed: out of memory: lower --batch-size, --crop or --memory"]


def test_in_memory_too(folder, monkeypatch):
    given = {"noises": ["gaussian:15"], "crop": 16, "limit": 6, "progress": False}
    small = measure_brightness(["plain.pth"], batch_size=3, **given)
    limited(monkeypatch, 3, ERRORS[0])
    short = measure_brightness(["plain.pth"], **given)
    for name, frame in small.frames.items():
        pd.testing.assert_frame_equal(short.frames[name], frame)


def test_a_network_that_fails_in_the_middle_is_left_out(folder, monkeypatch, in_process):
    """As long as others are left; before anything is computed, the error is what it is."""
    given = ("--batch-size", "2", *RUN)
    start("brightness", "plain.pth", *given[:2], *RUN[2:], "--output-dir", "alone")
    calls = 0

    def failing(model: torch.nn.Module, noisy: torch.Tensor, **how: object) -> torch.Tensor:
        nonlocal calls
        if model.inference.policy.attention_percent:
            calls += 1
            if calls == 4:
                raise ValueError("no such frequency\nmore")
        return denoise(model, noisy, **how)

    monkeypatch.setattr(forward, "denoise", failing)
    main = import_module("analysis.brightness.command").main
    code, out, err = in_process(main, *given, "--output-dir", "run")
    assert (
        code == 3
        and "plain" in out
        and err.splitlines()
        == [
            "failed: 1 model left out, the others are written to run: hidden (ValueError: no such "
            "frequency); to try again, give another --output-dir"
        ]
    )
    assert contents(folder / "run") == contents(folder / "alone")
    code, _, again = in_process(main, *given, "--output-dir", "run", "--resume")
    assert (code, again) == (3, err) and contents(folder / "run") == contents(folder / "alone")
    monkeypatch.setattr(forward, "denoise", denoise)
    code, _, _ = in_process(main, *given, "--output-dir", "new")
    assert code == 0


@pytest.mark.attack
def test_features_that_are_not_finite_are_a_reason(folder, monkeypatch):
    """NaN in one layer of one network, in the middle of a run."""
    calls = 0

    def spoilt(module: torch.nn.Module, given: object, value: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return value * float("nan") if calls > 2 else value

    original = forward.denoise

    def denoised(model: torch.nn.Module, noisy: torch.Tensor, **how: object) -> torch.Tensor:
        if not model.inference.policy.attention_percent:
            return original(model, noisy, **how)
        layer = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)][-2]
        with layer.register_forward_hook(spoilt):
            return original(model, noisy, **how)

    monkeypatch.setattr(forward, "denoise", denoised)
    for name in ("cka", "srga", "distributions", "sensitivity", "error"):
        own = () if name != "cka" else ("--limit", "12", "--batch-size", "4")
        path = start(name, *RUN, "--batch-size", "2", *own, "--output-dir", name)
        tables = [pd.read_csv(file) for file in path.glob("*.csv")]
        reasons = [t.reason.dropna() for t in tables if "reason" in t and len(t)]
        assert any("finite" in text for r in reasons for text in map(str, r)), name
