"""Names of models: one file with several settings, and one network under several names."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.cka import command as cka_command
from analysis.cka.settings import CKASettings
from analysis.commands import network_pass, networks
from analysis.commands.command import parser, run_arguments
from analysis.commands.model_names import twins
from analysis.commands.modules import from_python
from analysis.report import requests as report_requests
from mtd.loading import cli_options
from mtd.networks import external
from mtd.utils.errors import BadInput
from tests.helpers.architectures import X, saved, tiny
from tests.helpers.external_networks import SOURCE

TINIEST = ("--crop", "16", "--limit", "4", "--positions", "8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, few_threads):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(folder, monkeypatch):
    """A user's module in the current folder, and weights of its class of width 8."""
    (folder / "mynames.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "mynames", raising=False)
    module, _ = external.make("mynames:make", {"width": 8})
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=stream))
    torch.save(module.state_dict(), "w.pth")
    yield sys.modules["mynames"]
    sys.modules.pop("mynames", None)


def requested(*arguments: str):
    return cli_options.resolve_requests(parser(cka_command.ANALYSIS).parse_args(list(arguments)))


def loaded(requests):
    return networks.load_models(requests, CKASettings(), "cpu")


def run(*arguments: str) -> pd.DataFrame:
    path = run_arguments(cka_command.ANALYSIS, [*arguments, *TINIEST], "test")
    return pd.read_csv(path / "cka.csv")


def test_one_file_with_other_settings_is_another_model(own):
    made = ("--model", "mynames:make", "--checkpoint", "w.pth", "--arg", "width=8")
    plain = ("--model", "mynames:Plain", "--checkpoint", "w.pth", "--arg", "width=8")
    requests = requested(
        *(*made, *plain, *plain, "--arg", "factor=0.5", *plain, "--arg", "factor=2.0"),
        *("--sigma", "9", "--channel-order", "w=bgr", "--residual", "w#2=minus"),
        *("--value-range", "w (factory mynames:Plain, factor 2.0)=255"),
    )
    options = [request.options for request in requests]
    assert [o.residual for o in options] == [None, "minus", None, None]
    assert [o.value_range for o in options] == [None, None, None, 255]
    assert all(o.bgr and o.sigma == 9 for o in options)
    models = loaded([replace(r, options=replace(r.options, sigma=None)) for r in requests])
    assert list(models) == [
        "w (factory mynames:make)",
        "w (factory mynames:Plain, residual minus)",
        "w (factory mynames:Plain, factor 0.5)",
        "w (factory mynames:Plain, factor 2.0, value range 255)",
    ]
    digests = {networks.identity_digest(model) for model in models.values()}
    outputs = {float(model(X).detach().mean()) for model in models.values()}
    assert len(digests) == len(outputs) == 4


def test_one_file_under_two_noise_levels_is_two_models(folder):
    torch.save(tiny("FFDNet").state_dict(), "f.pth")
    requests = requested("f.pth", "f.pth", "--sigma", "f#1=15", "--sigma", "f.pth#2=oracle")
    assert all(request.own_sigma for request in requests)
    models = loaded(requests)
    assert list(models) == ["f (sigma 15)", "f (sigma oracle)"]
    assert twins(models) == []
    (single,) = requested("f.pth", "--sigma", "f=15")
    assert list(loaded([single])) == ["f"]
    with pytest.raises(BadInput, match="given twice"):
        requested("f.pth", "f.pth", "--sigma", "f=15")


