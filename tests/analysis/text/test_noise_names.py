"""How noises are written for people: every kind, its level and draw, and names that are none."""

from __future__ import annotations

import pytest

from analysis.text.markdown import plain
from analysis.text.noise_names import noise_label, noise_phrase, noise_phrases, noise_words
from mtd.noise import kinds

WRITTEN = {
    "gaussian:50": "Gaussian, σ = 50",
    "gaussian:0": "clean",
    "gaussian:15@1": "Gaussian, σ = 15 (another draw)",
    "gaussian:15@2": "Gaussian, σ = 15 (another draw, 2)",
    "gaussian:=poisson:3": "Gaussian as strong as Poisson, α = 3",
    "gaussian:=poisson:3@1": "Gaussian as strong as Poisson, α = 3 (another draw)",
    "gaussian:0..55": "Gaussian, σ = 0 to 55",
    "gaussian:5..gaussian:55": "Gaussian, σ = 5 to 55",
    "poisson:3.5": "Poisson, α = 3.5",
    "poisson:2,values=unique": "Poisson, α = 2 (values = unique)",
    "speckle:0.04": "speckle, variance 0.04",
    "spatial:60": "spatial, σ = 60",
    "salt_pepper:0.02": "salt-and-pepper, density 0.02",
    "mixture:4": "mixture, level 4",
    "isp": "camera pipeline",
    "isp,shot=0.01": "camera pipeline (shot = 0.01)",
    "idf_gaussian:15": "Gaussian, σ = 15 (drawn in advance)",
    "folder:data/my_noise": "recorded noise, data/my_noise",
    "pairs:noisy": "recorded noise, noisy",
    "monte_carlo:64": "Monte Carlo rendering, 64 samples per pixel",
}


@pytest.mark.parametrize("spec", WRITTEN)
def test_noises_are_written_as_people_write_them(spec: str) -> None:
    label = WRITTEN[spec]
    assert noise_label(spec) == label
    words = "no noise" if label == "clean" else label.replace(", ", " ", 1)
    assert noise_words(spec) == words == plain(noise_phrase(spec))


@pytest.mark.parametrize(
    "name", ["polyu", "mean", "noisy input", "gaussian", "gaussian:x", "mine:3", "a..b", "a_b"]
)
def test_other_names_stay_as_they_are(name: str) -> None:
    assert noise_label(name) == noise_words(name) == name
    assert plain(noise_phrase(name)) == name and noise_phrase(name).startswith("`")


def test_every_kind_is_among_them() -> None:
    assert {spec.partition(":")[0].partition(",")[0] for spec in WRITTEN} >= set(kinds())


def test_lists_of_noises() -> None:
    assert noise_phrases(["gaussian:15", "mixture:4"]) == "Gaussian σ = 15 and mixture level 4"
    assert noise_phrases(["gaussian:5", "cc", "gaussian:9"]) == "Gaussian σ = 5 and 9, and `cc`"
    assert noise_phrases(["gaussian:5", "cc", "gaussian:9", "gaussian:10", "isp"], 3) == (
        "Gaussian σ = 5 and 9, `cc`, and 2 more"
    )
    assert noise_phrases([]) == ""
    assert noise_phrases(["isp", "cc", "gaussian:5"], 1) == "camera pipeline and 2 more"
