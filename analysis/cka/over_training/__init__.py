"""Similarity over the snapshots of training runs."""
