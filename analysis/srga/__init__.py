"""SRGA: how far features move under other noise, and what that says of generalization.

`score_models` scores models, `score_snapshots` snapshots of training runs at equal PSNR; `srga` is
for arrays; `python -m analysis.srga` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.srga.command import score_models
    from analysis.srga.matched_psnr.command import score_snapshots
    from analysis.srga.result import SRGAResult
    from analysis.srga.score import SRGA, srga
    from analysis.stats.generalized_gaussian import fit_ggd, kl_ggd

__all__ = ["SRGA", "SRGAResult", "fit_ggd", "kl_ggd", "score_models", "score_snapshots", "srga"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "SRGA": "analysis.srga.score",
        "srga": "analysis.srga.score",
        "fit_ggd": "analysis.stats.generalized_gaussian",
        "kl_ggd": "analysis.stats.generalized_gaussian",
        "SRGAResult": "analysis.srga.result",
        "score_models": "analysis.srga.command",
        "score_snapshots": "analysis.srga.matched_psnr.command",
    },
)
