"""The U-Net of noise2noise-pytorch, for its published weights.

Reference: Lehtinen et al., *Noise2Noise: Learning Image Restoration without Clean Data*, ICML 2018,
appendix, Table 2; here with one block for the inner levels of the encoder and one for those of the
decoder, each used several times, as in https://github.com/joeylitalien/noise2noise-pytorch.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def _convolutions(*channels: int) -> list[nn.Module]:
    """3 x 3 convolutions with ReLU, from each number of channels to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return layers


def _doubling(channels: int) -> nn.Module:
    """A transposed convolution to twice the height and width."""
    return nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1)


class UNet(nn.Module):
    """From (B, C, H, W) in [0, 1] to the same shape; H and W are multiples of 32.

    Args:
        channels: C.

    >>> UNet()(torch.zeros(1, 3, 32, 64)).shape
    torch.Size([1, 3, 32, 64])
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self._block1 = nn.Sequential(*_convolutions(channels, 48, 48), nn.MaxPool2d(2))
        self._block2 = nn.Sequential(*_convolutions(48, 48), nn.MaxPool2d(2))
        self._block3 = nn.Sequential(*_convolutions(48, 48), _doubling(48))
        self._block4 = nn.Sequential(*_convolutions(96, 96, 96), _doubling(96))
        self._block5 = nn.Sequential(*_convolutions(144, 96, 96), _doubling(96))
        last = nn.Conv2d(32, channels, 3, padding=1)
        self._block6 = nn.Sequential(*_convolutions(96 + channels, 64, 32), last, nn.LeakyReLU(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """The denoised image."""
        levels = [x, self._block1(x)]
        for _ in range(4):
            levels.append(self._block2(levels[-1]))
        rising = self._block3(levels.pop())
        for decoder in (self._block4, *(3 * [self._block5])):
            rising = decoder(torch.cat([rising, levels.pop()], 1))
        image: Tensor = self._block6(torch.cat([rising, levels.pop()], 1))
        return image
