"""From a checkpoint file to a network."""
