"""Names in tables for clean and for noisy images."""

CLEAN = "gaussian:0"
"""The noise of level 0, for clean images."""

NOISY = "noisy input"
"""The row of the noisy images, next to those of the models."""
