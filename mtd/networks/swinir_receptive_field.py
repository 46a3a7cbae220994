"""The receptive field of SwinIR."""

from __future__ import annotations

from mtd.networks.swinir_layers import SwinIRConfig


def reach(config: SwinIRConfig) -> int:
    """Radius of the receptive field of a SwinIR, in pixels to each side; exact.

    From the last layer to the first, a convolution widens the receptive field by 1 (`1conv`) or 2
    (`3conv`); a block widens it to whole windows, on multiples of the window size w, or shifted by
    half a window in every second block. As shifts alternate, a block adds w/2, and convolutions
    vanish in the rounding: about (blocks + 1) · w/2 in all. The result is the largest distance over
    all positions in a window.
    """
    window, side = config.window_size, 1 if config.convolution == "1conv" else 2
    farthest = 0
    for place in range(window):
        low, high = place - 1 - side, place + 1 + side  # conv_last, conv_after_body
        for depth in reversed(config.depths):
            low, high = low - side, high + side
            for block in reversed(range(depth)):
                offset = window // 2 if block % 2 and config.shifted else 0
                low = (low - offset) // window * window + offset
                high = ((high - offset) // window + 1) * window + offset - 1
        margin = config.embed_kernel // 2
        farthest = max(farthest, place - low + margin, high + margin - place)
    return farthest
