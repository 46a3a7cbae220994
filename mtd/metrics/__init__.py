"""Image quality metrics: PSNR and SSIM here, LPIPS in `mtd.metrics.lpips`."""

from mtd.metrics.psnr_ssim import METRICS, psnr, ssim

__all__ = ["METRICS", "psnr", "ssim"]
