"""A report of grayscale networks: its pictures are grayscale, and its numbers are confirmed."""

from __future__ import annotations

import base64
import io
import json

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from analysis.plotting import notebook_output
from analysis.report.command import main, run_arguments
from mtd.data.grayscale import grayscale
from mtd.data.photographs import photographs
from tests.helpers.grayscale import gray_pair


def pictures(page: str) -> list[Image.Image]:
    """The pictures that are compared under sliders."""
    soup = BeautifulSoup(page, "html.parser")
    sources = [image["src"] for image in soup.select(".comparison img")]
    return [Image.open(io.BytesIO(base64.b64decode(s.partition(",")[2]))) for s in sources]


def test_a_picture_of_one_channel_is_grayscale():
    pixels = grayscale(photographs()[0].load()[:8, :9])
    compared = notebook_output.comparison({"a": (pixels, "1 dB"), "b": (pixels, "")}, "caption")
    found = pictures(compared.data["text/html"])
    assert [(picture.mode, picture.size) for picture in found] == [("L", (9, 8))] * 2
    assert list(found[0].tobytes()) == pixels.ravel().tolist()


@pytest.mark.slow
def test_the_page_and_its_verification(tmp_path, monkeypatch, forked_kernels, in_process):
    monkeypatch.chdir(gray_pair(tmp_path))
    given = ("--limit", "5", "--crop", "24", "--benchmark-crop", "32", "--noise", "poisson:3.5")
    given += ("--max-crops", "attribution=2", "--suite", "quick", "--no-lpips", "--quiet")
    run_arguments(["plain.pth", "hidden.pth", *given, "--output-dir", "out"])
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["channels"] == 1 and "isp" not in manifest["benchmark_noises"]
    page = (tmp_path / "out/report.html").read_text()
    found = pictures(page)
    assert found and {picture.mode for picture in found} == {"L"}
    assert "24 x 24, grayscale" in BeautifulSoup(page, "html.parser").get_text()
    code, _, err = in_process(main, "--verify", "out", "--quiet")
    assert code == 0, err
