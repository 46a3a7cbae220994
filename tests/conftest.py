"""Shared fixtures: development data where it is there, small networks, golden files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils import cli

GOLDEN = Path(__file__).parent / "golden"
DATA = Path(os.environ.get("MTD_DATA", Path(__file__).parents[2] / "shared" / "data"))

TINY = SwinIRConfig(embed_dim=12, depths=(2, 2), num_heads=(2, 2), mlp_hidden=16)
COLUMNS = (
    "model_a,noise_a,layer_a,index_a,model_b,noise_b,layer_b,index_b,"
    "cka,estimator,unit,samples,crops,low,high,p,p_corrected,kernel,centring,null"
)
MASKED = MaskPolicy((75, 85), "pixel", 75, "always")


@pytest.fixture(autouse=True)
def few_threads() -> None:
    """Tests compare runs bit for bit, and share two cores."""
    torch.set_num_threads(2)


def data_folder(name: str) -> Path:
    """A folder of the development data; the test is skipped where it is missing."""
    if not (DATA / name).is_dir():
        pytest.skip(f"development data {name!r} is not at {DATA} (set MTD_DATA)")
    return DATA / name


def golden_weights(meta: dict[str, Any]) -> dict[str, Tensor]:
    """The weights of a golden file, by the rule in tests/golden/README.md."""
    shapes = {name: shape for name, shape, _, _ in meta["state_dict"]}
    weights = {}
    for k, name in enumerate(sorted(meta["filled_keys"])):
        count = int(np.prod(shapes[name]))
        v = np.sin(12.9898 * np.arange(1, count + 1) + 78.233 * (k + 1)) * 43758.5453
        c = 2 * (v - np.floor(v)) - 1
        if name.endswith("relative_position_bias_table"):
            values = 0.5 * c
        elif name.endswith("running_var"):
            values = 1 + 0.25 * (c + 1)
        elif name.endswith("temperature"):
            values = 1 + 0.2 * c
        elif len(shapes[name]) > 1:
            values = 0.7 * np.sqrt(3 / (count / shapes[name][0])) * c
        else:
            values = 0.1 * c if name.endswith(("bias", "running_mean")) else 1 + 0.2 * c
        weights[name] = torch.from_numpy(values.reshape(shapes[name]))
    for name, held in meta.get("unfilled_values", {}).items():
        weights[name] = torch.tensor(held, dtype=torch.float64).reshape(shapes[name])
    for name, shape, _, _ in meta["state_dict"]:
        if name.endswith("num_batches_tracked"):  # which eval mode does not read
            weights[name] = torch.zeros(shape, dtype=torch.int64)
    return weights


def golden(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A golden file's description and arrays."""
    meta = json.loads((GOLDEN / f"{name}.json").read_text())
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return meta, dict(arrays)


def tiny_network(seed: int = 0, config: SwinIRConfig = TINY) -> SwinIR:
    """A small network with random weights, large enough for its layers to differ."""
    network = SwinIR(config)
    stream = torch.Generator().manual_seed(seed)
    network.initialise(stream)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=stream)
    return network.eval()


@pytest.fixture
def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command's `main` in this process: exit code, stdout, stderr."""

    def call(main: Callable[[], None], *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.run(main)
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A folder with two tiny checkpoints, plain.pth and masked.pth."""
    for seed, (name, policy) in enumerate({"plain": MaskPolicy(), "hidden": MASKED}.items()):
        weights = tiny_network(seed).state_dict()
        checkpoint_file.save(tmp_path / f"{name}.pth", weights, network=TINY, mask=policy)
    return tmp_path


def cka_table(matrix: np.ndarray, a: tuple[str, str], b: tuple[str, str]) -> pd.DataFrame:
    """A CKA table with given values; layers named by the default set's kinds."""
    layers = [
        "conv_first",
        *(f"layers.0.residual_group.blocks.{i}" for i in range(len(matrix) - 1)),
    ]
    rest = ("unbiased", "position", 128, 8, *4 * [np.nan], "linear", "global", np.nan)
    rows = [
        (*a, layers[i], i, *b, layers[j], j, matrix[i, j], *rest)
        for i in range(len(matrix))
        for j in range(len(matrix))
    ]
    return pd.DataFrame(rows, columns=COLUMNS.split(","))


def shell(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of this checkout as from a shell."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
