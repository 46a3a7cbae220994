"""Image quality metrics: PSNR, SSIM, LPIPS (`mtd.metrics.lpips`), and the registry of all.

>>> import torch
>>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
tensor([19.8313], dtype=torch.float64)
"""

from mtd.metrics.lpips import LPIPS
from mtd.metrics.psnr_ssim import psnr, ssim
from mtd.metrics.registry import METRICS, Metric, metrics

__all__ = ["LPIPS", "METRICS", "Metric", "metrics", "psnr", "ssim"]
