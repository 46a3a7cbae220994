"""The results of SRGA of snapshots of equal PSNR."""

from __future__ import annotations

import pandas as pd

from analysis.srga.matched_psnr.tables import NAME
from analysis.srga.result import SRGAResult


class MatchedResult(SRGAResult):
    """Scores of the snapshots that are compared, and PSNR and scores of all."""

    @property
    def snapshots(self) -> pd.DataFrame:
        """PSNR under the reference and SRGA of every snapshot, a row for each noise; `chosen`."""
        return self.frames[NAME]
