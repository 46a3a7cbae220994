"""Training and test curves."""
