"""Training: configuration, pairs, loop, logs, resumable state."""
