"""Numbers printed in the paper, for comparison.

Chen et al., *Masked Image Training for Generalizable Deep Image Denoising*, CVPR 2023: Tables 1, 2
and 3 as printed, Figure 11 read off its curves within 0.1 dB. `cell` is the name of the same
training in `reports/findings/ablations.toml`.
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
