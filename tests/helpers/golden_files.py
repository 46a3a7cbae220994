"""Golden files: what published implementations give for weights made by a rule."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.helpers.paths import GOLDEN


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
