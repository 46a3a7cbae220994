"""SRGA of snapshots of equal PSNR."""
