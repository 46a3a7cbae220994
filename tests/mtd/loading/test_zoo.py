"""The zoo's table, and its names wherever a checkpoint can be given."""

from __future__ import annotations

import hashlib
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import mtd
from mtd.data import test_sets as recipes
from mtd.loading import checkpoint_file, hub, locations, zoo
from mtd.loading.classical import stem
from mtd.loading.model_names import named_files
from mtd.masking import MaskPolicy
from mtd.metrics import lpips_backbone
from mtd.networks import registry, spandrel_adapter
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.swinir import SwinIR
from mtd.noise.training_noise import TrainingNoise
from mtd.utils import digests
from mtd.utils.errors import BadInput
from tests.helpers.file_server import FileServer, serving
from tests.helpers.paths import data_folder

X = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
HELD = {
    "kair/dncnn_color_blind": "dncnn_color_blind.pth",
    "kair/ffdnet_color": "ffdnet_color.pth",
    "n2n/gaussian": "n2n_unet_gaussian.pt",
}


@pytest.fixture
def tiny(tmp_path: Path) -> bytes:
    """A published file: the bare state dict of a small color DnCNN."""
    torch.manual_seed(0)
    content = bare(DnCNN(DnCNNConfig(features=8, depth=3)))
    (tmp_path / "bare.pth").write_bytes(content)
    return content


def bare(network: torch.nn.Module) -> bytes:
    """A file of a state dict alone."""
    return checkpoint_file.torch_bytes(network.state_dict())


