"""The shapes of LPIPS' backbone: output channels, input channels and side by layer."""

from __future__ import annotations

SHAPES = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
