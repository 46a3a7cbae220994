"""Networks that are not the package's: source of a user's own, and two of spandrel."""

from __future__ import annotations

SOURCE = '''
import torch
from torch import nn
from torch.nn import functional as F


class Plain(nn.Module):
    def __init__(self, width=4, factor=1.0, name="", sides=(3, 3)):
        super().__init__()
        assert isinstance(width, int) and isinstance(factor, float) and isinstance(name, str)
        self.first = nn.Conv2d(3, width, sides[0], padding=sides[0] // 2)
        self.last = nn.Conv2d(width, 3, sides[1], padding=sides[1] // 2)
        self.factor = factor
        self.register_buffer("shift", torch.full((1, 3, 1, 1), 0.25))

    def forward(self, x):
        return x - self.factor * self.last(F.relu(self.first(x))) + self.shift


class Told(Plain):
    def forward(self, x, sigma):
        assert sigma.shape == (len(x), 1, 1, 1)
        return super().forward(x) + sigma


class MayBeTold(Plain):
    def forward(self, x, sigma=None):
        return super().forward(x) + (0 if sigma is None else sigma)


class Larger(Plain):
    def forward(self, x):
        return F.interpolate(super().forward(x), scale_factor=2)


class Dead(Plain):
    """What goes into the last convolution is 0 everywhere."""

    def forward(self, x):
        return x - self.last(F.relu(self.first(x) * 0 - 1))


class NotFinite(Plain):
    """What goes into the last convolution is infinite, or NaN."""

    def forward(self, x):
        return x - self.last(self.first(x) / 0)


def make(width):
    return Plain(width)


def fail(**_):
    raise RuntimeError("no luck\\nand more")


def leave():
    raise SystemExit(2)


def none():
    return [1]


value = 3


class FFD(nn.Module):
    """FFDNet as its user might write it."""

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(13, 96, 3, padding=1), nn.ReLU()]
        for _ in range(10):
            layers += [nn.Conv2d(96, 96, 3, padding=1), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.Conv2d(96, 12, 3, padding=1))

    def forward(self, x, sigma):
        down = F.pixel_unshuffle(x, 2)
        told = sigma.expand(-1, 1, *down.shape[2:])
        return F.pixel_shuffle(self.model(torch.cat([down, told], 1)), 2)


class UNet(nn.Module):
    """The U-Net of Lehtinen et al. 2018, whose inner levels share their weights."""

    def __init__(self):
        super().__init__()

        def stack(*widths, tail=()):
            parts = []
            for inputs, outputs in zip(widths, widths[1:]):
                parts += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            return nn.Sequential(*parts, *tail)

        def up(width):
            return [nn.ConvTranspose2d(width, width, 3, 2, 1, output_padding=1)]

        self._block1 = stack(3, 48, 48, tail=[nn.MaxPool2d(2)])
        self._block2 = stack(48, 48, tail=[nn.MaxPool2d(2)])
        self._block3 = stack(48, 48, tail=up(48))
        self._block4 = stack(96, 96, 96, tail=up(96))
        self._block5 = stack(144, 96, 96, tail=up(96))
        self._block6 = stack(99, 64, 32)
        self._block6.append(nn.Conv2d(32, 3, 3, padding=1))
        self._block6.append(nn.LeakyReLU(0.1))

    def forward(self, x):
        levels = [x, self._block1(x)]
        for _ in range(4):
            levels.append(self._block2(levels[-1]))
        y = self._block3(levels.pop())
        for block in (self._block4, self._block5, self._block5, self._block5, self._block6):
            y = block(torch.cat([y, levels.pop()], 1))
        return y
'''


def nafnet():
    from spandrel.architectures.NAFNet import NAFNet

    return NAFNet(width=4, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1])


def scunet():
    from spandrel.architectures.SCUNet import SCUNet

    return SCUNet(in_nc=3, config=[1] * 7, dim=64)
