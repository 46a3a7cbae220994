"""The filters of a network: the weights of one output channel of a convolution or linear layer.

In a transformer a linear layer has one filter for each of its output features: one for each
coordinate of queries, keys and values, of the projection, and of both layers of an MLP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtd.utils.errors import BadInput

PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

WHOLE = "network"
"""Name of a network that is a single layer."""

Parameters = Mapping[str, Tensor]
"""Parameters of a network by name, detached."""


class Layer(NamedTuple):
    """A layer with filters.

    Attributes:
        name: its path in the network; `network` for a network that is this layer alone.
        weight: name of its weight.
        kind: `convolution` or `linear`.
        filters: their number.
        groups: of a transposed convolution, whose weight has its input channels first; else 0.
    """

    name: str
    weight: str
    kind: str
    filters: int
    groups: int = 0

    def rows(self, weight: Tensor) -> Tensor:
        """Its weight, or anything of its shape, as (filters, values of a filter)."""
        if not self.groups:
            return weight.flatten(1)
        # (in, out / groups, …): a group of inputs goes to a group of outputs
        grouped = weight.unflatten(0, (self.groups, -1)).transpose(1, 2)
        rows: Tensor = grouped.flatten(0, 1).flatten(1)
        return rows

    def spread(self, values: Tensor, weight: Tensor) -> Tensor:
        """One value of each filter, (filters,), in a shape that broadcasts to the weight's."""
        if not self.groups:
            return values.view(-1, *[1] * (weight.ndim - 1))
        inputs = len(weight) // self.groups
        grouped = values.view(self.groups, 1, -1).expand(-1, inputs, -1)
        return grouped.reshape(len(weight), -1, *[1] * (weight.ndim - 2))


def layers(model: nn.Module) -> list[Layer]:
    """The layers with filters, in the order in which the network defines them.

    Weights that are computed from other parameters, as in weight normalization, are not among them,
    nor are weights that belong to no convolution or linear layer. A weight that several layers
    share is that of the first one.

    Raises:
        BadInput: there are none.
    """
    own = {name: value.shape for name, value in model.named_parameters()}
    found = []
    for path, part in model.named_modules():
        module = part if path else getattr(part, "whole", part)  # of an external network
        weight = f"{path}.weight" if path else "weight"
        if weight not in own:
            continue
        if isinstance(module, TRANSPOSED):
            number = own[weight][1] * module.groups
            found.append(Layer(path or WHOLE, weight, "convolution", number, module.groups))
        elif isinstance(module, PLAIN):
            kind = "linear" if isinstance(module, nn.Linear) else "convolution"
            found.append(Layer(path or WHOLE, weight, kind, own[weight][0]))
    if not found:
        raise BadInput("no convolution or linear layer with a weight of its own in the network")
    return found


def by_filter(values: Parameters, of: Sequence[Layer]) -> Tensor:
    """(filters,) sums over each filter, in the order of layers and output channels.

    Args:
        values: of the shapes of the parameters, by name.
        of: the layers.
    """
    return torch.cat([layer.rows(values[layer.weight]).sum(1) for layer in of])


def count(of: Sequence[Layer]) -> int:
    """The number of all filters."""
    return sum(layer.filters for layer in of)


def others(parameters: Parameters, of: Sequence[Layer]) -> list[str]:
    """Names of the parameters outside filters: biases, normalizations, position bias tables."""
    weights = {layer.weight for layer in of}
    return [name for name in parameters if name not in weights]


def exchanged(
    into: Parameters, source: Parameters, of: Sequence[Layer], chosen: Tensor
) -> Parameters:
    """Parameters with some filters replaced by those of another network.

    Args:
        into: all parameters of the network.
        source: all parameters of the network that the filters are taken from.
        of: the layers.
        chosen: boolean, (filters,).
    """
    found = dict(into)
    parts = chosen.split([layer.filters for layer in of])
    for layer, part in zip(of, parts, strict=True):
        if part.any():
            weight = into[layer.weight]
            where = layer.spread(part.to(weight.device), weight)
            found[layer.weight] = torch.where(where, source[layer.weight], weight)
    return found
