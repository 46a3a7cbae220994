"""Sensitivity of layers to noise."""
