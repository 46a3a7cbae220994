"""Numbers that the paper gives, to hold measured ones against.

Chen et al., *Masked Image Training for Generalizable Deep Image Denoising*, CVPR 2023: Tables 1, 2
and 3 as printed, Figure 11 read off its curves within 0.1 dB. `cell` is what the same training is
called in `reports/findings/ablations.toml`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mtd.utils.errors import BadInput, nearest


def table(name: str) -> pd.DataFrame:
    """One of them, by name.

    Raises:
        BadInput: there is none of that name.

    Example:
        >>> list(table("table2").psnr)
        [29.57, 29.76, 28.84]
    """
    folder = Path(__file__).parent
    path = folder / f"{name}.csv"
    if not path.is_file():
        known = sorted(found.stem for found in folder.glob("*.csv"))
        raise BadInput(f"published table {name}: {nearest(name, known)}")
    return pd.read_csv(path)
