"""Blocks: what an architecture says of them, and what layer names alone tell."""

from __future__ import annotations

import pytest
import torch

from mtd.networks import block_names
from mtd.networks.base import Denoiser
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.ffdnet import FFDNet, FFDNetConfig
from mtd.networks.restormer import Restormer, RestormerConfig
from mtd.networks.ridnet import RIDNet, RIDNetConfig
from mtd.networks.rnan import RNAN, RNANConfig
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig

SWINIR = SwinIRConfig(embed_dim=12, depths=(2, 1), num_heads=(2, 2), mlp_hidden=16)
RESTORMER = RestormerConfig(dim=4, num_blocks=(1, 1, 1, 2), refinement_blocks=1, heads=(1, 1, 1, 1))

BLOCKS = {
    SwinIR: (
        SWINIR,
        [f"layers.{g}.residual_group.blocks.{i}" for g, i in ((0, 0), (0, 1), (1, 0))],
    ),
    Restormer: (
        RESTORMER,
        [
            *("encoder_level1.0", "encoder_level2.0", "encoder_level3.0", "latent.0", "latent.1"),
            *("decoder_level3.0", "decoder_level2.0", "decoder_level1.0", "refinement.0"),
        ],
    ),
    RNAN: (
        RNANConfig(features=4, groups=2, inner=2),
        ["body_nl_low.0", "body.0", "body.1", "body_nl_high.0"],
    ),
    RIDNet: (RIDNetConfig(features=4, blocks=2, reduction=2), ["b1", "b2"]),
    DnCNN: (DnCNNConfig(features=4, depth=3), []),
    FFDNet: (FFDNetConfig(features=4, depth=3), []),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_each_architecture_says_which_modules_are_its_blocks(kind: type[Denoiser]) -> None:
    config, expected = BLOCKS[kind]
    with torch.device("meta"):
        network = kind(config)
    assert sorted(network.block_paths()) == sorted(expected)
    assert set(expected) <= {name for name, _ in network.named_modules()}


def test_names_of_a_table_are_enough() -> None:
    for config, expected in BLOCKS.values():
        assert block_names.select(["first", *expected, "last"]) == expected, config
    assert block_names.select(["head.0", "model.2", "tail"]) == []
    assert block_names.select(["blocks.3", "stage.blocks.4", "blocks.3.attn"]) == [
        "blocks.3",
        "stage.blocks.4",
    ]


@pytest.mark.parametrize(
    "name, label",
    [
        ("layers.1.residual_group.blocks.3", "block 1.3"),
        ("layers.1.residual_group.blocks.3.attn[0]", "block 1.3.attn[0]"),
        ("input:layers.1.residual_group.blocks.3", "input:layers.1.residual_group.blocks.3"),
        ("encoder_level1.0", "encoder 1.0"),
        ("latent.7.attn", "latent 7.attn"),
        ("body_nl_low.0", "block low"),
        ("body.4#2", "body.4#2"),
        ("b4.r1", "block 4.r1"),
        ("bn.weight", "bn.weight"),
        ("b4x", "b4x"),
        ("model.2", "model.2"),
    ],
)
def test_labels_are_short(name: str, label: str) -> None:
    assert block_names.label(name) == label
