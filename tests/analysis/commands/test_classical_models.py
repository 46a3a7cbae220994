"""Classical denoisers and filters as models: refused where layers are needed, usable elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import analysis
from analysis.commands import trainings
from analysis.commands.run_manifest import decisive, read_manifest
from analysis.report import plan as report_plan
from analysis.report import requests
from analysis.report.settings import ReportSettings
from analysis.text.names import unique_names
from mtd.loading import classical, content_gain
from mtd.networks.fixed_filter import FixedFilterConfig
from mtd.utils.errors import BadInput

Call = Callable[..., tuple[int, str, str]]

FEW = ("--crop", "32", "--limit", "4", "--quiet")
LAYERS = (
    *("cka", "srga", "distributions", "degradation", "sensitivity", "attribution"),
    *("linear", "causal", "stitch"),
)


@pytest.mark.parametrize("name", LAYERS)
def test_refused_where_layers_or_gradients_are_needed(
    name: str, pair: Path, in_process: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pair)
    main = import_module(f"analysis.{name}.command").main
    for model in ("classical:blur:0.9", "filter:plain.pth"):
        code, out, err = in_process(main, "hidden.pth", model, *FEW)
        shown = model.removesuffix(".pth")
        assert (code, out) == (2, "") and err == (
            f"error: {shown}: it is not a neural network and has no layers or gradients: leave it "
            "out, or use analysis.generalization, analysis.error or analysis.attribution --map "
            "cem\n"
        )
    assert not (pair / "runs").exists()


def test_refused_in_a_comparison(pair: Path) -> None:
    models = [str(pair / "plain.pth"), str(pair / "hidden.pth"), "classical:blur:1", "classical:tv"]
    with pytest.raises(BadInput, match=r"^classical:(blur:1|tv): (it is not a neural|the noise)"):
        analysis.compare.correlate(models, crop=16, limit=3, progress=False)


def test_brightness_of_a_filter_and_its_manifest(
    pair: Path, in_process: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pair)
    main = import_module("analysis.brightness.command").main
    models = ("plain.pth", "classical:blur:2", "filter:plain.pth@gaussian:25")
    code, out, err = in_process(main, *models, *FEW, "--output-dir", "run")
    assert code == 0, err
    about = read_manifest(pair / "run")["models"]
    assert list(about) == ["plain", "classical:blur:2", "filter:plain@gaussian:25"]
    filtered = about["filter:plain@gaussian:25"]
    assert filtered["filter"]["noise"] == ["gaussian:25"]
    assert filtered["filter"]["model"]["sha256"] == about["plain"]["sha256"]
    code, again, err = in_process(main, *models, *FEW, "--output-dir", "run", "--resume")
    assert code == 0 and again == out
    code, _, err = in_process(main, *models[:2], *FEW, "--output-dir", "run")
    assert code == 2 and "holds another run" in err
    shifted(monkeypatch)
    code, out, err = in_process(main, *models, *FEW, "--output-dir", "run", "--resume")
    assert code == 0, err
    code, _, err = in_process(main, *models[:2], f"{models[2]}.5", *FEW, "--output-dir", "run")
    assert code == 2 and "holds another run (it differs in models)" in err


def shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure gains as on another processor: their last digits are others."""
    measured = content_gain.content_gain

    def other(*args: Any, **kwargs: Any) -> FixedFilterConfig:
        config = measured(*args, **kwargs)
        return replace(config, gains=tuple(gain * (1 + 1e-7) for gain in config.gains))

    monkeypatch.setattr(content_gain, "content_gain", other)
    monkeypatch.setattr(classical, "_gains", {})


def test_the_digest_of_filters_of_several_trainings_decides_nothing() -> None:
    def manifest(digest: str, noise: str = "gaussian:15") -> dict[str, Any]:
        own = {"sha256": digest, "path": "filter:m", "filter": {"gains": [1.0], "noise": noise}}
        network = {"sha256": "same", "path": "m.pth"}
        filters = trainings.together({"filter:m (1)": own, "filter:m (2)": own | {"path": "b"}})
        return {"references": {"filter:m": filters}, "models": {"m": network}}

    assert decisive(manifest("one")) == decisive(manifest("other"))
    assert decisive(manifest("one")) != decisive(manifest("one", "gaussian:25"))
    assert decisive(manifest("one"))["models"]["m"]["sha256"] == "same"


def test_names() -> None:
    assert unique_names(["a/m.pth", "filter:a/m.pth", "filter:b/m.pth", "classical:nlm"]) == [
        *("a/m", "filter:a/m", "filter:b/m", "classical:nlm"),
    ]
    assert unique_names(["filter:m.pth@gaussian:15"]) == ["filter:m@gaussian:15"]
    with pytest.raises(BadInput, match="are the same model"):
        unique_names(["classical:nlm", "classical:nlm"])


def test_a_report_has_classical_models_where_no_layers_are_needed(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ReportSettings(noises=("poisson:3",), crop=16, benchmark_crop=16, lpips=False)
    given = requests.of([str(pair / "plain.pth"), "classical:blur:1"], settings)
    plan = report_plan.make(given, settings, scored=False)
    error, benchmark, cka = plan.jobs(["error", "generalization", "cka"])
    where = "Error decomposition and Generalization alone"
    assert capsys.readouterr().err == f"classical:blur:1: without layers, in {where}\n"
    assert list(cka.inputs.models) == ["plain"]
    assert list(error.inputs.models) == ["plain", "classical:blur:1"]
    beside = {"classical:blur:0.8", "classical:median:3", "filter:plain"}
    assert set(benchmark.inputs.models) == {"plain", "classical:blur:1", "noisy input"} | beside
    assert beside <= set(plan.whole([benchmark, cka]).models)
    assert not beside & set(plan.whole([cka]).models)
    assert list(requests.from_json(requests.to_json(given), "a report")) == given
    alone = requests.of(["classical:blur:1", "classical:median:5"], settings)
    plan = report_plan.make(alone, settings, scored=False)
    with pytest.raises(BadInput, match=r"^section cka: classical:blur:1: it is not a neural"):
        plan.jobs(["cka"], named=["cka"])