def test_one_file_with_and_without_a_wrapper_is_two_models(folder):
    torch.save(tiny("DnCNN").state_dict(), "n.pth")
    requests = requested("n.pth", "n.pth", "--wrap", "n#2=normalize")
    models = loaded(requests)
    assert list(models) == ["n", "n (wrap normalize)"] and twins(models) == []
    plain, wrapped = models.values()
    assert "wrap" not in plain.source["usage"] and wrapped.source["usage"]["wrap"] == "normalize"
    assert networks.identity_of(plain) != networks.identity_of(wrapped)
    assert networks.identity_digest(plain) != networks.identity_digest(wrapped)
    assert network_pass.describe(wrapped.source).startswith("DnCNN (wrap normalize)")
    again = requested(*report_requests.arguments(requests))
    assert [request.options.wrap for request in again] == [None, "normalize"]
    assert report_requests.from_json(report_requests.to_json(requests), "r") == requests


def test_a_module_of_ones_own_is_wrapped_in_python():
    plain, wrapped = (external.wrap(torch.nn.Conv2d(3, 3, 3, padding=1)) for _ in range(2))
    wrapped.input_format = replace(wrapped.input_format, wrap="normalize")
    models = from_python({"plain": plain, "wrapped": wrapped}, CKASettings(), "cpu")
    assert [model.normalizes for model in models.values()] == [False, True]
    assert models["wrapped"].source["usage"] == {"wrap": "normalize"}


def test_two_sets_of_weights_of_one_file_are_two_models(folder):
    raw, averaged = tiny("DnCNN").state_dict(), tiny("DnCNN", seed=1).state_dict()
    torch.save({"params": raw, "params_ema": averaged}, "n.pth")
    models = loaded(
        requested("n.pth", "n.pth", "--weights", "n#1=params", "--weights", "n#2=params_ema")
    )
    assert list(models) == ["n (weights params)", "n (weights params_ema)"]
    one, other = models.values()
    assert networks.identity_digest(one) != networks.identity_digest(other)
    assert not torch.equal(one(X), other(X)) and twins(models) == []


def test_one_file_with_other_arguments_in_a_command(own):
    made = ("--model", "mynames:Plain", "--checkpoint", "w.pth", "--arg", "width=8")
    frame = run(*made, *made, "--arg", "factor=0.5", "--compare", "cross-model")
    assert set(zip(frame.model_a, frame.model_b, strict=True)) == {("w", "w (factor 0.5)")}
    output = frame[frame.layer_a.eq("last") & frame.layer_b.eq("last")]
    assert output.cka.between(0.999, 1.001).all()  # before they differ, in what is subtracted


def test_equal_weights_under_two_names_run_and_are_said(folder, capsys):
    network = tiny("DnCNN")
    saved(network, folder / "a.pth")
    saved(network, folder / "b.safetensors")
    frame = run("a.pth", "b.safetensors", "--compare", "cross-model")
    same = frame[frame.layer_a == frame.layer_b]
    assert np.allclose(same.cka, 1)
    said = "a and b hold equal weights and are called alike: one network under two names"
    assert capsys.readouterr().err.splitlines().count(said) == 1
    assert twins(loaded(requested("a.pth", "b.safetensors", "--residual", "b=minus"))) == []


@pytest.mark.parametrize("name", ["generalization", "srga"])
def test_equal_weights_are_said_in_the_sentences_of_every_analysis(folder, capsys, name):
    network = tiny("DnCNN")
    for file in ("a.pth", "b.safetensors"):
        saved(network, folder / file)
    few = ("--noise", "poisson:3", "--crop", "16", "--limit", "4", "--quiet")
    command = import_module(f"analysis.{name}.command")
    run_arguments(command.ANALYSIS, ["a.pth", "b.safetensors", *few, "--output-dir", "out"])
    said = "a and b hold the same weights."
    assert said in (folder / "out" / "summary.txt").read_text().splitlines()
    assert said in capsys.readouterr().out.splitlines()


def test_modules_of_equal_weights_but_other_attributes_are_no_twins(own):
    modules = [own.Plain(4, factor) for factor in (1.0, 1.0, 0.5)]
    for module in modules:
        module.load_state_dict(modules[0].state_dict())
    models = from_python(dict(zip("abc", modules, strict=True)), CKASettings(), "cpu")
    assert twins(models) == [["a", "b"]]
