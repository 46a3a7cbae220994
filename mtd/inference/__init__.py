"""Denoising: forward pass, tiling, image files."""
