"""Degradation clusters: whether features separate images by noise."""
