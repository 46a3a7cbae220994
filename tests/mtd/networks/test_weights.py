"""The digest of weights: the same in a file, in a loaded network and by hand."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

import mtd
from mtd.loading import checkpoint_file
from mtd.networks.weights import weights_digest


def test_digest_by_hand():
    state = {"b": torch.tensor([1, 2], dtype=torch.int16), "a": torch.tensor(0.5)}
    written = b"a torch.float32 []\n\x00\x00\x00\x3fb torch.int16 [2]\n\x01\x00\x02\x00"
    assert weights_digest(state) == hashlib.sha256(written).hexdigest()


def test_order_of_definition_does_not_matter_but_names_and_values_do():
    one, two = nn.Linear(2, 2).state_dict(), nn.Linear(2, 2).state_dict()
    assert weights_digest(one) == weights_digest(dict(reversed(one.items())))
    assert weights_digest(one) != weights_digest(two)
    assert weights_digest(one) != weights_digest({f"x.{name}": one[name] for name in one})


def test_a_checkpoint_records_the_digest_that_manifests_hold(tmp_path):
    network = mtd.load("baseline.pth")
    path = tmp_path / "saved.pth"
    checkpoint_file.save(
        path,
        network.state_dict(),
        network=network.config,
        mask=network.inference.policy,
        training={},
    )
    recorded = checkpoint_file.read(str(path)).metadata[checkpoint_file.WEIGHTS]
    assert recorded == mtd.load(str(path)).source[checkpoint_file.WEIGHTS]
    assert recorded == network.source[checkpoint_file.WEIGHTS]
