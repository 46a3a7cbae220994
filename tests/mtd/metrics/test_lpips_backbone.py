"""The backbone of LPIPS: where it is looked for, and which files are it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mtd.metrics import lpips_backbone
from mtd.metrics.lpips_backbone import BACKBONE, DIGESTS, NoBackbone
from mtd.utils.errors import BadInput
from tests.helpers import lpips_backbone as helper
from tests.helpers.file_server import serving
from tests.helpers.paths import data_folder

REMEDY = r"expected the backbone of LPIPS: get https.*\.pth, or name .* by --lpips-weights$"
"""The end of what is said of a file that cannot be read, which may have been found, not named."""


@pytest.fixture
def tensors(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Random tensors, taken for the published ones."""
    drawn = helper.drawn()
    helper.admit(drawn, monkeypatch)
    return drawn


@pytest.fixture
def nowhere(tmp_path: Path, mtd_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder; no backbone is in any of the places where it is looked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("MTD_DATA", raising=False)
    return tmp_path


def test_the_published_tensors_are_recognized_in_either_format(tmp_path):
    path = data_folder("weights") / "alexnet_features.safetensors"
    tensors = lpips_backbone.read(path)
    assert list(tensors) == list(DIGESTS) and sum(v.numel() for v in tensors.values()) == 2_469_696
    torch.save(tensors | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "whole.pth")
    again = lpips_backbone.read(tmp_path / "whole.pth")
    assert all(torch.equal(again[name], value) for name, value in tensors.items())
    assert lpips_backbone.digest_of(again) == lpips_backbone.digest_of(tensors)


def test_formats_and_other_tensors_beside_change_nothing(tensors, tmp_path):
    torch.save(tensors, tmp_path / "a.pth")
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    more = tensors | {"classifier.1.bias": torch.zeros(2)}
    save_file(more, tmp_path / "a.safetensors")
    save_file(more, tmp_path / "b.SAFETENSORS")
    torch.save(dict(reversed(more.items())), tmp_path / "more.pth")
    negated = {name: torch._neg_view(-value) for name, value in tensors.items()}
    torch.save(negated, tmp_path / "negated.pth")
    for path in tmp_path.iterdir():
        read = lpips_backbone.read(path)
        assert list(read) == list(DIGESTS)
        assert all(torch.equal(read[name], value) for name, value in tensors.items())


def test_another_network_is_refused_with_what_differs(tensors, tmp_path):
    path = tmp_path / "other.pth"

    def said(changed: object) -> str:
        torch.save(changed, path)
        with pytest.raises(BadInput, match=r"other\.pth: not the backbone of LPIPS") as refused:
            lpips_backbone.read(path)
        assert "get https" in str(refused.value) and "\n" not in str(refused.value)
        return str(refused.value)

    assert "it has no tensor features.0.weight and 9 more but conv.weight, …;" in said(
        {"conv.weight": torch.ones(2)}
    )
    assert "and 9 more but state_dict, …;" in said({"state_dict": tensors})
    assert "it has no tensor features.0.weight and 9 more;" in said([torch.ones(2)])
    without = {name: value for name, value in tensors.items() if name != "features.8.bias"}
    assert "it has no tensor features.8.bias;" in said(without)
    assert "it has no tensor features.8.bias;" in said(without | {"features.8.bias": 3})
    square = {"features.0.weight": torch.ones(64, 3, 3, 3)}
    assert "features.0.weight is 64 x 3 x 3 x 3, expected 64 x 3 x 11 x 11;" in said(
        tensors | square
    )
    assert "features.0.weight is of float16, expected float32" in said(
        {name: value.half() for name, value in tensors.items()}
    )
    changed = tensors["features.6.bias"].clone()
    changed[7] = torch.nextafter(changed[7], torch.tensor(9.0))
    assert "other values in 1 tensor of 10 (features.6.bias, …)" in said(
        tensors | {"features.6.bias": changed}
    )
    assert "other values in 10 tensors of 10 (features.0.weight, …)" in said(
        {name: value + 1 for name, value in tensors.items()}
    )


def test_missing_damaged_and_odd_files(tensors, tmp_path):
    with pytest.raises(BadInput, match=rf"absent\.pth: no such file; {REMEDY}"):
        lpips_backbone.read(tmp_path / "absent.pth")
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(BadInput, match=rf"a\.pth is a FIFO: expected a file; {REMEDY}"):
        lpips_backbone.read(tmp_path / "a.pth")
    path = tmp_path / "b.safetensors"
    save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match=rf"b\.safetensors: damaged.*; {REMEDY}"):
        lpips_backbone.read(path)
    for content in (b"<html>not found</html>", b""):
        (tmp_path / "b.pth").write_bytes(content)
        with pytest.raises(BadInput, match=rf"b\.pth: damaged or not a PyTorch.*; {REMEDY}"):
            lpips_backbone.read(tmp_path / "b.pth")


