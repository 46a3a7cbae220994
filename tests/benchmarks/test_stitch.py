"""Stitching the layers of a pair against a plain loop: `python -m pytest FILE -s`.

Seconds are those of the processor, of all threads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.commands.inputs import load_inputs
from analysis.engine.observer import NoisyBatch, View
from analysis.stitch import costs, recordings
from analysis.stitch.pairs import Stitched
from analysis.stitch.settings import StitchSettings

NOISE = "gaussian:50"
SIDE = 64


def hooked(network: nn.Module, noisy: NoisyBatch, layer: str, new: Tensor | None = None):
    """The output of a network and of one of its layers, which may be replaced."""
    kept: list[Tensor] = []

    def hook(_: nn.Module, __: object, value: Tensor) -> Tensor | None:
        kept.append(value)
        return new

    handle = dict(network.named_modules())[layer].register_forward_hook(hook)
    with torch.no_grad():
        output = network(noisy.noisy, noisy.batch.digests)
    handle.remove()
    return output, kept[0]


def least_squares(x: Tensor, y: Tensor) -> NDArray[np.float64]:
    """(p + 1, q), the affine map between channels, the bias last."""
    rows = np.column_stack([x.flatten(0, -2).double(), np.ones(x[..., 0].numel())])
    solution, *_ = np.linalg.lstsq(rows, y.flatten(0, -2).double().numpy(), rcond=None)
    return solution


def by_hand(stage: recordings.Recordings, layers: Sequence[str]) -> NDArray[np.float64]:
    """(layers, crops), PSNR of every stitch: both networks run as a whole for each layer."""
    sender, receiver = (stage.inputs.models[name] for name in ("baseline", "masked"))
    folds = recordings.folds(stage.inputs.crops)
    found = np.empty((len(layers), len(stage.inputs.crops)))
    for row, layer in zip(found, layers, strict=True):
        for here, there in (folds, folds[::-1]):
            fitted, other = (stage.noisy(View("masked", NOISE), places) for places in (there, here))
            # channels of images are the second axis, of tokens the last one
            axis = 1 if hooked(receiver, fitted, layer)[1].ndim == 4 else -1
            x, y = (
                hooked(network, fitted, layer)[1].movedim(axis, -1)
                for network in (sender, receiver)
            )
            solution = torch.from_numpy(least_squares(x, y)).float()
            given = hooked(sender, other, layer)[1].movedim(axis, -1)
            mapped = (given @ solution[:-1] + solution[-1]).movedim(-1, axis).contiguous()
            output = hooked(receiver, other, layer, mapped)[0].double()
            row[here] = -10 * (output - other.target).square().mean((1, 2, 3)).log10().numpy()
    return found


def test_stitches_against_a_plain_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """The default layers of the bundled pair, eight crops, the baseline's features under noise."""
    settings = StitchSettings.of(crop=SIDE, limit=8, noises=[NOISE], ridge=1e-12)
    stage = recordings.Recordings(load_inputs(["baseline.pth", "masked.pth"], settings), settings)
    unit = Stitched(View("baseline", NOISE), View("masked", NOISE))
    layers = stage.layers["masked"]
    hooked(stage.inputs.models["masked"], stage.noisy(unit.receiver, [0]), layers[0])
    start = time.process_time()
    found = costs.measure(stage, unit)
    seconds = time.process_time() - start
    start = time.process_time()
    plain = by_hand(stage, layers)
    whole = time.process_time() - start
    apart = float(np.abs(found[costs.PSNR].numpy() - plain).max())
    assert apart < 0.01
    with capsys.disabled():
        print(
            f"\n{len(layers)} layers, 8 crops of {SIDE} x {SIDE}: {seconds:.1f} s of CPU, plain "
            f"loop {whole:.1f} s, {whole / seconds:.1f} x; PSNR differs by {apart:.4f} dB at most"
        )
