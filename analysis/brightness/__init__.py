"""Brightness of denoised images against clean ones."""
