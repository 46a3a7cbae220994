"""Noisy pictures without a clean one: what can be said of denoisers without PSNR."""
