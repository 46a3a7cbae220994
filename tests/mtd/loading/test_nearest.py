"""Messages about files of no known network: what is near, and what differs from it."""

from __future__ import annotations

import torch

from tests.helpers.architectures import X, refused, tiny
from tests.helpers.external_networks import nafnet


def test_what_differs_from_the_nearest_architecture_is_named(tmp_path):
    path, weights = tmp_path / "a.pth", dict(tiny("DnCNN").state_dict())
    config = "(in_chans=3, features="
    torch.save({**weights, "extra.weight": X}, path)
    message = refused(path)
    assert f"nearest: a DnCNN with batch normalization under model.* {config}" in message
    assert ") and 1 other tensor (extra.weight);" in message and "expected under" not in message
    torch.save({k: v for k, v in weights.items() if "running" not in k}, path)
    assert 'Missing key(s) in state_dict: "model.3.running_mean"' in refused(path)
    spandrels = dict(nafnet().state_dict())
    missing = next(name for name in spandrels if name.endswith("conv3.weight"))
    torch.save({k: v for k, v in spandrels.items() if k != missing}, path)
    assert "nearest: NAFNet of spandrel, but its weights do not fit (Missing" in refused(path)
    assert missing in refused(path)


def test_two_layers_of_many_are_not_the_nearest_architecture(tmp_path):
    """Of a U-Net, two blocks of one layer each would be those of a small DnCNN."""
    blocks = {f"_block{i}.{j}.weight": torch.zeros(8, 8, 3, 3) for i in range(5) for j in (0, 2)}
    pair = {
        "_block9.0.weight": torch.zeros(8, 3, 3, 3),
        "_block9.2.weight": torch.zeros(3, 8, 3, 3),
    }
    torch.save(blocks | pair, tmp_path / "a.pth")
    assert "a DnCNN" not in refused(tmp_path / "a.pth")
