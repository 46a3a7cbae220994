"""Which network a state dict belongs to, and its hyper-parameters, from keys and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mtd import dncnn
from mtd.denoiser import Denoiser
from mtd.dncnn import DnCNN, DnCNNConfig
from mtd.errors import BadInput
from mtd.swinir import SwinIR, SwinIRConfig

Config = SwinIRConfig | DnCNNConfig
Weights = Mapping[str, Tensor]

ANCHORS = ("conv_first.weight", "model.0.weight")
"""A key that every network of one kind has once; what stands before it is a prefix of all keys."""


def detect(weights: Weights, path: Path) -> Config:
    """Hyper-parameters of the network that some weights belong to.

    Raises:
        BadInput: an unknown network, or one whose weights do not tell how it is to be run.
    """
    return dncnn.detect(weights, path) or detect_swinir(weights, path)


def build(config: Config) -> Denoiser:
    """A network with fresh weights."""
    return DnCNN(config) if isinstance(config, DnCNNConfig) else SwinIR(config)


def detect_swinir(weights: Weights, path: Path) -> SwinIRConfig:
    """Hyper-parameters of a denoising SwinIR from its keys and shapes.

    A 1 x 1 embedding means the paper's variant, which has no global residual; a 3 x 3 one means
    the stock network, which has.

    Raises:
        BadInput: another architecture, or one whose weights do not tell how it is to be run.
    """
    first, last = weights.get("conv_first.weight"), weights.get("conv_last.weight")
    depths = _count(r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\.norm1\.weight", weights)
    if first is None or last is None or first.ndim != 4 or last.ndim != 4 or not depths:
        shown = ", ".join(list(weights)[:5])
        raise BadInput(
            f"{path}: neither a SwinIR denoiser nor a DnCNN ({len(weights)} tensors: {shown}, …); "
            "expected conv_first, layers.N.residual_group.blocks.M and conv_last, or model.N"
        )
    if any(key.startswith(("upsample", "conv_before_upsample", "conv_up")) for key in weights):
        raise BadInput(f"{path}: a SwinIR for super-resolution; expected one for denoising")
    if "absolute_pos_embed" in weights:
        raise BadInput(f"{path}: absolute position embedding is tied to one size; not supported")
    block = "layers.0.residual_group.blocks.0"
    table = weights.get(f"{block}.attn.relative_position_bias_table")
    if table is not None and table.shape[0] == 13**2:
        raise BadInput(
            f"{path}: windows of 7, as published for JPEG artefacts with values up to 255; such a "
            "network would be run on the wrong scale"
        )
    try:
        tables = [
            weights[f"layers.{g}.residual_group.blocks.0.attn.relative_position_bias_table"].shape
            for g in range(len(depths))
        ]
        return SwinIRConfig(
            embed_dim=first.shape[0],
            depths=tuple(depths),
            num_heads=tuple(table[1] for table in tables),
            window_size=(round(tables[0][0] ** 0.5) + 1) // 2,
            mlp_hidden=weights[f"{block}.mlp.fc1.weight"].shape[0],
            in_chans=first.shape[1],
            embed_kernel=first.shape[-1],
            convolution="1conv" if "conv_after_body.weight" in weights else "3conv",
            global_residual=first.shape[-1] != 1,
            patch_norm="patch_embed.norm.weight" in weights,
            qkv_bias=f"{block}.attn.qkv.bias" in weights,
            mask_token="mask_token" in weights,
        )
    except (KeyError, IndexError) as error:
        raise BadInput(f"{path}: an incomplete SwinIR, {error} is missing or misshapen") from None


def _count(pattern: str, weights: Weights) -> list[int]:
    """How many second indices there are under each first index of keys that match."""
    found = {(int(m[1]), int(m[2])) for m in (re.fullmatch(pattern, key) for key in weights) if m}
    groups = sorted({group for group, _ in found})
    return [sum(g == group for g, _ in found) for group in groups]
