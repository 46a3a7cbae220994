"""Checkpoint files: reading them without running code, and the networks they hold."""
