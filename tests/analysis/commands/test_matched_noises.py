"""Noises of matched strength in runs: as strong image by image, σ in a table, wrong input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import analysis
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.engine.forward import ForwardSettings, make_noisy_batch
from analysis.engine.observer import Batch
from analysis.generalization import command as generalization
from analysis.generalization import figures, noise_suite
from analysis.generalization.comparison_strips import file_name
from analysis.generalization.settings import GeneralizationSettings
from analysis.text.matched_noises import NAME, sentences
from analysis.text.noise_names import noise_label
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise.specs import parse
from mtd.utils import seeds
from mtd.utils.errors import BadInput

OTHERS = ("poisson:3", "salt_pepper:0.05", "isp", "poisson:3,values=unique")
MATCHED = tuple(f"gaussian:={spec}" for spec in OTHERS)
FEW = ("--crop", "24", "--limit", "5", "--no-lpips", "--quiet")


def noise_options(*specs: str) -> tuple[str, ...]:
    return tuple(text for spec in specs for text in ("--noise", spec))


@pytest.fixture(scope="module")
def run(tiny_pair: Path) -> Any:
    """A benchmark of one model under four noises and Gaussian noise as strong."""
    specs = ("gaussian:10", "gaussian:15", *OTHERS, *MATCHED)
    more = {"crop": 24, "limit": 5, "seed": 4, "lpips": False, "progress": False}
    return analysis.generalization.benchmark(str(tiny_pair / "plain.pth"), noises=specs, **more)


def test_the_noisy_input_has_the_psnr_of_the_other_noise_on_every_crop(run):
    results = run.frames["results"]
    noisy = results[(results.model == "noisy input") & (results.metric == "psnr")]
    psnr = noisy.pivot(index=["image", "top", "left"], columns="noise", values="value")
    for other, matched in zip(OTHERS, MATCHED, strict=True):
        if other != "isp":  # its PSNR is against another target
            assert np.allclose(psnr[matched], psnr[other], rtol=0, atol=2e-3), other
    assert psnr["poisson:3"].std() > 0.5
    assert set(noisy[noisy.noise == MATCHED[0]].kind) == {"gaussian"}
    assert noisy[noisy.noise == MATCHED[0]].level.isna().all()


def test_sigma_of_every_crop_is_in_the_run_folder(run):
    """Against a search of its own: at σ the noise is as strong, at 0.999 σ it is weaker."""
    table = run.frames["matched_noises"]
    cut = {crop.digest: crop for crop in data_crops.crops(photographs.photographs(), 24, 5)}
    assert list(table.noise) == [spec for spec in MATCHED for _ in cut]
    assert list(table.sha256) == list(cut) * len(MATCHED)
    for row in table.itertuples():
        crop = cut[row.sha256]
        assert (row.image, row.top, row.left) == (crop.image, crop.top, crop.left)
        clean = data_crops.to_tensor([crop.pixels])
        other = parse(row.noise.removeprefix("gaussian:="))
        stream = seeds.generator("noise", 4, crop.digest, other.spec)
        noisy, target = (255 * image.double() for image in other.pair(clean, generator=stream))
        wanted = float((noisy - target).square().mean())
        stream = seeds.generator("noise", 4, crop.digest, row.noise)
        normal = torch.randn(clean.shape, generator=stream).double().numpy()
        levels = crop.pixels.transpose(2, 0, 1)[None].astype(float)
        strengths = [
            np.square(np.rint(np.clip(levels + sigma * normal, 0, 255)) - levels).mean()
            for sigma in (row.sigma, 0.999 * row.sigma)
        ]
        assert strengths[0] == pytest.approx(wanted, rel=1e-3) and strengths[1] < wanted


def test_sentences_say_how_strong_it_is(run):
    sigma = run.frames[NAME].set_index("noise").loc[MATCHED[0]].sigma
    said = f"its σ is {sigma.min():.1f} to {sigma.max():.1f}, {sigma.mean():.1f} on average (8-bit"
    (sentence,) = [text for text in run.sentences() if "as strong as Poisson α = 3 is" in text]
    assert "on each image or crop" in sentence and said in sentence
    assert len(sentences(run.frames)) == len(MATCHED) and sentences({}) == []
    one = run.frames[NAME].head(1)
    assert f"its σ is {one.sigma.item():.1f} (8-bit levels)." in sentences({NAME: one})[0]


def test_noise_conditional_networks_are_told_the_recorded_sigma(run):
    table = run.frames["matched_noises"].set_index("noise").loc[MATCHED[0]]
    batch = Batch(0, data_crops.crops(photographs.photographs(), 24, 5))
    noisy = make_noisy_batch(parse(MATCHED[0]), batch, ForwardSettings(seed=4))
    assert (255 * noisy.level).tolist() == pytest.approx(list(table.sigma), rel=1e-6)


def test_figures_show_it_without_a_level(run):
    frame = run.frames["noises"]
    many, single = figures.by_levels(frame[frame.metric == "psnr"])
    assert set(many["gaussian"].noise) == {"gaussian:10", "gaussian:15"}
    assert set(single.noise) == {*OTHERS, *MATCHED}
    drawn = run.figures()
    assert {"levels_psnr", "strip_isp"} <= set(drawn)
    (panel,) = [axes for axes in drawn["levels_psnr"].axes if axes.get_title() == "one level"]
    labels = ["".join(label.get_text().split()) for label in panel.get_xticklabels()]
    assert labels == ["".join(noise_label(noise).split()) for noise in (*OTHERS, *MATCHED)]
    assert file_name(MATCHED[0]).startswith("strip_gaussian_poisson_3_")
    assert file_name(MATCHED[0]) != file_name("gaussian_poisson:3")


def test_python_has_the_table_and_reads_it_again(tiny_pair, tmp_path):
    result = analysis.srga.score_models(
        str(tiny_pair / "plain.pth"),
        noises=["gaussian:=poisson:3@1"],
        crop=24,
        limit=4,
        progress=False,
    )
    table = result.frames[NAME]
    assert set(table.noise) == {"gaussian:=poisson:3@1"} and len(table) == 4
    assert table.sigma.between(15, 60).all()
    again = analysis.open_run(result.save(tmp_path / "run"), "srga")
    pd.testing.assert_frame_equal(again.frames[NAME], table)
    other = analysis.srga.score_models(
        str(tiny_pair / "plain.pth"), noises=["poisson:3"], crop=24, limit=4, progress=False
    )
    assert NAME not in other.frames


def test_a_range_of_levels_holds_it_where_it_holds_every_sigma(tiny_pair, run):
    sigma = run.frames["matched_noises"].set_index("noise").loc[MATCHED[0]].sigma
    settings = {"noises": (MATCHED[0], "poisson:3"), "crop": 24, "limit": 5, "seed": 4}
    for top, held in ((sigma.max() + 0.1, [MATCHED[0]]), (sigma.max() - 0.1, [])):
        result = analysis.generalization.benchmark(
            str(tiny_pair / "plain.pth"),
            in_distribution=[f"plain=gaussian:0..{top}"],
            lpips=False,
            progress=False,
            **settings,
        )
        assert result.manifest["in_distribution"] == held


def test_suites_and_trained_noises_take_it(tiny_pair, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(f'noises = ["poisson:3", "{MATCHED[0]}"]\ncrop = 24\nlimit = 4\n')
    assert noise_suite.load(str(suite)).noises == ("poisson:3", MATCHED[0])
    given = (str(tiny_pair / "plain.pth"), "--suite", str(suite), "--no-lpips", "--quiet")
    given += ("--in-distribution", "gaussian:= poisson:3.0", "--output-dir", str(tmp_path / "run"))
    path = run_arguments(generalization.ANALYSIS, given, "test")
    assert read_manifest(path)["in_distribution"] == [MATCHED[0]]
    assert len(pd.read_csv(path / "matched_noises.csv")) == 4
    assert "Gaussian noise as strong" in (path / "summary.txt").read_text(encoding="utf-8")
    assert GeneralizationSettings(noises=MATCHED).noises == MATCHED


@pytest.mark.parametrize(
    "options, message",
    [
        (
            ("--noise", "gaussian:=folder:noisy"),
            "'gaussian:=folder:noisy': expected gaussian:= and",
        ),
        (("--noise", "gaussian:=poison:3"), "no kind 'poison'; did you mean poisson"),
        (("--noise", "poisson:=gaussian:3"), "expected gaussian:= and a synthetic noise"),
        ((*noise_options("gaussian:=poisson:3", "gaussian:=poisson:3.0"),), "given twice"),
        (("--noise", "isp", "--in-distribution", "plian=gaussian:=isp"), "no model 'plian'; did"),
        (("--noise", "isp", "--in-distribution", "gausian:=isp"), "noise 'gausian:=isp'"),
    ],
)
def test_wrong_input_ends_with_one_line(pair, in_process, monkeypatch, options, message):
    monkeypatch.chdir(pair)
    code, out, err = in_process(generalization.main, "plain.pth", *FEW, *options)
    assert code == 2 and not out and message in err and err.count("\n") == 1
    assert not (pair / "runs").exists()


def test_no_gaussian_noise_is_as_strong(monkeypatch):
    noise = parse("gaussian:=gaussian:15")
    monkeypatch.setattr(type(noise.other), "sample", lambda self, clean, generator: clean + 1)
    with pytest.raises(BadInput, match="no Gaussian noise is as strong as gaussian:15"):
        noise(torch.zeros(1, 3, 8, 8), generator=torch.Generator())
