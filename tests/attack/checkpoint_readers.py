"""Readers of checkpoints: files of weights, options beside them, recipes, states of trainings."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from mtd.utils.errors import BadInput
from tests.attack import checkpoint_mutations as damage
from tests.attack import text_mutations
from tests.attack.mutations import weighted
from tests.attack.reader import Files, Reader, one_file
from tests.helpers.paths import ROOT


def small() -> Any:
    """A small network, always with the same weights."""
    import torch

    from mtd.networks.dncnn import DnCNN, DnCNNConfig

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DnCNN(DnCNNConfig(features=2, depth=3))


@cache
def saved(suffix: str) -> bytes:
    """A small network as this project saves it."""
    from mtd.loading import checkpoint_file
    from mtd.masking import MaskPolicy

    network = small()
    training = {"data": {"noise": "gaussian:15"}, "step": 10}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, f"x{suffix}")
        weights = network.state_dict()
        checkpoint_file.save(
            path, weights, network=network.config, mask=MaskPolicy(), training=training
        )
        content = path.read_bytes()
    return damage.in_order(content) if suffix == ".safetensors" else content


@cache
def plain(wrapped: bool) -> bytes:
    """A state dict as `torch.save` writes it, alone or with a trainer's objects beside it."""
    import torch

    from tests.helpers.pickles import OBJECTS

    names = ("namespace", "enum", "default", "counter", "path", "config")
    content: Any = small().state_dict()
    if wrapped:
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
        objects = {"optimizer": optimizer, **{name: OBJECTS[name] for name in names}}
        content = {"state_dict": content, "epoch": 3, **objects}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def legacy() -> Sequence[bytes]:
    """The same as `torch.save` wrote it before its version 1.6: stored, since the order of tensors
    is that of their addresses, by `torch.save(..., _use_new_zipfile_serialization=False)`."""
    return [path.read_bytes() for path in sorted((ROOT / "tests/attack/seeds/legacy").iterdir())]


def load(path: Path) -> Any:
    """A network from a checkpoint, as every command loads it."""
    from mtd.loading.load import load as load_network

    return load_network(path)


def beside() -> Sequence[Files]:
    """A SwinIR with the options of KAIR beside it."""
    options = {
        "netG": {"net_type": "swinir", "use_mask": True, "mask_ratio1": 75, "mask_ratio2": 75},
        "datasets": {"train": {"if_mask": True, "mask1": 60, "mask2": 70}},
    }
    text = json.dumps(options, indent=1).replace('"netG"', '// a comment "x"\n "netG"')
    return [{"x.json": text.encode()}]


def read_options(folder: Path) -> Any:
    from mtd.loading import kair_options

    kair_options.is_option_file(folder / "x.json")
    return kair_options.mask_policy(folder / "x.json")


def recipes() -> Sequence[bytes]:
    """Bundled recipes, of networks with few layers, which are built to be checked."""
    return [shallow(name) for name in ("small.toml", "full.toml", "dncnn.toml")]


def shallow(name: str) -> bytes:
    """A bundled recipe with one layer in each group, or three in all."""
    from mtd.training.config import CONFIGS

    text = (CONFIGS / name).read_text("utf-8")
    one_each = re.sub(
        r"(?<=^depths = ).*$", lambda old: re.sub(r"\d+", "1", old[0]), text, flags=re.M
    )
    return re.sub(r"(?<=^depth = )\d+$", "3", one_each, flags=re.M).encode()


def read_recipe(path: Path) -> Any:
    from mtd.training import config

    return config.load(str(path))


def sweeps() -> Sequence[Files]:
    """The bundled sweeps, of a small network."""
    from mtd.training.sweep import SWEEPS

    base = shallow("small.toml")
    texts = [path.read_bytes() for path in sorted(SWEEPS.glob("*.toml"))]
    return [{"x.toml": text.replace(b"paper.toml", b"y.toml"), "y.toml": base} for text in texts]


def read_sweep(folder: Path) -> Any:
    from mtd.training import sweep

    path = folder / "x.toml"
    sweep.is_sweep(str(path))
    found = sweep.load(str(path))
    return [cell.recipe(found.base, [], []) for cell in found.cells[:1]]


@cache
def state() -> bytes:
    """The state of a small training."""
    import torch
    from torch import nn

    from mtd.loading import checkpoint_file

    network = nn.Conv2d(1, 2, 3)
    for value in network.parameters():
        nn.init.constant_(value, 0.5)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 1, 4, 4)).sum().backward()
    optimizer.step()
    content = {"weights": network.state_dict(), "optimizer": optimizer.state_dict(), "step": 3}
    return checkpoint_file.torch_bytes({**content, "recipe": {"run": {"steps": 10}}, "digest": "x"})


def read_state(folder: Path) -> Any:
    """Reads a state, as it is and with a digest of its damaged bytes."""
    import torch

    from mtd.training import state as states
    from mtd.utils import digests

    path = folder / states.STATE
    content = path.read_bytes()
    with suppress(BadInput):
        states.load(folder, lambda found: found)
    path.write_bytes(digests.sealed(content))

    def use(found: dict[str, Any]) -> int:
        network = torch.nn.Conv2d(1, 2, 3)
        network.load_state_dict(found["weights"])
        torch.optim.Adam(network.parameters()).load_state_dict(found["optimizer"])
        return int(found["step"])

    return states.load(folder, use)


@cache
def backbone() -> bytes:
    import torch
    from safetensors.torch import save

    return save({"features.0.weight": torch.ones(2, 3), "features.0.bias": torch.ones(2)})


@cache
def pickled_backbone() -> bytes:
    import torch

    from mtd.loading.checkpoint_file import torch_bytes

    return torch_bytes({"features.0.weight": torch.ones(2, 3), "features.0.bias": torch.ones(2)})


def read_backbone(path: Path) -> Any:
    """The backbone of LPIPS, whose tensors are known by their digest."""
    from mtd.metrics import lpips_backbone

    try:
        return lpips_backbone.read(path)
    except BadInput as error:
        if "not the backbone of LPIPS" in str(error):
            return error
        raise


READERS = [
    one_file(
        "checkpoint-zip",
        "x.pth",
        lambda: [saved(".pth"), plain(False), plain(True)],
        load,
        weighted(damage.CHECKPOINT),
    ),
    one_file(
        "checkpoint-legacy",
        "x.pth",
        legacy,
        load,
        weighted(damage.ROW),
    ),
    one_file(
        "safetensors",
        "x.safetensors",
        lambda: [saved(".safetensors")],
        load,
        weighted(damage.SAFETENSORS),
    ),
    Reader("options", beside, read_options, weighted((*text_mutations.JSON, *text_mutations.TEXT))),
    one_file("recipe", "x.toml", recipes, read_recipe, weighted(text_mutations.TOML)),
    Reader("sweep", sweeps, read_sweep, weighted(text_mutations.TOML), ("x.toml",)),
    one_file(
        "lpips-weights",
        "x.safetensors",
        lambda: [backbone()],
        read_backbone,
        weighted(damage.SAFETENSORS),
    ),
    one_file(
        "lpips-weights-pth",
        "x.pth",
        lambda: [pickled_backbone()],
        read_backbone,
        weighted(damage.CHECKPOINT),
    ),
    Reader(
        "training-state", lambda: [{"state.pt": state()}], read_state, weighted(damage.CHECKPOINT)
    ),
]
