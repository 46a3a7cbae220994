"""Names that tables hold for what is no noise and no network."""

CLEAN = "gaussian:0"
"""The noise that changes nothing."""

NOISY = "noisy input"
"""The name of the noisy images' own values, beside those of the models."""
