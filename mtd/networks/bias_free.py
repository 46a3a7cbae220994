"""What the bias-free networks of Mohan et al. share: their normalization, and a plain stack.

Without additive constants, f(a x) = a f(x) for every a > 0, so that what such a network learns at
one noise level holds at others. Facts on the networks are those of the authors' code,
github.com/LabForComputationalVision/bias_free_denoising (models/BFBatchNorm2d.py, backbone_cnn.py).

Reference: Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, *Robust and Interpretable Blind Image
Denoising via Bias-Free Convolutional Neural Networks*, ICLR 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BiasFreeBatchNorm2d(nn.BatchNorm2d):
    """w · x / (s + ε) for each channel, without a mean that is subtracted or a bias that is added.

    In training, s is the standard deviation over the batch and all positions, of the unbiased
    variance; in eval mode it is that of the running variance. w is the channel's weight and ε is
    1e-5. Bias and running mean are in state dicts, as in the published ones, but never used.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if self.training:
            variance = input.var((0, 2, 3))
            self._update(variance.detach())
        else:
            assert self.running_var is not None
            variance = self.running_var
        scale = self.weight / (variance.sqrt() + self.eps)
        return input * scale.view(1, -1, 1, 1).to(input)

    @torch.no_grad()
    def _update(self, variance: Tensor) -> None:
        assert self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)
        self.num_batches_tracked += 1


class Stage(nn.Module):
    """A stack of 3 x 3 convolutions with a ReLU after all but the last, padded with zeros.

    Args:
        inputs: channels of its input.
        outputs: channels of its output.
        features: channels between convolutions.
        hidden: number of convolutions between the first and the last.
        bias: whether all convolutions but the last have one.
        last_bias: whether the last one has.
    """

    def __init__(
        self, inputs: int, outputs: int, features: int, hidden: int, bias: bool, last_bias: bool
    ) -> None:
        super().__init__()
        self.first_layer = convolution(inputs, features, bias)
        self.hidden_layer_list = nn.ModuleList(
            convolution(features, features, bias) for _ in range(hidden)
        )
        self.last_layer = convolution(features, outputs, last_bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        out = self.first_layer(x).relu_()
        for layer in self.hidden_layer_list:
            out = layer(out).relu_()
        last: Tensor = self.last_layer(out)
        return last


def convolution(inputs: int, outputs: int, bias: bool) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
