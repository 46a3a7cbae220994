"""Checkpoints: every container, our own format, policies, and files that must be refused."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import mtd
from mtd.loading import zoo
from mtd.loading.checkpoint_file import save
from mtd.loading.kair_options import strip_comments
from mtd.loading.load import load
from mtd.loading.locations import BUNDLED
from mtd.masking import MaskPolicy
from mtd.networks import registry
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.errors import BadInput
from tests.helpers.golden_files import golden, golden_weights
from tests.helpers.networks import MASKED, TINY, tiny_network
from tests.helpers.paths import data_folder

X = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_saved_and_loaded_is_the_same(tmp_path, suffix):
    network, path = tiny_network(), tmp_path / f"a.{suffix}"
    save(path, network.state_dict(), network=TINY, mask=MASKED, training={"steps": 7})
    loaded = load(path, attention_mask="off")
    assert torch.equal(loaded(X), network(X))
    assert loaded.inference.policy == MASKED and loaded.config == TINY and not loaded.training
    assert loaded.source["training"] == {"steps": 7}
    assert loaded.source["policy_source"] == "the checkpoint"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        lambda w: {"params": w},
        lambda w: {"params_ema": w, "params": {k: v * 0 for k, v in w.items()}},
        lambda w: {"state_dict": w, "epoch": 3},
        lambda w: {"module." + k: v for k, v in w.items()},
        lambda w: {"state_dict": {"netG.module." + k: v for k, v in w.items()}},
        lambda w: {"state_dict": {"net." + k: v for k, v in w.items()} | {"loss.a": X}},
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "pt", "ckpt"])
def test_containers_and_prefixes(tmp_path, wrap, suffix):
    network = tiny_network()
    torch.save(wrap(dict(network.state_dict())), tmp_path / f"a.{suffix}")
    assert torch.equal(load(tmp_path / f"a.{suffix}")(X), network(X))


def test_bare_safetensors(tmp_path):
    network = tiny_network()
    save_file(dict(network.state_dict()), tmp_path / "a.safetensors")
    assert torch.equal(load(tmp_path / "a.safetensors")(X), network(X))


@pytest.mark.parametrize(
    "name", ["masked_swinir_attention_mask_off", "swinir_color_denoising_small"]
)
def test_published_file_with_its_buffers(tmp_path, name):
    meta, arrays = golden(name)
    state = {k: v.float() for k, v in golden_weights(meta).items()}
    for key, shape, dtype, is_buffer in meta["state_dict"]:
        if is_buffer:
            state[key] = torch.zeros(shape, dtype=getattr(torch, dtype.removeprefix("torch.")))
    torch.save(state, tmp_path / "a.pth")
    output = load(tmp_path / "a.pth")(torch.from_numpy(arrays["input"]).float())
    assert (output - torch.from_numpy(arrays["output"])).abs().max() < 1e-4


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"embed_kernel": 3, "global_residual": True, "convolution": "1conv"},
        {"window_size": 4, "in_chans": 1, "patch_norm": False, "qkv_bias": False},
        {"mask_token": True, "mlp_hidden": 20, "depths": (1, 3), "num_heads": (3, 4)},
    ],
)
def test_hyper_parameters_come_from_keys_and_shapes(changes, tmp_path):
    config = SwinIRConfig(
        **{"embed_dim": 12, "depths": (2, 2), "num_heads": (2, 2), "mlp_hidden": 16} | changes
    )
    assert registry.detect(SwinIR(config).state_dict())[1] == config


KAIR = """{
  "netG": {"use_mask": %s, "mask_ratio1": 70, "mask_ratio2": 70}, // comment with "quotes"
  "datasets": {"train": {"if_mask": %s, "mask1": 80, "mask2": 90, "url": "http://a//b"}}
}"""


def test_option_file_beside_the_checkpoint_states_the_policy(tmp_path):
    torch.save(tiny_network().state_dict(), tmp_path / "a.pth")
    loaded = load(tmp_path / "a.pth")
    assert loaded.inference.policy == MaskPolicy()
    assert "nothing recorded" in loaded.source["policy_source"]
    with pytest.raises(BadInput, match="its ratio is not recorded"):
        load(tmp_path / "a.pth", attention_mask="on")
    (tmp_path / "a.json").write_text(KAIR % ("true", "true"))
    assert load(tmp_path / "a.pth").inference.policy == MaskPolicy((80, 90), "pixel", 70, "always")
    (tmp_path / "b.json").write_text(KAIR % ("false", "false"))
    chosen = load(tmp_path / "a.pth", options=tmp_path / "b.json")
    assert chosen.inference.policy == MaskPolicy()
    (tmp_path / "b.json").write_text('{"netG": {}}')
    with pytest.raises(BadInput, match=r"netG\.use_mask"):
        load(tmp_path / "a.pth", options=tmp_path / "b.json")
    with pytest.raises(BadInput, match=r"absent\.json: no such file"):
        load(tmp_path / "a.pth", options=tmp_path / "absent.json")
    (tmp_path / "a.json").write_text("[1, 2]")  # somebody else's file, which says nothing of masks
    assert "nothing recorded" in load(tmp_path / "a.pth").source["policy_source"]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"mask_ratio1": 70', '"mask_ratio1": 0.7', "mask_ratio1 = 0.7, expected a whole percent"),
        ('"mask_ratio2": 70', '"mask_ratio2": 75', "differ"),
        ('"mask1": 80', '"mask1": 0.8', "mask1 = 0.8"),
        ('"mask2": 90', '"mask2": Infinity', "mask2 = inf"),
        ('"use_mask": true', '"use_mask": "false"', "expected true or false"),
        ('"mask2": 90', '"mask2": 70', "low <= high"),
        ('"netG"', '"net"', "netG"),
    ],
)
def test_option_files_are_never_misread(tmp_path, old, new, message):
    torch.save(tiny_network().state_dict(), tmp_path / "a.pth")
    text = KAIR % ("true", "true")
    assert old in text
    (tmp_path / "b.json").write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=message):
        load(tmp_path / "a.pth", options=tmp_path / "b.json")


def test_comments_are_stripped_outside_strings():
    assert json.loads(strip_comments('{"a": "x//y\\"//", // z\n "b": 1} // end')) == {
        "a": 'x//y"//',
        "b": 1,
    }


class Evil:
    """Runs code when unpickled."""

    def __reduce__(self):
        return (print, ("executed",))


def refused(path) -> str:
    with pytest.raises(BadInput) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message or path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["pth", "pt", "ckpt"])
def test_pickled_code_is_named_and_never_run(tmp_path, capsys, suffix):
    path = tmp_path / f"evil.{suffix}"
    torch.save({"params": Evil()}, path)
    assert "no weights in it (its keys: params); read without 1 object that" in refused(path)
    for protocol in range(6):
        path.write_bytes(pickle.dumps(Evil(), protocol=protocol))
        assert "a pickle of builtins.print that torch.save did not write" in refused(path)
        torch.save({"params": Evil()}, path, pickle_protocol=max(protocol, 2))
        assert "(builtins.print – never run)" in refused(path)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_pickled_network_gives_its_state_dict(tmp_path, capsys, zipped):
    """The older format holds the source text of modules as well."""
    path, network = tmp_path / "a.pth", tiny_network()
    torch.save(network, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(load(path)(X), network(X))
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"{path}: read without ") and err.count("\n") == 1
    assert "mtd.networks.swinir.SwinIR" in err
    torch.save({"net": torch.nn.DataParallel(network)}, path)
    assert torch.equal(load(path)(X), network(X))


def test_damaged_files_are_refused(tmp_path):
    buffer = io.BytesIO()
    torch.save(tiny_network().state_dict(), buffer)
    whole, path = buffer.getvalue(), tmp_path / "a.pth"
    for content in (
        b"",
        b"hello",
        whole[: len(whole) // 2],
        whole[:-40],
        b"PK\x03\x04" + whole[50:],
    ):
        path.write_bytes(content)
        refused(path)
    path = tmp_path / "a.safetensors"
    save_file(dict(tiny_network().state_dict()), path)
    for content in (b"", b"hello, no tensors", path.read_bytes()[:500]):
        path.write_bytes(content)
        refused(path)


@pytest.mark.parametrize(
    "content, message",
    [
        ({}, "no weights"),
        ({"epoch": 3}, "its keys: epoch"),
        ([1, 2], "holds a list"),
        (torch.zeros(3), "holds a Tensor"),
        ({"model.0.weight": torch.zeros(64, 3, 3, 3)}, "no network known here"),
        ({"params": {"mtd": 3}, "mtd": "no json"}, "its 'mtd' metadata: damaged; expected JSON"),
        ({"params": {"mtd": 3}, "mtd": "[1]"}, "not a JSON object"),
    ],
)
def test_foreign_content_is_refused(tmp_path, content, message):
    path = tmp_path / "a.pth"
    torch.save(content, path)
    assert message in refused(path)


def test_metadata_that_describes_no_network_is_refused(tmp_path):
    weights = dict(tiny_network().state_dict())
    path = tmp_path / "a.pth"
    for network in ({"embed_dim": "x"}, {"strange": 3}, {"depths": 3}, {"embed_dim": -1}, [1]):
        torch.save({"params": weights, "mtd": json.dumps({"network": network})}, path)
        refused(path)
    masks = ("null", "3", '{"attention_percent": 0.75}', '{"input_percent": [0, Infinity]}')
    for mask in (*masks, '{"input_percent": [75]}', '{"fill": []}'):
        torch.save({"params": weights, "mtd": f'{{"mask": {mask}}}'}, path)
        refused(path)


def test_wrong_weights_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    good = dict(tiny_network().state_dict())
    block = "layers.1.residual_group.blocks.1"
    for name, value in {
        f"{block}.mlp.fc1.weight": torch.zeros(3, 12),
        f"{block}.attn.relative_position_bias_table": torch.zeros(9),
        "layers.0.residual_group.blocks.0.attn.relative_position_bias_table": torch.zeros(225, 5),
        "conv_first.weight": torch.zeros(12, 3, 2, 2),
        "conv_last.weight": torch.zeros(3, 12, 3, 3, dtype=torch.complex64),
        "norm.weight": torch.full((12,), torch.nan),
        "upsample.0.weight": torch.zeros(1),
        "absolute_pos_embed": torch.zeros(1),
    }.items():
        torch.save(good | {name: value}, path)
        refused(path)
    for name in ("norm.bias", f"{block}.attn.relative_position_bias_table", "conv_first.bias"):
        torch.save({k: v for k, v in good.items() if k != name}, path)
        refused(path)


def test_names(tmp_path):
    with pytest.raises(BadInput, match="no bundled checkpoint of that name"):
        load("absent.pth")
    with pytest.raises(BadInput, match="is a folder"):
        load(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(BadInput, match="expected a checkpoint ending in"):
        load(tmp_path / "a.txt")
    torch.save(tiny_network().state_dict(), tmp_path / "a.pth")
    with pytest.raises(BadInput, match="device 'cuda:77'"):
        load(tmp_path / "a.pth", device="cuda:77")
    with pytest.raises(BadInput, match="device 'gpu'"):
        load(tmp_path / "a.pth", device="gpu")


def test_other_published_denoisers_are_not_taken_for_one_known_here(monkeypatch):
    monkeypatch.setattr(zoo, "of", lambda name, digest: None)
    for name in ("ffdnet_color.pth", "n2n_unet_gaussian.pt"):
        refused(data_folder("checkpoints") / name)


@pytest.mark.parametrize("name", ["baseline.pth", "masked.pth"])
def test_bundled_pair_loads_by_name_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = mtd.load(name)
    assert network(X).shape == X.shape
    assert network.inference.active == (name == "masked.pth")
    assert network.source["training"]["noise"] == "gaussian:15"
    assert (BUNDLED / name).stat().st_size < 4_000_000


def test_bundled_pair_differs_in_its_masks_only():
    plain, masked = (mtd.load(name) for name in ("baseline.pth", "masked.pth"))
    assert plain.config == masked.config
    same = ("steps", "batch_size", "crop", "noise", "data", "images", "seed", "ema")
    assert [plain.source["training"][k] for k in same] == [
        masked.source["training"][k] for k in same
    ]
    assert not plain.inference.policy.masks_input and masked.inference.policy.masks_input


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot be written"):
        save(tmp_path / "file" / "a.pth", {}, network=TINY, mask=MASKED)

    (tmp_path / "file").unlink()
    save(tmp_path / "b.pth", {}, network=TINY, mask=MASKED)
    before = (tmp_path / "b.pth").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(BadInput, match="No space left on device"):
            save(tmp_path / "b.pth", {"a": torch.zeros(9)}, network=TINY, mask=MASKED)
    assert [p.name for p in tmp_path.iterdir()] == ["b.pth"]
    assert (tmp_path / "b.pth").read_bytes() == before
