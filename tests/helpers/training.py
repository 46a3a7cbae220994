"""A recipe of seconds."""

from __future__ import annotations

from pathlib import Path

import torch

import mtd
from mtd.training import config as training_config

SMALL = (
    "network.embed_dim=8",
    "network.depths=[2]",
    "network.num_heads=[2]",
    "network.mlp_hidden=16",
    "data.crop=16",
    "run.steps=8",
    "run.batch_size=2",
    "run.log_every=2",
    "run.save_every=3",
    "validation.every=0",
)

WATCHED = (
    *("run.precision='float64'", "run.steps=20", "run.batch_size=4", "network.drop_path=0.2"),
    *("network.output_dropout=0.2", "validation.every=10", "validation.crops=2"),
    *("validation.crop=16", "validation.noises=['gaussian:15','poisson:3']"),
)


def make(photos: Path, *changes: str, **options: bool) -> training_config.Recipe:
    return training_config.load(
        "small.toml", [f"data.folders=['{photos}']", *SMALL, *changes], **options
    )


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return mtd.load(path).state_dict()
