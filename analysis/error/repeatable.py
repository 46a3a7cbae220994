"""Whether a network returns the same output each time for the same noisy image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from analysis.engine.forward import make_noisy_batch
from analysis.engine.network_input import NetworkInput
from analysis.engine.observer import Batch
from analysis.engine.side_by_side import of_this_package
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs

ROUNDING = 1e-4
"""Largest difference of two outputs, of a range of 1, that rounding may cause on a GPU."""


@torch.no_grad()
def check(inputs: RunInputs) -> None:
    """Check that networks of one's own return the same output twice for the first noisy crop.

    What a network draws at random would be taken for noise that it leaves in its output.

    Raises:
        BadInput: one does not.
    """
    own = {name: net for name, net in inputs.models.items() if not of_this_package(net)}
    if not own:
        return
    noisy = make_noisy_batch(inputs.noises[0], Batch(0, inputs.crops[:1]), inputs.forward)
    for name, network in own.items():
        given = NetworkInput.of(network, noisy, inputs.forward)
        first, second = given.run(network), given.run(network)
        if float((first - second).abs().max()) > ROUNDING:
            raise BadInput(
                f"{name}: its output for the same noisy image differs from call to call, so that "
                "the noise it leaves cannot be measured; seed the generator in its forward"
            )
