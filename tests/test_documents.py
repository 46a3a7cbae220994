"""README, CONTRIBUTING and the documentation: the files that they name exist."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
import yaml

import mtd
from analysis.text.noise_labels import NOISY
from tests.helpers.paths import ROOT

RUN = ROOT / "reports" / "bundled-pair" / "benchmark"
"""The run that the README's figure is of."""

DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str):
    path = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if link.startswith("http"):
            continue
        file, _, fragment = link.partition("#")
        target = (path.parent / file) if file else path
        assert target.is_file(), f"{name}: {link}"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.M)
            assert fragment in map(anchor, headings), f"{name}: {link}"


def test_the_tree_names_files_that_exist():
    text = (ROOT / "docs" / "development.md").read_text().partition("## Where things are")[2]
    top, folder, count = "", "", 0
    for line in text.partition("```\n")[2].partition("```")[0].splitlines():
        if match := re.match(r"(\w+)/", line):
            top = folder = match[1]
        elif match := re.match(r"  (\w+)/ ", line):
            folder = f"{top}/{match[1]}"
        elif re.match(r"  \S", line):
            folder = top
        for file in re.findall(r"\b\w+\.py\b", line):
            holders = [ROOT / folder] if "NAME" not in folder else (ROOT / top).iterdir()
            assert any((holder / file).is_file() for holder in holders), f"{folder}/{file}"
            count += 1
    assert count > 60


def test_readme_and_contributing_are_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 180
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60
    lines = (ROOT / "README.md").read_text().splitlines()
    assert sum(line.startswith("![") for line in lines) == 1


def test_the_caption_of_the_readme_is_that_of_its_figure():
    frame = pd.read_csv(RUN / "tests.csv")
    frame = frame[(frame.model_a == "baseline") & (frame.model_b == "masked")]
    frame = frame[(frame.metric == "psnr") & (frame.noise != "out of distribution")]
    frame = frame.set_index("noise")
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"masked network is {frame.difference['gaussian:15']:.2f} dB worse" in text
    assert (
        f"under Gaussian noise of σ = 50 it is {-frame.difference['gaussian:50']:.2f} dB better"
        in text
    )
    unseen = frame.drop("gaussian:15")
    better, worse = unseen.high < 0, unseen.low > 0
    assert (len(unseen), better.sum(), worse.sum()) == (11, 6, 4)
    assert list(unseen.index[~better & ~worse]) == ["mixture:1"]
    assert (
        "it is better under six (orange) and worse under four (blue); under one, the mixture"
        in text
    )
    manifest = json.loads((RUN / "manifest.json").read_text())
    counts = {manifest["models"][name]["parameters"] for name in ("baseline", "masked")}
    assert [f"({count:,} parameters)" in text for count in counts] == [True]
    assert set(frame.photographs) == {24}


def test_figures_are_small():
    for path in (ROOT / "docs" / "figures").glob("*.png"):
        assert path.stat().st_size < 100_000, path.name


def test_the_citation_is_complete_and_that_of_the_readme():
    """Keys that the schema of the Citation File Format, version 1.2.0, requires."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert (cited["cff-version"], cited["type"], cited["license"]) == ("1.2.0", "software", "MIT")
    assert cited["version"] == mtd.__version__
    (paper,) = cited["references"]
    assert {"type", "title", "authors"} <= set(paper) and paper["type"] == "conference-paper"
    text = " ".join((ROOT / "README.md").read_text().split())
    names = [f"{author['family-names']}, {author['given-names']}" for author in paper["authors"]]
    assert f"author = {{{' and '.join(names)}}}" in text
    assert f"title = {{{paper['title']}}}" in text and f"year = {{{paper['year']}}}" in text
    assert f"title = {{{cited['title']}}}" in text and f"version = {{{cited['version']}}}" in text
    (software,) = cited["authors"]
    assert f"author = {{{{{software['name']}}}}}" in text


def test_the_table_of_the_readme_is_that_of_the_run():
    text = " ".join((ROOT / "README.md").read_text().split())
    metrics, digits = ("psnr", "ssim", "lpips"), (2, 3, 3)
    means = pd.read_csv(RUN / "generalization.csv").pivot(index="model", columns="metric")
    means = means["out_of_distribution"]
    for name, model in (
        ("masked", "masked"),
        ("baseline", "baseline"),
        ("Gaussian blur of 0.7 pixels", "classical:blur:0.7"),
        ("noisy photographs", NOISY),
    ):
        cells = [f"{means[m][model]:.{n}f}" for m, n in zip(metrics, digits, strict=True)]
        assert f"| {name} | {' | '.join(cells)} |" in text
    tests = pd.read_csv(RUN / "tests.csv").set_index(["noise", "metric"])
    assert set(tests.model_a) == {"baseline"} and set(tests.photographs) == {24}
    cells = []
    for metric, places in zip(metrics, digits, strict=True):
        row = tests.loc["out of distribution", metric]
        gain = [row.difference, row.low, row.high]
        if metric != "lpips":
            gain = [-row.difference, -row.high, -row.low]
        value, low, high = (f"{x:.{places}f}" for x in gain)
        cells.append(f"{value} [{low}, {high}]")
        assert gain[1] > 0 and row.p_holm < 0.05
    assert f"| masked better than baseline by | {' | '.join(cells)} |" in text


def test_what_the_readme_says_of_references_and_of_single_noises():
    references = pd.read_csv(RUN / "references.csv").set_index(["compared_with", "noise"])
    gains = references.loc["blur"]
    assert (gains.low["out of distribution"] > 0).all() and len(gains) == 2 * 3 * 12
    tests = pd.read_csv(RUN / "tests.csv").set_index("noise")
    lpips = tests[tests.metric == "lpips"].drop(["gaussian:15", "out of distribution"])
    shown = lpips.p_holm < 0.05
    assert ((lpips.low > 0) & shown).sum() == 6 and ((lpips.high < 0) & shown).sum() == 2
    classical = pd.read_csv(ROOT / "docs/numbers/classical.csv").set_index(["model", "metric"])
    wavelet, text = classical.loc["classical:wavelet"], (ROOT / "README.md").read_text()
    cells = [f"{wavelet['mean'][m]:.{n}f}" for m, n in (("psnr", 2), ("ssim", 3), ("lpips", 3))]
    assert f"| wavelets (`classical:wavelet`) | {' | '.join(cells)} |" in text
    behind = wavelet.loc["psnr", ["minus_masked", "minus_masked_high", "minus_masked_low"]]
    assert "are {:.2f} dB [{:.2f}, {:.2f}] below".format(*-behind) in text
    lpips = wavelet.loc["lpips"]
    assert lpips.minus_masked_low < 0 < lpips.minus_masked_high and lpips.minus_baseline_high < 0
