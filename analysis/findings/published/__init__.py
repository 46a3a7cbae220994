"""Numbers printed in the paper, for comparison.

Chen et al., *Masked Image Training for Generalizable Deep Image Denoising*, CVPR 2023: Tables 1, 2
and 3 as printed, Figure 11 read off its curves within 0.1 dB. `cell` is the name of the same
training in `reports/findings/ablations.toml`. The PSNR of the noisy input is not printed; where the
paper says how its noise is made, `noisy` has it computed on Kodak24 (500 × 500 crops, 8 bits).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mtd.utils.errors import BadInput, nearest


def table(name: str) -> pd.DataFrame:
    """A published table, by name.

    Raises:
        BadInput: no table has that name.

    Example:
        >>> list(table("table2").psnr)
        [29.57, 29.76, 28.84]
    """
    folder = Path(__file__).parent
    path = folder / f"{name}.csv"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.csv"))
        raise BadInput(f"published table {name}: {nearest(name, known)}")
    return pd.read_csv(path)


def best(noise: str) -> float:
    """The highest PSNR of any network in the paper under a noise; NaN if it shows none.

    Of one level where the paper's tables have it alone (`monte_carlo:64`, `isp`), else over all
    levels of the kind.

    >>> best("isp"), best("monte_carlo:128"), best("mixture:5")
    (29.44, 30.62, 30.3)
    """
    kind, _, level = noise.partition(":")
    if kind == "isp":
        return float(table("table3c").psnr.max())
    if kind == "monte_carlo":
        rows = table("table3b")
        return float(rows.psnr[rows.spp.astype(str) == level].max())
    rows = table("figure11")
    return float(rows.psnr[rows.kind == kind].max())
