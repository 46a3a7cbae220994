"""The last quarter of networks without blocks: features alone, named in a sentence."""

from __future__ import annotations

import json

import pytest
import torch

import analysis
import mtd
from analysis.engine.observer import OUTPUT
from mtd.networks import profile
from mtd.networks.external import wrap
from tests.helpers import external_networks
from tests.helpers.networks import tiny_network
from tests.helpers.paths import data_folder
from tests.mtd.networks.test_layer_roles import Gated, Image

NOISES = ["gaussian:15", "poisson:3"]


def compared(models, **settings):
    return analysis.cka.compare(models, noises=NOISES, crop=32, limit=4, progress=False, **settings)


def seeded(kind):
    torch.manual_seed(0)
    return kind()


@pytest.fixture(scope="module")
def unet():
    space: dict = {}
    exec(external_networks.SOURCE, space)
    return wrap(seeded(space["UNet"]))


@pytest.fixture(scope="module")
def result(unet):
    models = {"gated": seeded(Gated), "image": seeded(Image), "swinir": tiny_network()}
    return compared({**models, "unet": unet})


def test_layers_that_hold_the_output_are_left_out_of_the_last_quarter(result):
    layers = result.layers[result.layers.noise == NOISES[0]]
    outputs = layers[layers.role == "output"].groupby("model").layer.agg(list)
    assert outputs.gated == ["last", "mix"] and outputs.image == ["last"]
    assert outputs.swinir == ["conv_after_body", "conv_last"] and outputs.unet == ["_block6.4"]
    last = layers[layers.last_quarter].groupby("model").layer.agg(list)
    assert last.gated == last.image == ["b"]
    names = list(layers.layer[layers.model == "unet"])
    # 22 features, each call of a shared layer among them
    assert len(names) == 23 and last.unet == names[17:22]


def test_the_mean_is_over_the_marked_layers(result):
    for row in result.last_quarter.itertuples():
        a, b = (
            set(result.layers[(result.layers.model == model) & result.layers.last_quarter].layer)
            for model in (row.model_a, row.model_b)
        )
        cells = result.cells
        views = ["model_a", "noise_a", "model_b", "noise_b"]
        part = cells[(cells[views] == [getattr(row, name) for name in views]).all(axis=1)]
        part = part[part.layer_a.isin(a) & part.layer_b.isin(b)]
        if row.pairs == "same":
            part = part[part.layer_a == part.layer_b]
        assert row.cka == pytest.approx(part.cka.mean(), abs=1e-12)
        assert row.pairs == ("same" if row.model_a == row.model_b else "all") or a == b


def test_sentences_name_the_layers_the_encoder_and_what_is_predicted(result):
    text = " ".join(result.sentences())
    assert "b (last and mix, left out, hold the output) of `gated`" in text
    assert "b (last, left out, holds the output) of `image`" in text
    assert "_block5.0#3 to _block6.2 (_block6.4, left out, holds the output) of `unet`" in text
    assert (
        "`unet` is an encoder with a decoder: its deepest features are in the middle "
        "(_block3.0, at 1/32 of the image's size), its last quarter is next to the output." in text
    )
    assert "`gated` predicts the noise, `image`, `swinir` and `unet` predict the image:" in text
    assert "encoder" not in " ".join(compared({"image": seeded(Image)}).sentences())


def test_recorded_layers_that_all_hold_the_output_are_said_to():
    model = seeded(Gated)
    text = " ".join(compared({"gated": model}, layers=["last", "mix"]).sentences())
    assert "The last quarter is mix (all its recorded layers hold the output)." in text


def test_models_that_predict_the_same_get_no_note():
    text = " ".join(compared({"image": seeded(Image), "swinir": tiny_network()}).sentences())
    assert "predict" not in text


def test_described_default_layers_are_those_that_are_compared(result, unet):
    facts = profile.describe(unet, 64)
    rows = result.layers[(result.layers.model == "unet") & (result.layers.noise == NOISES[0])]
    assert facts["layer_calls"] == len(rows)
    assert facts["layers"] == rows.layer.str.partition("#")[0].nunique()


def test_every_analysis_takes_the_features_before_the_noise():
    models = {"gated": seeded(Gated)}
    options = {"noises": NOISES, "crop": 32, "limit": 4, "progress": False}
    srga = analysis.srga.score_models(models, **options)
    assert set(srga.scores.layer) == {"input:last"}
    shown = analysis.distributions.measure_distances(models, **options)
    assert set(shown.distances.layer[shown.distances.last_features]) == {"input:last"}


def test_the_published_dncnn():
    folder = data_folder("checkpoints")
    network = mtd.load(folder / "dncnn_color_blind.pth")
    shown = compared({"dncnn": network})
    curve = shown.depth.set_index("layer").cka
    # its output is the predicted noise, and two noises are independent
    assert abs(curve["model.38"]) < 0.2 < 0.7 < curve["model.36"]
    assert list(shown.layers.layer[shown.layers.last_quarter][:4]) == [
        *("model.30", "model.32", "model.34", "model.36")
    ]
    assert OUTPUT not in json.dumps(shown.manifest["layers"])