def test_what_a_damaged_backbone_says_is_one_short_line(tmp_path):
    header = b'{"features.0.weight":{"dtype":"a\\nb' + b"x" * 5000 + b'","shape":[]}}'
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BadInput, match=r"damaged or not") as error:
        lpips_backbone.read(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_places_are_searched_in_order(nowhere, mtd_home, monkeypatch):
    assert lpips_backbone.find() is None
    monkeypatch.setenv("MTD_DATA", str(nowhere / "data"))
    later = [
        lpips_backbone.cached(),
        lpips_backbone.in_zoo(),
        mtd_home / BACKBONE,
        mtd_home / "weights" / "alexnet_features.pth",
        nowhere / "data" / "alexnet_features.pth",
        nowhere / "data" / "weights" / BACKBONE,
        nowhere / "data" / "weights" / "alexnet_features.safetensors",
    ]
    for path in later:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        assert lpips_backbone.find() == path
        assert lpips_backbone.fetch() == path


@pytest.mark.parametrize("sound", [True, False])
def test_a_download_may_be_redirected_and_what_arrives_is_checked(
    nowhere, tensors, monkeypatch, capsys, sound
):
    torch.save(tensors, nowhere / "made.pth")
    content = (nowhere / "made.pth").read_bytes()
    name = f"alexnet-owt-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(lpips_backbone, "BACKBONE", name)
    content = content if sound else content[:-1] + b"x"
    with serving(held=content) as server:
        server.redirects = {name: "elsewhere", "elsewhere": "held"}
        monkeypatch.setattr(lpips_backbone, "URL", server.address + name)
        if sound:
            place = lpips_backbone.fetch()
            assert place == lpips_backbone.in_zoo() and place.read_bytes() == content
            assert lpips_backbone.fetch() == place
            assert (
                "downloading lpips/alexnet (size unknown; licence: BSD" in capsys.readouterr().err
            )
        else:
            message = r"no LPIPS: .*another file: its SHA-256 is .*or name it by --lpips-weights"
            with pytest.raises(NoBackbone, match=message):
                lpips_backbone.fetch()
            assert not lpips_backbone.in_zoo().exists()
    assert [asked for asked, _ in server.requests] == [name, "elsewhere", "held"]


def test_without_the_file_and_a_connection_the_way_out_is_named(nowhere, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(lpips_backbone, "URL", "http://127.0.0.1:9/alexnet-owt-7be5be79.pth")
    message = (
        r"^no LPIPS: lpips/alexnet: cannot be downloaded \(.*\); get http.*7be5be79\.pth \(.*"
        r"put it at .*alexnet\.pth\), or name it by --lpips-weights$"
    )
    with pytest.raises(NoBackbone, match=message) as refused:
        lpips_backbone.fetch()
    assert "\n" not in str(refused.value)


def test_a_home_that_cannot_be_written_is_no_error(nowhere, mtd_home):
    mtd_home.write_text("a file")
    with pytest.raises(NoBackbone, match=r"no LPIPS: MTD_HOME=.* is not a folder"):
        lpips_backbone.fetch()