@pytest.fixture
def server(tiny: bytes, mtd_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of the file: `toy/dncnn` of the zoo, and wrongly `toy/dncnn_gray`."""
    monkeypatch.setenv("NO_PROXY", "*")
    with serving() as running:
        running.files["dncnn.pth"] = tiny
        blind = zoo.entries()["kair/dncnn_color_blind"]
        toy = replace(
            blind,
            name="toy/dncnn",
            base=running.address,
            file="dncnn.pth",
            label="toy_dncnn",
            trained_on=("gaussian:10..20", "poisson:2"),
            sha256="unknown",
            bytes=None,
        )
        table = {
            "toy/dncnn": toy,
            "toy/dncnn_gray": replace(toy, name="toy/dncnn_gray", channels=1),
        }
        monkeypatch.setattr(zoo, "entries", lambda: table)
        yield running


def test_every_entry_says_what_is_needed():
    found = zoo.entries()
    assert len(found) >= 20
    for name, one in found.items():
        assert re.fullmatch(r"[a-z0-9_]+/[A-Za-z0-9_-]+", name)
        assert one.licence and one.page.startswith("https://") and one.channels in (1, 3)
        assert one.address == "unknown" or re.fullmatch(
            r"https://[^ ]+\.(pth|pt|ckpt)", one.address
        )
        assert one.place.suffix in locations.SUFFIXES
        noises = [text for text in one.trained_on if text not in recipes.RECIPES]
        assert TrainingNoise.parse(noises) is not None
        for digits, length in ((one.sha256, 64), (one.git, 40)):
            assert digits in ("unknown", "") or re.fullmatch(f"[0-9a-f]{{{length}}}", digits)
    labels = [one.label for one in found.values()]
    assert len(set(labels)) == len(labels)
    wanted = ["kair/dncnn_color_blind", "kair/ffdnet_color", "kair/drunet_color", "idf/g_15"]
    assert {*wanted, "swinir/color_dn_15", "bias_free/dncnn_0-55", "lpips/alexnet"} <= set(found)


def test_architectures_are_those_that_files_are_recognized_as():
    known = {*registry.architectures(), *spandrel_adapter.names()}
    own = {one.factory: one.architecture for one in zoo.entries().values() if one.factory}
    assert own == {"mtd.networks.noise2noise:UNet": "UNet"}
    for name, one in zoo.entries().items():
        assert one.factory or name in zoo.BACKBONES or one.architecture in known, name


def test_addresses_are_of_a_release_or_a_commit():
    release = r"/releases/download/v\d"
    commit = r"/[0-9a-f]{40}/|/raw/[0-9a-f]{7}/"
    for one in zoo.entries().values():
        if one.address != "unknown" and one.name != "lpips/alexnet":
            assert re.search(f"{release}|{commit}", one.address), one.name


def test_the_table_has_no_key_that_nothing_reads():
    table = tomllib.loads(zoo.TABLE.read_text())
    families = {name.partition("/")[0] for name in table["models"]}
    assert families == set(table["families"])


@pytest.mark.parametrize("name", HELD)
def test_held_files_are_those_of_the_zoo(name, mtd_home):
    path, one = data_folder("checkpoints") / HELD[name], zoo.entries()[name]
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == one.sha256 and len(content) == one.bytes
    one.place.parent.mkdir(parents=True)
    shutil.copyfile(path, one.place)
    options = {"sigma": 25} if one.sigma else {}
    by_name, by_path = mtd.load(name, **options), mtd.load(path, **options)
    noise = 25 / 255 * torch.randn(X.shape, generator=torch.Generator().manual_seed(1))
    clean = torch.full_like(X, 0.5)
    with torch.no_grad():
        output = by_name(clean + noise)
        assert torch.equal(output, by_path(clean + noise))
    assert float((output - clean).square().mean()) < 0.1 * float(noise.square().mean())
    for network in (by_name, by_path):
        assert network.source["training"] == {"noise": one.trained, "zoo": name}
        assert network.source["architecture"] == one.architecture
        assert network.input_format.value_range == one.value_range
    assert "RGB" not in by_name.source.get("assumed", "")  # it is known


def test_another_file_in_the_place_of_a_known_one_is_refused(mtd_home, tiny):
    one = zoo.entries()["kair/dncnn_color_blind"]
    one.place.parent.mkdir(parents=True)
    one.place.write_bytes(tiny)
    with pytest.raises(BadInput, match=f"instead of {one.bytes}.*delete it and run mtd zoo get"):
        mtd.load(one.name)


def test_a_name_is_downloaded_and_its_training_is_known_by_its_path_too(server, mtd_home, tmp_path):
    network = mtd.load("toy/dncnn")
    assert network(X).shape == X.shape
    assert zoo.entries()["toy/dncnn"].place == mtd_home / "zoo" / "toy" / "dncnn.pth"
    by_path = mtd.load(tmp_path / "bare.pth")  # by the digest that was recorded
    for one in (network, by_path, mtd.load("toy/dncnn")):
        assert one.source["training"]["noise"] == "gaussian:10..20; poisson:2"
    assert len(server.requests) == 1


def test_the_damaged_record_of_another_file_does_not_matter(server, mtd_home, tmp_path):
    place = zoo.entries()["toy/dncnn"].place
    digests.record_of(place).parent.mkdir(parents=True)
    digests.record_of(place).write_text("damaged")
    assert mtd.load(tmp_path / "bare.pth")(X).shape == X.shape
    with pytest.raises(BadInput, match="damaged"):
        mtd.load("toy/dncnn")


def test_a_file_of_that_path_wins(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "dncnn").write_bytes(b"")
    with pytest.raises(BadInput, match="expected a checkpoint ending in"):
        mtd.load("toy/dncnn")
    assert not server.requests and stem("toy/dncnn") == "dncnn"


def test_masks_that_the_file_does_not_tell(mtd_home, monkeypatch):
    name = "masked_training/input_mask_80_90"
    one = replace(zoo.entries()[name], git="")
    monkeypatch.setattr(zoo, "entries", lambda: {name: one})
    one.place.parent.mkdir(parents=True)
    torch.save(SwinIR().state_dict(), one.place)
    network = mtd.load(name)
    assert network.inference.policy == MaskPolicy((80, 90), attention_percent=75)
    assert network.source["policy_source"] == f"the zoo, {name}"


def test_another_architecture_than_published_is_refused_and_not_recorded(server, tiny):
    one, other = zoo.entries()["toy/dncnn_gray"], "a DnCNN of 3 channels, but toy/dncnn_gray is a D"
    with pytest.raises(BadInput, match=f"{other}.*; nothing was kept"):
        mtd.load("toy/dncnn_gray")
    assert not list(one.place.parent.glob("[!.]*"))
    one.place.write_bytes(tiny)  # by hand
    with pytest.raises(BadInput, match=f"{other}.*; delete it and run mtd zoo get toy/dncnn_gray"):
        mtd.load("toy/dncnn_gray")
    gray = bare(DnCNN(DnCNNConfig(in_chans=1, features=8, depth=3)))
    one.place.write_bytes(gray)
    mtd.load("toy/dncnn_gray")
    assert zoo.known_digest(one) == hashlib.sha256(gray).hexdigest()


@pytest.mark.parametrize(
    "content",
    [b"", b'{"error": "rate limit"}', b"\xef\xbb\xbf<!-- -->\n<html>", b"[1, 2]", b"PK\3\4xx"],
)
def test_what_is_no_checkpoint_is_neither_kept_nor_recorded(server, mtd_home, tiny, content):
    one, server.files["dncnn.pth"] = zoo.entries()["toy/dncnn"], content
    with pytest.raises(BadInput, match=f"^toy/dncnn: {one.address} is .*; nothing was kept") as no:
        mtd.load("toy/dncnn")
    assert "\n" not in str(no.value) and ".part" not in str(no.value)
    assert not list(one.place.parent.glob("[!.]*"))
    server.files["dncnn.pth"] = tiny
    mtd.load("toy/dncnn")
    assert zoo.known_digest(one) == hashlib.sha256(tiny).hexdigest()


def test_a_list_needs_no_folder(monkeypatch, in_process):
    from mtd.zoo import main

    monkeypatch.setenv("MTD_HOME", "/dev/null")
    code, out, err = in_process(main, "list", "kair/dncnn_*")
    assert (code, err) == (0, "") and out.count("\n") == 6
    assert " gray " in out and " color " in out
    code, _, err = in_process(main, "get", "kair/dncnn_25")
    assert code == 2 and "MTD_HOME=/dev/null is not a folder; set MTD_HOME to a folder" in err


@pytest.mark.parametrize(
    "name, message",
    [
        ("toy/dncn", "toy.dncn: no such file; did you mean toy.dncnn"),
        ("toy/absent", "no model of the zoo .*known: toy/dncnn, toy/dncnn_gray"),
        ("absent/at_all", r"no bundled checkpoint of that name \([\w., ]+\)$"),
    ],
)
def test_a_wrong_name_gets_the_nearest(server, name, message):
    with pytest.raises(BadInput, match=message):
        mtd.load(name)


def test_labels_and_patterns(server):
    assert stem("toy/dncnn") == "toy_dncnn" and stem("filter:toy/dncnn") == "filter:toy_dncnn"
    expected = [("toys", "toy/dncnn"), ("toys", "toy/dncnn_gray")]
    assert named_files("toys=toy/*") == expected


def test_the_backbone_of_lpips_is_no_denoiser_but_found_by_lpips(mtd_home, monkeypatch, tmp_path):
    with pytest.raises(BadInput, match="lpips/alexnet is the backbone of LPIPS, no denoiser"):
        mtd.load("lpips/alexnet")
    place = zoo.entries()["lpips/alexnet"].place
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert lpips_backbone.fetch() == place == lpips_backbone.in_zoo()
    assert zoo.entries()["lpips/alexnet"].address == lpips_backbone.URL
    assert zoo.entries()["lpips/alexnet"].licence == lpips_backbone.LICENCE
    assert f"-{zoo.entries()['lpips/alexnet'].begins}." in lpips_backbone.BACKBONE


def test_another_backbone_of_lpips_is_refused(mtd_home, monkeypatch, in_process):
    from mtd.zoo import main

    monkeypatch.setenv("NO_PROXY", "*")
    one = zoo.entries()["lpips/alexnet"]
    content = checkpoint_file.torch_bytes({"features.0.weight": torch.zeros(1)})
    with serving(**{one.file: content}) as running:
        table = {one.name: replace(one, base=running.address)}
        monkeypatch.setattr(zoo, "entries", lambda: table)
        code, _, err = in_process(main, "get", one.name)
    assert code == 2 and "expected 7be5be79… (first digits); nothing was kept" in err
    one.place.write_bytes(content)  # by hand
    code, out, err = in_process(main, "verify", one.name)
    assert code == 1 and "DIFFERENT" in out and "expected 7be5be79… (first digits)" in err
    digest = hashlib.sha256(content).hexdigest()
    digests.record(one.place, digest)  # as an earlier version might have recorded it
    assert in_process(main, "verify", one.name)[0] == 1
    with pytest.raises(BadInput, match=r"features.0.weight"):
        lpips_backbone.read(one.place)


def test_commands(server, mtd_home, in_process: Callable[..., tuple[int, str, str]]):
    from mtd.zoo import main

    code, out, _ = in_process(main, "list")
    lines = out.splitlines()
    assert code == 0 and lines[0].split()[:3] == ["name", "trained", "on"]
    assert lines[1].startswith("toy/dncnn ") and "gaussian:10..20, poisson:2" in lines[1]
    assert lines[1].endswith("MIT      no") and "unknown" in lines[1]
    code, out, err = in_process(main, "get", "toy/dncnn")
    assert (code, out) == (0, f"{mtd_home}/zoo/toy/dncnn.pth\n") and "licence: MIT" in err
    assert in_process(main, "list", "toy/dncnn")[1].rstrip().endswith("yes")
    code, out, _ = in_process(main, "verify")
    assert code == 0 and "as recorded\n1 model not downloaded" in out
    (mtd_home / "zoo" / "toy" / "dncnn.pth").write_bytes(b"x")
    code, out, err = in_process(main, "verify", "toy/*")
    assert code == 1 and ", DIFFERENT\n" in out and "recorded was" in err
    code, _, err = in_process(main, "get", "toy/dncnn_gray")
    assert code == 2 and "a DnCNN of 3 channels" in err and "nothing was kept" in err
    server.files["dncnn.pth"] = bare(DnCNN(DnCNNConfig(in_chans=1, features=8, depth=3)))
    assert in_process(main, "get", "toy/dncnn_gray")[0] == 0
    assert in_process(main, "verify")[0] == 3
    assert in_process(main, "get", "toy/*")[0] == 3
    server.files.clear()
    (mtd_home / "zoo" / "toy" / "dncnn_gray.pth").unlink()
    code, _, err = in_process(main, "get", "toy/dncnn_gray")
    assert code == 2 and err.count("\n") == 2 and "HTTP 404" in err
    for arguments, message in (
        (["get"], "name a model"),
        (["get", "toy/dncn"], "no model of the zoo matches 'toy/dncn'; did you mean toy/dncnn"),
        (["list", "nope/*"], "no model of the zoo matches 'nope/*'; known: toy/dncnn, toy/dnc"),
        (["fetch"], "known: list, get, verify"),
    ):
        code, _, err = in_process(main, *arguments)
        assert code == 2 and message in err


def test_hugging_face_addresses():
    parsed = hub.parse("hf://org/repo/a/b.safetensors", locations.SUFFIXES)
    assert parsed == ("org/repo", None, "a/b.safetensors")
    assert hub.parse(Path("hf://org/repo@v1.0/b.pth"), [".pth"]) == ("org/repo", "v1.0", "b.pth")
    for wrong in ("hf://org/b.pth", "hf://org/repo", "hf://"):
        with pytest.raises(BadInput, match=r"expected hf://ORG/REPO/FILE"):
            hub.parse(wrong, [".pth"])
    with pytest.raises(BadInput, match="expected a checkpoint ending in"):
        mtd.load("hf://org/repo/a.onnx")


def test_hugging_face_needs_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(BadInput, match=r"pip install 'masked-training-denoisers\[hf\]'"):
        mtd.load("hf://org/repo/a.pth")


def test_hugging_face_files_load(monkeypatch, tmp_path, tiny, capsys):
    import sys
    import types

    asked = []

    def download(repository: str, filename: str, revision: str | None) -> str:
        asked.append((repository, filename, revision))
        if filename == "absent.pth":
            raise OSError("404 Client Error\nEntry Not Found")
        return str(tmp_path / "bare.pth")

    module = types.ModuleType("huggingface_hub")
    module.hf_hub_download = download  # type: ignore[attr-defined]
    module.try_to_load_from_cache = lambda *_, **__: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    assert mtd.load("hf://org/repo@v1/sub/bare.pth")(X).shape == X.shape
    assert asked == [("org/repo", "sub/bare.pth", "v1")]
    assert "https://huggingface.co/org/repo" in capsys.readouterr().err
    assert stem("hf://org/repo@v1/sub/bare.pth") == "bare"
    with pytest.raises(BadInput, match="OSError: 404 Client Error Entry Not Found"):
        mtd.load("hf://org/repo/absent.pth")
