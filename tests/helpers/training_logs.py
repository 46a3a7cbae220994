"""Logs of training, as other programs and this one write them."""

from __future__ import annotations

from pathlib import Path

KAIR = """\
24-03-02 09:14:01.120 :   task: denoising
24-03-02 09:20:11.871 : <epoch:  0, iter:     200, lr:2.000e-04> G_loss: 8.125e-02 F_loss: 1.5e+00
24-03-02 09:25:12.004 : <epoch:  1, iter:   1,000, lr:1.000e-04> G_loss: 3.250e-02 F_loss: 1.2e+00
24-03-02 09:25:13.100 : ---1--> one.png | 28.90dB
24-03-02 09:25:14.100 : <epoch:  1, iter:   1,000, Average PSNR : 29.75dB
24-03-02 09:25:15.100 : <epoch:  1, iter:   1,000, Average PSNR : 24.50dB
24-03-02 09:25:16.100 : poisson_20 <epoch:1,iter:1,000,Average PSNR: 23.25dB
24-03-02 09:30:16.100 : <epoch: 12, iter: 12,000, lr:5.0e-05> G_loss: 2.5e-02 F_loss: 1.0e+00
24-03-02 09:30:17.100 : <epoch: 12, iter: 12,000, Average PSNR : 30.25dB
"""


def own(folder: Path, validation: str = "", log: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    header = "step,loss,learning_rate,images_per_second\n"
    (folder / "log.csv").write_text(header + (log or "100,0.5,0.001,20\n200,0.25,0.001,20\n"))
    if validation:
        (folder / "validation.csv").write_text("step,noise,psnr\n" + validation)
    return folder
